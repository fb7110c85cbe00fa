"""Drawing with text alone: the few marks that a figure is made of, as SVG.

Every function returns a piece of SVG; numbers that are drawn are also written into it, as titles
that a browser shows under the pointer. Lengths are pixels, (x, y) is the upper left corner.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from seesay.show.inline import data_uri
from seesay.show.terminal import printable

if TYPE_CHECKING:
    from PIL.Image import Image

    from seesay.show.traced import Numbers

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
