"""Number after an edit: whether verbs still fit their subjects."""

from __future__ import annotations

from typing import Final

from seesay.grounding.clauses import lexicon as lex
from seesay.grounding.clauses.agreement import number
from seesay.grounding.clauses.boundaries import clause_start, has_verb, opens_subordinate
from seesay.grounding.clauses.guard import senses
from seesay.grounding.clauses.guard.items import is_spread
from seesay.grounding.clauses.phrases import (
    Tokens,
    low_at,
    next_phrase,
    noun_phrase,
    skip,
    skip_back,
    tag_at,
)
from seesay.grounding.clauses.tokens import WordToken, is_adjective


def agrees(old: Tokens, new: Tokens) -> bool:
    """Whether verbs still fit their subjects after an item of a list went."""
    was = {token.start: token for token in old if token.end > token.start}
    joined = any(token.tag == "and" for token in new)
    for k, token in enumerate(new):
        alone = low_at(new, k + 1) in ("a", "an", "one") and number(new, k + 1) == "one"
        if token.low in _ARE and alone and not joined:
            return False
        if token.low in senses.AROUND and _by_one(new, k) and not _by_one(old, _at(old, token)):
            return False
        before = was.get(token.start, token) if token.end > token.start else token
        if before.finite and not token.finite:
            return False  # a plural verb that is none behind one thing
        changed = token.finite and before.text != token.text
        if changed and [t.low for t in new[k + 1 : k + 3]] == ["to", "be"]:
            return False
        behind = skip(new, k + 1, "adverb")
        if changed and is_spread(new, behind):
            return False
        if changed and token.tag == "be" and tag_at(new, behind) in ("det", "noun", "mention"):
            thing = not is_adjective(new[behind])
            if thing and number(new, behind) != ("many" if token.low in _ARE else "one"):
                return False
        told = tag_at(new, k - 1) == "relative"  # it may have been about what went
        if told and _clashes(new, k):
            return False
        if token.finite and _clashes(new, k) and not _clashes(old, _at(old, token)):
            return False
    return True


_ARE: Final = ("are", "were")


def _by_one(tokens: Tokens, k: int) -> bool:
    """Whether the word at k is followed by one thing alone: "surrounded by a table"."""
    end = next_phrase(tokens, k + 2)
    one = low_at(tokens, k + 2) in ("a", "an", "one") and number(tokens, k + 2) == "one"
    return (
        one
        and tag_at(tokens, k + 1) == "prep"
        and not (low_at(tokens, end or 0) == "of" or tag_at(tokens, end or 0) == "and")
    )


def _at(tokens: Tokens, token: WordToken) -> int:
    """Where the token stands in the tokens; -1 if it does not."""
    return next((k for k, other in enumerate(tokens) if other.start == token.start), -1)


def _clashes(new: Tokens, verb: int) -> bool:
    """Whether the plural verb has one thing as its subject."""
    if new[verb].low not in lex.VERBS | {"are", "were", "have", "do"}:
        return False
    begin = clause_start(new, verb)
    if tag_at(new, begin) == "relative":
        behind = skip_back(new, begin - 1, "comma")
        begin, _ = noun_phrase(new, behind, behind + 1)
        return tag_at(new, begin - 1) not in ("and", "comma") and number(new, begin) == "one"
    begin += tag_at(new, begin) in ("sub", "and") or opens_subordinate(new, begin)
    if has_verb(new, begin, verb) or any(t.tag in ("and", "comma") for t in new[begin:verb]):
        return False
    if next_phrase(new, begin) is None:
        return False
    return number(new, begin) == "one"
