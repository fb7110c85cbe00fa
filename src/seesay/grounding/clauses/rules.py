"""The smallest phrase that carries a mention, and how it is taken out.

`leave` looks at what stands before the mention's noun phrase: a list's comma or conjunction, a
preposition, a participle, a verb, or nothing (it is the subject). Each case takes out the phrase
that it heads; a phrase that cannot do without it is taken out in turn, up to the sentence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from seesay.grounding.clauses import lexicon as lex
from seesay.grounding.clauses.boundaries import (
    clause_end,
    clause_start,
    opens_subordinate,
    phrase_end,
)
from seesay.grounding.clauses.lists import NounList, drop_item, find_list, introduces
from seesay.grounding.clauses.phrases import Tokens, low_at, noun_phrase, tag_at
from seesay.grounding.clauses.predicates import (
    PredicateStep,
    clause,
    infinitive,
    modifier,
    participle,
    predicate,
    share,
)
from seesay.grounding.clauses.sentence import Sentence


def leave(sentence: Sentence, start: int, end: int) -> None:
    """Take the tokens start..end, a mention, out with the smallest phrase that carries it."""
    step: PredicateStep | None = PredicateStep("noun", *noun_phrase(sentence.tokens, start, end))
    while step is not None:
        step = _RULES[step.rule](sentence, step.start, step.end)


def _noun(sentence: Sentence, start: int, end: int) -> PredicateStep | None:
    """A noun phrase: an item of a list, or what goes by the word before it."""
    tokens = sentence.tokens
    listed = find_list(tokens, start, end)
    if listed is not None and not _needs_two(tokens, listed):
        drop_item(sentence, listed)
        return None
    if listed is not None:
        start, end = _between(tokens, listed) or listed.first, max(end, phrase_end(tokens, end))
    end = _with_relative(tokens, end)
    verb = start - 1
    while tag_at(tokens, verb) == "adverb":
        verb -= 1
    tag = tag_at(tokens, verb)
    if tag_at(tokens, start - 1) == "prep" and not opens_subordinate(tokens, start - 1):
        return PredicateStep("preposition", start, end)
    if tag == "comma" and _appositive(tokens, start, end):
        return modifier(sentence, start, phrase_end(tokens, end), "apposition")
    rule = _BY_WORD_BEFORE.get(tag)
    if rule is not None:
        return PredicateStep(rule, verb, _with_relative(tokens, phrase_end(tokens, end)))
    return PredicateStep("clause", start, end)


_BY_WORD_BEFORE: Final = {
    "ing": "participle", "ed": "participle", "to": "infinitive", "base": "infinitive",
    "be": "predicate", "been": "predicate", "aux": "predicate", "verb": "predicate",
    "modal": "predicate",
}  # fmt: skip


def _needs_two(tokens: Tokens, listed: NounList) -> bool:
    """Whether one alone makes no sense: "between a chair and a couch", "a mix of …"."""
    before = listed.first - 1
    blended = low_at(tokens, before) == "of" and low_at(tokens, before - 1) in lex.BLENDS
    single = listed.before + listed.after == 1
    return (blended and single) or _between(tokens, listed) is not None


def _between(tokens: Tokens, listed: NounList) -> int | None:
    """Where the first of the two begins, behind "between"."""
    for k in range(listed.start, max(0, listed.start - 8), -1):
        joined = sum(token.tag == "and" for token in tokens[k : listed.start]) + listed.after
        if low_at(tokens, k - 1) == "between":
            return k if joined == 1 else None
    return None


def _appositive(tokens: Tokens, start: int, end: int) -> bool:
    """Whether a noun phrase behind a comma only renames the noun before it."""
    closed = tag_at(tokens, phrase_end(tokens, end)) in ("comma", "point", "")
    renames = tag_at(tokens, start - 2) in ("noun", "mention")
    inside = clause_start(tokens, start) < start - 2 and not introduces(tokens, start, start - 1)
    return closed and renames and inside


def _with_relative(tokens: Tokens, end: int) -> int:
    """The end of a phrase with what a comma sets off behind it and says more of it: a relative
    clause, or the rest of a group ("one on the left, another on the right")."""
    if tag_at(tokens, end) == "comma" and low_at(tokens, end + 1) in ("which", "who", "whose"):
        return clause_end(tokens, end + 1)
    rest = end + 1 + (low_at(tokens, end + 1) == "and")
    rest += low_at(tokens, rest) == "the"
    if tag_at(tokens, end) == "comma" and low_at(tokens, rest) in lex.APART:
        return clause_end(tokens, rest)
    return end


def _preposition(sentence: Sentence, start: int, end: int) -> PredicateStep | None:
    """The phrase of the preposition right before `start`."""
    tokens = sentence.tokens
    first = start
    while tag_at(tokens, first - 1) == "prep":
        first -= 1
    words = [token.low for token in tokens[first:start]]
    if words == ["of"] and tag_at(tokens, first - 1) in ("noun", "mention", "det", "pronoun"):
        if low_at(tokens, first - 1) in lex.CONTAINERS or tokens[first - 1].kept:
            sentence.remove(first, end, "of")
            return None
        return PredicateStep("noun", noun_phrase(tokens, first - 1, first)[0], end)
    if words[0] in lex.PLACE or (words[-1] in ("to", "of") and words != ["of"]):
        end = _carried(tokens, end, words)
    else:
        end = _with_relative(tokens, phrase_end(tokens, end))
    while tag_at(tokens, first - 1) == "adverb" and low_at(tokens, first - 1) not in ("not", "n't"):
        first -= 1
    return _behind(sentence, first, end)


def _carried(tokens: Tokens, end: int, words: list[str]) -> int:
    """The end of what goes with the object of a preposition of place: what describes it, but not
    the next phrase of place and not what its subject does."""
    tag = tag_at(tokens, end)
    if tag == "ing" and len(words) == 1 and words[0] in lex.UNDERFOOT:
        return end
    if tag in ("relative", "ed", "ing") or low_at(tokens, end) == "of":
        return phrase_end(tokens, end)
    if tag == "behind":  # "a table full of food"
        return phrase_end(tokens, end) if low_at(tokens, end + 1) == "of" else end + 1
    return end


def _behind(sentence: Sentence, first: int, end: int) -> PredicateStep | None:
    """A prepositional phrase first..end, by the word that it stands behind."""
    tokens = sentence.tokens
    head = first - 1
    tag, follows = tag_at(tokens, head), tag_at(tokens, end)
    opens = head < clause_start(tokens, first)
    if tag in _BY_WORD_BEFORE and low_at(tokens, first) in ("up", "out", "off"):
        return PredicateStep(
            _BY_WORD_BEFORE[tag], head, phrase_end(tokens, end)
        )  # "holding up a cup"
    if tag in ("ed", "ing"):
        return _behind_participle(sentence, head, first, end)
    if tag in ("verb", "base") and tokens[head].low in lex.NEEDY and follows != "prep":
        return PredicateStep("predicate" if tag == "verb" else "infinitive", head, end)
    if tag in ("be", "been") and follows not in ("prep", "ing", "ed"):
        return PredicateStep("predicate", head, phrase_end(tokens, end))
    if tag == "behind" and low_at(tokens, head) not in lex.ALONE:
        return PredicateStep("predicate", head - 1, phrase_end(tokens, end))
    if tag == "sub":
        return modifier(sentence, head, end, "preposition")
    if follows == "be" and opens:  # "On the table is a fork."
        sentence.remove(first, end, "preposition")
        sentence.insert(first, "there", "there")
        return None
    if follows in ("verb", "aux", "modal") and opens:
        return PredicateStep("clause", first, end)
    return modifier(sentence, share(tokens, first), end, "preposition")


def _behind_participle(sentence: Sentence, head: int, first: int, end: int) -> PredicateStep | None:
    """A prepositional phrase first..end behind the participle at `head`."""
    tokens = sentence.tokens
    verb = head - 1
    while tag_at(tokens, verb) == "adverb":
        verb -= 1
    if tag_at(tokens, end) == "prep" and tokens[first].low not in ("with", "by", "of"):
        sentence.remove(first, end, "preposition")
        return None
    if low_at(tokens, verb) in lex.APART:  # "some sitting in chairs and others standing"
        return modifier(sentence, first, end, "preposition")
    if tag_at(tokens, verb) not in ("be", "been"):
        return PredicateStep("participle", head, phrase_end(tokens, end))
    if tokens[head].low in lex.NEEDY:
        return PredicateStep("predicate", verb, phrase_end(tokens, end))
    return modifier(sentence, first, end, "preposition")


_RULES: Final[dict[str, Callable[[Sentence, int, int], PredicateStep | None]]] = {
    "noun": _noun,
    "preposition": _preposition,
    "participle": participle,
    "infinitive": infinitive,
    "predicate": predicate,
    "clause": clause,
}
