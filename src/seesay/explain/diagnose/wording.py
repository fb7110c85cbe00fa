"""How a diagnosis writes numbers and verdicts: alike on a page, in Markdown and in a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from seesay.explain.diagnose.types import Claim
from seesay.statistics.intervals import Interval

MISSING = "–"
READING = (
    "Every section asks whether something that a paper observed is also there in this model, on "
    "these pictures. An observation holds here if the whole 95 % interval of its figure lies on "
    "the side that the paper saw; otherwise it does not hold here: clearly not, if all of the "
    "interval lies on the other side, else for want of evidence. Where there are too few "
    "pictures or words, nothing is told. Of twenty such intervals one misses by chance. That an "
    "observation holds does not mean that the paper's method helps: measure that with seesay "
    "evaluate."
)


def number(value: float, digits: int = 3) -> str:
    """So many significant digits, a true minus, a dash for what is not defined."""
    if not math.isfinite(value):
        return MISSING
    places = digits - 1 - (math.floor(math.log10(abs(value))) if value else 0)
    text = f"{value:.{min(max(places, 0), 6)}f}"
    return (text if float(text) else text.lstrip("-")).replace("-", "−")


def interval(figure: Interval) -> str:
    """A figure with its interval, all with as many decimals."""
    if not math.isfinite(figure.value):
        return MISSING
    if not math.isfinite(figure.low):
        return number(figure.value)
    size = max(map(abs, figure))
    places = 2 - (math.floor(math.log10(size)) if size else 0)
    places = min(max(places, 0), 6)
    value, low, high = (f"{part:.{places}f}".replace("-", "−") for part in figure)
    return f"{value} [{low}, {high}]"


def sentence(claim: Claim) -> str:
    """What became of an observation, with its interval."""
    says = claim.says[0].upper() + claim.says[1:]
    if claim.verdict == "cannot be told":
        reason = claim.unable or "the figure is not defined here"
        return f"{says}: cannot be told: {reason}."
    manner = f", {claim.manner}" if claim.manner else ""
    side = "above" if claim.above else "below"
    return (
        f"{says}: {claim.verdict}{manner}. {claim.what[0].upper()}{claim.what[1:]}: "
        f"{interval(claim.figure)}, to lie {side} {bound(claim)}."
    )


def bound(claim: Claim) -> str:
    """What a claim's figure is held against."""
    return f"{claim.bound:g}".replace("-", "−")


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def layers(count: int) -> list[str]:
    return [str(layer) for layer in range(count)]


def columns(*parts: Sequence[Interval] | Sequence[str]) -> list[list[str]]:
    """Columns of intervals or texts as rows of texts."""
    written = [[one if isinstance(one, str) else interval(one) for one in part] for part in parts]
    return [list(row) for row in zip(*written, strict=True)]
