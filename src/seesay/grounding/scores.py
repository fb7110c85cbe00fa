"""What a text's own pass says about each word: the scores that a doubt can rest on.

Every score is read from rows that were computed anyway. `SCORES` is the table: a new score is one
function and one line.

| score | meaning | more doubtful when |
|---|---|---|
| logprob | log-probability of the token under the model's own distribution | low |
| entropy | of that distribution, in nats | high |
| svar | attention on the image by the row that predicts the token (arXiv 2411.16724) | low |
| svar_own | the same by the token's own row, whose query it is | low |
| text_attention | layer 0's attention to the text before (PAS, arXiv 2511.11502) | high |
| disagreement | divergence of a second stream's distribution, where one runs | high |
| confidence | the logit lens's best probability of the token (arXiv 2410.02762) | low |
| consistency | likeness of the token's state to the image's (CGC, arXiv 2604.04863) | low |
| grouped | share of its image attention in connected patches (after arXiv 2604.04863) | low |
| scattered | entropy of its other image attention, in nats (likewise) | high |
| token, position | how many tokens, and object words, came before | high |
| self_check | P(yes) when asked after the object in a fresh dialogue (`self_check`) | low |

SVAR, `grouped`, `scattered` and `consistency` take a range of layers (summed, the others averaged).
SVAR falls along a text whether or not its words are true, so it partly repeats `position`, which
stands beside it for that reason. `confidence`, `consistency`, `grouped` and `scattered` need a deep
readout and are left out without one; a score that does not exist for a token (its own row, where a
text was cut) is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple

from seesay.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from seesay.engine import Record

Aggregate = Literal["first", "min", "mean"]
AGGREGATES: tuple[Aggregate, ...] = ("first", "min", "mean")


class Place(NamedTuple):
    """A token of a record, and the range of layers (both ends included) that its scores take."""

    record: Record
    row: int
    token: int
    layers: tuple[int, int]


class ScoreDefinition(NamedTuple):
    """A score of one token, None where the record does not hold what it needs; and whether it is
    high that speaks for doubt."""

    of: Callable[[Place], float | None]
    doubtful_high: bool


def score_word(
    record: Record,
    row: int,
    tokens: range,
    layers: tuple[int, int],
    aggregate: Aggregate = "first",
) -> dict[str, float]:
    """Every score of one word.

    Args:
        tokens: the tokens that wrote it, at least one.
        layers: see `Place`.
        aggregate: "first" takes the word's first token (later pieces are easy to guess once it has
            begun), "min" the most doubtful one by each score, "mean" their mean.

    Raises:
        InputError: layers outside the model, or another aggregate.
    """
    first, last = layers
    if not 0 <= first <= last < record.var.shape[2]:
        raise InputError(
            f"layers {first} to {last} are outside the model's {record.var.shape[2]} layers"
        )
    if aggregate not in AGGREGATES:
        raise InputError(f"aggregate must be one of {', '.join(AGGREGATES)}, not {aggregate!r}")
    found: dict[str, float] = {}
    for name, score in SCORES.items():
        chosen = tokens[:1] if aggregate == "first" else tokens
        values = [score.of(Place(record, row, token, layers)) for token in chosen]
        numbers = [value for value in values if value is not None]
        if not numbers:
            continue
        known = [value for value in numbers if not math.isnan(value)]
        if not known:
            found[name] = math.nan
        elif aggregate == "mean":
            found[name] = sum(known) / len(known)
        else:
            found[name] = max(known) if score.doubtful_high else min(known)
    return found


def svar_layers(n_layers: int) -> tuple[int, int]:
    """The paper's layers 5 to 18 of 32, carried to `n_layers` by relative depth; inclusive."""
    return 5 * n_layers // 32, 18 * n_layers // 32


def _at(values: Tensor | None, place: Place, own: bool = False) -> Tensor | None:
    """A token's values; with `own` those of its own row, NaN where the text was cut before it."""
    if values is None:
        return None
    token = place.token + own
    return values[place.row, token] if token < values.shape[1] else values[place.row, 0] * math.nan


def _number(field: str) -> Callable[[Place], float | None]:
    def of(place: Place) -> float | None:
        value = _at(getattr(place.record, field), place)
        return None if value is None else float(value)

    return of


def _over_layers(
    field: str, *, column: int | None = None, own: bool = False
) -> Callable[[Place], float | None]:
    """The mean over the layers of the range."""

    def of(place: Place) -> float | None:
        values = _at(getattr(place.record, field), place, own)  # (layers, ...)
        if values is None:
            return None
        values = values if column is None else values[:, column]
        return float(values[place.layers[0] : place.layers[1] + 1].mean())

    return of


def _svar(own: bool) -> Callable[[Place], float | None]:
    def of(place: Place) -> float | None:
        var = _at(place.record.var, place, own)  # (layers, heads)
        if var is None:
            return None
        return float(var[place.layers[0] : place.layers[1] + 1].nanmean(-1).sum())

    return of


SCORES: dict[str, ScoreDefinition] = {
    "logprob": ScoreDefinition(_number("plain_logprob"), False),
    "entropy": ScoreDefinition(_number("entropy"), True),
    "svar": ScoreDefinition(_svar(own=False), False),
    "svar_own": ScoreDefinition(_svar(own=True), False),
    "text_attention": ScoreDefinition(_number("text_attention"), True),
    "disagreement": ScoreDefinition(_number("disagreement"), True),
    "confidence": ScoreDefinition(_number("confidence"), False),
    "consistency": ScoreDefinition(_over_layers("consistency", own=True), False),
    "grouped": ScoreDefinition(_over_layers("dispersion", column=0), False),
    "scattered": ScoreDefinition(_over_layers("dispersion", column=1), True),
    "token": ScoreDefinition(lambda place: float(place.token), True),
}
"""Every score of a token. `position` and `self_check` belong to the word and are added to these."""

DOUBTFUL_HIGH: dict[str, bool] = {
    **{name: score.doubtful_high for name, score in SCORES.items()},
    "position": True,
    "self_check": False,
}
"""Which way each score of a word speaks for doubt."""


def alignment(prefixes: Sequence[str]) -> list[tuple[int, int]]:
    """The characters that each token wrote, as (start, end) in the finished text.

    `prefixes[k]` decodes the tokens up to and including k, so `prefixes[-1]` is the text. A token
    that ends inside a multi-byte character writes nothing; the one that completes it writes all of
    it.
    """
    if not prefixes:
        return []
    ends = [0]
    for prefix in prefixes:
        ends.append(max(ends[-1], _agreement(prefix, prefixes[-1])))
    return list(pairwise(ends))


def tokens_of(span: tuple[int, int], spans: Sequence[tuple[int, int]]) -> range:
    """The tokens that wrote any character of `span`."""
    touching = [k for k, (start, end) in enumerate(spans) if start < span[1] and end > span[0]]
    return range(touching[0], touching[-1] + 1) if touching else range(0)


def _agreement(prefix: str, text: str) -> int:
    """How many characters both begin with."""
    if text.startswith(prefix):
        return len(prefix)
    return next(k for k, char in enumerate(prefix) if text[k : k + 1] != char)
