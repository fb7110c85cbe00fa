"""How the page writes figures and names."""

from __future__ import annotations

import math

from seesay.statistics.intervals import Interval


def figure(figure: Interval) -> str:
    return f"{figure.value:.1f} [{figure.low:.1f}, {figure.high:.1f}]"


def area(figure: Interval) -> str:
    """An AUROC, in [0, 1]; a dash where one of both kinds is missing."""
    if not math.isfinite(figure.value):
        return "–"
    return f"{figure.value:.2f} [{figure.low:.2f}, {figure.high:.2f}]"


def change(figure: Interval) -> str:
    value, low, high = (f"{number:+.1f}".replace("-", "−") for number in figure)
    return f"{value} [{low}, {high}]"


def verdict(difference: Interval) -> str:
    if difference.high < 0:
        return "lower, certain"
    if difference.low > 0:
        return "higher, certain"
    return "not certain"


def code(label: str) -> str:
    return label if label.startswith("plain,") or " by " in label else f"`{label}`"
