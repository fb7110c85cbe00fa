"""CHAIR_I against recall for every way, on both splits; a dot's area is what a caption costs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from experiments.look_again.cost import Cost
from experiments.look_again.figures import Curve, Point
from experiments.look_again.split import BY_PROBABILITY, CUT, Measured
from seesay.render.charts import AFTER, INK, SOFT, Axis, clean, document, text

TITLES: Final = {"kept": "habit-keeping scenes", "broken": "habit-breaking scenes"}
_WIDTH, _HEIGHT, _GAP = 1040, 380, 70
_LEFT, _TOP = 56, 92
_RADIUS: Final = 6.0
# Okabe and Ito's colours, safe for colour-blind readers.
_COLOURS: Final = ("#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#b79f00", "#7f3c8d")
_LOST: Final = 16.0  # points of recall under plain that are shown


def draw(splits: Mapping[str, Measured], costs: Mapping[str, Cost]) -> str:
    """The figure as a whole SVG file."""
    body = text(_LEFT, 30, "CHAIR_I against recall: lower and further right is better", "title")
    wide = (_WIDTH - _LEFT - 24 - _GAP) / 2
    for k, (split, its) in enumerate(splits.items()):
        body += "".join(_panel(_LEFT + k * (wide + _GAP), wide, TITLES[split], its, costs))
    below = _TOP + _HEIGHT + 58.0
    first = next(iter(splits.values()))
    for k, (name, colour, dash) in enumerate(_entries(first)):
        x, y = _LEFT + (k % 4) * 245, below + (k // 4) * 24
        body += _line([(x, y - 4), (x + 24, y - 4)], colour, dash)
        body += text(x + 31, y, name, "small")
    below += 24 * (1 + len(list(_entries(first))) // 4) + 6
    note = (
        "Lines: one way at growing strength, plain at one end. Large dots: a method's default, "
        "their area the CPU time of a caption beside plain's (ring)."
    )
    body += text(_LEFT, below, note, "small")
    return document(_WIDTH, below + 18, "Look Again: CHAIR_I against recall", body)


def _entries(its: Measured) -> Iterator[tuple[str, str, str]]:
    yield "look-again, over thresholds", AFTER, ""
    yield "and adding what else it affirms", AFTER, "8 5"
    yield BY_PROBABILITY, SOFT, "6 4"
    yield CUT, SOFT, "2 3"
    for name, colour in zip(its.rivals, _COLOURS, strict=True):
        yield name, colour, ""


def _panel(
    left: float, wide: float, title: str, its: Measured, costs: Mapping[str, Cost]
) -> Iterator[str]:
    plain = its.plain.value("recall"), its.plain.value("CHAIR_I")
    points = [its.plain, its.look, its.more, *its.points]
    recalls = [p.value("recall") for p in points]
    low = max(min(recalls), plain[0] - _LOST)
    x = Axis.over([low, *recalls], left, left + wide, 0.05)
    x = Axis(low - 0.5, x.high, x.start, x.end)
    y = Axis.over([0.0, *(p.value("CHAIR_I") for p in points)], _TOP + _HEIGHT, _TOP, 0.06)
    yield text(left, _TOP - 26, title, "head")
    for tick in y.ticks():
        yield f'<path d="M{left} {y.at(tick):.1f}h{wide:.1f}" class="rule"/>'
        yield text(left - 6, y.at(tick) + 4, f"{tick:g}", "small", "end")
    for tick in x.ticks():
        yield text(x.at(tick), _TOP + _HEIGHT + 18, f"{tick:g}", "small", "middle")
    yield text(left + wide, _TOP + _HEIGHT + 34, "recall, %", "small", "end")
    yield text(left, _TOP - 8, "CHAIR_I, %", "small")
    for name, dash in ((CUT, "2 3"), (BY_PROBABILITY, "6 4")):
        yield _line(_inside(its.curves[name], x, y), SOFT, dash)
    for (name, rival), colour in zip(its.rivals.items(), _COLOURS, strict=True):
        places = sorted([its.plain, *rival], key=lambda p: p.value("recall"))
        yield _line(_inside(Curve(name, tuple(places)), x, y), colour, "")
        for point in rival:
            yield _dot(point, x, y, colour, costs, default=point.label == name)
    yield _line(_inside(its.whole, x, y), AFTER, "8 5", 2)
    yield _line(_inside(its.curve, x, y), AFTER, "", 3)
    yield _dot(its.more, x, y, AFTER, costs, default=True)
    yield _dot(its.look, x, y, AFTER, costs, default=True)
    yield _dot(its.plain, x, y, INK, costs, default=True)


def _inside(curve: Curve, x: Axis, y: Axis) -> list[tuple[float, float]]:
    pairs = [(p.value("recall"), p.value("CHAIR_I")) for p in curve.points]
    return [(x.at(a), y.at(b)) for a, b in pairs if x.low <= a <= x.high and y.low <= b <= y.high]


def _line(places: Sequence[tuple[float, float]], colour: str, dash: str, width: float = 1.6) -> str:
    path = "".join(f"{'L' if k else 'M'}{a:.1f} {b:.1f}" for k, (a, b) in enumerate(places))
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{dashed}/>'


def _dot(
    point: Point, x: Axis, y: Axis, colour: str, costs: Mapping[str, Cost], *, default: bool
) -> str:
    a, b = point.value("recall"), point.value("CHAIR_I")
    if not (x.low <= a <= x.high and y.low <= b <= y.high):
        return ""
    cost = costs.get(point.label)
    ratio = 1.0 if cost is None else cost.seconds / costs["plain"].seconds
    radius = _RADIUS * math.sqrt(ratio) if default else 2.6
    said = f"{point.label}: CHAIR_I {b:.1f}, recall {a:.1f}"
    said += f", {ratio:.2f} times plain's time" if default and cost is not None else ""
    mark = (
        f'<circle cx="{x.at(a):.1f}" cy="{y.at(b):.1f}" r="{radius:.1f}" fill="{colour}" '
        f'fill-opacity="0.75"><title>{clean(said)}</title></circle>'
    )
    if default:
        mark += (
            f'<circle cx="{x.at(a):.1f}" cy="{y.at(b):.1f}" r="{_RADIUS}" fill="none" '
            f'stroke="{INK}" stroke-width="0.8"/>'
        )
    return mark
