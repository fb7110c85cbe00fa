"""The figures of diagnoses: curves with bands, grids, densities and scatters, as SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from seesay.evaluate.diagnose.figures import Floats
from seesay.evaluate.report.plots import Axis
from seesay.evaluate.statistics import Interval
from seesay.show import svg
from seesay.show.svg import AFTER, BEFORE, INK, clean, number, text

WIDTH = 380
_LEFT, _RIGHT, _TOP, _HIGH = 52, 12, 30, 180
GREEN, PURPLE, GREY, GOLD = "#1f7a4d", "#7b3294", "#8a8f98", "#c98a12"
COLOURS = (BEFORE, AFTER, GREEN, PURPLE, GOLD, GREY, INK)


@dataclass(frozen=True)
class Line:
    """A curve; a value that is no number leaves a gap, an interval of NaN has no band, and `key` is
    whether its name stands below the figure."""

    name: str
    values: Sequence[Interval]
    colour: str = BEFORE
    dashed: bool = False
    key: bool = True


def plain(values: Sequence[float]) -> list[Interval]:
    """Values without intervals."""
    return [Interval(float(value), math.nan, math.nan) for value in values]


def curves(
    title: str,
    lines: Sequence[Line],
    *,
    x: Sequence[float] | None = None,
    x_name: str = "layer",
    y_name: str = "",
    level: float | None = None,
    points: bool = True,
) -> str:
    """Curves with their intervals as bands.

    Args:
        x: where the values stand; None is 0, 1, 2, ...
        level: a dashed line across, such as chance.
        points: mark every value.
    """
    count = max((len(line.values) for line in lines), default=0)
    at = list(range(count)) if x is None else list(x)
    ends = [end for line in lines for one in line.values for end in one]
    across = Axis.over(at, _LEFT, WIDTH - _RIGHT, 0.03)
    along = Axis.over([*ends, *([] if level is None else [level])], _TOP + _HIGH, _TOP)
    out = [*_frame(across, along, x_name, y_name, whole=x is None)]
    if level is not None:
        out.append(_path([(across.start, along.at(level)), (across.end, along.at(level))], INK, 1))
    for line in lines:
        out.append(_band(line, at, across, along))
        dash = 5 if line.dashed else 0
        for run in _runs(line, at, across, along):
            out.append(_path([place[:2] for place in run], line.colour, dash, 1.9))
            out += [_dot(place, line, points) for place in run]
    body, bottom = _key([(line.name, line.colour) for line in lines if line.key], _TOP + _HIGH + 46)
    return svg.document(WIDTH, bottom, title, "".join(out) + body)


def grid(
    title: str, values: Floats, *, row: str = "layer", column: str = "head", digits: int = 2
) -> str:
    """A grid of (rows, columns), light to dark from 0 to the largest; row 0 at the bottom, as
    depth goes up."""
    rows, columns = values.shape
    known = values[np.isfinite(values)]
    top = float(known.max()) if known.size and known.max() > 0 else 1.0
    paint = svg.sequential(top)
    high = min(26.0, max(7.0, 260 / rows))
    wide = (WIDTH - _LEFT - _RIGHT) / columns
    out = []
    for r in range(rows):
        y = _TOP + (rows - 1 - r) * high
        for c in range(columns):
            value = float(values[r, c])
            if math.isfinite(value):
                look = f'fill="{paint(value)[0]}"'
                out.append(svg.rect(_LEFT + c * wide, y, wide, high, look, value))
                if rows <= 12 and columns <= 8:
                    dark = value > 0.6 * top
                    shown = text(
                        _LEFT + (c + 0.5) * wide, y + high / 2 + 4, f"{value:.{digits}f}",
                        "small", "middle",
                    )  # fmt: skip
                    out.append(_white(shown) if dark else shown)
        if rows <= 16 or r % 4 == 0:
            out.append(text(_LEFT - 6, y + high / 2 + 4, str(r), "small", "end"))
    bottom = _TOP + rows * high
    step = max(1, math.ceil(columns / 16))
    out += [
        text(_LEFT + (c + 0.5) * wide, bottom + 16, str(c), "small", "middle")
        for c in range(0, columns, step)
    ]
    out.append(text(_LEFT, _TOP - 12, f"{row} (first at the bottom)", "small"))
    out.append(text(WIDTH - _RIGHT, bottom + 34, column, "small", "end"))
    marks = [paint(top * (k + 0.5) / 24)[0] for k in range(24)]
    out.append(svg.strip(_LEFT, bottom + 46, (150, 10), [(mark, 1.0) for mark in marks]))
    out.append(text(_LEFT, bottom + 72, "0", "small"))
    out.append(text(_LEFT + 150, bottom + 72, number(top), "small", "end"))
    return svg.document(WIDTH, bottom + 82, title, "".join(out))


def densities(title: str, groups: Sequence[tuple[str, Floats, str]], x_name: str) -> str:
    """How each group's values lie: smoothed shares, each group's area the same."""
    groups = [group for group in groups if len(group[1]) > 1]
    everything = np.concatenate([values for _, values, _ in groups] or [np.zeros(2)])
    spread = float(everything.std()) or 1.0
    low, high = float(everything.min()) - spread / 2, float(everything.max()) + spread / 2
    at = np.linspace(low, high, 120)
    lines = []
    for name, values, colour in groups:
        width = 1.06 * (float(values.std()) or spread) * len(values) ** -0.2
        near = np.exp(-0.5 * ((at[:, None] - values[None]) / width) ** 2).sum(1)
        share = near / (len(values) * width * math.sqrt(2 * math.pi))
        lines.append(Line(f"{name} ({len(values)} words)", plain(share.tolist()), colour))
    y_name = "how common"
    return curves(title, lines, x=at.tolist(), x_name=x_name, y_name=y_name, points=False)


def scatter(title: str, x: Floats, y: Floats, x_name: str, y_name: str) -> str:
    """A dot a picture; dots that would hide each other are larger."""
    across = Axis.over(x.tolist(), _LEFT, WIDTH - _RIGHT)
    along = Axis.over(y.tolist(), _TOP + _HIGH, _TOP)
    places, counts = np.unique(np.stack([x, y], 1), axis=0, return_counts=True)
    out = [*_frame(across, along, x_name, y_name, whole=False)]
    for (a, b), count in zip(places.tolist(), counts.tolist(), strict=True):
        radius = 2.6 * math.sqrt(count)
        out.append(
            f'<circle cx="{across.at(a):.1f}" cy="{along.at(b):.1f}" r="{radius:.1f}" '
            f'fill="{BEFORE}" fill-opacity="0.45"><title>{count} pictures: {number(a)}, '
            f"{number(b)}</title></circle>"
        )
    return svg.document(WIDTH, _TOP + _HIGH + 44, title, "".join(out))


def _frame(across: Axis, along: Axis, x_name: str, y_name: str, whole: bool) -> Iterator[str]:
    for value in along.ticks():
        level = along.at(value)
        yield f'<path d="M{across.start} {level:.1f}H{across.end}" class="rule"/>'
        yield text(across.start - 6, level + 4, f"{value:.4g}", "small", "end")
    for value in across.ticks():
        if not whole or value == round(value):
            yield text(across.at(value), along.start + 17, f"{value:.4g}", "small", "middle")
    yield text(8, along.end - 14, y_name, "small")
    yield text(across.end, along.start + 36, x_name, "small", "end")


def _band(line: Line, at: Sequence[float], across: Axis, along: Axis) -> str:
    known = [
        (across.at(a), along.at(one.low), along.at(one.high))
        for a, one in zip(at, line.values, strict=False)
        if all(map(math.isfinite, one))
    ]
    if len(known) < 2:
        return ""
    over = [f"{a:.1f} {high:.1f}" for a, _, high in known]
    under = [f"{a:.1f} {low:.1f}" for a, low, _ in reversed(known)]
    return f'<path d="M{"L".join([*over, *under])}Z" fill="{line.colour}" fill-opacity="0.16"/>'


def _runs(
    line: Line, at: Sequence[float], across: Axis, along: Axis
) -> Iterator[list[tuple[float, float, Interval]]]:
    """Stretches without a gap."""
    run: list[tuple[float, float, Interval]] = []
    for a, one in zip(at, line.values, strict=False):
        if math.isfinite(one.value):
            run.append((across.at(a), along.at(one.value), one))
        elif run:
            yield run
            run = []
    if run:
        yield run


def _dot(place: tuple[float, float, Interval], line: Line, points: bool) -> str:
    x, y, one = place
    around = f" [{number(one.low)}, {number(one.high)}]" if math.isfinite(one.low) else ""
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{3 if points else 1}" fill="{line.colour}">'
        f"<title>{clean(line.name)}: {number(one.value)}{around}</title></circle>"
    )


def _path(
    places: Sequence[tuple[float, float]], colour: str, dash: int = 0, width: float = 1.2
) -> str:
    route = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    dashed = f' stroke-dasharray="{dash} {max(3, dash - 1)}"' if dash else ""
    return f'<path d="M{route}" fill="none" stroke="{colour}" stroke-width="{width}"{dashed}/>'


def _key(entries: Sequence[tuple[str, str]], y: float) -> tuple[str, float]:
    """Names behind patches of their colours, in as many rows as they need; and the y below."""
    out, x = [], float(_LEFT)
    y += 12
    for name, colour in entries:
        needed = 30 + svg.width_of(name, 12)
        if x > _LEFT and x + needed > WIDTH:
            x, y = float(_LEFT), y + 20
        out.append(svg.key(x, y, [(name, colour)]))
        x += needed + 8
    return "".join(out), y + 12


def _white(shown: str) -> str:
    return shown.replace("<text ", '<text style="fill:#ffffff" ')
