"""AMBER, generative part: what a description names, covers and invents (Wang et al., "AMBER: An
LLM-free Multi-dimensional Benchmark for MLLMs Hallucination Evaluation", 2023).

AMBER's nouns without a tagger: words of its vocabulary, less those that are seldom nouns.

The published script tags each word and keeps nouns; 418 words then matter. Without the tags every
noun is found, and a few words too many, nearly all of them "can" and "hot": a stop list takes those
out. Case is kept, as published: "Sky" at a sentence's beginning is no noun of the vocabulary.

Words of a text, cut where the tokenizer of the published CHAIR and AMBER scorers cuts.

That is NLTK's `word_tokenize` (3.10): sentences first, then Penn Treebank rules. What counts here
are its habits: a slash, a hyphen or a full stop without a space after it joins ("dog/cat",
"dog.a"), clitics are words ("'s", "n't"), a few abbreviations keep their full stop.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple, TypeAlias

import numpy as np

from seesay.errors import InputError
from seesay.evaluate.benchmark import Answer, Kind, Sample
from seesay.evaluate.benchmarks.files import digest, find_file, read_json, read_rows
from seesay.evaluate.benchmarks.files import field as value_of
from seesay.evaluate.benchmarks.listed import Counted, ListedQuestions, picture_path, tally
from seesay.statistics.metrics import Counts, Metric, Score, Totals, ratio

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
class AmberGenerative(ListedQuestions):
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


STOPPED: Final = ("can", "hot", "leave", "sailing")
"""Words of the vocabulary that are verbs or adjectives nearly always."""

# WordNet's lemmas that are no word of the vocabulary: these plurals are lost, as published.
_LOST: Final = "men leaves vases sunglasses chopsticks slippers earrings"
_IRREGULAR: Final = {
    "women": "woman", "children": "child", "geese": "goose", "mice": "mouse", "knives": "knife",
    "shelves": "shelf", "bookshelves": "bookshelf", "scarves": "scarf", "snowmen": "snowman",
    "buses": "bus",
}  # fmt: skip


class VocabularyNouns:
    """A callable: a text → its words of a vocabulary in the singular, stop words left out."""

    def __init__(self, vocabulary: Iterable[str]) -> None:
        known = frozenset(vocabulary)
        lost = frozenset(_LOST.split())
        plurals = {form: word for word in known for form in _plurals(word) if form not in known}
        irregular = {form: word for form, word in _IRREGULAR.items() if word in known}
        self._lemmas = {**{word: word for word in known}, **plurals, **irregular}
        for form in lost | set(STOPPED):
            self._lemmas.pop(form, None)

    def __call__(self, text: str) -> list[str]:
        return [self._lemmas[token] for token in tokenize(text) if token in self._lemmas]


def _plurals(word: str) -> list[str]:
    """Regular plurals of a noun, as they might be written."""
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return [word[:-1] + "ies"]
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return [word + "es"]
    return [word + "s", word + "es"] if word.endswith("o") else [word + "s"]


_ALONE: Final = re.compile(
    r"\.{2,}|--|[;@#$%&?!*\[\](){}<>\"“”«»‘’„`‒–—―]|[:,](?!\d)"
    r"|(?<!\w)'(?=\w)(?!(?:re|ve|ll|m|t|s|d|n)\b)"
)
_CLITIC: Final = re.compile(r"(?<=[^'])(?:'(?:s|m|d|ll|re|ve)?|n't)$")
_FUSED: Final = {
    "cannot": ["can", "not"],
    "gonna": ["gon", "na"],
    "gotta": ["got", "ta"],
    "wanna": ["wan", "na"],
    "gimme": ["gim", "me"],
    "lemme": ["lem", "me"],
}
# Inside a text these keep their full stop, as do numbers and single letters before a word: no
# sentence ends there.
_ABBREVIATED: Final = "st. mr. mrs. ms. dr. jr. sr. vs. ave. co. corp. inc. ltd. u.s. a.m. p.m."
_ABBREVIATIONS: Final = frozenset(_ABBREVIATED.split())
_NUMBER_OR_LETTER: Final = re.compile(r"(?:.*[:\d])?\d\.|[a-z]\.")


def tokenize(text: str) -> list[str]:
    """Words and marks in order, as they are written; clitics are known in lower case.

    >>> tokenize("The TV's on, isn't it? A dog.A cat")
    ['The', 'TV', "'s", 'on', ',', 'is', "n't", 'it', '?', 'A', 'dog.A', 'cat']
    """
    chunks = _ALONE.sub(r" \g<0> ", text).split()
    if not chunks:
        return []
    tokens: list[str] = []
    for chunk, following in zip(chunks, [*chunks[1:], ""], strict=True):
        if (chunk.isalpha() and chunk not in _FUSED) or _keeps_stop(chunk, following):
            tokens.append(chunk)
        else:
            tokens += _parts(chunk)
    return tokens


def _keeps_stop(chunk: str, following: str) -> bool:
    if not chunk.endswith(".") or not following:
        return False
    return chunk in _ABBREVIATIONS or bool(
        _NUMBER_OR_LETTER.fullmatch(chunk) and following[0].isalpha()
    )


def _parts(chunk: str) -> list[str]:
    """A chunk between spaces: its word, its clitic, its full stop and its closing quote."""
    after: list[str] = []
    word = chunk
    if word.endswith(".'"):
        word, after = word[:-1], ["'"]
    if word.endswith(".") and word.strip("."):
        word, after = word[:-1], [".", *after]
    found = _CLITIC.search(word)
    if found:
        word, after = word[: found.start()], [found.group(), *after]
    return [*_FUSED.get(word, [word]), *after]
