"""Figures as functions of column sums: a table of counts has one row a picture, so that any metric
can be resampled over pictures at once (`intervals`), whatever it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.float64]
Totals = Mapping[str, Counts]


@dataclass(frozen=True)
class Metric:
    """A figure computed from column sums.

    Attributes:
        of: column name → array of sums, any shape, to the figure's array of the same shape; NaN
            where it is not defined. In percent unless `unit` says otherwise.
        better: which way is better, or None where neither is (length, yes-ratio).
        unit: "%", or a word such as "words".
    """

    of: Callable[[Totals], Counts]
    better: Literal["lower", "higher"] | None
    unit: str = "%"


def ratio(above: str, below: str, scale: float = 100.0) -> Callable[[Totals], Counts]:
    """scale · Σabove / Σbelow; NaN where nothing stands below."""

    def of(totals: Totals) -> Counts:
        top, bottom = np.asarray(totals[above], float), np.asarray(totals[below], float)
        share: Counts = np.full(top.shape, np.nan)
        np.divide(top, bottom, out=share, where=bottom != 0)
        return scale * share

    return of


@dataclass(frozen=True, eq=False)
class Score:
    """The counts of one run on one benchmark.

    Attributes:
        clusters: (pictures,) ids, in the samples' order.
        columns: (columns,) what is counted.
        counts: (pictures, columns) float64.
        parsed: by sample id, what was read out of the answer, JSON types; for the records.
        remarks: counts that no metric shows: unparsed answers, missing answers, ...
    """

    clusters: tuple[str, ...]
    columns: tuple[str, ...]
    counts: Counts
    parsed: Mapping[str, Any] = field(default_factory=dict)
    remarks: Mapping[str, int] = field(default_factory=dict)

    @property
    def totals(self) -> dict[str, Counts]:
        """Column sums over all pictures, each of shape ()."""
        return dict(zip(self.columns, self.counts.sum(0), strict=True))
