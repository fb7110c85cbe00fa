"""AMBER, generative part: what a description names, covers and invents (Wang et al., "AMBER: An
LLM-free Multi-dimensional Benchmark for MLLMs Hallucination Evaluation", 2023)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple, TypeAlias

import numpy as np

from seesay.errors import InputError
from seesay.evaluate.benchmark import Answer, Counts, Kind, Metric, Sample, Score, Totals, ratio
from seesay.evaluate.benchmarks.amber_nouns import STOPPED, VocabularyNouns
from seesay.evaluate.benchmarks.files import digest, find_file, read_json, read_rows
from seesay.evaluate.benchmarks.files import field as value_of
from seesay.evaluate.benchmarks.listed import Counted, Listed, picture_path, tally

SCORER_VERSION: Final = 1
START: Final = 0.001
"""What every published denominator begins with; so a single clean response has Hal 0.1."""
ALIKE: Final = 0.8

Similarity: TypeAlias = Callable[[str, str], float]
Nouns: TypeAlias = Callable[[str], Sequence[str]]

COLUMNS: Final = (
    "captions", "nouns", "hallucinated", "clean", "truths", "covered", "targets", "hit", "words",
)  # fmt: skip


def of_published(above: str, below: str, start: float = START) -> Callable[[Totals], Counts]:
    """100 · Σabove / (Σbelow + start)."""

    def share(totals: Totals) -> Counts:
        top, bottom = np.asarray(totals[above], float), np.asarray(totals[below], float)
        value: Counts = np.asarray(100 * top / (bottom + start))
        return value

    return share


def _hal(totals: Totals) -> Counts:
    return np.asarray(100 - of_published("clean", "captions")(totals))


@dataclass(frozen=True, kw_only=True)
class AmberGenerative(Listed):
    """Descriptions, held against words that annotators listed for each picture.

    Published figures are rounded to one decimal; these are not.

    Attributes:
        folder: AMBER's `data`, with query_generative.json (there or in `query`), annotations.json,
            relation.json and safe_words.txt; the last two are needed to score as well.
        images: the folder of AMBER_1.jpg and so on; else they are looked for in `folder`.
        similarity: (word, word) → likeness; above 0.8 the published script takes two words for
            one. None, the default, is "exact": only equal words are alike. Published figures use
            the vectors of spaCy's en_core_web_lg.
        nouns: a text → its nouns in the singular, in order. None, the default, takes words of the
            vocabulary less a stop list; the published script tags and lemmatizes with NLTK.
    """

    folder: Path | None = None
    images: Path | None = None
    similarity: Similarity | None = None
    nouns: Nouns | None = None
    max_new_tokens: int = 512
    name: str = field(default="amber-generative", init=False)
    kind: ClassVar[Kind] = "caption"
    metrics: ClassVar[Mapping[str, Metric]] = {
        "CHAIR": Metric(of_published("hallucinated", "nouns"), "lower"),
        "Cover": Metric(of_published("covered", "truths"), "higher"),
        "Hal": Metric(_hal, "lower"),
        "Cog": Metric(of_published("hit", "targets"), "lower"),
        "words": Metric(ratio("words", "captions", 1), None, "words"),
    }

    def listed(self) -> Iterator[Sample]:
        folder = needed(self.folder, self.name)
        known = read_annotations(folder)
        path = query_file(folder, "generative")
        for row in read_rows(path):
            number = value_of(row, ("id",), path)
            annotation = known.get(number)
            if annotation is None or annotation.get("type") != "generative":
                raise InputError(f"{path}: question {number} has no generative annotation")
            image = str(value_of(row, ("image",), path))
            yield Sample(
                id=str(number),
                picture=picture_path(image, self.images, folder),
                prompt=str(value_of(row, ("query",), path)),
                cluster=image,
                truth={"truth": annotation["truth"], "hallu": annotation["hallu"]},
            )

    def score(self, samples: Sequence[Sample], answers: Mapping[str, Answer]) -> Score:
        """Count; `sample.truth` holds the words that are there and those to be tempted by."""
        words = self._words
        vocabulary = frozenset(words.related).union(*words.related.values())
        nouns = self.nouns or VocabularyNouns(vocabulary)

        def count(sample: Sample, answer: Answer) -> Counted:
            named = [noun for noun in nouns(answer.text) if noun in vocabulary]
            return self._count(sample, answer.text, named)

        return tally(samples, answers, COLUMNS, count)

    def protocol(self) -> dict[str, Any]:
        """How nouns are found and compared, and digests of the files."""
        stopped = f"vocabulary less {', '.join(STOPPED)}; not tagged"
        return {
            "benchmark": self.name,
            "scorer_version": SCORER_VERSION,
            "similarity": "exact" if self.similarity is None else _name(self.similarity),
            "nouns": stopped if self.nouns is None else _name(self.nouns),
            "limit": self.limit,
            "data": digest(self._files()) if self.folder else None,
        }

    def _count(self, sample: Sample, text: str, named: Sequence[str]) -> Counted:
        truths = _Targets.of(sample.truth["truth"], self._words.related)
        traps = _Targets.of(sample.truth["hallu"], self._words.related)
        covered: set[int] = set()
        hit: set[int] = set()
        invented = []
        for noun in named:
            if noun in self._words.safe:
                continue
            if noun in truths.first:
                covered.add(truths.first[noun])
                continue
            if noun in traps.first:
                hit.add(traps.first[noun])
            hit |= self._alike(noun, traps)
            rescued = self._alike(noun, truths)
            covered |= rescued
            if not rescued:
                invented.append(noun)
        counts = {
            "captions": 1,
            "nouns": len(named),
            "hallucinated": len(invented),
            "clean": not invented,
            "truths": len(sample.truth["truth"]),
            "covered": len(covered),
            "targets": len(sample.truth["hallu"]),
            "hit": len(hit),
            "words": len(text.split()),
        }
        return Counted(counts, {"nouns": list(named), "invented": invented})

    def _alike(self, noun: str, targets: _Targets) -> set[int]:
        """The first target that is like the noun, if any."""
        if self.similarity is None:
            return set()
        for word, target in targets.all:
            if self.similarity(noun, word) > ALIKE:
                return {target}
        return set()

    @cached_property
    def _words(self) -> _Words:
        folder = needed(self.folder, self.name)
        related, safe = read_json(_relation_file(folder)), _safe_file(folder)
        return _Words(related, frozenset(safe.read_text(encoding="utf-8").split()))

    def _files(self) -> list[Path]:
        folder = needed(self.folder, self.name)
        files = [query_file(folder, "generative"), annotation_file(folder)]
        return [*files, _relation_file(folder), _safe_file(folder)]


class _Words(NamedTuple):
    """`related`: a word → what counts as it; `safe`: words that never count as invented."""

    related: Mapping[str, Sequence[str]]
    safe: frozenset[str]


class _Targets(NamedTuple):
    """Words that mark a target, in the published order: all related words first, then the targets
    themselves. The first that fits is marked and no other, so where "man" is related to "person"
    and both are listed, a "man" covers the person only."""

    all: list[tuple[str, int]]
    first: Mapping[str, int]

    @staticmethod
    def of(words: Sequence[str], related: Mapping[str, Sequence[str]]) -> _Targets:
        marks = [(other, at) for at, word in enumerate(words) for other in related.get(word, ())]
        marks += [(word, at) for at, word in enumerate(words)]
        first: dict[str, int] = {}
        for word, at in marks:
            first.setdefault(word, at)
        return _Targets(marks, first)


def needed(folder: Path | None, name: str) -> Path:
    """The folder, or why there must be one."""
    if folder is None:
        raise InputError(f"{name} needs a folder with AMBER's data (--data)")
    return folder


def read_annotations(folder: Path) -> dict[int, dict[str, Any]]:
    """Question id → its annotation.

    Raises:
        InputError: no such file, or an id that stands there twice.
    """
    path = annotation_file(folder)
    rows = read_rows(path)
    known = {value_of(row, ("id",), path): row for row in rows}
    if len(known) != len(rows):
        raise InputError(f"{path}: {len(rows) - len(known)} ids stand there twice")
    return known


def annotation_file(folder: Path) -> Path:
    return find_file(folder, ("annotations.json", "data/annotations.json"), "annotations")


def query_file(folder: Path, task: str) -> Path:
    """The file of questions of a task: "generative" or "discriminative"."""
    file = f"query_{task}.json"
    return find_file(folder, (file, f"query/{file}", f"data/query/{file}"), "questions")


def _relation_file(folder: Path) -> Path:
    return find_file(folder, ("relation.json", "data/relation.json"), "word relations")


def _safe_file(folder: Path) -> Path:
    return find_file(folder, ("safe_words.txt", "data/safe_words.txt"), "safe words")


def _name(given: Callable[..., Any]) -> str:
    return getattr(given, "__qualname__", type(given).__name__)
