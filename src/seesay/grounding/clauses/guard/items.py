"""Gaps in lists: whether what went was one item, and its neighbours can stand together."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from seesay.grounding.clauses import lexicon as lex
from seesay.grounding.clauses.agreement import number
from seesay.grounding.clauses.guard import senses
from seesay.grounding.clauses.guard.gaps import (
    Gap,
    is_person,
    last_item,
    only_adjectives,
    verb_like,
)
from seesay.grounding.clauses.phrases import (
    Tokens,
    is_plural,
    low_at,
    next_phrase,
    noun_phrase,
    skip,
    skip_back,
    tag_at,
)
from seesay.grounding.clauses.tokens import NOUNISH


def takes(old: Tokens, gap: Gap) -> bool:
    """Whether the word before an item can stand before the next one, or the end."""
    before, follows = tag_at(old, gap.start - 1), tag_at(old, gap.end)
    if tag_at(old, gap.start) in ("comma", "and"):
        head = old[gap.start - 1]
        part = head.low in senses.LACKING and not head.kept and follows != "prep"
        return not part and not (head.noun and only_adjectives(old, gap.start - 1))
    if before in ("comma", "and", ""):
        return True
    if before == "det":
        named = follows in NOUNISH and not verb_like(old[gap.end])
        return named and not any(
            token.low == "of" or token.tag == "possessive" for token in old[gap.start : gap.end]
        )
    if follows in ("noun", "mention", "ed", "behind"):
        return True
    return follows in ("det", "adverb") and before not in ("ed", "noun", "mention", "behind")


def is_item(old: Tokens, gap: Gap) -> bool:
    """Whether what went surely was one item of a list: it holds no verb, and its conjunction joins
    no more than the items."""
    items = old[gap.start : gap.end]
    if any(a.noun and verb_like(b) for a, b in pairwise(items)) or not _one_phrase(old, gap):
        return False
    if tag_at(items, skip(items, 0, "comma")) in ("ing", "adverb") or items[0].low == "each":
        return False
    if any(token.low == "either" for token in old[max(0, gap.start - 6) : gap.start]):
        return False
    if _explains(old, gap) or _behind_opening(old, gap) or not _shown(old, gap):
        return False
    if tag_at(old, gap.start) in ("comma", "and"):
        if [token.tag for token in items[:2]] != ["comma", "and"] or items[1].low == "as":
            return True
        comma = next((k for k in range(gap.start - 1, 0, -1) if old[k].tag == "comma"), -1)
        opens = low_at(old, comma + 1) in lex.EXAMPLES or tag_at(old, comma + 1) == "adverb"
        return comma >= 0 and not opens
    kinds = {low_at(old, gap.start), low_at(old, gap.start + 1)} & lex.QUANTITIES
    if any(token.tag == "prep" for token in items) and tag_at(old, gap.end) != "det":
        return bool(kinds)  # "[tools for work,] entertainment"
    if items[-1].tag != "and":
        return True
    behind = old[gap.end : next_phrase(old, gap.end) or gap.end]
    of = low_at(old, gap.start - 1) == "of" and any(token.low == "of" for token in behind)
    commas = sum(token.tag == "comma" for token in items)
    last = skip_back(old, gap.end - 1, "and")
    spread = any(
        old[k].noun and not is_plural(old[k].low) and is_spread(old, k + 1)
        for k in range(gap.end, min(len(old), gap.end + 8))
    )
    return not of and not spread and not (commas == 1 and old[last].tag == "comma")


def _one_phrase(old: Tokens, gap: Gap) -> bool:
    """Whether a noun phrase went, with what describes it, and one follows where one has to."""
    start, end = gap.start, gap.end
    while tag_at(old, start) in ("comma", "and"):
        start += 1
    while tag_at(old, end - 1) in ("comma", "and"):
        end -= 1
    named = next_phrase(old, start)
    if named is None or (end < gap.end and next_phrase(old, skip(old, gap.end, "and")) is None):
        return False
    if any(
        token.finite
        or token.tag == "comma"
        or (token.tag == "and" and tag_at(old, k + 1) not in ("ing", "ed"))
        for k, token in enumerate(old[named:end], named)
    ):
        return False
    return _alike(old, start, gap) and not _verb_unseen(old, gap)


def _alike(old: Tokens, start: int, gap: Gap) -> bool:
    """Whether the item at `start` and the one before it both have a determiner, or neither, where
    that one may be no noun."""
    if tag_at(old, gap.start) not in ("comma", "and") or old[gap.start - 1].tag != "noun":
        return True
    before, _ = noun_phrase(old, gap.start - 1, gap.start)
    plural = is_plural(old[gap.start - 1].low)
    return plural or (tag_at(old, before) == "det") == (tag_at(old, start) == "det")


def _verb_unseen(old: Tokens, gap: Gap) -> bool:
    """Whether a word behind the gap may be a verb of several that was taken for a noun."""
    end = next((k for k in range(gap.end, len(old)) if old[k].tag in _CLOSING), len(old))
    return any(
        a.noun and b.tag == "noun" and b.low in lex.VERBS for a, b in pairwise(old[gap.end : end])
    )


_CLOSING: Final = ("comma", "prep", "point", "be", "modal", "aux", "relative")


def _explains(old: Tokens, gap: Gap) -> bool:
    """Whether the list tells who or what was counted: "three people, two women and a man"."""
    comma = next((k for k in range(gap.start, 0, -1) if old[k].tag in ("comma", "point")), 0)
    joined = next((k for k in range(gap.start, len(old)) if old[k].tag == "and"), 0)
    if not comma or not joined or tag_at(old, joined - 1) == "comma":
        return False
    if any(token.finite or token.tag in ("prep", "and") for token in old[comma + 1 : gap.start]):
        return False
    begin, _ = noun_phrase(old, comma - 1, comma)
    return number(old, begin) == "many" and tag_at(old, begin) == "det"


def _behind_opening(old: Tokens, gap: Gap) -> bool:
    """Whether the comma closes an opening phrase: "To go with it, a cup and a fork …"."""
    opens = tag_at(old, 0) in ("to", "prep", "ing", "ed", "adverb", "sub")
    said = any(token.finite or token.low in lex.EXAMPLES for token in old[1 : gap.start])
    return opens and not said and tag_at(old, gap.start) == "comma"


def _shown(old: Tokens, gap: Gap) -> bool:
    """Whether what governs the list says of each item that it is there: what is compared, joined or
    done to several need not be true of one."""
    k = gap.start - 1
    while k >= 0 and (old[k].tag not in _GOVERNING or low_at(old, k) == "of"):
        k -= 1
    added = any(token.tag == "and" and token.low == "well" for token in old[k + 1 : gap.start])
    if added and tag_at(old, gap.end) == "comma":
        return False  # "as well as cups[, a bowl], and a bag"
    if k < 0 or old[k].tag in ("sub", "relative", "be"):
        return True
    return old[k].low in lex.EXAMPLES | senses.SHOWING


_GOVERNING: Final = ("be", "verb", "aux", "modal", "prep", "ing", "ed", "relative", "sub", "to")


def is_spread(old: Tokens, k: int) -> bool:
    """Whether the participle at k says of several where they are."""
    if low_at(old, k) == "placed":
        return low_at(old, k + 1) in ("around", "throughout", "across", "together")
    return low_at(old, k) in senses.SPREAD


def follows_item(old: Tokens, gap: Gap) -> bool:
    """The item that takes the place of the first one has an article if that had one."""
    if gap.rule == "predicate":
        return low_at(old, gap.end - 1) in ("and", "or")
    if gap.rule != "list":
        return False
    if last_item(old, gap) and tag_at(old, gap.end - 1) not in ("comma", "and"):
        return False  # "the man [and his horse pursue] the cattle"
    went = old[gap.start : gap.end]
    if went[0].low == "other" and tag_at(old, gap.end) != "det":
        return False  # "no [other people or] objects"
    if tag_at(old, gap.start - 1) in ("comma", "and", "det") or tag_at(old, gap.end) == "det":
        return True
    bare = number(old, gap.end) == "one"
    head = old[(next_phrase(old, gap.end) or gap.end + 1) - 1]
    counted = head.tag == "mention" or is_person(head)
    plural = counted and any(t.noun and is_plural(t.low) for t in went)
    return not (bare and (plural or any(t.tag == "det" for t in went)))
