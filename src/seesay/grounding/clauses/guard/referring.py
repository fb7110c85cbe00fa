"""Words that stand for something said before: whether an edit took away what they stand for."""

from __future__ import annotations

from typing import Final

from seesay.grounding.clauses import lexicon as lex
from seesay.grounding.clauses.agreement import number
from seesay.grounding.clauses.guard import senses
from seesay.grounding.clauses.guard.gaps import Gap, is_person, of_verb
from seesay.grounding.clauses.phrases import (
    Tokens,
    is_plural,
    low_at,
    next_phrase,
    skip,
    skip_back,
    tag_at,
)


def refers_to_what_went(old: Tokens, cut: list[Gap]) -> bool:
    """Whether a word that stays stands, or may stand, for what went."""
    if not cut:
        return False
    inside = {k for gap in cut for k in range(gap.start, gap.end)}
    subject = _subject(old, cut, inside)
    went = [old[k] for k in sorted(inside) if old[k].noun]
    several = any(gap.rule == "list" for gap in cut)
    many = several or any(is_plural(t.low) for t in went)
    one, person = not all(is_plural(t.low) for t in went), any(map(is_person, went))
    counted = any(gap.rule in ("list", "clause", "predicate") for gap in cut)
    for k, token in enumerate(old):
        if k in inside or not went:
            continue
        if _of_several(old, cut, k):
            return True
        if token.low in _COMPARED and any(gap.rule == "clause" for gap in cut):
            return True  # "[some are far, while] one stands closer"
        if k < cut[0].start:
            continue
        if _of_the_rest(old, k) and not all(_told_apart(old, gap) for gap in cut):
            return True
        if token.low == "both" and any(gap.rule == "clause" for gap in cut):
            return True
        owner = token.low in ("its", "their", "his", "her") and token.tag == "det"
        leads = owner or (token.low in ("it", "they", "he", "she") and _verb_next(old, k))
        makes = low_at(old, k - 1) in ("making", "makes", "make") and not counted
        if owner and any(gap.rule in ("list", "clause") and k == gap.end for gap in cut):
            return True  # "[the dog and] its owners"
        if token.low in _IT and one and not makes and not (owner and subject == "one"):
            return True
        if token.low in _THEY and (person or (many and not (leads and subject == "many"))):
            return True
        taken = any(gap.rule == "clause" for gap in cut) or (person and counted)
        if token.low in _HE and (taken or person) and (taken or not (leads and subject == "one")):
            return True
    return False


_IT: Final = ("it", "its", "itself")
_THEY: Final = ("they", "them", "their", "themselves")
_COMPARED: Final = ("closer", "further", "farther", "nearer")
_HE: Final = ("he", "she", "him", "her", "his")


def _of_several(old: Tokens, cut: list[Gap], k: int) -> bool:
    """Whether token k says something of all items of a list that one has gone from."""
    lists = [gap for gap in cut if gap.rule == "list"]
    if old[k].low in senses.JOINING and any(_heads(old, k, gap) for gap in lists):
        return True
    return old[k].low in senses.SHARING and any(
        0 <= k - gap.end < 16 and not _leaves_several(old, gap) for gap in lists
    )


def _heads(old: Tokens, k: int, gap: Gap) -> bool:
    """Whether the word at k may be about the list from which the gap is."""
    between = old[k + 1 : gap.start]
    verb = any(t.finite or t.tag in ("ing", "ed") or t.low in lex.EXAMPLES for t in between)
    return 0 < gap.start - k < 12 and not verb


def _leaves_several(old: Tokens, gap: Gap) -> bool:
    """Whether the item beside the one that went is plural."""
    if tag_at(old, gap.start) in ("comma", "and"):
        return is_plural(low_at(old, gap.start - 1))
    return number(old, gap.end) == "many"


def _of_the_rest(old: Tokens, k: int) -> bool:
    """Whether token k tells of the rest of a group: "others", "the other", "both"."""
    word, before = old[k].low, low_at(old, k - 1)
    if word == "other":
        return before in ("the", "each")
    if word in ("two", "first", "second", "third"):
        return before == "the" and not old[min(k + 1, len(old) - 1)].noun
    return word in _REST or (old[k].tag == "pronoun" and word in lex.APART)


def _told_apart(old: Tokens, gap: Gap) -> bool:
    """Whether the verb before the gap still tells the one from the other."""
    verb = skip_back(old, gap.start - 1, "adverb")
    again = any(token.low == low_at(old, verb) for token in old[gap.end :])
    return of_verb(old, gap) and not again and low_at(old, verb) not in senses.SEEN


_REST: Final = frozenset(("another", "others", "latter", "former", "respectively", "remaining"))


def _verb_next(old: Tokens, k: int) -> bool:
    k = skip(old, k + 1, "adverb")
    return 0 <= k < len(old) and old[k].finite


def _subject(old: Tokens, cut: list[Gap], inside: set[int]) -> str:
    """The number of the sentence's first subject that stays; "" if it went or is the picture."""
    k = 0
    if tag_at(old, 0) == "prep":
        comma = next((j for j, token in enumerate(old) if token.tag == "comma"), -1)
        k = comma + 1
    if any(gap.start == 0 and gap.rule == "clause" for gap in cut):
        return ""
    while k in inside:
        k += 1
    k = skip(old, k, "adverb")
    if tag_at(old, k) == "pronoun" and k > min(inside):
        return ""
    if tag_at(old, k) == "pronoun":
        return "many" if old[k].low in ("they", "others", "some", "many") else "one"
    if tag_at(old, k) == "there":
        k += 2
    end = next_phrase(old, k)
    if end is None or any(j in inside for j in range(k, end)):
        return ""
    if any(token.low in senses.IMAGE for token in old[k:end]):
        return _shown(old, inside, end)
    listed = tag_at(old, end) == "and" and end not in inside
    return "many" if listed else number(old, k)


def _shown(old: Tokens, inside: set[int], verb: int) -> str:
    """ "many" if the picture shows several things first, and they stay."""
    end = next_phrase(old, verb + 1)
    stays = end is not None and not any(j in inside for j in range(verb, end))
    return "many" if stays and number(old, verb + 1) == "many" else ""
