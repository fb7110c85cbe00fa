"""Areas under ROC curves, and intervals by resampling scenes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = NDArray[np.int64]

_REPEATS: Final = 1000
_FEWEST: Final = 5


class Figure(NamedTuple):
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float


def bootstrap(scenes: int, figure: Callable[[Rows], float], repeats: int = _REPEATS) -> Figure:
    """A figure over all scenes, with the percentile interval of draws of as many, with return.

    The same scenes are drawn for every figure, so differences between figures are paired. Draws
    for which the figure is not defined (NaN) are left out.
    """
    rng = np.random.default_rng(0)
    drawn = np.array([figure(rng.integers(scenes, size=scenes)) for _ in range(repeats)])
    known = drawn[~np.isnan(drawn)]
    low, high = np.percentile(known, [2.5, 97.5]) if len(known) else (np.nan, np.nan)
    return Figure(figure(np.arange(scenes)), float(low), float(high))


def auroc(there: NDArray[np.bool_], score: Floats) -> float:
    """The chance that a true object scores above an invented one, ties counted half; NaN without
    either kind."""
    positives = int(there.sum())
    negatives = len(there) - positives
    if not positives or not negatives:
        return float("nan")
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    excess = ranks[there].sum() - positives * (positives + 1) / 2
    return float(excess / (positives * negatives))


def auroc_within(there: NDArray[np.bool_], score: Floats, group: Rows) -> float:
    """AUROC among members of a group, averaged over groups by size; groups with fewer than five
    of either kind are left out."""
    values, weights = [], []
    for member in np.unique(group):
        inside = group == member
        positives = int(there[inside].sum())
        if min(positives, int(inside.sum()) - positives) >= _FEWEST:
            values.append(auroc(there[inside], score[inside]))
            weights.append(int(inside.sum()))
    return float(np.average(values, weights=weights)) if values else float("nan")
