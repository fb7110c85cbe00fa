"""How well a score tells two kinds of items apart, with intervals over pictures.

Every figure here is a function of item weights, (draws, items) to (draws,): with weights of one it
is the plain figure, with a draw's weights the figure of that draw. So one resampling serves all of
them, and the difference of two scores on the same items is paired.

Items that count as `positive` are expected to score higher.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seesay.errors import InputError
from seesay.statistics.intervals import RESAMPLES, Interval, draws, interval
from seesay.statistics.metrics import Counts

Weighted = Callable[[Counts], Counts]
"""A figure of weighted items: (draws, items) weights to (draws,); NaN where it is not defined."""

FEWEST_IN_BIN = 5
_WEIGHTS_AT_ONCE = 2_000_000


class ReliabilityBin(NamedTuple):
    """A step of a reliability curve.

    Attributes:
        items: how many there are whose probability falls into the bin.
        probability: their mean probability.
        share: the share of them that are positive.
    """

    items: int
    probability: float
    share: float


def auroc(
    scores: ArrayLike,
    positive: ArrayLike,
    clusters: Sequence[Hashable],
    within: ArrayLike | None = None,
    resamples: int = RESAMPLES,
) -> Interval:
    """The chance that a positive item scores above another, ties counted half, in [0, 1].

    Args:
        scores, positive, clusters: (items,) numbers, truth values and picture ids.
        within: (items,) bins, such as the mention's number: items are compared only within their
            own, and the bins averaged by size. Bins with fewer than `FEWEST_IN_BIN` of either kind
            are left out.
    """
    return estimate(area(scores, positive, within), clusters, resamples=resamples)


def average_precision(
    scores: ArrayLike,
    positive: ArrayLike,
    clusters: Sequence[Hashable],
    resamples: int = RESAMPLES,
) -> Interval:
    """The area under precision over recall, by steps, in [0, 1]; items of one score enter
    together. For a score that says nothing it is the share of positives."""
    return estimate(precision(scores, positive), clusters, resamples=resamples)


def calibration_error(
    probability: ArrayLike,
    positive: ArrayLike,
    clusters: Sequence[Hashable],
    bins: int = 10,
    resamples: int = RESAMPLES,
) -> Interval:
    """Expected calibration error: |mean probability − share of positives| over equally wide bins,
    averaged by size, in [0, 1]. It is above 0 by chance alone, and so is its interval."""
    return estimate(miscalibration(probability, positive, bins), clusters, resamples=resamples)


def reliability(
    probability: ArrayLike, positive: ArrayLike, bins: int = 10
) -> list[ReliabilityBin]:
    """The reliability curve over equally wide bins, empty ones left out."""
    values, truth = _items(probability, positive)
    place = _bins(values, bins)
    return [
        ReliabilityBin(int(inside.sum()), float(values[inside].mean()), float(truth[inside].mean()))
        for inside in (place == k for k in np.unique(place))
    ]


def estimate(
    figure: Weighted,
    clusters: Sequence[Hashable],
    versus: Weighted | None = None,
    resamples: int = RESAMPLES,
) -> Interval:
    """A figure, or its paired difference to another of the same items, with its interval.

    Args:
        clusters: (items,) picture ids; pictures are drawn, all their items at once.
    """
    names = {name: row for row, name in enumerate(dict.fromkeys(clusters))}
    owner = np.array([names[name] for name in clusters], int)

    def of(weights: Counts) -> Counts:
        return figure(weights) - versus(weights) if versus else figure(weights)

    drawn = draws(len(names), resamples)
    step = max(1, _WEIGHTS_AT_ONCE // len(owner))
    parts = [
        of(drawn[start : start + step][:, owner].astype(float))
        for start in range(0, resamples, step)
    ]
    return interval(float(of(np.ones((1, len(owner))))[0]), np.concatenate(parts))


def area(scores: ArrayLike, positive: ArrayLike, within: ArrayLike | None = None) -> Weighted:
    """AUROC as a function of weights; see `auroc`."""
    values, truth = _items(scores, positive)
    bins = np.zeros(len(values), int) if within is None else np.asarray(within)
    if bins.shape != values.shape:
        raise InputError(f"{len(bins)} bins for {len(values)} items; give each item one")
    members = [np.flatnonzero(bins == name) for name in np.unique(bins)]
    if within is not None:
        members = [m for m in members if _fewest(truth[m]) >= FEWEST_IN_BIN]
    ladders = [(m, _Ladder(values[m])) for m in members]

    def of(weights: Counts) -> Counts:
        total, mass = np.zeros(len(weights)), np.zeros(len(weights))
        for member, ladder in ladders:
            w = weights[:, member]
            up, down = ladder.sums(w * truth[member]), ladder.sums(w * ~truth[member])
            pairs = up.sum(1) * down.sum(1)
            wins = (up * (np.cumsum(down, 1) - down / 2)).sum(1)
            size = np.where(pairs > 0, w.sum(1), 0.0)
            total += size * _share(wins, pairs, 0.0)
            mass += size
        return _share(total, mass)

    return of


def precision(scores: ArrayLike, positive: ArrayLike) -> Weighted:
    """Average precision as a function of weights; see `average_precision`."""
    values, truth = _items(scores, positive)
    ladder = _Ladder(-values)

    def of(weights: Counts) -> Counts:
        hits = ladder.sums(weights * truth)
        taken = np.cumsum(ladder.sums(weights), 1)
        at = _share(np.cumsum(hits, 1), taken, 0.0)
        return _share((hits * at).sum(1), hits.sum(1))

    return of


def miscalibration(probability: ArrayLike, positive: ArrayLike, bins: int = 10) -> Weighted:
    """Expected calibration error as a function of weights; see `calibration_error`."""
    values, truth = _items(probability, positive)
    place = _bins(values, bins)
    excess = np.zeros((len(values), bins))
    excess[np.arange(len(values)), place] = values - truth

    def of(weights: Counts) -> Counts:
        return _share(np.abs(weights @ excess).sum(1), weights.sum(1))

    return of


class _Ladder:
    """Items in ascending order, those of one score on one rung."""

    def __init__(self, scores: Counts) -> None:
        self._order = np.argsort(scores, kind="stable")
        ordered = scores[self._order]
        self._starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])

    def sums(self, weights: Counts) -> Counts:
        """(draws, items) → (draws, rungs)."""
        summed: Counts = np.add.reduceat(weights[:, self._order], self._starts, axis=1)
        return summed


def _items(scores: ArrayLike, positive: ArrayLike) -> tuple[Counts, NDArray[np.bool_]]:
    values, truth = np.asarray(scores, float), np.asarray(positive, bool)
    if values.ndim != 1 or values.shape != truth.shape or not len(values):
        raise InputError(
            f"scores of shape {values.shape} and truth of shape {truth.shape}: give each item one "
            "of both, and at least one item"
        )
    if np.isnan(values).any():
        raise InputError(
            f"{int(np.isnan(values).sum())} of {len(values)} scores are no numbers; leave out the "
            "items that have none"
        )
    return values, truth


def _bins(values: Counts, bins: int) -> NDArray[np.int64]:
    if bins < 1 or values.min() < 0 or values.max() > 1:
        raise InputError(
            f"{bins} bins over values from {values.min():g} to {values.max():g}: probabilities lie "
            "in 0 to 1 and need one bin or more"
        )
    place: NDArray[np.int64] = np.minimum((values * bins).astype(np.int64), bins - 1)
    return place


def _fewest(truth: NDArray[np.bool_]) -> int:
    return min(int(truth.sum()), int((~truth).sum()))


def _share(above: Counts, below: Counts, otherwise: float = float("nan")) -> Counts:
    shares: Counts = np.divide(above, below, out=np.full(below.shape, otherwise), where=below > 0)
    return shares
