"""Where clauses begin and end in a tagged sentence, and phrases that run on up to the next."""

from __future__ import annotations

from seesay.grounding.clauses import lexicon as lex
from seesay.grounding.clauses.phrases import (
    Tokens,
    and_between,
    joins_adjectives,
    low_at,
    next_phrase,
    separator_after,
    skip,
    tag_at,
)


def clause_start(tokens: Tokens, i: int) -> int:
    """Where the clause that holds token i begins: at its relative word, subordinator or
    conjunction, else at the start of the sentence."""
    k = i
    while k > 0:
        if tokens[k].tag in ("relative", "sub", "point") or opens_subordinate(tokens, k):
            return k
        if tokens[k].tag == "and" and tag_at(tokens, k - 1) != "and" and opens_clause(tokens, k):
            return k
        k -= 1
    opening = opening_end(tokens)
    return opening + 1 if opening is not None and opening < i else 0


def opening_end(tokens: Tokens) -> int | None:
    """The comma that ends a subordinate clause in front of the main one; None without such."""
    if not (tag_at(tokens, 0) == "sub" or opens_subordinate(tokens, 0)):
        return None
    for k, token in enumerate(tokens):
        if token.tag == "comma" and has_verb(tokens, 1, k) and has_verb(tokens, k, len(tokens)):
            return k
    return None


def opens_subordinate(tokens: Tokens, k: int) -> bool:
    """Whether `as` or a word like it at k opens a clause with a verb of its own."""
    if tokens[k].low not in ("as", "so", "after", "before") or tokens[k].tag == "and":
        return False
    if low_at(tokens, k - 1) in ("such", "well", "same", "far", "long", "soon"):
        return False
    end = k + 2 if tag_at(tokens, k + 1) in ("pronoun", "there") else next_phrase(tokens, k + 1)
    return end is not None and _verb_follows(tokens, end)


def opens_clause(tokens: Tokens, k: int) -> bool:
    """Whether the conjunction at k joins a clause with a subject and verb of its own."""
    after = k
    while tag_at(tokens, after) == "and":
        after += 1
    if not has_verb(tokens, clause_start(tokens, k - 1) if k else 0, k):
        return False
    while tag_at(tokens, after) == "adverb" or (
        tag_at(tokens, after) == "comma" and tag_at(tokens, after - 1) == "adverb"
    ):
        after += 1
    if tag_at(tokens, after) in ("pronoun", "there"):
        return _verb_follows(tokens, after + 1)
    if tag_at(tokens, after) == "prep":  # "and in the background, there is"
        comma = next((j for j in range(after, len(tokens)) if tokens[j].tag == "comma"), None)
        return comma is not None and tag_at(tokens, comma + 1) == "there"
    end = next_phrase(tokens, after)
    return end is not None and _verb_follows(tokens, end)


def _verb_follows(tokens: Tokens, i: int) -> bool:
    """Whether the noun phrase that ends at i is the subject of a verb."""
    k, listed = i, False
    end: int | None
    while k < len(tokens):
        tag = tokens[k].tag
        if tokens[k].finite:
            return True
        if tag == "prep":
            behind = skip(tokens, k, "prep")
            end = next_phrase(tokens, behind) or behind  # a man outside is …
        elif tag in ("ed", "ing"):
            k += 1
            continue
        elif tag in ("and", "comma"):
            behind = separator_after(tokens, k)
            joined = and_between(tokens, k, behind)
            if joined and tag == "comma" and not listed:
                return False  # ", and a dog is …" is a clause of its own
            listed = listed or not joined
            end = next_phrase(tokens, behind)
        elif tag in ("adverb", "behind"):
            end = k + 1
        else:
            return False
        if end is None:
            return False
        k = end
    return False


def has_verb(tokens: Tokens, start: int, end: int) -> bool:
    """Whether a main verb stands in start..end, outside relative clauses."""
    return any(
        tokens[k].finite and not any(t.tag == "relative" for t in tokens[start + 1 : k])
        for k in range(start, end)
    )


def absolute(tokens: Tokens, i: int) -> int | None:
    """The comma of a phrase like ", with a man [standing there]" that runs on to i; None if i
    stands in no such phrase."""
    for k in range(i - 1, 0, -1):
        if tokens[k].tag == "comma":
            return k if low_at(tokens, k + 1) == "with" else None
        if tokens[k].finite or tokens[k].tag in ("ing", "ed", "relative", "sub"):
            return None
    return None


def _completes(tokens: Tokens, k: int) -> bool:
    """Whether the subordinator at k opens what the verb before it needs ("suggesting that …")."""
    return low_at(tokens, k) in lex.COMPLEMENTS and tag_at(tokens, k - 1) in (
        "ing", "ed", "verb", "base",
    )  # fmt: skip


def clause_end(tokens: Tokens, i: int) -> int:
    """Where the clause that holds token i ends: before the next clause or the sentence's end."""
    start = clause_start(tokens, i)
    relative = tag_at(tokens, start) == "relative"
    if start == 0 and (opening := opening_end(tokens)) is not None:
        return opening
    verbs, k = 0, start + 1 if start else 0
    while k < len(tokens):
        token = tokens[k]
        ends = token.tag == "sub" and not _completes(tokens, k)
        if k > i and (ends or token.tag == "point" or opens_subordinate(tokens, k)):
            break
        if k > i and relative and token.tag == "relative":
            break
        if k > i and token.tag == "and" and tokens[k - 1].tag != "and" and opens_clause(tokens, k):
            break
        before = k - 1
        while tag_at(tokens, before) == "adverb":
            before -= 1
        if token.finite and tag_at(tokens, before) not in ("modal", "aux", "and"):
            verbs += 1
            if relative and verbs > 1 and k > i:
                break
        k += 1
    while k - 1 > i and tokens[k - 1].tag == "comma":
        k -= 1
    return k


def joins_subjects(tokens: Tokens, k: int) -> bool:
    """Whether the conjunction at k joins two subjects: "a man with a tie and a woman are …"."""
    begin = clause_start(tokens, k - 1)
    if tag_at(tokens, begin) in ("prep", "ing", "sub", "relative", "adverb"):
        return False
    verb = next((token.low for token in tokens[k:] if token.finite), "")
    return not has_verb(tokens, begin, k) and verb in lex.VERBS | {"are", "were", "have"}


_PREDICATES = ("ing", "ed", "be", "aux", "modal", "verb", "to")


def phrase_end(tokens: Tokens, i: int) -> int:
    """Where a phrase that runs on behind i ends: at a comma, a new clause or predicate, a verb
    that is not its own, or the sentence's end."""
    k, relative = i, 0
    while k < len(tokens):
        token = tokens[k]
        completes = _completes(tokens, k)
        ends = token.tag in ("comma", "point", "sub") and not completes
        ends = ends and not joins_adjectives(tokens, k)
        if ends or opens_subordinate(tokens, k):
            break
        if token.tag == "relative" or completes:
            relative += 1
        elif token.tag == "and":
            after = skip(tokens, k, "and")
            if opens_clause(tokens, k) or joins_subjects(tokens, k):
                break
            if tag_at(tokens, after) in _PREDICATES:
                break
        elif token.finite and tag_at(tokens, k - 1) not in ("modal", "aux"):
            if not relative:
                break
            relative -= 1
        k += 1
    return k
