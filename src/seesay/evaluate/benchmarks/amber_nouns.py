"""AMBER's nouns without a tagger: words of its vocabulary, less those that are seldom nouns.

The published script tags each word and keeps nouns; 418 words then matter. Without the tags every
noun is found, and a few words too many, nearly all of them "can" and "hot": a stop list takes those
out. Case is kept, as published: "Sky" at a sentence's beginning is no noun of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from seesay.evaluate.benchmarks.treebank import tokenize

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
