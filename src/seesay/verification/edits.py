"""A text without some of the things it names, saying nothing that it did not say before."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from seesay.errors import InputError
from seesay.grounding.sentences import is_block, is_item, opens_list, sentences
from seesay.verification.candidates import (
    NUMBERS,
    Candidate,
    Sentence,
    WordToken,
    classes,
    tokenize,
    without_word,
)
from seesay.verification.judge import Judge

Span = tuple[int, int]

NATURAL: Final = -1.5
"""Nats a word by which what is left may be less likely than it was, to be taken for natural."""
NATURAL_IF_SAFE: Final = -4.0
"""The same for the safe kinds, whose form vouches for them: a full stop is unlikely behind any word
that could be followed by more, and right all the same."""
MOST_TOKENS: Final = 300
"""A sentence of more tokens is not edited but goes whole: captions that loop never end one."""


class Removal(NamedTuple):
    """`text[start:end]` of the old text went as an item, a modifier, what leads a sentence in, a
    clause, a sentence, a follow-up (a sentence whose pronoun lost what it stood for), or a
    detail: `kind`."""

    start: int
    end: int
    kind: str


@dataclass(frozen=True)
class EditedText:
    """What is left of a text.

    Attributes:
        text: the new one.
        removed: what went, in order, never overlapping.
        lost: which of the mentions that should stay went along, as indices.
        pieces: (start, end, place) of old characters that stand at `place` of the new text, in
            order.
    """

    text: str
    removed: tuple[Removal, ...]
    lost: tuple[int, ...]
    pieces: tuple[tuple[int, int, int], ...]

    def moved(self, span: Span) -> Span | None:
        """Where characters `span` of the old text are in the new one; None if they went."""
        first, last = self._piece(span[0]), self._piece(span[1] - 1)
        if first is None or last is None:
            return None
        return first[2] + span[0] - first[0], last[2] + span[1] - last[0]

    def _piece(self, at: int) -> tuple[int, int, int] | None:
        k = bisect_right(self.pieces, (at, math.inf, 0)) - 1
        return self.pieces[k] if k >= 0 and self.pieces[k][0] <= at < self.pieces[k][1] else None

    def then(self, later: EditedText) -> EditedText:
        """This and what `later` left of its text, as one step."""
        pieces, k = [], 0
        for start, end, place in self.pieces:
            while k < len(later.pieces) and later.pieces[k][1] <= place:
                k += 1
            for first, last, there in later.pieces[k:]:
                low, high = max(place, first), min(place + end - start, last)
                if first >= place + end - start:
                    break
                pieces.append((start + low - place, start + high - place, there + low - first))
        return EditedText(later.text, self.removed, self.lost, tuple(pieces))


def remove_mentions(
    text: str, failing: Sequence[Span], others: Sequence[Span] = (), judge: Judge | None = None
) -> EditedText:
    """`text` without what it says of the mentions at `failing`.

    Of each sentence that holds one the smallest part is taken out that leaves a sentence, see
    `candidates`: without a judge, of the safe kinds; with one, the smallest after which the words
    that stay are as likely as they were (`NATURAL`). Where there is none, and in any language but
    English, the sentence goes: a list item alone, a row alone, never a neighbour. Those right
    behind it that begin with a pronoun for what went go too, and a heading whose list went whole.
    Nothing is put in but a verb's number, `and`, `an` or `a`, and a capital.

    What becomes of a sentence depends on it and those before it alone, a heading's on its list, so
    the result for a text that grows by `sentences.settled` only grows. Time is linear in the text.

    Args:
        failing: characters (start, end) of the mentions to leave out, as `Vocabulary.find` gives.
        others: of those that should stay, if they can; they also tell what is a noun.
        judge: tells how natural an edited sentence is.

    Raises:
        InputError: a span that is empty or outside the text.
    """
    for start, end in (*failing, *others):
        if not 0 <= start < end <= len(text):
            raise InputError(
                f"span ({start}, {end}) is empty or outside the text of {len(text)} characters; "
                "give (start, end) with 0 <= start < end <= len(text)"
            )
    if not failing:
        return EditedText(text, (), (), ((0, len(text), 0),) if text else ())
    units, before = sentences(text), ""
    removed: list[Removal] = []
    wrong, right = _within(units, failing), _within(units, others)
    kept: list[list[WordToken]] = []
    leans = False
    for k, (start, end) in enumerate(units):
        if wrong[k]:
            now, kind = _edited(text, (start, end), wrong[k], right[k], before, judge)
            leans = True
        elif leans and refers(text[start : min(end, start + 120)]):
            now, kind = [], "follow-up"
        else:
            leans = False
            now, kind = [WordToken(text[start:end], "", start, end)], ""
        removed += _gone((start, end), now, kind)
        kept.append(now)
        if judge is not None:
            before = f"{before} {_joined(now)}".strip()
    removed += _headings(text, units, kept)
    return _written(text, units, kept, sorted(removed), others)


def remove_words(text: str, spans: Sequence[Span]) -> EditedText:
    """`text` without the attributes and numbers at `spans`: "two red forks" → "forks".

    An adverb or shade goes with its attribute ("a bright red car" → "a car"), a conjunction where
    one of two is left ("a red and white bus" → "a white bus"); articles are set anew.

    Args:
        spans: characters (start, end) of words that stand before the noun they are said of.
    """
    units, kept = sentences(text), []
    removed: list[Removal] = []
    for (start, end), its in zip(units, _within(units, spans), strict=True):
        if not its:
            kept.append([WordToken(text[start:end], "", start, end)])
            continue
        now = tokenize(text, start, end, [], [])
        for low, high in its:
            at = next((k for k, token in enumerate(now) if low < token.end <= high), None)
            now = now if at is None else without_word(now, at)
        removed += _gone((start, end), now, "detail")
        kept.append(now)
    return _written(text, units, kept, removed, ())


# ---- one sentence ----------------------------------------------------------------------------


def _edited(
    text: str,
    unit: Span,
    failing: Sequence[Span],
    others: Sequence[Span],
    before: str,
    judge: Judge | None,
) -> tuple[list[WordToken], str]:
    """What is left of a unit, and by which kinds of edit the last part of it went."""
    whole = text[slice(*unit)]
    if is_block(whole) or unit[1] - unit[0] > 12 * MOST_TOKENS:
        return [], "sentence"
    tokens, kind = tokenize(text, *unit, failing, others), ""
    if len(tokens) > MOST_TOKENS:
        return [], "sentence"
    lead = 0
    if is_item(whole):  # the bullet is no word
        lead = next(
            (k for k, token in enumerate(tokens) if token.mention or token.text[:1].isalpha()), 0
        )
    marks, tokens = tokens[:lead], tokens[lead:]
    while any(token.mention == "M" for token in tokens):
        chosen = _chosen(tokens, before, judge)
        if chosen is None:
            return [], "sentence"
        tokens, kind = chosen.tokens, chosen.kind
    return [*marks, *tokens], kind


def _chosen(tokens: list[WordToken], before: str, judge: Judge | None) -> Candidate | None:
    """The smallest edit that leaves a sentence; None for the floor."""
    offered = list(Sentence(tokens).candidates())
    if judge is None:
        return next((one for one in offered if one.safe), None)
    if not offered:
        return None
    scores = judge(before, _joined(tokens), [_joined(one.tokens) for one in offered])
    pairs = zip(offered, scores, strict=True)
    bars = {True: NATURAL_IF_SAFE, False: NATURAL}
    return next((one for one, score in pairs if score >= bars[one.safe]), None)


def _joined(tokens: Sequence[WordToken]) -> str:
    return "".join((token.lead if k else "") + token.text for k, token in enumerate(tokens))


def refers(sentence: str) -> bool:
    """Whether a sentence begins with a word that stands for something said before: "It is red.",
    "Behind him, …", "The other one …", "Both sleep."."""
    tokens = tokenize(sentence, 0, len(sentence), [], [])[:12]
    found = classes(tokens)
    for k, (token, letter) in enumerate(zip(tokens, found, strict=True)):
        word = token.low
        then = tokens[k + 1].low if k + 1 < len(tokens) else ""
        if word in _STANDING_FOR or (word in _GROUP and (then in _ALONE or letter == "N")):
            impersonal = (
                word == "it" and tokens[k + 2].low in ("that", "like", "as")
                if len(tokens) > k + 2
                else False
            )
            return not impersonal
        if word == "the" and then in ("other", "others", "second", "former", "latter", "third"):
            return True
        if letter in "DNTV" and letter != "B" and word not in _SKIPPED:
            return False
    return False


_STANDING_FOR: Final = frozenset(
    "it he she they him her them his its their this these those both others".split()  # noqa: SIM905
)
_GROUP: Final = frozenset(
    [
        "one",
        "both",
        "each",
        "some",
        "another",
        "others",
        "all",
        "either",
        "neither",
        "two",
        "three",
        "most",
        "many",
    ]
)
_ALONE: Final = frozenset("of is are was were has have can , sits stands".split())  # noqa: SIM905
_SKIPPED: Final = frozenset("overall additionally addition".split())  # noqa: SIM905


# ---- the whole text --------------------------------------------------------------------------


def _within(units: Sequence[Span], spans: Sequence[Span]) -> list[list[Span]]:
    """The spans that each unit holds; one that reaches over several belongs to each of them."""
    found: list[list[Span]] = [[] for _ in units]
    starts = [start for start, _ in units]
    for span in sorted(set(spans)):
        k = max(bisect_right(starts, span[0]) - 1, 0)
        while k < len(units) and units[k][0] < span[1]:
            if span[0] < units[k][1]:
                found[k].append((max(span[0], units[k][0]), min(span[1], units[k][1])))
            k += 1
    return found


def _headings(text: str, units: Sequence[Span], kept: list[list[WordToken]]) -> Iterator[Removal]:
    """Headings whose list went: whole, then they go too; in part, then a number in them does."""
    k = 0
    while k < len(units):
        start, end = units[k]
        k += 1
        if not kept[k - 1] or not opens_list(text[start:end]):
            continue
        first = k
        while k < len(units) and is_item(text[slice(*units[k])]):
            k += 1
        gone = [not kept[j] for j in range(first, k)]
        if gone and all(gone):
            kept[first - 1] = []
            yield Removal(start, end, "sentence")
        elif any(gone):
            tokens = tokenize(text, start, end, [], [])
            at = next(
                (j for j, t in enumerate(tokens) if t.low in NUMBERS or t.text.isdigit()), None
            )
            if at is not None:
                kept[first - 1] = without_word(tokens, at)
                yield from _gone((start, end), kept[first - 1], "detail")


def _gone(unit: Span, kept: Sequence[WordToken], kind: str) -> Iterator[Removal]:
    """The stretches of a unit that are not among the tokens kept."""
    at = unit[0]
    for token in kept:
        if token.end > token.start:
            if token.start - at > len(token.lead):
                yield Removal(at, token.start, kind)
            at = token.end
    if at < unit[1]:
        yield Removal(at, unit[1], kind)


def _written(
    text: str,
    units: Sequence[Span],
    kept: Sequence[Sequence[WordToken]],
    removed: Sequence[Removal],
    others: Sequence[Span],
) -> EditedText:
    """The new text: what is left of the units, with the widest white space that stood between."""
    parts: list[str] = []
    pieces: list[tuple[int, int, int]] = []
    length, end, pending = 0, 0, ""
    for unit, tokens in zip(units, kept, strict=True):
        gap, end = text[end : unit[0]], unit[1]
        pending = max(pending, gap, key=lambda space: (space.count("\n"), len(space)))
        for k, token in enumerate(tokens):
            lead = token.lead if k else pending if parts else ""
            parts += [lead, token.text]
            if token.end > token.start:
                pieces.append((token.start, token.end, length + len(lead)))
            length += len(lead) + len(token.text)
        if tokens:
            pending = ""
    edited = EditedText("".join(parts), tuple(removed), (), tuple(pieces))
    lost = tuple(k for k, other in enumerate(others) if edited._piece(other[0]) is None)
    return replace(edited, lost=lost)
