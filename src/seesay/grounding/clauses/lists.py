"""Taking one item out of a list: "a fork, a knife and a cup" → "a fork and a cup"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from seesay.grounding.clauses import lexicon as lex
from seesay.grounding.clauses.agreement import agree, number
from seesay.grounding.clauses.boundaries import (
    clause_start,
    has_verb,
    joins_subjects,
    opens_clause,
    phrase_end,
)
from seesay.grounding.clauses.phrases import (
    Tokens,
    and_between,
    joins_adjectives,
    low_at,
    next_phrase,
    noun_phrase,
    separator_after,
    separator_before,
    tag_at,
)
from seesay.grounding.clauses.sentence import Sentence


@dataclass(frozen=True, slots=True)
class NounList:
    """A list around one item: `first` where its first item begins, `before` and `after` how many
    items stand on either side; the item's own separators begin at `left` and end at `right`."""

    first: int
    left: int
    start: int
    end: int
    right: int
    before: int
    after: int


def find_list(tokens: Tokens, start: int, end: int) -> NounList | None:
    """The list that the noun phrase start..end is an item of; None if it stands alone."""
    own_end = _item_end(tokens, end)
    if (
        _outside(tokens, start, own_end)
        or _filling(tokens, start, end)
        or _joined_inside(tokens, start, end, own_end)
    ):
        own_end, after = end, 0
    else:
        after = _count_after(tokens, own_end, start)
    right = separator_after(tokens, own_end)
    joined = and_between(tokens, separator_before(tokens, start), start)
    opened = after and low_at(tokens, start - 1) == "as"  # as well as a list of its own
    before, first = (0, start) if opened or not (joined or after) else _count_before(tokens, start)
    if not before and not after:
        return None
    exists = any(token.tag == "there" for token in tokens[:first])
    if not after:  # what follows the last item belongs to all of them, but for what may be its own
        own = low_at(tokens, end) in ("of", "with") or tag_at(tokens, end) in _OWN
        own = own or _placed_apart(tokens, start, end)
        own = own or (tag_at(tokens, end) == "prep" and low_at(tokens, end) != "in" and not exists)
        own_end = _own_phrases(tokens, end) if own else end
        right = own_end
    return NounList(first, separator_before(tokens, start), start, own_end, right, before, after)


def _filling(tokens: Tokens, start: int, end: int) -> bool:
    """Whether only what is behind `of` is meant: "a bowl of oranges and an apple"."""
    after = separator_after(tokens, end)
    return (
        low_at(tokens, start - 1) == "of"
        and tag_at(tokens, start) != "det"
        and after > end
        and tag_at(tokens, after) == "det"
    )


def _own_phrases(tokens: Tokens, end: int) -> int:
    """The end of what describes the last item, joined participles too ("parked or driving")."""
    stop = phrase_end(tokens, end)
    while stop < len(tokens) and tag_at(tokens, stop) == "and":
        if tag_at(tokens, stop + 1) not in ("ing", "ed"):
            break
        stop = phrase_end(tokens, stop + 2)
    return stop


_OWN: Final = ("ing", "ed", "relative")


def _placed_apart(tokens: Tokens, start: int, end: int) -> bool:
    """Whether the place behind the last item is its own: the item before has one, too ("a cup on
    the left and a fork on the right")."""
    left = separator_before(tokens, start)
    return tag_at(tokens, end) in ("prep", "adverb", "behind") and (
        tag_at(tokens, left - 1) in ("adverb", "behind")
        or any(t.tag == "prep" for t in tokens[_segment(tokens, left) + 1 : start])
    )


def _outside(tokens: Tokens, start: int, own_end: int) -> bool:
    """Whether the conjunction behind a noun joins the subjects around it, not the noun itself."""
    before = tokens[start - 1] if start else None
    inside = before is not None and before.tag in ("prep", "ing", "ed")
    if before is not None and before.low in lex.EXAMPLES | {"as"}:
        return False
    return inside and tag_at(tokens, own_end) == "and" and joins_subjects(tokens, own_end)


def _joined_inside(tokens: Tokens, start: int, end: int, own_end: int) -> bool:
    """Whether the conjunction or comma behind an item joins what describes it: "a zebra in a field
    with grass and dirt"."""
    if own_end == end:
        return False
    after = separator_after(tokens, own_end)
    other = next_phrase(tokens, after)
    counted = tag_at(tokens, start) == "det"
    alike = counted == (tag_at(tokens, after) == "det")
    if tag_at(tokens, own_end) == "comma" or low_at(tokens, end) == "of":
        return not alike
    plain = tag_at(tokens, end) == "prep" and tokens[end].low in lex.PLACE and alike
    short = all(t.tag not in ("ing", "ed", "to", "base") for t in tokens[end:own_end])
    return not (
        plain and short and (other is None or tag_at(tokens, other) == "prep" or own_end - end < 4)
    )


def drop_item(sentence: Sentence, listed: NounList) -> None:
    """Take the item out and join the others; the last one left gets its verb's number."""
    tokens, item = sentence.tokens, listed
    remaining = item.before + item.after
    was_first = number(tokens, item.first)
    if not item.before:
        sentence.remove(_behind_determiner(tokens, item), item.right, "list")
        if remaining == 2:
            _join_two(sentence, item.start)
    elif item.after:
        joined = and_between(tokens, item.end, item.right)
        if joined and not and_between(tokens, item.left, item.start):
            comma = tag_at(tokens, item.end) == "comma" and remaining == 2
            sentence.remove(item.left, item.end + comma, "list")
        else:
            sentence.remove(item.start, item.right, "list")
    else:
        sentence.remove(item.left, item.end, "list")
        if item.before > 1:
            _join_last(sentence, item)
    if remaining == 1:
        _drop_both(sentence, item.first)
    if remaining == 1 and low_at(tokens, item.first - 1) == "both":
        sentence.remove(item.first - 1, item.first, "list")
        agree(sentence, item.first - 1, 1, was_first)
    else:
        agree(sentence, item.first, remaining, was_first)


def _behind_determiner(tokens: Tokens, item: NounList) -> int:
    """Where the first item begins behind a determiner that serves the next one too: "the fork and
    knife" → "the knife"."""
    determiners = [k for k in range(item.start, item.end) if tokens[k].tag == "det"]
    if not determiners or tag_at(tokens, item.right) == "det":
        return item.start
    if item.after > 1 and tokens[item.right].tag != "mention":
        return item.start
    if low_at(tokens, determiners[-1]) == "both":
        return item.start
    plural = number(tokens, item.right) == "many"
    shared = low_at(tokens, determiners[-1])
    if (shared in lex.SINGULAR and plural) or (shared in lex.PLURAL and not plural):
        return item.start
    return determiners[-1] + 1


def _drop_both(sentence: Sentence, first: int) -> None:
    """ ", both sitting on a bench" says nothing of one that is left alone."""
    tokens = sentence.tokens
    comma = next((k for k in range(first, len(tokens)) if tokens[k].tag == "comma"), None)
    if comma is not None and low_at(tokens, comma + 1) in ("both", "all"):
        sentence.remove(comma, phrase_end(tokens, comma + 1), "list")


def _join_last(sentence: Sentence, item: NounList) -> None:
    """Give the list that now ends where the item stood its `and` again."""
    tokens, first = sentence.tokens, item.first
    for k in range(item.first, item.left):
        if tokens[k].tag == "and":
            first = k + 1  # as well as a list of its own
    commas = [k for k in range(first, item.left) if tokens[k].tag == "comma"]
    commas = [k for k in commas if not joins_adjectives(tokens, k)]
    if not commas:
        return
    comma = commas[-1]
    if len(commas) == 1:
        sentence.remove(comma, comma + 1, "list")
        sentence.insert(comma, "and", "and")
    else:
        sentence.insert(comma + 1, "and", "and")


def _join_two(sentence: Sentence, start: int) -> None:
    """Take the comma out before the `and` of the two items that are left."""
    tokens = sentence.tokens
    for k in range(start, len(tokens) - 1):
        if tokens[k].tag == "comma" and tokens[k + 1].tag == "and":
            sentence.remove(k, k + 1, "list")
            return
        if tokens[k].tag == "and":
            return


def _item_end(tokens: Tokens, end: int) -> int:
    """The end of an item and what is attached to it, up to the next separator."""
    k = end
    while k < len(tokens) and tokens[k].tag not in ("comma", "and", "point", "sub", "relative"):
        if tokens[k].finite:
            return end
        k += 1
    return k if tag_at(tokens, k) in ("comma", "and") else end


def _count_after(tokens: Tokens, end: int, start: int) -> int:
    """How many items follow the one that ends at `end`; 0 unless a conjunction joins the last."""
    count, k = 0, end
    while True:
        after = separator_after(tokens, k)
        if after == k:
            return 0
        joined = and_between(tokens, k, after)
        conjunction = next((j for j in range(k, after) if tokens[j].tag == "and"), k)
        stop = next_phrase(tokens, after)
        if stop is None or (joined and opens_clause(tokens, conjunction)):
            return 0
        if not joined and (introduces(tokens, start, k) or low_at(tokens, after) in lex.APART):
            return 0
        count += 1
        if joined:
            return count
        k = _item_end(tokens, stop)


def introduces(tokens: Tokens, start: int, comma: int) -> bool:
    """Whether the comma ends a phrase in front of the clause ("In the kitchen, a man …")."""
    begin = clause_start(tokens, start)
    return (
        tag_at(tokens, begin) in ("prep", "sub", "ing", "ed", "adverb")
        and not has_verb(tokens, begin, comma)
    )  # fmt: skip


def _count_before(tokens: Tokens, start: int) -> tuple[int, int]:
    """How many items stand before the one at `start`, and where the first of them begins."""
    count, first, k = 0, start, start
    while True:
        left = separator_before(tokens, k)
        if left == k or tag_at(tokens, left - 1) not in ("noun", "mention", "behind", "adverb"):
            return count, first
        if tokens[left].tag == "comma" and introduces(tokens, left - 1, left):
            return count, first
        conjunction = next((j for j in range(left, k) if tokens[j].tag == "and"), None)
        if conjunction is not None and opens_clause(tokens, conjunction):
            return count, first
        begin = _segment(tokens, left)
        separated = begin > 0 and tokens[begin - 1].tag in ("comma", "and")
        at = begin
        while at < left and (tag_at(tokens, at) in ("prep", "adverb") or _is_both(tokens, at)):
            at += 1
        if next_phrase(tokens, at) is None:
            at = noun_phrase(tokens, left - 1, left)[0]
        count, first = count + 1, at
        if not separated or at != begin:
            return count, first
        k = begin


def _segment(tokens: Tokens, end: int) -> int:
    """Where the piece of a list that ends at `end` begins: behind a separator or a verb."""
    begin = end
    while begin > 0:
        before = tokens[begin - 1]
        if before.tag in ("comma", "and") and not joins_adjectives(tokens, begin - 1):
            break
        if before.finite or before.tag in ("ing", "ed", "base", "relative", "sub", "point"):
            break
        if before.tag == "prep" and before.low in lex.EXAMPLES | {"as"}:
            break
        begin -= 1
    return begin


def _is_both(tokens: Tokens, k: int) -> bool:
    return low_at(tokens, k) == "both" and tag_at(tokens, k + 1) == "det"
