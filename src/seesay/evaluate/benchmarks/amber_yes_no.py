"""AMBER, discriminative part: 14,216 questions about existence, attributes and relations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np

from seesay.errors import InputError
from seesay.evaluate.benchmark import Answer, Kind, Sample
from seesay.evaluate.benchmarks.amber import (
    START,
    annotation_file,
    needed,
    of_published,
    query_file,
    read_annotations,
)
from seesay.evaluate.benchmarks.files import digest, read_rows
from seesay.evaluate.benchmarks.files import field as value_of
from seesay.evaluate.benchmarks.listed import Counted, ListedQuestions, picture_path, tally
from seesay.statistics.metrics import Counts, Metric, Score, Totals, ratio

SCORER_VERSION: Final = 1

_KIND_OF: Final = {
    "discriminative-hallucination": "existence",
    "discriminative-attribute-state": "state",
    "discriminative-attribute-number": "number",
    "discriminative-attribute-action": "action",
    "discriminative-relation": "relation",
    "relation": "relation",
}
_ATTRIBUTES: Final = ("state", "number", "action")
_KINDS: Final = ("existence", *_ATTRIBUTES, "relation")
_COUNTED: Final = ("asked", "right", "is_no", "says_no", "true_no")
COLUMNS: Final = (*(f"{kind} {what}" for kind in _KINDS for what in _COUNTED), "unparsed")

# The published sums: over all questions, and over the kinds of attributes, whose denominators
# each begin with 0.001.
_GROUPS: Final = {
    "": (_KINDS, START),
    "existence": (("existence",), START),
    "attribute": (_ATTRIBUTES, 3 * START),
    **{kind: ((kind,), START) for kind in (*_ATTRIBUTES, "relation")},
}
_PARTS: Final = {
    "accuracy": ("right", "asked"),
    "precision": ("true_no", "says_no"),
    "recall": ("true_no", "is_no"),
}


def _figure(group: str, part: str) -> Callable[[Totals], Counts]:
    """Accuracy, precision or recall of a group of kinds; positive is "No"."""
    kinds, start = _GROUPS[group]
    above, below = _PARTS[part]

    def of(totals: Totals) -> Counts:
        sums = {
            what: np.sum([totals[f"{kind} {what}"] for kind in kinds], axis=0)
            for what in (above, below)
        }
        return of_published(above, below, start)(sums)

    return of


def _f1(group: str) -> Callable[[Totals], Counts]:
    """The published F1, from precision and recall that are rounded already, with a little added
    below.

    Rounding to even or away from zero is the same here: with denominators of n + 0.001 no value
    lies half-way between two decimals.
    """
    extra = 0.001 if group == "existence" else 0.0001

    def of(totals: Totals) -> Counts:
        precision = np.round(_figure(group, "precision")(totals), 1) / 100
        recall = np.round(_figure(group, "recall")(totals), 1) / 100
        return np.asarray(100 * 2 * precision * recall / (precision + recall + extra))

    return of


def _metrics() -> dict[str, Metric]:
    metrics = {}
    for group in _GROUPS:
        prefix = f"{group} " if group else ""
        metrics[f"{prefix}F1"] = Metric(_f1(group), "higher")
        for part in _PARTS:
            metrics[f"{prefix}{part}"] = Metric(_figure(group, part), "higher")
    metrics["unparsed"] = Metric(_unparsed, "lower")
    return metrics


def _unparsed(totals: Totals) -> Counts:
    asked = np.sum([totals[f"{kind} asked"] for kind in _KINDS], axis=0)
    return ratio("unparsed", "asked")({"unparsed": totals["unparsed"], "asked": asked})


@dataclass(frozen=True, kw_only=True)
class AmberDiscriminative(ListedQuestions):
    """Yes/no questions; only the exact answers "Yes" and "No" count as either, as published.

    Published figures are rounded to one decimal; these are not.

    Attributes:
        folder: AMBER's `data`, with query_discriminative.json (there or in `query`) and
            annotations.json. Not needed to score.
        images: the folder of AMBER_1.jpg and so on; else they are looked for in `folder`.
        suffix: what is added to each question, such as " Please answer with Yes or No."; models
            seldom say a bare "Yes" unasked.
    """

    folder: Path | None = None
    images: Path | None = None
    suffix: str = ""
    max_new_tokens: int = 16
    name: str = field(default="amber-discriminative", init=False)
    kind: ClassVar[Kind] = "yes-no"
    metrics: ClassVar[Mapping[str, Metric]] = _metrics()

    def listed(self) -> Iterator[Sample]:
        folder = needed(self.folder, self.name)
        known = read_annotations(folder)
        path = query_file(folder, "discriminative")
        for row in read_rows(path):
            number = value_of(row, ("id",), path)
            annotation = known.get(number, {})
            if annotation.get("type") not in _KIND_OF or annotation["truth"] not in ("yes", "no"):
                raise InputError(f"{path}: question {number} has no yes/no annotation")
            image = str(value_of(row, ("image",), path))
            yield Sample(
                id=str(number),
                picture=picture_path(image, self.images, folder),
                prompt=str(value_of(row, ("query",), path)) + self.suffix,
                cluster=image,
                truth={"label": annotation["truth"], "type": annotation["type"]},
            )

    def score(self, samples: Sequence[Sample], answers: Mapping[str, Answer]) -> Score:
        """Count; `sample.truth` holds the label and AMBER's type of question."""
        return tally(samples, answers, COLUMNS, _count)

    def protocol(self) -> dict[str, Any]:
        """What counts as an answer, what is added to the question, and digests of the files."""
        folder = self.folder
        files = [query_file(folder, "discriminative"), annotation_file(folder)] if folder else None
        return {
            "benchmark": self.name,
            "scorer_version": SCORER_VERSION,
            "parser": "exactly Yes or No",
            "positive": "No",
            "suffix": self.suffix,
            "limit": self.limit,
            "data": digest(files) if files else None,
        }


def _count(sample: Sample, answer: Answer) -> Counted:
    kind, label = _KIND_OF[sample.truth["type"]], sample.truth["label"]
    said = {"Yes": "yes", "No": "no"}.get(answer.text, "other")
    counts = {
        f"{kind} asked": 1,
        f"{kind} right": said == label,
        f"{kind} is_no": label == "no",
        f"{kind} says_no": said == "no",
        f"{kind} true_no": said == label == "no",
        "unparsed": said == "other",
    }
    return Counted(counts, {"said": said, "right": said == label})
