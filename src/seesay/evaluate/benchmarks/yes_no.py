"""Yes or no: four ways to read an answer, and the figures of POPE.

The published scripts disagree about what a "no" is, so a figure carries its parser's name. An
answer that says neither is counted as each script counts it, and as `unparsed` besides.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, NamedTuple, TypeAlias

import numpy as np

from seesay.errors import InputError, nearest
from seesay.evaluate.benchmark import Answer, Kind, Sample
from seesay.evaluate.benchmarks.listed import Counted, ListedQuestions, tally
from seesay.statistics.metrics import Counts, Metric, Score, Totals, ratio

Said: TypeAlias = Literal["yes", "no", "other"]
PARSER_VERSION: Final = 1


class Parsed(NamedTuple):
    """What an answer was read as.

    Attributes:
        said: what it counts as; "other" counts as wrong and as neither.
        clear: whether it says yes or no at all, by this parser's rule.
    """

    said: Said
    clear: bool


def official(text: str, label: str) -> Parsed:
    """POPE's and LLaVA's script: "no" if one word before the first full stop, commas removed, is
    exactly "No", "no" or "not"; everything else is a "yes", an empty answer too."""
    words = text.split(".", 1)[0].replace(",", "").split(" ")
    if any(word in ("No", "no", "not") for word in words):
        return Parsed("no", True)
    return Parsed("yes", "yes" in text.lower())


def vcd(text: str, label: str) -> Parsed:
    """VCD's script: right if the label stands anywhere in the text in lower case, so that "know"
    is a right "no"; else the answer counts as the opposite of its label."""
    lower = text.lower().strip()
    opposite: Said = "no" if label == "yes" else "yes"
    same: Said = "yes" if label == "yes" else "no"
    return Parsed(same if label in lower else opposite, "yes" in lower or "no" in lower)


def lmms_eval(text: str, label: str) -> Parsed:
    """lmms-eval: the whole answer, without case and blanks, must be "yes" or "no"; others are
    wrong and drop out of precision and recall. Its yes-ratio is that of the labels."""
    lower = text.lower().strip()
    if lower == "yes":
        return Parsed("yes", True)
    return Parsed("no", True) if lower == "no" else Parsed("other", False)


def strict(text: str, label: str) -> Parsed:
    """Ours: the first word, without case and marks, must be "yes" or "no"; others are wrong, and
    missed where the label is "yes"."""
    found = re.match(r"\W*(yes|no)\b", text.lower())
    if found is None:
        return Parsed("other", False)
    return Parsed("yes" if found.group(1) == "yes" else "no", True)


PARSERS: Final[dict[str, Callable[[str, str], Parsed]]] = {
    "official": official,
    "vcd": vcd,
    "lmms-eval": lmms_eval,
    "strict": strict,
}

COLUMNS: Final = ("asked", "right", "tp", "fp", "tn", "fn", "yes", "unparsed")
_OUTCOMES: Final = {
    ("yes", "yes"): "tp",
    ("yes", "no"): "fp",
    ("no", "no"): "tn",
    ("no", "yes"): "fn",
}


def count_answer(text: str, label: str, parser: str) -> Counted:
    """What one answer adds to `COLUMNS`; `label` is "yes" or "no"."""
    said, clear = PARSERS[parser](text, label)
    outcome = _OUTCOMES.get((said, label))
    if said == "other" and label == "yes" and parser == "strict":
        outcome = "fn"
    counts = {
        "asked": 1,
        "right": said == label,
        "yes": (label if parser == "lmms-eval" else said) == "yes",
        "unparsed": not clear,
        **({outcome: 1} if outcome else {}),
    }
    return Counted(counts, {"said": said, "right": said == label})


def _precision(totals: Totals) -> Counts:
    return ratio("tp", "said_yes")({**totals, "said_yes": totals["tp"] + totals["fp"]})


def _recall(totals: Totals) -> Counts:
    return ratio("tp", "is_yes")({**totals, "is_yes": totals["tp"] + totals["fn"]})


def _f1(totals: Totals) -> Counts:
    """2 tp / (2 tp + fp + fn); NaN without any tp, where the published script divides by zero."""
    hits = np.asarray(totals["tp"], float)
    below = np.where(hits > 0, 2 * hits + totals["fp"] + totals["fn"], 0)
    return ratio("above", "below")({"above": 2 * hits, "below": below})


METRICS: Final[Mapping[str, Metric]] = {
    "accuracy": Metric(ratio("right", "asked"), "higher"),
    "F1": Metric(_f1, "higher"),
    "precision": Metric(_precision, "higher"),
    "recall": Metric(_recall, "higher"),
    "yes-ratio": Metric(ratio("yes", "asked"), None),
    "unparsed": Metric(ratio("unparsed", "asked"), "lower"),
}
"""Positive is "yes"."""


@dataclass(frozen=True, kw_only=True)
class YesNo(ListedQuestions):
    """Questions with a "yes" or "no" for an answer.

    Attributes:
        parser: one of `PARSERS`; "lmms_eval" is understood too.
    """

    parser: str = "official"
    max_new_tokens: int = 16
    kind: ClassVar[Kind] = "yes-no"
    metrics: ClassVar[Mapping[str, Metric]] = METRICS

    def __post_init__(self) -> None:
        super().__post_init__()
        parser = self.parser.replace("_", "-")
        if parser not in PARSERS:
            raise InputError(f"unknown parser {self.parser!r}; {nearest(self.parser, PARSERS)}")
        object.__setattr__(self, "parser", parser)

    def score(self, samples: Sequence[Sample], answers: Mapping[str, Answer]) -> Score:
        """Count; `sample.truth["label"]` is "yes" or "no"."""

        def count(sample: Sample, answer: Answer) -> Counted:
            return count_answer(answer.text, sample.truth["label"], self.parser)

        return tally(samples, answers, COLUMNS, count)

    def parsing(self) -> dict[str, Any]:
        """The parser's part of the protocol."""
        from_labels = self.parser == "lmms-eval"
        return {
            "parser": self.parser,
            "parser_version": PARSER_VERSION,
            "yes_ratio_of": "labels" if from_labels else "answers",
        }
