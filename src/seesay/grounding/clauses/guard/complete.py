"""What stands before a gap: whether it says enough without what followed it."""

from __future__ import annotations

from typing import Final

from seesay.grounding.clauses import lexicon as lex
from seesay.grounding.clauses.boundaries import absolute, clause_start
from seesay.grounding.clauses.guard import senses
from seesay.grounding.clauses.guard.gaps import VERBAL, Gap, is_person, only_adjectives
from seesay.grounding.clauses.guard.items import takes
from seesay.grounding.clauses.phrases import (
    Tokens,
    is_plural,
    low_at,
    noun_phrase,
    skip_back,
    tag_at,
)
from seesay.grounding.clauses.tokens import is_adjective


def complete(old: Tokens, gap: Gap) -> bool:
    """Whether what stands before the gap says enough without what followed it."""
    k = skip_back(old, gap.start - 1, "adverb")
    tag, first, follows = tag_at(old, k), tag_at(old, gap.start), tag_at(old, gap.end)
    if gap.rule == "list":
        return takes(old, gap)
    if tag in ("noun", "mention") and only_adjectives(old, k):
        return False
    if gap.rule == "apposition" and tag_at(old, gap.start + 1) not in _RENAMING:
        return False
    if first == "comma" or tag in ("", "comma"):
        return True
    if tag == "pronoun":
        subject = old[k].low in _SUBJECTS and not old[min(gap.end, len(old) - 1)].finite
        moved = low_at(old, gap.start) in ("to", *_PARTICLES)  # "feeding it [to the cat]"
        return (
            not (subject or moved)
            and old[k].low not in lex.APART
            and absolute(old, gap.start) is None
        )
    if tag in ("noun", "mention"):
        return _noun_complete(old, gap, k)
    if tag in VERBAL:
        if gap.rule in ("participle", "predicate") and low_at(old, gap.end - 1) in ("and", "or"):
            return True
        set_off = tag_at(old, skip_back(old, k - 1, "adverb")) == "comma"
        if set_off and tag in ("ing", "ed") and follows in ("", "point"):
            return False
        if old[k].low in senses.POSTURES:
            return follows == "prep" or _alive(old, k)
        return old[k].low in senses.LONE or (follows == "prep" and old[k].low in senses.PLACED)
    if tag in ("be", "been"):
        return follows in ("prep", "ing", "ed")
    if tag == "behind":
        return old[k].low in lex.ALONE
    return False


_SUBJECTS: Final = ("he", "she", "they", "we", "who", "i")
_RENAMING: Final = ("det", "adverb", "pronoun")


def _noun_complete(old: Tokens, gap: Gap, noun: int) -> bool:
    """Whether the noun before the gap says enough."""
    begin, _ = noun_phrase(old, noun, noun + 1)
    first, word = low_at(old, gap.start), old[noun].low
    opens = first in lex.COMPLEMENTS | {"to"}
    if begin == noun and word.endswith("ing") and tag_at(old, noun - 1) in ("comma", "and"):
        return False  # a participle that is a noun as well
    if low_at(old, begin - 1) == "with" and low_at(old, begin) in lex.POSSESSIVE:
        return False  # "with his face [close to the wall]"
    lacking = {word, word.removesuffix("s")} & senses.LACKING
    before = low_at(old, begin - 1)
    if before == "being" or (before == "of" and low_at(old, begin - 2) in _DOINGS):
        return False
    if lacking or _told_which(old, gap, begin, noun) or (opens and is_adjective(old[noun])):
        return False
    if begin == noun and tag_at(old, begin - 1) in _BEFORE_VERBS:
        return False  # no noun, but a verb that the lists lack
    if absolute(old, gap.start) is not None:
        return False
    if old[begin].low == "another" or (first in _PARTICLES and low_at(old, gap.start + 1) != "of"):
        return False
    if noun > begin and is_plural(old[noun - 1].low) and not old[noun].kept:
        return False  # "its services cater [to travelers]"
    if word in senses.VAGUE and begin == noun - 1:
        return False
    if low_at(old, begin - 1) in ("has", "have", "had") and first != "comma":
        return low_at(old, begin) not in lex.POSSESSIVE  # "has her hand [on the table]"
    linked = any(t.low in senses.LINKING for t in old[max(0, begin - 3) : begin])
    ranges = first == "to" and any(t.low == "from" for t in old[max(0, begin - 6) : noun])
    return not ranges and not (linked and tag_at(old, gap.start) in ("prep", "to"))


def _told_which(old: Tokens, gap: Gap, begin: int, noun: int) -> bool:
    """Whether the gap told which things are meant by "the activities" or "the spots"."""
    place = old[gap.start].low in lex.PLACE - {"between", "of"}
    named = old[noun].kept or is_person(old[noun]) or old[noun].low in senses.IMAGE
    return low_at(old, begin) == "the" and begin > 1 and not (place or named)


_DOINGS: Final = ("moment", "moments", "act", "process", "sight")  # of somebody who does something
_BEFORE_VERBS: Final = ("adverb", "pronoun", "modal", "aux", "be", "relative")
_PARTICLES: Final = ("up", "off", "out")


def _alive(old: Tokens, verb: int) -> bool:
    """Whether the subject of the verb is somebody, or an animal."""
    nouns = old[max(0, clause_start(old, verb)) : verb]
    return any(
        token.low in ("he", "she", "they")
        or (token.noun and (is_person(token) or token.low.removesuffix("s") in senses.ANIMALS))
        for token in nouns
    )
