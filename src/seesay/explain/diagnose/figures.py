"""Figures with intervals over pictures, for curves as well as for single numbers.

Everything is a function of column sums over pictures, so that draws of pictures (`statistics`)
serve any figure; differences are paired by construction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from seesay.explain.diagnose.types import DescribedImage, NamedWord
from seesay.statistics import detection_metrics, intervals
from seesay.statistics.intervals import Interval

Floats = NDArray[np.float64]

RESAMPLES = 2000
FEWEST_PICTURES = intervals.FEWEST
FEWEST_WORDS = 20
"""Words of a kind below which nothing is concluded from them."""

_LATE = 5  # mentions from this number on share a bin


def estimate(sums: Floats, of: Callable[[Floats], Floats]) -> Interval:
    """A figure of column sums.

    Args:
        sums: (pictures, columns).
        of: (draws, columns) to (draws,); NaN where it is not defined.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(of(sums.sum(0, keepdims=True))[0])
        return intervals.interval(value, of(intervals.resampled(sums, RESAMPLES)))


def curve(sums: Floats, counts: Floats) -> list[Interval]:
    """Σ sums / Σ counts of each column.

    Args:
        sums: (pictures, columns).
        counts: (pictures,) or (pictures, columns).
    """
    counts = np.broadcast_to(counts if counts.ndim == 2 else counts[:, None], sums.shape)
    both = np.concatenate([sums, counts], 1)
    width = sums.shape[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        totals = both.sum(0)
        values = totals[:width] / totals[width:]
        drawn = intervals.resampled(both, RESAMPLES)
        drawn = drawn[:, :width] / drawn[:, width:]
    return [intervals.interval(float(v), drawn[:, k]) for k, v in enumerate(values)]


def mean_curve(values: Floats) -> list[Interval]:
    """The mean over pictures of each column of (pictures, columns); NaN counts for nothing."""
    known = np.isfinite(values)
    return curve(np.where(known, values, 0.0), known.astype(float))


def mean(values: Floats) -> Interval:
    """The mean of (pictures,)."""
    return mean_curve(values[:, None])[0]


def slope(x: Sequence[Floats], y: Sequence[Floats]) -> Interval:
    """How much y rises with x within a picture: one line's slope, each picture with its own level.

    Args:
        x, y: of each picture, (points,).
    """
    return estimate(_moments(x, y), lambda sums: sums[:, 0] / sums[:, 1])


def slowed(x: Sequence[Floats], y: Sequence[Floats], other: Sequence[Floats]) -> Interval:
    """By what share the slope of `y` over its own mean level is less than that of `other` over its
    own, on the same points: 0 if it is as steep, 1 if it is flat, below 0 if it is steeper."""
    levels = np.array([(row.sum(), beside.sum()) for row, beside in zip(y, other, strict=True)])
    sums = np.concatenate([_moments(x, y), _moments(x, other), levels], 1)

    def of(sums: Floats) -> Floats:
        own, _, others, _, level, other_level = sums.T
        found: Floats = 1 - (own / level) / (others / other_level)
        return found

    return estimate(sums, of)


def rank_correlation(first: Floats, second: Floats) -> Interval:
    """Spearman's, over pictures; ranks are those of all pictures, ties by their mean rank."""
    a, b = _ranks(first), _ranks(second)
    moments = np.stack([np.ones_like(a), a, b, a * a, b * b, a * b], 1)

    def of(sums: Floats) -> Floats:
        n, sa, sb, saa, sbb, sab = sums.T
        spread = (n * saa - sa**2) * (n * sbb - sb**2)
        found: Floats = np.where(spread > 1e-9, (n * sab - sa * sb) / np.sqrt(spread), np.nan)
        return found

    return estimate(moments, of)


class Words:
    """Object words with a score each, the first mention of every object of every text.

    Attributes:
        owner: (words,) which picture.
        number: (words,) of the mention, late ones in one bin.
        invented: (words,) bool.
    """

    def __init__(self, told: Sequence[DescribedImage]) -> None:
        pairs = [(row, word) for row, one in enumerate(told) for word in one.words]
        self.pictures = len(told)
        self.owner = np.array([row for row, _ in pairs], int)
        self.words: list[NamedWord] = [word for _, word in pairs]
        self.number = np.array([min(word.number, _LATE) for word in self.words], int)
        self.known = np.array([word.invented is not None for word in self.words], bool)
        self.invented = np.array([bool(word.invented) for word in self.words], bool)

    def __len__(self) -> int:
        return len(self.words)

    def select(self, kind: str) -> NDArray[np.bool_]:
        """Which words are "true", "invented" or "all"."""
        if kind == "all":
            return np.ones(len(self), bool)
        wanted: NDArray[np.bool_] = self.known & (self.invented == (kind == "invented"))
        return wanted

    def curve(self, values: Floats, kind: str = "all") -> list[Interval]:
        """The mean over words of a kind of each column of (words, columns)."""
        sums, counts = self._sums(values, kind)
        return curve(sums, counts)

    def auroc(self, scores: Floats, *, controlled: bool = False) -> Interval:
        """How well a score, high for true words, tells true from invented ones.

        Args:
            scores: (words,).
            controlled: compare words only with those of the same mention number.
        """
        which = self.known & np.isfinite(scores)
        truth, owner = ~self.invented[which], self.owner[which]
        if not truth.any() or truth.all():
            return Interval(float("nan"), float("nan"), float("nan"))
        within = self.number[which] if controlled else None
        area = detection_metrics.area(scores[which], truth, within)
        # Cluster numbers, not rows: pictures without a word say nothing here.
        return detection_metrics.estimate(area, owner.tolist(), resamples=RESAMPLES)

    def too_few(self) -> str:
        """Why nothing can be concluded from true against invented words; empty if it can."""
        pictures = len(set(self.owner[self.known].tolist()))
        if pictures < FEWEST_PICTURES:
            return f"{pictures} pictures with words of known truth; {FEWEST_PICTURES} are the least"
        for kind in ("true", "invented"):
            count = int(self.select(kind).sum())
            if count < FEWEST_WORDS:
                return f"{count} {kind} words; {FEWEST_WORDS} of each kind are the least"
        return ""

    def _sums(self, values: Floats, kind: str) -> tuple[Floats, Floats]:
        which = self.select(kind)[:, None] & np.isfinite(values)
        shape = (self.pictures, values.shape[1])
        sums, counts = np.zeros(shape), np.zeros(shape)
        np.add.at(sums, self.owner, np.where(which, values, 0.0))
        np.add.at(counts, self.owner, which.astype(float))
        return sums, counts


def too_few_pictures(count: int) -> str:
    """Why nothing can be concluded from so many pictures; empty if it can."""
    if count >= FEWEST_PICTURES:
        return ""
    return f"{count} pictures; {FEWEST_PICTURES} are the least"


def _moments(x: Sequence[Floats], y: Sequence[Floats]) -> Floats:
    """(pictures, 2) Σ (x − x̄)(y − ȳ) and Σ (x − x̄)² of each picture."""
    rows = []
    for a, b in zip(x, y, strict=True):
        away = a - a.mean() if len(a) else a
        rows.append((float((away * b).sum()), float((away**2).sum())))
    return np.array(rows, float).reshape(-1, 2)


def _ranks(values: Floats) -> Floats:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Floats = (np.cumsum(count) - (count - 1) / 2)[place]
    return ranks
