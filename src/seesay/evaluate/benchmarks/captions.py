"""Counting what captions name: CHAIR's figures, and what must stand beside them."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from seesay.evaluate.benchmark import Answer
from seesay.evaluate.benchmarks.listed import Counted
from seesay.statistics.metrics import Counts, Metric, Totals, ratio


class Named(NamedTuple):
    """An object word of a caption: as it stands in the scorer's list, and its class."""

    word: str
    object: str


COLUMNS = (
    "captions",
    "hallucinated_captions",
    "mentions",
    "hallucinated",
    "found",
    "there",
    "words",
    "sentences",
    "repeated_sentences",
)


def count_caption(text: str, named: Sequence[Named], there: Collection[str]) -> Counted:
    """What one caption adds to `COLUMNS`.

    A mention is a word, so an object that is named twice counts twice; `found` are the objects
    that are there and named at all, `there` all objects that are there.

    Args:
        text: the caption, for its length and repeated sentences.
        named: its object words in order.
        there: the classes that are in the picture.
    """
    present = frozenset(there)
    invented = [mention for mention in named if mention.object not in present]
    sentences = split_sentences(text)
    counts = {
        "captions": 1,
        "hallucinated_captions": bool(invented),
        "mentions": len(named),
        "hallucinated": len(invented),
        "found": len(present.intersection(mention.object for mention in named)),
        "there": len(present),
        "words": len(text.split()),
        "sentences": len(sentences),
        "repeated_sentences": len(sentences) - len(set(sentences)),
    }
    parsed = {
        "objects": [mention.object for mention in named],
        "invented": [list(mention) for mention in invented],
    }
    return Counted(counts, parsed)


def _f1(totals: Totals) -> Counts:
    """The harmonic mean of recall and the share of mentions that are true; of the sums."""
    precision = 1 - ratio("hallucinated", "mentions", 1)(totals)
    recall = ratio("found", "there", 1)(totals)
    both = np.asarray(precision + recall)
    mean: Counts = np.full(both.shape, np.nan)
    np.divide(2 * precision * recall, both, out=mean, where=both > 0)
    return 100 * mean


METRICS = {
    "CHAIR_I": Metric(ratio("hallucinated", "mentions"), "lower"),
    "CHAIR_S": Metric(ratio("hallucinated_captions", "captions"), "lower"),
    "recall": Metric(ratio("found", "there"), "higher"),
    "F1": Metric(_f1, "higher"),
    "words": Metric(ratio("words", "captions", 1), None, "words"),
    "repeated": Metric(ratio("repeated_sentences", "sentences"), "lower"),
}
"""CHAIR_I is not defined (NaN) where no caption names an object; the published script stops there
with a division by zero. F1 is ours: published variants differ."""


def finished(answer: Answer) -> str:
    """The text without its unfinished last sentence, if the model was cut off.

    A text that the model ended itself stays whole, and so does one without any finished sentence:
    nothing would be left to count.
    """
    if answer.ended:
        return answer.text
    ends = list(_END.finditer(answer.text))
    return answer.text[: ends[-1].end()] if ends else answer.text


def split_sentences(text: str) -> list[str]:
    """Sentences in lower case without their marks, in order."""
    parts = _END.split(text.lower())
    return [" ".join(part.split()) for part in parts if part.strip()]


# A mark ends a sentence before a space or the end: "5.5" and "e.g" hold none.
_END = re.compile(r"[.!?]+[\"'”’)\]]*(?=\s|$)")
