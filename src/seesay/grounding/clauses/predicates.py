"""Rules for verbs and clauses: participles, infinitives, predicates, clauses, the sentence.

A rule takes its phrase out of the sentence and is done (None), or finds that a larger phrase cannot
do without it and says which one is next.
"""

from __future__ import annotations

from typing import NamedTuple

from seesay.grounding.clauses import lexicon as lex
from seesay.grounding.clauses.agreement import agree, number
from seesay.grounding.clauses.boundaries import (
    clause_end,
    clause_start,
    opening_end,
    opens_subordinate,
    phrase_end,
)
from seesay.grounding.clauses.phrases import (
    Tokens,
    and_between,
    low_at,
    next_phrase,
    noun_phrase,
    separator_after,
    separator_before,
    skip,
    tag_at,
)
from seesay.grounding.clauses.sentence import Sentence


class PredicateStep(NamedTuple):
    """The next rule: its name, and the tokens it begins with. For verbs `start` is the verb, for
    prepositions the token behind them."""

    rule: str
    start: int
    end: int


def participle(sentence: Sentence, verb: int, end: int) -> PredicateStep | None:
    """A participle and all that follows it up to `end`."""
    tokens = sentence.tokens
    first = verb
    while tag_at(tokens, first - 1) == "adverb" and low_at(tokens, first - 1) != "there":
        first -= 1
    first = share(tokens, first)
    if low_at(tokens, first - 1) in lex.APART and tag_at(tokens, first - 2) == "prep":
        return PredicateStep(
            "preposition", first - 1, clause_end(tokens, verb)
        )  # "with some sitting …"
    tag = tag_at(tokens, first - 1)
    if tag in ("be", "been", "verb", "aux"):
        return PredicateStep("predicate", first - 1, end)
    if tag == "ing":
        return PredicateStep("participle", first - 1, end)
    if tag == "base":
        return PredicateStep("infinitive", first - 1, end)
    if tag == "prep":
        return PredicateStep("preposition", first, end)
    if tag in ("noun", "mention"):
        begin = noun_phrase(tokens, first - 1, first)[0]
        if low_at(tokens, begin - 1) == "with" and tag_at(tokens, begin - 2) == "comma":
            return PredicateStep("preposition", begin, end)  # ", with a man [holding a cup]"
    if tag == "sub":
        return modifier(sentence, first - 1, end, "participle")
    if tag == "" and tag_at(tokens, end) != "comma":
        return PredicateStep("clause", verb, end)
    end = _with_pronoun(tokens, end)
    if low_at(tokens, end) == "while" and tag_at(tokens, end + 1) == "ing":
        # "a man riding a horse while holding a flag": he still holds it
        end = phrase_end(tokens, end + 1) if tag == "comma" else end + 1
    return modifier(sentence, first, end, "participle")


def share(tokens: Tokens, first: int) -> int:
    """Where a participle's own subject begins behind a comma: ", some of them holding …"."""
    comma = next(
        (k for k in range(first - 1, max(-1, first - 5), -1) if tokens[k].tag == "comma"), None
    )
    alone = comma is not None and low_at(tokens, comma + 1) in lex.APART
    return comma + 1 if comma is not None and alone else first


def _with_pronoun(tokens: Tokens, end: int) -> int:
    """The end of a phrase with the one joined to it that takes up its object: "holding a bat and
    preparing to swing it"."""
    if tag_at(tokens, end) != "and" or tag_at(tokens, end + 1) not in ("ing", "ed", "verb"):
        return end
    other = phrase_end(tokens, end + 2)
    taken_up = any(token.low in ("it", "them", "its") for token in tokens[end:other])
    return other if taken_up else end


def infinitive(sentence: Sentence, verb: int, end: int) -> PredicateStep | None:
    """`to`, the verb behind it and all up to `end`; with what cannot do without it."""
    tokens = sentence.tokens
    if tag_at(tokens, verb - 1) == "and" and tag_at(tokens, verb - 2) == "base":
        verb -= 2  # to board or leave
    first = verb if tokens[verb].tag == "to" else verb - 1
    while tag_at(tokens, first - 1) == "adverb":
        first -= 1
    tag = tag_at(tokens, first - 1)
    if tag_at(tokens, first) in ("modal", "aux"):
        return PredicateStep("predicate", first, end)
    if tag in ("modal", "be", "been", "verb"):
        return PredicateStep("predicate", first - 1, end)
    if tag in ("ing", "ed"):
        return PredicateStep("participle", first - 1, end)
    if low_at(tokens, first - 1) == "about":
        if tag_at(tokens, first - 2) == "be":
            return PredicateStep("predicate", first - 2, end)
        return modifier(sentence, first - 1, end, "infinitive")
    if tag == "behind" and tag_at(tokens, first - 2) == "ing":
        return PredicateStep("participle", first - 2, end)
    if tag == "behind" and tag_at(tokens, first - 2) in ("be", "adverb", "verb"):
        return PredicateStep("predicate", first - 2, end)
    if tag == "base":
        return PredicateStep("infinitive", first - 1, end)
    if tag == "":
        return PredicateStep("clause", verb, end)
    return modifier(sentence, first - (tag == "behind"), end, "infinitive")


def predicate(sentence: Sentence, verb: int, end: int) -> PredicateStep | None:
    """The predicate around the verb: one of two, or all that its subject does."""
    tokens = sentence.tokens
    first = verb
    while tag_at(tokens, first - 1) in ("modal", "aux", "be", "been", "adverb"):
        first -= 1
    end = _with_pronoun(tokens, end)
    after = end + 1 if low_at(tokens, end) == "while" else separator_after(tokens, end)
    doing = next((k for k in range(first, end) if tokens[k].tag in ("ing", "ed")), None)
    if and_between(tokens, end, after) and after < len(tokens) and tokens[after].finite:
        sentence.remove(first, after, "predicate")
    elif after > end and doing is not None and _goes_on(tokens, first, doing, end, after):
        sentence.remove(doing, after, "predicate")
    elif tag_at(tokens, first - 1) == "and":
        sentence.remove(separator_before(tokens, first), end, "predicate")
    elif (subject := _new_subject(tokens, first)) is not None:
        _say_it_exists(sentence, subject, first, end)
    else:
        return PredicateStep("clause", verb, end)
    return None


def _goes_on(tokens: Tokens, first: int, doing: int, end: int, after: int) -> bool:
    """Whether the participle at `after` can take the place of the one at `doing`: "is holding a
    phone and wearing a hat", "is holding a phone while sitting", but no remark on what went."""
    other = tokens[after] if after < len(tokens) else None
    if other is None or other.tag not in ("ing", "ed") or other.low in lex.REMARKS:
        return False
    if not any(token.tag == "be" for token in tokens[first:doing]):
        return False
    if low_at(tokens, after + 1) in ("it", "them"):
        return False
    return other.tag == tokens[doing].tag == "ing" or and_between(tokens, end, after)


def _new_subject(tokens: Tokens, verb: int) -> int | None:
    """Where the subject of the verb begins, if it is one that the text names as something new."""
    begin = clause_start(tokens, verb)
    if tag_at(tokens, begin) in ("relative", "sub") or opens_subordinate(tokens, begin):
        return None
    comma = next((k for k in range(begin, verb) if tokens[k].tag == "comma"), None)
    if tag_at(tokens, begin) in ("adverb", "prep") and comma is not None:
        begin = comma + 1
    while tag_at(tokens, begin) in ("and", "adverb"):
        begin += 1
    subject = tokens[begin:verb]
    new = tag_at(tokens, begin) == "det" and low_at(tokens, begin) in lex.NEW
    sayable = any(token.noun for token in subject) and all(t.mention is None for t in subject)
    return begin if new and sayable and low_at(tokens, begin + 1) != "of" else None


def _say_it_exists(sentence: Sentence, subject: int, verb: int, end: int) -> None:
    """ "A cup is placed next to the fork" without its predicate: "There is a cup"."""
    tokens = sentence.tokens
    behind = next_phrase(tokens, subject) or subject
    many = number(tokens, subject) == "many" or tag_at(tokens, behind) == "and"
    if tag_at(tokens, end) == "comma" and low_at(tokens, end + 1) in lex.REMARKS:
        end = clause_end(tokens, end + 1)
    sentence.remove(verb, end, "predicate")
    tokens[subject].text = tokens[subject].low
    sentence.insert(subject, "there", "there")
    sentence.insert(subject + 1, "are" if many else "is", "be")


# ---- clauses -------------------------------------------------------------------------------


def clause(sentence: Sentence, inside: int, _: int) -> PredicateStep | None:
    """The clause that holds token `inside`; the sentence if nothing that stands alone is left."""
    tokens = sentence.tokens
    start, end = clause_start(tokens, inside), clause_end(tokens, inside)
    tag, opening = tag_at(tokens, start), opening_end(tokens)
    subordinate = tag == "sub" or opens_subordinate(tokens, start)
    if tag == "and":
        sentence.remove(separator_before(tokens, start + 1), end, "clause")
    elif tag == "sub" and low_at(tokens, start) in lex.COMPLEMENTS and start > 0:
        if tag_at(tokens, start - 1) == "ing":
            return PredicateStep("participle", start - 1, end)
        sentence.remove_all("sentence")
    elif start == 0 and subordinate and opening is None:
        sentence.remove_all("sentence")
    elif tag == "relative" or subordinate:
        while tag_at(tokens, start - 1) == "prep":
            start -= 1
        return modifier(sentence, start, end, "clause")
    elif opening is not None and start == opening + 1 and low_at(tokens, 0) in ("while", "as"):
        sentence.remove(opening, end, "clause")
        sentence.remove(0, 1, "clause")
    elif start == 0:
        _main_clause(sentence, end)
    else:
        sentence.remove_all("sentence")
    return None


def _main_clause(sentence: Sentence, end: int) -> None:
    """The first main clause; a clause that follows takes its place if it can stand alone."""
    tokens = sentence.tokens
    after = separator_after(tokens, end)
    joined = and_between(tokens, end, after)
    if low_at(tokens, after) in ("while", "whereas", "but"):
        joined, after = True, after + 1
    compared = any(token.low in ("other", "another", "rest") for token in tokens[after : after + 2])
    opens = ("noun", "mention", "det", "there", "behind", "adverb")
    if joined and not compared and tag_at(tokens, after) in opens:
        sentence.remove(0, after, "clause")
        if tokens[0].tag != "there" and not and_between(tokens, 0, clause_end(tokens, 0)):
            agree(sentence, skip(tokens, 0, "adverb"), 1, "many")
    else:
        sentence.remove_all("sentence")


def modifier(sentence: Sentence, start: int, end: int, rule: str) -> PredicateStep | None:
    """A phrase that nothing depends on, with the commas or the conjunction that set it off."""
    tokens = sentence.tokens
    while tag_at(tokens, start - 1) == "adverb" and tag_at(tokens, start - 2) == "comma":
        start -= 1  # ", possibly about to …"
    left = separator_before(tokens, start)
    joined = and_between(tokens, left, start)
    closes = tag_at(tokens, end) in ("comma", "point", "")
    if start == 0:
        sentence.remove(0, end + (tag_at(tokens, end) == "comma"), rule)
    elif (
        not joined
        and tag_at(tokens, end) == "and"
        and tag_at(tokens, end + 1) == "ing"
        and "ing" in (tag_at(tokens, start), tag_at(tokens, start + 1))
    ):
        sentence.remove(start, end + 1, rule)
    elif joined or (left < start and closes):
        interrupts = not joined and tag_at(tokens, end) == "comma"
        behind = end + 1 + (tag_at(tokens, end + 1) == "adverb")
        goes_on = behind < len(tokens) and tokens[behind].finite
        sentence.remove(left, end + (interrupts and goes_on), rule)
    else:
        again = tag_at(tokens, end) == "and" and tag_at(tokens, end + 1) == tag_at(tokens, start)
        sentence.remove(left, end + (left == start and again), rule)
    return None
