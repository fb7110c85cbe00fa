"""Drawing with text alone: the few marks that a figure is made of, as SVG.

Every function returns a piece of SVG; numbers that are drawn are also written into it, as titles
that a browser shows under the pointer. Lengths are pixels, (x, y) is the upper left corner.

Pictures as text, so that a page or a figure needs no other file.

A word's curve: how much of its attention the model paid to the picture, layer by layer.

The figures of diagnoses: curves with bands, grids, densities and scatters, as SVG.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seesay.render.terminal import printable
from seesay.render.wording import share
from seesay.statistics.intervals import Interval

if TYPE_CHECKING:
    from PIL.Image import Image

    from seesay.render.method_trace import Numbers

INK, SOFT, RULE, WRONG, MARK = "#1d1f23", "#565b64", "#d9d6ce", "#b3261e", "#0b5cad"
BEFORE, AFTER = "#0077bb", "#d9560b"  # tell apart for all kinds of colour vision

# ColorBrewer's YlOrBr and PuOr, both safe for colour-blind readers.
_SEQUENTIAL = (
    "#ffffe5",
    "#fff7bc",
    "#fee391",
    "#fec44f",
    "#fe9929",
    "#ec7014",
    "#cc4c02",
    "#8c2d04",
)
_DIVERGING = ("#542788", "#998ec3", "#d8daeb", "#f7f7f7", "#fee0b6", "#f1a340", "#b35806")

Paint = Callable[[float], tuple[str, float]]
"""The colour and the opacity of a value: what is near nothing lets the picture through."""


class Series(NamedTuple):
    """A line of a chart; a value that is no number leaves a gap."""

    name: str
    values: Sequence[float]
    colour: str
    dashed: bool = False


def document(width: int, height: float, title: str, body: str) -> str:
    """A whole SVG file."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:.0f}" '
        f'width="{width}" height="{height:.0f}" role="img"><title>{clean(title)}</title>'
        f'<style>{_STYLE}</style><rect width="100%" height="100%" fill="#ffffff"/>{body}</svg>\n'
    )


def clean(text: str) -> str:
    """Text that XML takes: escaped, without control characters."""
    return escape(printable(text))


def number(value: float) -> str:
    """A number as figures write it: four significant digits."""
    return f"{value:.4g}"


def text(x: float, y: float, words: str, css: str = "", anchor: str = "start") -> str:
    """One line whose baseline is at `y`."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" class="{css}" text-anchor="{anchor}">{clean(words)}</text>'
    )


def paragraph(
    x: float, y: float, width: float, pieces: str | Iterable[tuple[str, str]], size: int = 14
) -> tuple[str, float]:
    """Text broken into lines.

    Args:
        pieces: a text, or stretches of it with the style class of each.

    Returns the SVG and the y below the last line.
    """
    stretches = [(pieces, "")] if isinstance(pieces, str) else list(pieces)
    styled = [(char, css) for words, css in stretches for char in printable(words)]
    out = []
    for line in _lines(
        [(" " if char.isspace() else char, css) for char, css in styled], width, size
    ):
        y += 1.45 * size
        spans = "".join(
            f'<tspan class="{css}">{escape("".join(char for char, _ in run))}</tspan>'
            for css, run in groupby(line, key=lambda pair: pair[1])
        )
        look = f'xml:space="preserve" style="font-size:{size}px"'
        out.append(f'<text x="{x:.1f}" y="{y:.1f}" {look}>{spans}</text>')
    return "".join(out), y + 0.45 * size


def rect(
    x: float, y: float, width: float, height: float, look: str, title: float | None = None
) -> str:
    """A rectangle; `look` are its further attributes, `title` the number that it stands for."""
    inside = "/>" if title is None else f"><title>{number(title)}</title></rect>"
    place = f'x="{x:.2f}" y="{y:.2f}" width="{width:.2f}" height="{height:.2f}"'
    return f"<rect {place} {look}{inside}"


def picture(x: float, y: float, side: float, image: Image, alt: str) -> tuple[str, float]:
    """A picture that fits a square of `side`; returns the SVG and the picture's height."""
    scale = side / max(image.size)
    width, height = image.width * scale, image.height * scale
    drawn = ' style="image-rendering:pixelated"' if max(image.size) <= 256 else ""
    place = f'x="{x:.2f}" y="{y:.2f}" width="{width:.2f}" height="{height:.2f}"'
    title = f"<title>{clean(alt)}</title>"
    return (
        f'<image {place} href="{data_uri(image)}"{drawn}>{title}</image>'
        + rect(x, y, width, height, 'class="frame"'),
        height,
    )


def heat(
    x: float, y: float, side: float, values: Numbers, paint: Paint, backdrop: Image
) -> tuple[str, float]:
    """A heat map of (rows, columns) over a faded grey picture; returns SVG and height."""
    from PIL import Image as Images

    grey = backdrop.convert("L").convert("RGB")
    faded = Images.blend(grey, Images.new("RGB", grey.size, "white"), 0.25)
    under, height = picture(x, y, side, faded, "the picture, in grey")
    rows, columns = values.shape
    high, wide = height / rows, side * backdrop.width / max(backdrop.size) / columns
    cells = []
    for r, row in enumerate(values.tolist()):
        for c, value in enumerate(row):
            look = 'fill="{}" fill-opacity="{:.3f}"'.format(*paint(value))
            cells.append(rect(x + c * wide, y + r * high, wide, high, look, value))
    return f'{under}<g shape-rendering="crispEdges">{"".join(cells)}</g>', height


def scale(x: float, y: float, width: float, low: float, high: float, paint: Paint) -> str:
    """A colour scale with its numbers."""
    steps = 24
    at = [low + (high - low) * (k + 0.5) / steps for k in range(steps)]
    marks = strip(x, y, (width, 10), [paint(value) for value in at])
    low_end, high_end = f"{low:.3g}", f"{high:.3g}"
    ends = text(x, y + 25, low_end, "small") + text(x + width, y + 25, high_end, "small", "end")
    return marks + ends


def sequential(top: float) -> Paint:
    """Light to dark from 0 to `top`."""
    return lambda value: _paint(_SEQUENTIAL, value, 0.0, top)


def diverging(top: float) -> Paint:
    """Purple for less, white for 0, orange for more, ±`top`."""
    return lambda value: _paint(_DIVERGING, value, -top, top)


def chart(
    x: float,
    y: float,
    size: tuple[float, float],
    series: Sequence[Series],
    *,
    span: tuple[float, float],
    ends: tuple[str, str],
    shaded: Iterable[int] = (),
    points: bool = True,
) -> str:
    """Lines over evenly spaced places; the vertical axis goes over `span`.

    Args:
        ends: what stands under the first and the last place.
        shaded: places with a grey ground.
        points: mark every value.
    """
    left, (width, height) = x + 44, (size[0] - 44, size[1])
    low, high = span
    count = max(len(one.values) for one in series)
    step = width / count

    def place(k: int, value: float) -> tuple[float, float]:
        return left + (k + 0.5) * step, y + height * (1 - (value - low) / (high - low or 1.0))

    out = [rect(left + k * step, y, step + 0.2, height, 'class="shade"') for k in shaded]
    for value in (low, (low + high) / 2, high):
        level = place(0, value)[1]
        out.append(f'<path d="M{left:.1f} {level:.1f}h{width:.1f}" class="rule"/>')
        out.append(text(left - 6, level + 4, number(value), "small", "end"))
    for one in series:
        points_at = [(k, v, *place(k, v)) for k, v in enumerate(one.values) if math.isfinite(v)]
        gaps = [
            i for i, point in enumerate(points_at) if not i or point[0] != points_at[i - 1][0] + 1
        ]
        path = "".join(
            f"{'M' if i in gaps else 'L'}{px:.1f} {py:.1f}"
            for i, (_, _, px, py) in enumerate(points_at)
        )
        dash = ' stroke-dasharray="5 4"' if one.dashed else ""
        out.append(f'<path d="{path}" fill="none" stroke="{one.colour}" stroke-width="2"{dash}/>')
        out += [
            f'<circle cx="{px:.1f}" cy="{py:.1f}" r="{3.2 if points else 1.2}" fill="{one.colour}">'
            f"<title>{clean(one.name)}: {number(v)}</title></circle>"
            for _, v, px, py in points_at
        ]
    out.append(text(left, y + height + 18, ends[0], "small"))
    out.append(text(left + width, y + height + 18, ends[1], "small", "end"))
    return "".join(out)


def key(x: float, y: float, entries: Iterable[tuple[str, str]]) -> str:
    """Names behind patches of their colours, on one line."""
    out = []
    for name, colour in entries:
        out.append(rect(x, y - 9, 11, 11, f'fill="{colour}"'))
        out.append(text(x + 16, y, name, "small"))
        x += 34 + width_of(name, 12)
    return "".join(out)


def bar(x: float, y: float, width: float, share: float, colour: str, cut: bool = False) -> str:
    """A bar of a share from 0 to 1 with its number; one that was cut is crossed."""
    long = max(width * share, 0.8)
    crossed = f'<path d="M{x - 3:.1f} {y + 8:.1f}h46" class="cross"/>' if cut else ""
    return (
        rect(x, y, width, 16, 'class="trough"')
        + rect(x, y, long, 16, f'fill="{colour}"', share)
        + text(x + width + 6, y + 13, "cut" if cut else f"{share:.3f}", "small")
        + crossed
    )


def strip(x: float, y: float, size: tuple[float, float], cells: Sequence[tuple[str, float]]) -> str:
    """A row of cells, each a colour with an opacity; equal neighbours are drawn as one."""
    wide, out, at = size[0] / max(len(cells), 1), [], 0
    for (colour, opacity), run in groupby(cells):
        count = len(list(run))
        look = f'fill="{colour}" fill-opacity="{opacity:.3g}"'
        out.append(rect(x + at * wide, y, count * wide, size[1], look))
        at += count
    return "".join(out) + rect(x, y, *size, 'class="frame"')


def width_of(words: str, size: float) -> float:
    """About how wide `words` are, rather too wide than too narrow."""
    return size * sum(_EM.get(char, 0.69 if char.isupper() else 0.61) for char in words)


_EM = (
    dict.fromkeys("iljI|!.,:;'", 0.33)
    | dict.fromkeys("ftr()[] -", 0.41)
    | dict.fromkeys("mwMW%", 0.95)
)


def _lines(
    styled: Sequence[tuple[str, str]], width: float, size: int
) -> list[list[tuple[str, str]]]:
    """Styled characters in lines, broken at spaces."""
    lines: list[list[tuple[str, str]]] = [[]]
    used = 0.0
    for space, run in groupby(styled, key=lambda pair: pair[0] == " "):
        word = list(run)
        long = width_of("".join(char for char, _ in word), size)
        if not space and used + long > width and lines[-1]:
            lines.append([])
            used = 0.0
        if not space or lines[-1]:
            lines[-1] += word
            used += long
    return [line for line in lines if line]


def _paint(colours: Sequence[str], value: float, low: float, top: float) -> tuple[str, float]:
    place = min(max(0.0, (value - low) / ((top - low) or 1.0)), 1.0) * (len(colours) - 1)
    first = min(int(place), len(colours) - 2)
    ends = (bytes.fromhex(colours[first + k][1:]) for k in (0, 1))
    mixed = bytes(round(a + (b - a) * (place - first)) for a, b in zip(*ends, strict=True))
    return f"#{mixed.hex()}", 0.15 + 0.75 * min(1.0, abs(value) / (top or 1.0)) ** 0.5


_STYLE = f"""
text {{ font: 14px system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; fill: {INK} }}
.title {{ font-size: 24px; font-weight: 650 }} .head {{ font-size: 17px; font-weight: 650 }}
.name {{ font-weight: 600 }} .soft {{ fill: {SOFT} }} .small {{ font-size: 12px; fill: {SOFT} }}
.moment {{ fill: {MARK}; font-weight: 700 }} .acted {{ text-decoration: underline }}
.invented {{ fill: {WRONG}; text-decoration: line-through }}
.acted.invented {{ text-decoration: underline line-through }}
.frame {{ fill: none; stroke: {RULE} }} .rule {{ stroke: {RULE}; fill: none }}
.shade {{ fill: #efede7 }} .trough {{ fill: #f1efe9 }}
.cross {{ stroke: {WRONG}; stroke-width: 1.5 }}
"""


TICKS = 5


@dataclass(frozen=True)
class Axis:
    """Values from `low` to `high` at pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    @staticmethod
    def over(values: Iterable[float], start: float, end: float, room: float = 0.08) -> Axis:
        """An axis that holds all values, with room beside them as a share of their range."""
        known = [value for value in values if math.isfinite(value)]
        low, high = (min(known), max(known)) if known else (0.0, 1.0)
        beside = (high - low) * room or 1.0
        return Axis(low - beside, high + beside, start, end)

    def held(self, value: float) -> float:
        """The place of a value, or the nearer end of the axis."""
        return self.at(min(max(value, self.low), self.high))

    def at(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Round numbers, about `TICKS` of them."""
        rough = (self.high - self.low) / TICKS
        power = 10 ** math.floor(math.log10(rough))
        step = next(k * power for k in (1, 2, 5, 10) if k * power >= rough)
        first = math.ceil(self.low / step)
        return [k * step for k in range(first, math.floor(self.high / step) + 1)]


LONGEST_SIDE = 1280
"""Pictures are inlined at most this many pixels wide or high."""


def data_uri(picture: Image) -> str:
    """The picture inlined: photographs as JPEG, small drawings as PNG."""
    kept = picture.convert("RGB")
    kept.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    small = max(kept.size) <= 256
    return _encoded(kept, "png" if small else "jpeg", **({} if small else {"quality": 88}))


def cells_uri(cells: Image, opacities: bytes) -> str:
    """A grid of cells, one pixel each, whose palette has the given opacities."""
    return _encoded(cells, "png", optimize=True, transparency=opacities)


def _encoded(picture: Image, kind: str, **options: Any) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, format=kind.upper(), **options)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


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


Floats = NDArray[np.float64]

WIDTH = 380
_LEFT, _RIGHT, _TOP, _HIGH = 52, 12, 30, 180
GREEN, PURPLE, GREY, GOLD = "#1f7a4d", "#7b3294", "#8a8f98", "#c98a12"
COLOURS = (BEFORE, AFTER, GREEN, PURPLE, GOLD, GREY, INK)


@dataclass(frozen=True)
class ChartLine:
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
    lines: Sequence[ChartLine],
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
        out.append(
            _polyline([(across.start, along.at(level)), (across.end, along.at(level))], INK, 1)
        )
    for line in lines:
        out.append(_band(line, at, across, along))
        dash = 5 if line.dashed else 0
        for run in _runs(line, at, across, along):
            out.append(_polyline([place[:2] for place in run], line.colour, dash, 1.9))
            out += [_dot(place, line, points) for place in run]
    body, bottom = _key([(line.name, line.colour) for line in lines if line.key], _TOP + _HIGH + 46)
    return document(WIDTH, bottom, title, "".join(out) + body)


def grid(
    title: str, values: Floats, *, row: str = "layer", column: str = "head", digits: int = 2
) -> str:
    """A grid of (rows, columns), light to dark from 0 to the largest; row 0 at the bottom, as
    depth goes up."""
    rows, columns = values.shape
    known = values[np.isfinite(values)]
    top = float(known.max()) if known.size and known.max() > 0 else 1.0
    paint = sequential(top)
    high = min(26.0, max(7.0, 260 / rows))
    wide = (WIDTH - _LEFT - _RIGHT) / columns
    out = []
    for r in range(rows):
        y = _TOP + (rows - 1 - r) * high
        for c in range(columns):
            value = float(values[r, c])
            if math.isfinite(value):
                look = f'fill="{paint(value)[0]}"'
                out.append(rect(_LEFT + c * wide, y, wide, high, look, value))
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
    out.append(strip(_LEFT, bottom + 46, (150, 10), [(mark, 1.0) for mark in marks]))
    out.append(text(_LEFT, bottom + 72, "0", "small"))
    out.append(text(_LEFT + 150, bottom + 72, number(top), "small", "end"))
    return document(WIDTH, bottom + 82, title, "".join(out))


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
        lines.append(ChartLine(f"{name} ({len(values)} words)", plain(share.tolist()), colour))
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
    return document(WIDTH, _TOP + _HIGH + 44, title, "".join(out))


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


def _band(line: ChartLine, at: Sequence[float], across: Axis, along: Axis) -> str:
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
    line: ChartLine, at: Sequence[float], across: Axis, along: Axis
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


def _dot(place: tuple[float, float, Interval], line: ChartLine, points: bool) -> str:
    x, y, one = place
    around = f" [{number(one.low)}, {number(one.high)}]" if math.isfinite(one.low) else ""
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{3 if points else 1}" fill="{line.colour}">'
        f"<title>{clean(line.name)}: {number(one.value)}{around}</title></circle>"
    )


def _polyline(
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
        needed = 30 + width_of(name, 12)
        if x > _LEFT and x + needed > WIDTH:
            x, y = float(_LEFT), y + 20
        out.append(key(x, y, [(name, colour)]))
        x += needed + 8
    return "".join(out), y + 12


def _white(shown: str) -> str:
    return shown.replace("<text ", '<text style="fill:#ffffff" ')
