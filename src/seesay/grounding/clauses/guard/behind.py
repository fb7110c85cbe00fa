"""What stands behind a gap: whether it can follow what stands before it.

What is said behind a comma, a conjunction or a preposition may be about what went. Each word class
has its own question; a class without one may not follow a gap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Final

from seesay.grounding.clauses import lexicon as lex
from seesay.grounding.clauses.boundaries import (
    clause_start,
    has_verb,
    joins_subjects,
    opens_clause,
    opens_subordinate,
)
from seesay.grounding.clauses.guard import senses
from seesay.grounding.clauses.guard.gaps import VERBAL, Gap, last_item, of_verb, verb_before
from seesay.grounding.clauses.guard.items import follows_item, is_item, is_spread
from seesay.grounding.clauses.phrases import (
    Tokens,
    is_plural,
    joins_adjectives,
    low_at,
    skip,
    skip_back,
    tag_at,
)


def joins(old: Tokens, gap: Gap) -> bool:
    """Whether what follows the gap can follow what stands before it."""
    if gap.rule == "clause" and any(
        t.low == "or" for t in (old[gap.end - 1], *old[gap.start :][:2])
    ):
        return False  # one of two that may be
    if gap.rule == "list" and not is_item(old, gap):
        return False
    if gap.start == 0:
        return True
    follows = tag_at(old, gap.end)
    if low_at(old, gap.end) in _CLINGING:
        return False
    if follows in ("", "point"):
        return gap.end + 1 >= len(old) or low_at(old, gap.end) == ";"
    if opens_subordinate(old, gap.end):
        if gap.rule == "list":
            return not last_item(old, gap)
        return verb_before(old, gap) or tag_at(old, gap.start) == "comma"
    check = _BEHIND.get(follows)
    return check is not None and check(old, gap)


_CLINGING: Final = ("'s", "’s", "'", "’", '"', "“", "”", "(")


def _behind_comma(old: Tokens, gap: Gap) -> bool:
    """Behind a comma: a clause, or what is said of the subject and not of what went."""
    k = skip(old, gap.end + 1, "adverb")
    tag, word, listed = tag_at(old, k), low_at(old, k), gap.rule == "list"
    if tag == "and":
        middle = tag_at(old, gap.start) == "comma" and tag_at(old, k + 1) == "ing"
        return listed or (not middle and _parallel(old, Gap(gap.start, k, gap.rule)))
    if tag in ("there", "sub", "pronoun") or opens_subordinate(old, k):
        return gap.rule != "clause" or tag not in ("prep", "sub")
    if tag == "prep" and word in lex.EXAMPLES | {"as"}:
        return gap.rule == "predicate"
    if tag == "prep":
        return listed or (gap.rule != "participle" and not _hides_subject(old, gap))
    if old[k].finite and tag_at(old, k + 1) != "comma":  # the end of what commas set off
        commas = [j for j in range(gap.start) if old[j].tag == "comma"]
        return bool(commas) and not has_verb(old, commas[-1], gap.start)
    if tag == "ing":
        if listed:
            return not last_item(old, gap) or word in lex.REMARKS
        described = gap.rule == "participle" and (_series(old, k) or word in lex.REMARKS)
        return not described and not _hides_subject(old, gap)
    if tag in ("ed", "behind"):
        verbal = verb_before(old, gap)
        own = gap.rule == "participle" and tag == "behind" and not _has_subject(old, gap)
        return listed or verbal or own
    return listed and k == gap.end + 1 and word not in lex.APART and tag != "relative"


def _series(old: Tokens, k: int) -> bool:
    """Whether the participle at k is the second of three: "sitting, holding a cup, and posing"."""
    ands = [j for j in range(k, len(old) - 1) if old[j].tag == "and"]
    return any(tag_at(old, j - 1) == "comma" and tag_at(old, j + 1) == "ing" for j in ands)


def _hides_subject(old: Tokens, gap: Gap) -> bool:
    """Whether what went may be what a phrase behind the comma is about."""
    first = skip(old, skip(old, gap.start, "comma"), "adverb")
    heads = lex.EXAMPLES | {"with", "of", "by", "along", "alongside", "between", "among"}
    about = gap.rule in ("clause", "of", "apposition") or _has_subject(old, gap)
    others = any(token.low == "with" for token in old[gap.start : gap.end])
    return about or others or low_at(old, first) in heads


def _has_subject(old: Tokens, gap: Gap) -> bool:
    """Whether somebody of its own does what went: ", one of them holding a cup"."""
    return tag_at(old, gap.start) == "comma" and tag_at(old, gap.start + 1) in _NAMING


_NAMING: Final = ("det", "noun", "mention", "pronoun")


def _parallel(old: Tokens, gap: Gap) -> bool:
    """Whether what a conjunction behind the gap adds has its like before the gap."""
    whole = tag_at(old, gap.start) != "comma" and low_at(old, gap.start) not in lex.EXAMPLES
    subjects = whole and joins_subjects(old, gap.end)
    if opens_clause(old, gap.end) or subjects:
        return True
    k = skip(old, skip(old, gap.end, "and"), "adverb")
    tag = tag_at(old, k)
    if low_at(old, k) in lex.APART:  # "some sitting [in chairs] and others standing"
        return of_verb(old, gap)
    begin = clause_start(old, gap.start - 1)
    if tag in ("verb", "be", "aux", "modal"):
        noun = tag_at(old, k + 1) in ("comma", "and", "point", "", "ed")  # "flowers and leaves"
        return has_verb(old, begin, gap.start) and not (noun and old[k].low not in senses.LONE)
    verbs = [
        t.tag
        for before, t in pairwise(old[begin : gap.start])
        if t.tag in (*VERBAL, "relative") and before.tag != "det"
    ]
    return tag in ("ing", "ed", "base") and verbs[-1:] == [tag]


def _behind_and(old: Tokens, gap: Gap) -> bool:
    k = skip(old, skip(old, gap.end, "and"), "adverb")
    listed = gap.rule in ("list", "of") and tag_at(old, k) not in ("ing", "ed")
    return listed or _parallel(old, gap)


def _behind_preposition(old: Tokens, gap: Gap) -> bool:
    """Behind a phrase of place another, or one that goes with the verb."""
    place = old[gap.end].low in lex.PLACE | _NEXT
    if gap.rule == "list":
        return place or not last_item(old, gap)
    verbal = verb_before(old, gap)
    if tag_at(old, gap.end - 1) in VERBAL or low_at(old, gap.end - 1).endswith("ing"):
        return False  # "[by the person living] in the room"
    if gap.rule != "preposition" or tag_at(old, gap.start) == "comma":
        return False
    if verbal:
        return place or old[gap.end].low in ("during", "for")
    return place and old[gap.start].low in lex.PLACE | _NEXT


_NEXT: Final = frozenset(("next", "close", "adjacent"))


def _behind_participle(old: Tokens, gap: Gap) -> bool:
    if gap.rule == "list":
        if not last_item(old, gap):
            return True
        alone = is_spread(old, gap.end) and not is_plural(old[gap.start - 1].low)
        return not alone and tag_at(old, gap.end) == "ed" and old[gap.end].low in senses.PLACED
    if gap.rule in ("participle", "predicate"):
        if joins_adjectives(old, gap.end - 1) or tag_at(old, gap.start) == "sub":
            return False
        if any(token.low in _MAYBE for token in old[gap.start : gap.end]):
            return False  # "[possibly observing the bird or] reading"
        ends = ("and", "or") if tag_at(old, gap.start) == "and" else ("and", "or", "while")
        return low_at(old, gap.end - 1) in ends
    return of_verb(old, gap)


_MAYBE: Final = frozenset(("possibly", "perhaps", "likely", "probably", "either", "maybe"))


def _behind_list(old: Tokens, gap: Gap) -> bool:
    """What stands behind the first item of a list, or one in the middle."""
    return gap.rule == "list" and not last_item(old, gap)


def _behind_noun_phrase(old: Tokens, gap: Gap) -> bool:
    """A verb right behind the gap goes with the noun before it."""
    k = skip_back(old, gap.start - 1, "adverb")
    inside = old[gap.start + 1 : gap.end - 1]
    if gap.rule == "clause" and any(token.tag == "comma" for token in inside):
        return False
    return tag_at(old, k) in ("noun", "mention", "pronoun", "behind", "relative")


def _behind_to(old: Tokens, gap: Gap) -> bool:
    return gap.rule == "preposition" and old[gap.start].low in lex.PLACE


def _behind_subordinator(old: Tokens, gap: Gap) -> bool:
    """A clause of time or reason, not what a verb needs."""
    complement = low_at(old, gap.end) in lex.COMPLEMENTS or low_at(old, gap.end) == "that"
    verbal = verb_before(old, gap)
    return (
        gap.rule != "clause"
        and not complement
        and (verbal or tag_at(old, gap.end + 1) not in ("ing", "been"))
    )


def _behind_adverb(old: Tokens, gap: Gap) -> bool:
    k = skip_back(old, gap.start - 1, "adverb")
    if gap.rule == "list":
        return tag_at(old, gap.end - 1) != "comma"
    return gap.rule == "preposition" and tag_at(old, k) in VERBAL


_BEHIND: Final[Mapping[str, Callable[[Tokens, Gap], bool]]] = {
    "comma": _behind_comma,
    "and": _behind_and,
    "prep": _behind_preposition,
    "ing": _behind_participle,
    "ed": _behind_participle,
    "relative": _behind_list,
    "sub": _behind_subordinator,
    "be": _behind_noun_phrase,
    "verb": _behind_noun_phrase,
    "aux": _behind_noun_phrase,
    "modal": _behind_noun_phrase,
    "det": follows_item,
    "noun": follows_item,
    "mention": follows_item,
    "pronoun": follows_item,
    "to": _behind_to,
    "adverb": _behind_adverb,
    "behind": _behind_adverb,
}
