"""The three ways to find objects in a caption: `pattern`, `nltk` and `clean`.

`pattern` is the published scorer and its port; most papers before 2024 and POPE's table used it.
`nltk` is the variant of OPERA, HALC and lmms-eval. They differ in about a tenth of captions, so a
figure means nothing without the scorer's name. `clean` is ours: seesay's own COCO vocabulary,
longest phrase first, without the mistakes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from seesay.evaluate.benchmarks.amber import tokenize
from seesay.evaluate.benchmarks.captions import Named
from seesay.evaluate.benchmarks.chair_words import MERGED, NODES, PATTERN, lemmas

SCORER_VERSION: Final = 1


class ObjectMention(NamedTuple):
    """An object word of a caption.

    Attributes:
        word: in its base form.
        object: its class.
        place: number of its first token, as the published script counts (see `_look_up`).
    """

    word: str
    object: str
    place: int

    @property
    def named(self) -> Named:
        return Named(self.word, self.object)


def read_pattern(text: str) -> list[ObjectMention]:
    """Objects as the original scorer finds them: a singular "bus" never counts."""
    return _look_up([PATTERN.get(token, token) for token in tokenize(text.lower())], MERGED)


def read_nltk(text: str) -> list[ObjectMention]:
    """Objects as the variant with NLTK lemmas finds them: no "men", and "seated" is a chair."""
    return _look_up(lemmas(tokenize(text.lower())), _MERGED_LEMMAS)


def read_clean(text: str) -> list[ObjectMention]:
    """Objects by seesay's own vocabulary; the place is that of its first character."""
    from seesay.grounding.vocabulary import Vocabulary

    return [
        ObjectMention(text[word.start : word.end].lower(), word.name, word.start)
        for word in Vocabulary.coco().find(text)
    ]


READERS: Final[dict[str, Callable[[str], list[ObjectMention]]]] = {
    "pattern": read_pattern,
    "nltk": read_nltk,
    "clean": read_clean,
}

# This variant's own forms have "glass", so the merge table's "wine glas" stands for it too.
_MERGED_LEMMAS: Final = MERGED | {("wine", "glass"): "wine glass"}
_FIRST_PARTS: Final = frozenset(first for first, _ in _MERGED_LEMMAS)


def _look_up(words: Sequence[str], merged: dict[tuple[str, str], str]) -> list[ObjectMention]:
    """Merge neighbours from the left, then keep the vocabulary.

    With a toilet in the text no "seat" counts. The published script drops these words without
    their token numbers, so later numbers come from further left; kept, since goldens show it.
    """
    places = list(range(len(words)))
    if not _FIRST_PARTS.isdisjoint(words):
        words, places = _merge(words, merged)
    if "toilet" in words and "seat" in words:
        words = [word for word in words if word != "seat"]
    return [
        ObjectMention(word, NODES[word], places[number])
        for number, word in enumerate(words)
        if word in NODES
    ]


def _merge(words: Sequence[str], merged: dict[tuple[str, str], str]) -> tuple[list[str], list[int]]:
    kept, places = [], []
    number = 0
    while number < len(words):
        places.append(number)
        pair = merged.get((words[number], words[number + 1])) if number + 1 < len(words) else None
        kept.append(words[number] if pair is None else pair)
        number += 1 if pair is None else 2
    return kept, places
