"""What an edit took out of a sentence, and what the words around it are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from seesay.grounding.clauses import lexicon as lex
from seesay.grounding.clauses.guard import senses
from seesay.grounding.clauses.phrases import Tokens, noun_phrase, skip_back, tag_at
from seesay.grounding.clauses.tokens import WordToken


class Gap(NamedTuple):
    """Tokens start..end of the old sentence, which went by `rule`."""

    start: int
    end: int
    rule: str


def gaps(old: Tokens, new: Tokens, rules: Mapping[int, str]) -> list[Gap]:
    """The stretches of `old` that `new` lacks, but for bare commas; `rules`: by which rule the
    token that began at a character went."""
    kept = {token.start for token in new if token.end > token.start}
    found: list[Gap] = []
    k = 0
    while k < len(old):
        end = k
        while end < len(old) and old[end].start not in kept:
            end += 1
        if any(token.tag != "comma" for token in old[k:end]):
            words = (t for t in old[k:end] if t.tag not in ("comma", "and"))
            first = next(words, old[k])
            found.append(Gap(k, end, rules[first.start]))
        k = max(end, k + 1)
    return found


def last_item(old: Tokens, gap: Gap) -> bool:
    """Whether the last item of a list went."""
    return tag_at(old, gap.start) in ("and", "comma") and tag_at(old, gap.end) != "and"


def verb_before(old: Tokens, gap: Gap) -> bool:
    """Whether a verb or participle stands before the gap."""
    return tag_at(old, skip_back(old, gap.start - 1, "adverb")) in VERBAL


VERBAL: Final = ("ing", "ed", "verb", "base")


def of_verb(old: Tokens, gap: Gap) -> bool:
    """Whether a phrase of a verb went, which no group hangs on."""
    return gap.rule == "preposition" and verb_before(old, gap)


def verb_like(token: WordToken) -> bool:
    """Whether the token is a verb, or may be one that was taken for a noun."""
    return token.finite or token.low in lex.VERBS | lex.FINITE_S


def is_person(token: WordToken) -> bool:
    """Whether a noun names somebody, by its ending."""
    word = token.low if token.low in senses.PERSON_ENDINGS else token.low.removesuffix("s")
    return (word.endswith(senses.PERSON_ENDINGS) and word not in senses.THINGS) or token.low in (
        "people", "men", "women", "children", "babies", "ladies", "families", "couples",
    )  # fmt: skip


def only_adjectives(old: Tokens, noun: int) -> bool:
    """Whether the word is no noun, but the last adjective behind an article."""
    begin, _ = noun_phrase(old, noun, noun + 1)
    words = [token.low for token in old[begin + 1 : noun + 1]]
    return tag_at(old, begin) == "det" and not old[noun].kept and all(map(_is_quality, words))


def _is_quality(word: str) -> bool:
    if word in lex.ADJECTIVES:
        return word not in senses.BOTH_WAYS
    return word.endswith(("ful", "ous", "ive", "less", "ish", "able", "fuzzy", "fluffy"))
