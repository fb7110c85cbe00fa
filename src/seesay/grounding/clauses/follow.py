"""Sentences that lean on the one before: pronouns that have lost what they stood for."""

from __future__ import annotations

from typing import Final

from seesay.grounding.clauses import lexicon as lex
from seesay.grounding.clauses.guard import is_person
from seesay.grounding.clauses.guard.senses import IMAGE
from seesay.grounding.clauses.phrases import Tokens, is_plural, low_at, noun_phrase, tag_at


def leading_pronoun(tokens: Tokens) -> str:
    """The pronoun that is a sentence's subject, or its owner's: "It is red.", "One of them …",
    "Overall, she …"; "" if there is none, or it stands for nothing ("It seems that …")."""
    k = _subject(tokens)
    word = low_at(tokens, k)
    if word == "it" and low_at(tokens, k + 2) in ("that", "like", "as"):
        return ""
    if tag_at(tokens, k) == "pronoun":
        return word if word in _STANDING_FOR else ""
    if tag_at(tokens, k) in ("prep", "ing") and low_at(tokens, k + 1) in _OBJECTS:
        return _OBJECTS[low_at(tokens, k + 1)]  # "Behind him, …"
    if tag_at(tokens, k) in ("prep", "sub") and low_at(tokens, k + 1) in _SUBJECTS:
        return low_at(tokens, k + 1)  # "As he glides through the water, …"
    if low_at(tokens, k + 1) == "of" and low_at(tokens, k + 2) in ("them", "these"):
        return "they"
    return word if word in ("its", "their", "his", "her") else ""


def orphaned(old: Tokens, new: Tokens) -> frozenset[str]:
    """The pronouns that the next sentence may not open with: those whose meaning went with what
    `new` lacks of `old`."""
    if len(old) == len(new):
        return frozenset()
    if not new:
        return _STANDING_FOR if _introduces(old) else frozenset()
    kept = {token.start for token in new}
    went = [token for token in old if token.noun and token.start not in kept]
    persons = [token for token in new if token.noun and is_person(token)]
    several = len(persons) > 1 or any(is_plural(token.low) for token in persons)
    lost: frozenset[str] = frozenset()
    if any(map(is_person, went)) and not several:
        told = persons or any(token.low in _PERSONAL for token in new)
        lost |= _PLURAL if told else _PLURAL | _PERSONAL
    shown = any(token.low in IMAGE for token in new[: _subject(new) + 4])
    if shown and not all(map(is_person, went)):
        lost |= {"it", "its"}
    return lost


def _introduces(tokens: Tokens) -> bool:
    """Whether a sentence says for the first time whom a pronoun behind it would mean: its subject
    is failing, or is new ("a man …", "there is a man …")."""
    k = _subject(tokens)
    if tag_at(tokens, k) == "pronoun":
        return False
    if tag_at(tokens, k) in ("prep", "there"):
        return True
    first = next((j for j in range(k, len(tokens)) if tokens[j].noun), None)
    if first is None:
        return False
    start, end = noun_phrase(tokens, first, first + 1)
    if any(token.mention is not None for token in tokens[start:end]):
        return True
    told = low_at(tokens, start) in lex.POSSESSIVE | {"the", "this", "these"}
    return not told or low_at(tokens, first) in IMAGE


def _subject(tokens: Tokens) -> int:
    """Where the sentence begins behind adverbs."""
    k = 0
    while tag_at(tokens, k) in ("adverb", "comma"):
        k += 1
    return k


_STANDING_FOR: Final = frozenset((
    "it", "he", "she", "they", "this", "these", "both", "one", "each", "some", "another", "others",
    "all", "its", "their", "his", "her",
))  # fmt: skip
_SUBJECTS: Final = ("he", "she", "they", "it")
_OBJECTS: Final = {"him": "he", "her": "she", "them": "they", "it": "it"}
_PERSONAL: Final = frozenset(("he", "she", "his", "her", "him"))
_PLURAL: Final = frozenset(("they", "their", "both", "each", "others"))
