"""What is left of a text: its new words, what went, and where the old characters stand now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from seesay.grounding.clauses.sentence import Sentence
from seesay.grounding.clauses.tokens import WordToken


class Removal(NamedTuple):
    """`text[start:end]` of the old text was left out by `rule`: list, preposition, participle,
    infinitive, predicate, clause, of, apposition, comma, sentence, follow-up (a sentence that opens
    with a pronoun which has lost what it stood for), or detail."""

    start: int
    end: int
    rule: str


@dataclass(frozen=True)
class Left:
    """What is left of a text.

    `removed`: what went, in order, never overlapping; `lost`: which of the `others` went with it;
    `pieces`: (start, end, place) of old characters that stand at `place` of the new text.
    """

    text: str
    removed: tuple[Removal, ...]
    lost: tuple[int, ...]
    pieces: tuple[tuple[int, int, int], ...]

    def moved(self, span: tuple[int, int]) -> tuple[int, int] | None:
        """Where characters `span` of the old text are in the new one; None if they went."""
        first = next((p for p in self.pieces if p[0] <= span[0] < p[1]), None)
        last = next((p for p in self.pieces if p[0] < span[1] <= p[1]), None)
        if first is None or last is None:
            return None
        return first[2] + span[0] - first[0], last[2] + span[1] - last[0]

    def then(self, later: Left) -> Left:
        """This and what `later` left of its text, as one step."""
        pieces = [
            (start + low - place, start + high - place, there + low - first)
            for start, end, place in self.pieces
            for first, last, there in later.pieces
            if (low := max(place, first)) < (high := min(place + end - start, last))
        ]
        return Left(later.text, self.removed, self.lost, tuple(pieces))


def merged(text: str, before: Sequence[WordToken], sentence: Sentence) -> list[Removal]:
    """What was removed, neighbours under one rule as one stretch."""
    rules = {start: rule for start, _, rule in sentence.gone}
    merged: list[Removal] = []
    for token in before:
        rule = rules.get(token.start)
        if rule is None:
            continue
        last = merged[-1] if merged else None
        if last is not None and last.rule == rule and not text[last.end : token.start].strip():
            merged[-1] = Removal(last.start, token.end, rule)
        else:
            merged.append(Removal(token.start, token.end, rule))
    return merged


def written(
    kept: Sequence[Sentence], separators: Sequence[str]
) -> tuple[str, list[tuple[int, int, int]]]:
    """The new text, and where its old characters stand in it."""
    new, pieces, pending = "", [], ""
    for sentence, separator in zip(kept, separators, strict=True):
        pending = max(pending, separator, key=lambda s: (s.count("\n"), len(s)))
        for k, token in enumerate(sentence.tokens):
            if k == 0:
                new += pending if new else ""
                pending = ""
            else:
                new += token.lead
            if token.end > token.start:
                pieces.append((token.start, token.end, len(new)))
            new += token.text
    return new, pieces
