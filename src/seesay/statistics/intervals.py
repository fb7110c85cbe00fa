"""What a difference is worth: intervals by resampling pictures, and tests.

Pictures are the units that are drawn with return, never single questions or words: what a model
says twice about one picture is not two observations. A figure is computed anew from each draw's
column sums (`benchmark.Metric`), a method's and plain's from the same draw, so that differences are
paired. The interval is the percentile one, 2.5 % to 97.5 % of the draws (Efron and Tibshirani,
1993, chapter 13); with few pictures it is too narrow, so below `FEWEST` nothing is concluded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seesay.errors import InputError
from seesay.statistics.metrics import Counts, Metric, Score

RESAMPLES = 10_000
FEWEST = 10
"""Pictures below which an interval supports no verdict."""

Verdict = Literal[
    "better", "worse", "higher", "lower", "no evidence", "too few pictures", "not defined"
]

_DRAWN_AT_ONCE = 2_000_000
_ROUNDING = 1e-9


class Interval(NamedTuple):
    """A figure and its 95 % interval; all NaN where the figure is not defined."""

    value: float
    low: float
    high: float

    @property
    def holds_zero(self) -> bool:
        return self.low <= 0 <= self.high


@dataclass(frozen=True)
class Compared:
    """A metric of a run beside that of the plain run on the same pictures.

    Attributes:
        figure: the run's.
        difference: the run's minus plain's, paired.
        p: two-sided, of no difference, from the same draws.
        holm: `p` adjusted over all runs that were compared at once.
        verdict: by the interval of the difference alone.
    """

    figure: Interval
    difference: Interval
    p: float
    holm: float
    verdict: Verdict


def compare(
    plain: Score,
    others: Mapping[str, Score],
    metrics: Mapping[str, Metric],
    resamples: int = RESAMPLES,
) -> dict[str, dict[str, Compared]]:
    """Every metric of every run against plain, over the pictures that both have.

    Raises:
        InputError: a run has no picture in common with plain.
    """
    found = {
        name: _against(plain, other, metrics, resamples, name) for name, other in others.items()
    }
    for metric in metrics:
        adjusted = holm([found[name][metric].p for name in found])
        for name, p in zip(found, adjusted, strict=True):
            one = found[name][metric]
            found[name][metric] = Compared(one.figure, one.difference, one.p, p, one.verdict)
    return found


def figures(
    score: Score, metrics: Mapping[str, Metric], resamples: int = RESAMPLES
) -> dict[str, Interval]:
    """Every metric of one run with its interval."""
    drawn = dict(zip(score.columns, resampled(score.counts, resamples).T, strict=True))
    totals = score.totals
    return {
        name: interval(float(metric.of(totals)), metric.of(drawn))
        for name, metric in metrics.items()
    }


def resampled(counts: Counts, resamples: int = RESAMPLES, seed: int = 0) -> Counts:
    """Column sums of draws of as many pictures, with return: (resamples, columns).

    Draws depend on the number of pictures alone, so calls with the same pictures are paired.
    """
    pictures = len(counts)
    drawn = draws(pictures, resamples, seed)
    out = np.empty((resamples, counts.shape[1]))
    step = max(1, _DRAWN_AT_ONCE // max(pictures, 1))
    for start in range(0, resamples, step):
        out[start : start + step] = drawn[start : start + step].astype(float) @ counts
    return out


@lru_cache(maxsize=2)
def draws(pictures: int, resamples: int = RESAMPLES, seed: int = 0) -> NDArray[np.uint8]:
    """How often each draw holds each picture: (resamples, pictures), every row sums to `pictures`.

    Raises:
        InputError: nothing to draw from.
    """
    if pictures < 1 or resamples < 1:
        raise InputError(f"{resamples} draws of {pictures} pictures hold nothing; give some")
    rng = np.random.default_rng(seed)
    # No picture comes 256 times: fewer cannot, and of more each comes once on average.
    out = np.empty((resamples, pictures), np.uint8)
    step = max(1, _DRAWN_AT_ONCE // pictures)
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        places = rng.integers(pictures, size=(rows, pictures)) + pictures * np.arange(rows)[:, None]
        times = np.bincount(places.ravel(), minlength=rows * pictures)
        out[start : start + rows] = times.reshape(rows, pictures)
    out.flags.writeable = False
    return out


def interval(value: float, drawn: Counts) -> Interval:
    """The percentile interval; draws in which the figure is not defined are left out."""
    known = drawn[np.isfinite(drawn)]
    if not np.isfinite(value) or not len(known):
        return Interval(float(value), float("nan"), float("nan"))
    low, high = np.percentile(known, [2.5, 97.5])
    return Interval(float(value), float(low), float(high))


def two_sided(drawn: Counts) -> float:
    """p of no difference: twice the smaller share of draws on one side of zero, zero included.
    Never 0, since that many draws cannot show less than one in as many."""
    known = drawn[np.isfinite(drawn)]
    if not len(known):
        return float("nan")
    fewer = min(int((known <= 0).sum()), int((known >= 0).sum()))
    return min(1.0, 2 * (fewer + 1) / (len(known) + 1))


def mcnemar(only_first: int, only_second: int) -> float:
    """McNemar's exact test, two-sided: p of as uneven a split of the items that one of two runs
    alone has right, if both were equally good. Exact for any number; it takes items as independent,
    which questions about one picture are not, so the interval over pictures has the last word.

    Raises:
        InputError: a negative count.
    """
    if min(only_first, only_second) < 0:
        raise InputError(f"counts are 0 or more, not {only_first} and {only_second}")
    total = only_first + only_second
    term = tail = 1  # ways to choose none of them
    for k in range(min(only_first, only_second)):
        term = term * (total - k) // (k + 1)
        tail += term
    return min(1.0, float(2 * tail / 2**total))


def holm(p: Sequence[float]) -> list[float]:
    """p adjusted for their number by Holm's step-down; NaN stays, and is no test."""
    order = sorted((k for k in range(len(p)) if p[k] == p[k]), key=lambda k: p[k])
    adjusted, reached = [float("nan")] * len(p), 0.0
    for place, k in enumerate(order):
        reached = max(reached, min(1.0, (len(order) - place) * p[k]))
        adjusted[k] = reached
    return adjusted


def verdict(difference: Interval, metric: Metric, pictures: int) -> Verdict:
    """What the interval of a difference to plain says."""
    if not all(np.isfinite(difference)):
        return "not defined"
    if difference.holds_zero:
        return "no evidence"
    if pictures < FEWEST:
        return "too few pictures"
    up = difference.value > 0
    if metric.better is None:
        return "higher" if up else "lower"
    return "better" if up == (metric.better == "higher") else "worse"


def aligned(first: Score, second: Score, name: str = "a run") -> tuple[Score, Score]:
    """Both scores with the pictures that both have, in the first's order.

    Raises:
        InputError: none, or a picture that stands in a score twice.
    """
    for score in (first, second):
        if len(set(score.clusters)) != len(score.clusters):
            raise InputError(f"the counts of {name} hold a picture twice; score it anew")
    if first.clusters == second.clusters:
        return first, second
    place = {cluster: row for row, cluster in enumerate(second.clusters)}
    common = [(row, place[c]) for row, c in enumerate(first.clusters) if c in place]
    if not common:
        raise InputError(
            f"{name} and plain have no picture in common, so there is nothing to compare; "
            "run both on the same samples"
        )
    one, other = (list(rows) for rows in zip(*common, strict=True))
    kept = tuple(first.clusters[row] for row in one)
    return (
        Score(kept, first.columns, first.counts[one]),
        Score(kept, second.columns, second.counts[other]),
    )


def _against(
    plain: Score, other: Score, metrics: Mapping[str, Metric], resamples: int, name: str
) -> dict[str, Compared]:
    plain, other = aligned(plain, other, name)
    pairs = [
        (score.totals, dict(zip(score.columns, resampled(score.counts, resamples).T, strict=True)))
        for score in (plain, other)
    ]
    (before, drawn_before), (after, drawn_after) = pairs
    found = {}
    for key, metric in metrics.items():
        figure, drawn = float(metric.of(after)), metric.of(drawn_after)
        apart = drawn - metric.of(drawn_before)
        # Equal runs differ by nothing, whatever the order in which their sums were rounded.
        apart = np.where(np.abs(apart) < _ROUNDING, 0.0, apart)
        difference = figure - float(metric.of(before))
        difference = 0.0 if abs(difference) < _ROUNDING else difference
        around = interval(difference, apart)
        found[key] = Compared(
            figure=interval(figure, drawn),
            difference=around,
            p=two_sided(apart) if np.isfinite(difference) else float("nan"),
            holm=float("nan"),
            verdict=verdict(around, metric, len(plain.clusters)),
        )
    return found
