"""Leaving single words out: what a text says of an object beside its name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from seesay.grounding.clauses.left import Left, merged, written
from seesay.grounding.clauses.phrases import (
    Tokens,
    joined,
    separator_after,
    separator_before,
    tag_at,
)
from seesay.grounding.clauses.sentence import Sentence
from seesay.grounding.clauses.sentences import sentences
from seesay.grounding.clauses.tokens import tokenize


def leave_words_out(text: str, spans: Sequence[tuple[int, int]]) -> Left:
    """`text` without the attributes and numbers at `spans`: "two red forks" → "forks".

    An adverb or shade goes with its attribute ("a bright red car" → "a car"), a conjunction where
    one of two is left ("a red and white bus" → "a white bus"); articles are set anew. As with
    `leave_out` a sentence's outcome depends on it alone.

    Args:
        spans: characters (start, end) of words that stand before the noun they are said of.
    """
    kept, separators, gone, previous = [], [], [], 0
    for span in sentences(text):
        separators.append(text[previous : span[0]])
        previous = span[1]
        sentence = Sentence(tokenize(text, span, [], []))
        before = list(sentence.tokens)
        for start, end in spans:
            at = next((k for k, t in enumerate(sentence.tokens) if start < t.end <= end), None)
            if at is not None:
                _without(sentence, at)
        gone += merged(text, before, sentence)
        kept.append(sentence)
    new, pieces = written(kept, separators)
    return Left(new, tuple(gone), (), tuple(pieces))


def _without(sentence: Sentence, k: int) -> None:
    tokens = sentence.tokens
    start, end = _shaded(tokens, k), k + 1
    first, last = not joined(tokens, start - 1), not joined(tokens, end)
    if first and not last:
        end = separator_after(tokens, end)
    elif not first:
        start = separator_before(tokens, start)
    sentence.remove(start, end, "detail")
    if last and not first:
        # "red, white and blue" without its last: what is the last one now wants the conjunction.
        comma = _shaded(tokens, start - 1) - 1
        if tag_at(tokens, comma) == "comma" and joined(tokens, comma):
            sentence.remove(comma, comma + 1, "comma")
            sentence.insert(comma, "and", "and")
    sentence.mend()


def _shaded(tokens: Tokens, k: int) -> int:
    """Where the attribute at k begins, with what only shades it."""
    while tag_at(tokens, k - 1) == "adverb" or (k and tokens[k - 1].low in _SHADES):
        k -= 1
    return k


_SHADES: Final = frozenset({"bright", "dark", "light", "pale", "deep"})
