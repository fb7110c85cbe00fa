"""Words that name objects, and finding them in a text.

A `Vocabulary` maps surfaces ("knives", "dining tables", "bike") to classes ("knife", "dining
table", "bicycle"). `Vocabulary.find` gives every mention with its character span, longest surface
first, so that a hot dog is no dog. Words outside the vocabulary are not found: a model that invents
a unicorn is not caught by the COCO list.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple, TypeAlias

from seesay.errors import InputError, nearest


class Word(NamedTuple):
    """One object word of a text: `text[start:end]` names an object of class `name`."""

    name: str
    start: int
    end: int


Misreading: TypeAlias = Callable[[str, list[Word]], list[Word]]
"""The words found in a text, in order, without those that name no object where they stand."""


@dataclass(frozen=True)
class Vocabulary:
    """Object classes and the surfaces that name them.

    `surfaces`: lower-case surface, words joined by one space → class. `ignored`: longer phrases in
    which a surface names no object ("train station"); they are matched first and give nothing.
    `misread`: what a phrase cannot say ("an orange cat"). `question`: how an object of it is asked
    after, where not by `questions.presence`.
    """

    name: str
    surfaces: Mapping[str, str] = field(repr=False)
    ignored: frozenset[str] = field(default=frozenset(), repr=False)
    misread: Misreading | None = field(default=None, repr=False)
    question: Callable[[str], str] | None = field(default=None, repr=False)

    @staticmethod
    def of(names: Mapping[str, Iterable[str]], name: str = "own") -> Vocabulary:
        """A vocabulary of your own: class → synonyms. Plurals of each are added.

        Raises:
            InputError: no class, an empty name, or a surface that two classes claim.
        """
        given: dict[str, str] = {}
        for label, synonyms in names.items():
            for surface in (label, *synonyms):
                singular = _key(surface)
                if not any(map(str.isalnum, singular)):
                    raise InputError(f"vocabulary {name!r}: class {label!r} has an empty name")
                if given.setdefault(singular, label) != label:
                    raise InputError(
                        f"vocabulary {name!r}: {surface!r} names both {given[singular]!r} and "
                        f"{label!r}; a word can name one class only, take it out of one"
                    )
        if not given:
            raise InputError(f"vocabulary {name!r} has no classes; give at least one")
        # A plural that somebody wrote down (glasses, to see with) wins over one that is formed.
        plurals = {
            form: label for singular, label in given.items() for form in plurals_of(singular)
        }
        return Vocabulary(name, {**plurals, **given})

    @staticmethod
    def read(path: str | Path) -> Vocabulary:
        """A text file, one line a class: its name, then its synonyms, separated by commas. What
        follows a # is a comment. UTF-8, or any Unicode encoding that begins with its mark.

        Raises:
            InputError: a file that cannot be read, that names no class, or names something twice.
        """
        from seesay.grounding.vocabulary.word_lists import read

        return Vocabulary.of(read(path), name=Path(path).stem)

    @staticmethod
    def named(name: str | Path) -> Vocabulary:
        """The vocabulary `coco`, `toy` or `open`, else the one that the file `name` holds.

        Raises:
            InputError: neither one of these names nor a file, or a file that cannot be used.
        """
        known = {"coco": Vocabulary.coco, "toy": Vocabulary.toy, "open": Vocabulary.open}
        if str(name) in known:
            return known[str(name)]()
        if not Path(name).exists():
            raise InputError(
                f"no vocabulary and no file is called {str(name)!r}; {nearest(str(name), known)}; "
                "or name a text file with one line a class: its name, then its synonyms"
            )
        return Vocabulary.read(name)

    @staticmethod
    @lru_cache
    def coco() -> Vocabulary:
        """The 80 classes of COCO with everyday synonyms."""
        from seesay.grounding.vocabulary.coco import CLASSES, IGNORED, PHRASES
        from seesay.grounding.vocabulary.senses import meant

        surfaces = {**Vocabulary.of(CLASSES).surfaces, **PHRASES}
        return Vocabulary("coco", surfaces, IGNORED, meant)

    @staticmethod
    @lru_cache
    def toy() -> Vocabulary:
        """The classes that the bundled scenes draw."""
        from seesay.toy import SURFACES, question

        return Vocabulary("toy", dict(SURFACES), question=question)

    @staticmethod
    @lru_cache
    def open() -> Vocabulary:
        """Every noun that names a thing; needs `pip install 'seesay[open]'`. It has no list of
        classes: a mention's class is its noun in the singular.

        Raises:
            InputError: the tagger is not installed.
        """
        from seesay.grounding.vocabulary.open_nouns import OpenVocabulary

        return OpenVocabulary()

    @property
    def classes(self) -> frozenset[str]:
        """All class names; empty for `open`, which has no list."""
        return frozenset(self.surfaces.values())

    def find(self, text: str) -> list[Word]:
        """Every object word of `text`, in order, never overlapping."""
        words = []
        for match in self._pattern.finditer(text):
            surface = _key(match.group())
            if surface in self._labels:
                words.append(Word(self._labels[surface], *match.span()))
        return words if self.misread is None else self.misread(text, words)

    @cached_property
    def _labels(self) -> dict[str, str]:
        """Surfaces as `_key` writes them → class."""
        ignored = set(map(_key, self.ignored))
        keys = ((_key(surface), label) for surface, label in self.surfaces.items())
        return {key: label for key, label in keys if key not in ignored}

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        phrases = {_key(phrase) for phrase in (*self.surfaces, *self.ignored)}
        # Longest first; by first letter, so that most places of a text fail after one comparison.
        branches: dict[str, list[str]] = {}
        for phrase in sorted(phrases, key=lambda phrase: (-len(phrase), phrase)):
            rest = re.escape(phrase[1:]).replace(r"\ ", r"(?:\s+|-)")
            branches.setdefault(re.escape(phrase[0]), []).append(rest)
        alternatives = (f"{letter}(?:{'|'.join(rests)})" for letter, rests in branches.items())
        # "_cup_" is an emphasised cup, "cup_holder" and "cup-shaped" are not.
        before, behind = r"(?<![^\W_])(?<!-)(?<![^\W_]_)", r"(?![^\W_]|-\w|_[^\W_])"
        return re.compile(rf"{before}(?:{'|'.join(alternatives)}){behind}", re.IGNORECASE)


def pluralized(singular: str) -> str:
    """The plural of a lower-case name; of a name of several words, of its head."""
    head, of, rest = singular.partition(" of ")
    if of:
        return pluralized(head) + of + rest
    first, space, last = singular.rpartition(" ")
    irregular = next((one for one in _PLURALS if last.endswith(one)), None)
    if irregular is not None and (last == irregular or irregular in _IN_COMPOUNDS):
        last = last.removesuffix(irregular) + _PLURALS[irregular]
    elif last in _UNCHANGED:
        pass
    elif last.endswith(("s", "x", "z", "ch", "sh")):
        last += "es"
    elif last.endswith("y") and last[-2:-1] not in "aeiou":
        last = last[:-1] + "ies"
    elif last.endswith("man") and last != "human":
        last = last[:-3] + "men"
    else:
        last += "s"
    return first + space + last


def plurals_of(singular: str) -> set[str]:
    """Every plural that people write of a name: scarfs and scarves, volcanos and volcanoes."""
    forms, last = {pluralized(singular)}, singular.rpartition(" ")[2]
    if last in _UNCHANGED or " of " in singular:
        return forms
    if (named := re.fullmatch(r"(.+?)([ -](?:in[ -]law|by))", singular)) is not None:
        return {pluralized(named[1]) + named[2]}  # mothers-in-law, passers-by
    if re.search("[^aeiou]o$", last):
        forms |= {singular + "s", singular + "es"}
    elif re.search("[^f]fe?$", last):
        forms |= {singular + "s", re.sub("fe?$", "ves", singular)}
    elif last.endswith("us"):
        forms |= {singular + "es", singular[:-2] + "i"}
    elif last.endswith("is"):
        forms.add(singular[:-2] + "es")
    elif last.endswith("iz"):
        forms.add(singular + "zes")
    return forms


def _key(surface: str) -> str:
    """How surfaces are compared: lower case, one space where there is white space or a hyphen."""
    return " ".join(surface.lower().replace("-", " ").split())


_PLURALS = {
    "knife": "knives", "child": "children", "grandchild": "grandchildren", "person": "people",
    "mouse": "mice", "calf": "calves", "goose": "geese", "ox": "oxen", "foot": "feet",
    "tooth": "teeth", "shelf": "shelves", "leaf": "leaves", "wolf": "wolves", "loaf": "loaves",
    "thief": "thieves", "half": "halves", "tomato": "tomatoes", "potato": "potatoes",
    "hero": "heroes", "mango": "mangoes", "cactus": "cacti", "scarf": "scarves", "wife": "wives",
    "hoof": "hooves", "volcano": "volcanoes", "mosquito": "mosquitoes", "buffalo": "buffaloes",
}  # fmt: skip
_IN_COMPOUNDS = {
    "knife", "child", "person", "mouse", "calf", "foot", "tooth", "shelf", "leaf", "wolf", "loaf",
    "thief", "scarf", "wife",
}  # fmt: skip

_UNCHANGED = {
    "sheep", "skis", "scissors", "aircraft", "watercraft", "broccoli", "luggage", "cattle",
    "bison", "fish", "deer", "jeans", "pants", "shorts", "trousers", "glasses", "sunglasses",
    "goggles", "binoculars", "pliers", "tongs", "furniture", "people",
}  # fmt: skip
