"""Where phrases begin and end in a tagged sentence. Positions are those of tokens; ends are behind
the last token."""

from __future__ import annotations

from typing import TypeAlias

from seesay.grounding.clauses import lexicon as lex
from seesay.grounding.clauses.tokens import WordToken, is_adjective

Tokens: TypeAlias = list[WordToken]


def tag_at(tokens: Tokens, i: int) -> str:
    return tokens[i].tag if 0 <= i < len(tokens) else ""


def low_at(tokens: Tokens, i: int) -> str:
    return tokens[i].low if 0 <= i < len(tokens) else ""


def is_plural(word: str) -> bool:
    """Whether a noun is plural, by its ending."""
    return word in lex.PLURAL_NOUNS or (
        word.endswith("s") and not word.endswith(("ss", "us", "is", "'s"))
    )


def skip(tokens: Tokens, k: int, tag: str) -> int:
    """The first token from k on that is not of the class."""
    while tag_at(tokens, k) == tag:
        k += 1
    return k


def skip_back(tokens: Tokens, k: int, tag: str) -> int:
    """The last token up to k that is not of the class."""
    while tag_at(tokens, k) == tag:
        k -= 1
    return k


def noun_phrase(tokens: Tokens, start: int, end: int) -> tuple[int, int]:
    """The noun phrase around tokens start..end: determiners, adjectives, compound, quantity."""
    while True:
        if tag_at(tokens, end) in ("noun", "mention"):
            end += 1
        elif tag_at(tokens, end) == "possessive":
            end = next_phrase(tokens, end + 1) or end + 2
        else:
            break
    return _left_edge(tokens, start), end


def _left_edge(tokens: Tokens, start: int) -> int:
    """Where the noun phrase begins whose head (or its first known word) is at `start`."""
    while start > 0:
        before = tokens[start - 1]
        counted = tag_at(tokens, start) == "det"
        if before.tag == "possessive" and start > 1:
            start = _left_edge(tokens, start - 2)
        elif before.low == "of" and low_at(tokens, start - 2) in lex.QUANTITIES:
            start -= 2
        elif _belongs(tokens, start - 1, counted):
            start -= 1
        elif counted and before.low in ("least", "most", "than") and start > 1:
            start -= 2  # at least two
        else:
            break
    return start


def _belongs(tokens: Tokens, i: int, counted: bool) -> bool:
    """Whether token i is part of the noun phrase behind it; `counted`: that opens with a
    determiner, before which only another one can stand ("all the")."""
    tag = tokens[i].tag
    if counted or tag == "det":
        return tag == "det" and not (counted and tokens[i].low == "both")
    if tag in ("ed", "ing", "adverb") and (_has_determiner(tokens, i) or joined(tokens, i - 1)):
        return True
    if tag == "ed":
        return tag_at(tokens, i - 1) in ("", "prep", "and", "comma", "verb")
    return tag in ("noun", "mention", "behind") or joined(tokens, i)


def _has_determiner(tokens: Tokens, i: int) -> bool:
    """Whether a determiner stands before token i with only adjectives and adverbs between."""
    i -= 1
    while i >= 0 and (is_adjective(tokens[i]) or tokens[i].tag in ("adverb", "comma", "noun")):
        i -= 1
    return i >= 0 and tokens[i].tag == "det"


def joins_adjectives(tokens: Tokens, i: int) -> bool:
    """Whether the comma or `and` at i stands between two adjectives of one noun phrase."""
    before, after = i - 1, i + 1
    if tokens[i].tag == "and" and tag_at(tokens, before) == "comma":
        before -= 1
    while tag_at(tokens, after) in ("adverb", "and"):
        after += 1
    if before < 0 or after >= len(tokens):
        return False
    adjectives = is_adjective(tokens[before]) and is_adjective(tokens[after])
    if tokens[before].low in lex.ADJECTIVES:
        return adjectives
    return adjectives and (tokens[i].tag != "comma" or _has_determiner(tokens, before))


def next_phrase(tokens: Tokens, i: int) -> int | None:
    """The end of the noun phrase that begins at i; None if none begins there."""
    if tag_at(tokens, i) == "ing":
        return None
    k, nouns = i, False
    while k < len(tokens):
        tag = tokens[k].tag
        if tokens[k].noun or tag == "possessive":
            nouns = True
        elif nouns and (tokens[k].low == "of" or joined(tokens, k)):
            nouns = False
        elif nouns or not (tag in ("det", "behind") or _modifies(tokens, k)):
            break
        k += 1
    return k if nouns else None


def joined(tokens: Tokens, k: int) -> bool:
    """Whether the comma or conjunction at k stands between two adjectives of one noun."""
    return tag_at(tokens, k) in ("comma", "and") and joins_adjectives(tokens, k)


def _modifies(tokens: Tokens, k: int) -> bool:
    """Whether the participle or adverb at k stands before a noun of its phrase."""
    follows = tag_at(tokens, k + 1)
    return tokens[k].tag in ("ed", "ing", "adverb") and follows in (
        "noun", "mention", "ed", "adverb",
    )  # fmt: skip


def separator_before(tokens: Tokens, i: int) -> int:
    """Where the comma and conjunction right before i begin; i if there are none."""
    k = i
    if tag_at(tokens, k - 1) == "and":
        while tag_at(tokens, k - 1) == "and":
            k -= 1
    if tag_at(tokens, k - 1) == "comma":
        k -= 1
    return k


def separator_after(tokens: Tokens, i: int) -> int:
    """Where the comma and conjunction at i end; i if there are none."""
    k = i
    if tag_at(tokens, k) == "comma":
        k += 1
    while tag_at(tokens, k) == "and":
        k += 1
    return k


def and_between(tokens: Tokens, start: int, end: int) -> bool:
    return any(token.tag == "and" for token in tokens[start:end])
