"""A word's curve: how much of its attention the model paid to the picture, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Sequence

from seesay.show.meaning import share

_LEFT, _TOP, _WIDTH, _HEIGHT = 46, 8, 300, 92


def curve(word: Sequence[float], others: Sequence[Sequence[float]], top: float) -> str:
    """An SVG of one word's curve, over the mean of the other words of its text.

    Its colours are the page's: it stands inside a page and not alone.

    Args:
        word: (layers,) shares from 0 to 1; one that is no number leaves a gap.
        others: the same of other words; empty draws the one line.
        top: the end of the vertical axis.

    Empty where none of the word's values is a number.
    """
    if not any(map(math.isfinite, word)):
        return ""
    last = len(word) - 1
    top = top or 1.0
    lines = [("own", word)]
    if others:
        mean = [sum(values) / len(values) for values in zip(*others, strict=True)]
        lines.insert(0, ("mean", mean))
    paths = "".join(f'<path class="{css}" d="{_path(values, top)}"/>' for css, values in lines)
    highest = max(range(len(word)), key=lambda k: (math.isfinite(word[k]), word[k]))
    x, y = _at(highest, word[highest], last, top)
    levels = "".join(
        f'<path class="rule" d="M{_LEFT} {_at(0, value, last, top)[1]:.1f}h{_WIDTH}"/>'
        f'<text x="{_LEFT - 6}" y="{_at(0, value, last, top)[1] + 4:.1f}" class="end">'
        f"{share(value)}</text>"
        for value in (0.0, top / 2, top)
    )
    label = (
        f"Attention to the picture by layer, from layer 0 to layer {last}: the most, "
        f"{share(word[highest])}, in layer {highest}"
    )
    return (
        f'<svg class="curve" viewBox="0 0 {_LEFT + _WIDTH + 8} {_TOP + _HEIGHT + 24}" role="img" '
        f'aria-label="{label}">{levels}{paths}<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" '
        f'r="3.5"/><text x="{_LEFT}" y="{_TOP + _HEIGHT + 17}">layer 0, next to the input</text>'
        f'<text x="{_LEFT + _WIDTH}" y="{_TOP + _HEIGHT + 17}" class="end">layer {last}</text>'
        "</svg>"
    )


def _path(values: Sequence[float], top: float) -> str:
    last, drawn, out = len(values) - 1, False, []
    for layer, value in enumerate(values):
        if not math.isfinite(value):
            drawn = False
            continue
        x, y = _at(layer, value, last, top)
        out.append(f"{'L' if drawn else 'M'}{x:.1f} {y:.1f}")
        drawn = True
    return "".join(out)


def _at(layer: int, value: float, last: int, top: float) -> tuple[float, float]:
    x = _LEFT + _WIDTH * (layer / last if last else 0.5)
    return x, _TOP + _HEIGHT * (1 - min(value, top) / top if math.isfinite(value) else 1)
