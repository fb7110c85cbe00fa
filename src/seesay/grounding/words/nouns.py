"""Every noun that names a thing: the vocabulary `open`.

A part-of-speech tagger finds the nouns (the Hanover Tagger, whose English model comes inside its
wheel: no download); nouns that name no thing one could point at are left out by a list and by
their endings. A compound is one mention ("dining table"), its class the noun in the singular.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final, NamedTuple

from seesay.errors import InputError
from seesay.grounding.clauses.sentences import sentences
from seesay.grounding.words.things import NAMES_OF_TWO, is_thing
from seesay.grounding.words.vocabulary import Vocabulary, Word, pluralized

MODEL: Final = "morphmodel_en.pgz"
_TOKEN: Final = re.compile(r"\w+(?:[-.]\w+)*|['’]\w+|[^\w\s]")
_NOUN: Final = ("NN", "NP", "UNC")  # BNC tags: common, proper, and what the tagger cannot place


class _Tagged(NamedTuple):
    word: str
    lemma: str
    tag: str
    start: int
    end: int


class OpenVocabulary(Vocabulary):
    """Nouns that name things, whatever they are.

    Measured on the 2,000 LLaVA captions of POPE, 19,000 mentions: 99 % of the mentions that the
    COCO list finds are found, and of 240 mentions in 25 captions read by a person 98 % named a
    thing (`tests/test_open_words.py` holds the first figure). What it misses and invents:

    * a noun that is also an adjective or verb and is tagged so ("the orange", "a Wii remote"), and
      now and then a word that the tagger has never seen;
    * names of persons, places and brands, and common nouns written like one ("a Frisbee"): proper
      nouns count only inside a compound;
    * things whose words are mostly abstract and therefore left out ("a display", "the structure");
    * the other way, abstract nouns of no telling ending slip through ("adrenaline"); rooms,
      landscapes and weather ("kitchen", "field", "snow") are things here;
    * it knows no synonyms: a couch and a sofa are two classes.

    Text is taken to be English.
    """

    def __init__(self) -> None:
        super().__init__("open", {})
        _tagger()  # a missing tagger is told now, not in the middle of a run

    def find(self, text: str) -> list[Word]:
        """Every noun of `text` that names a thing, in order, never overlapping."""
        words = []
        for start, end in sentences(text):
            for compound in _compounds(_tag(text, start, end)):
                while compound and not _names_thing(compound):
                    compound.pop()  # a slice of pizza by another name: "pizza slice"
                if compound:
                    name = " ".join([*(t.word.lower() for t in compound[:-1]), _one(compound[-1])])
                    words.append(Word(name, compound[0].start, compound[-1].end))
        return words


def _names_thing(compound: list[_Tagged]) -> bool:
    head, noun = compound[-1], _one(compound[-1])
    if len(compound) > 1 and f"{compound[-2].word.lower()} {noun}" in NAMES_OF_TWO:
        return True
    return not head.tag.startswith("NP") and is_thing(noun)


def _compounds(tagged: list[_Tagged]) -> list[list[_Tagged]]:
    """Runs of nouns next to each other, with the adjective that is part of a name."""
    runs: list[list[_Tagged]] = []
    previous: _Tagged | None = None
    for word in tagged:
        if word.tag.startswith(_NOUN) and len(word.word) > 1:
            if previous is not None and runs and runs[-1][-1] is previous:
                runs[-1].append(word)
            elif previous is not None and f"{previous.word.lower()} {_one(word)}" in NAMES_OF_TWO:
                runs.append([previous, word])
            else:
                runs.append([word])
        previous = word
    return runs


def _one(tagged: _Tagged) -> str:
    """The noun in the singular. The tagger cuts a silent e off words that it does not know."""
    lemma, word = tagged.lemma.lower(), tagged.word.lower()
    if pluralized(word) == word:
        return word
    for whole in (word, word[:-1]):
        if whole == lemma + "e" and pluralized(lemma) != word:
            return whole
    return lemma


def _tag(text: str, start: int, end: int) -> list[_Tagged]:
    tokens = list(_TOKEN.finditer(text, start, end))
    if not tokens:
        return []
    tags = _tagger().tag_sent([token.group() for token in tokens])
    return [
        _Tagged(token.group(), lemma, tag, *token.span())
        for token, (_, lemma, tag) in zip(tokens, tags, strict=True)
    ]


@lru_cache
def _tagger() -> Any:
    try:
        from HanTa.HanoverTagger import HanoverTagger
    except ImportError:
        raise InputError(
            "the vocabulary 'open' needs a part-of-speech tagger; "
            "install it with: pip install 'seesay[open]'"
        ) from None
    return HanoverTagger(MODEL)
