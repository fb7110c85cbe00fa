"""A report's three plots, as SVG: what a headline costs in recall, what it costs in time, and where
a sweep falls off."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from seesay.evaluate.report.content import Table, TableLine
from seesay.evaluate.report.formatting import cost, figure, heading
from seesay.render.charts import (
    AFTER,
    BEFORE,
    INK,
    SOFT,
    Axis,
    clean,
    document,
    rect,
    text,
    width_of,
)
from seesay.statistics.intervals import Interval

WIDTH = 560
_LEFT, _RIGHT, _TOP = 56, 16, 34


def trade(table: Table) -> str:
    """The headline against its price: plain, methods, sweeps, and what plain gets for its recall.
    Empty where the benchmark has no price or nothing stands beside plain."""
    price, lines = table.price, table.of_role("plain", "method")
    steps = _sweeps(table)
    if price is None or len(lines) + len(steps) < 2:
        return ""
    shown = [*lines, *(line for sweep in steps for line in sweep)]
    xs = [line.figures[price].value for line in shown]
    ys = [line.figures[table.headline].value for line in shown]
    reached = min((x for x in xs if math.isfinite(x)), default=0.0)
    curve = [(x, y) for x, y in table.dropping if x >= reached]
    height = 320
    x = Axis.over([*xs, *(a for a, _ in curve)], _LEFT, WIDTH - _RIGHT, 0.12)
    y = Axis.over([*ys, *(b for _, b in curve)], _TOP + height, _TOP, 0.12)
    out = [*_grid(x, y), *_names(table, price, x, y)]
    out.append(_path([(x.at(a), y.at(b)) for a, b in curve], SOFT, dashed=True))
    for sweep in steps:
        places = [_place(line, table, price, x, y) for line in sweep]
        out.append(_path(places, BEFORE))
        out += [_dot(place, line, table, price) for place, line in zip(places, sweep, strict=True)]
        out += [_end(place, line) for place, line in zip(places[-1:], sweep[-1:], strict=True)]
    entries = []
    for mark, line in enumerate(lines):
        at = _place(line, table, price, x, y)
        if not all(map(math.isfinite, at)):
            continue
        out += _cross(line.figures[price], line.figures[table.headline], at, x, y)
        colour = INK if line.role == "plain" else AFTER
        title = f"<title>{clean(_said(line, table, price))}</title>"
        out.append(
            f'<circle cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="9" fill="{colour}">{title}</circle>'
        )
        out.append(_numeral(at, mark))
        entries.append((str(mark), line.label, colour))
    below = _TOP + height + 52.0
    if curve:
        out.append(_path([(_LEFT, below), (_LEFT + 26, below)], SOFT, dashed=True))
        words = "plain, its least probable mentions left out one after the other"
        out.append(text(_LEFT + 34, below + 4, words, "small"))
        below += 24
    if steps:
        out.append(_path([(_LEFT, below), (_LEFT + 26, below)], BEFORE))
        names = sorted({f"{s[0].swept[0]}, {s[0].swept[1]}" for s in steps if s[0].swept})
        out.append(text(_LEFT + 34, below + 4, f"sweep of {'; '.join(names)}", "small"))
        below += 24
    legend, below = _legend(entries, below)
    return document(WIDTH, below, _title(table, f"against {price}"), "".join([*out, legend]))


def costs(table: Table) -> str:
    """Bars of seconds a token over plain's. Empty without methods or times."""
    lines = [line for line in table.of_role("method") if math.isfinite(line.cost.ratio)]
    if not lines:
        return ""
    longest = min(240.0, max(width_of(line.label, 14) for line in lines) + 12)
    most = max(1.0, *(line.cost.ratio for line in lines))
    width = WIDTH - _RIGHT - 60 - longest
    out = [text(0, 20, "seconds a token, over plain's", "name")]
    for k, line in enumerate(lines):
        y = 36 + 26 * k
        name, share = _short(line.label, longest), line.cost.ratio / most
        out.append(text(longest - 8, y + 13, name, "", "end"))
        out.append(rect(longest, y, width, 16, 'class="trough"'))
        out.append(
            rect(longest, y, max(width * share, 0.8), 16, f'fill="{AFTER}"', line.cost.ratio)
        )
        out.append(text(longest + width + 8, y + 13, cost(line.cost), "small"))
    end = 36 + 26 * len(lines)
    one = longest + width / most
    out.append(f'<path d="M{one:.1f} 32V{end}" stroke="{INK}" stroke-dasharray="3 3"/>')
    return document(WIDTH, end + 6, _title(table, "cost"), "".join(out))


def sweeps(table: Table) -> Iterator[tuple[str, str]]:
    """Each sweep's name and its curves: the headline over recall's fall, one under the other."""
    for steps in _sweeps(table):
        method, name, _ = steps[0].swept or ("", "", 0.0)
        metrics = [m for m in (table.headline, table.price) if m]
        values = [step.swept[2] for step in steps if step.swept]
        x = Axis.over(values, _LEFT, WIDTH - _RIGHT)
        out: list[str] = []
        top = float(_TOP)
        for metric in metrics:
            out += _curve(table, steps, metric, x, top)
            top += 210
        out += [text(x.at(v), top - 16, f"{v:g}", "small", "middle") for v in values]
        out.append(text(WIDTH - _RIGHT, top + 6, f"{method}, {name}", "name", "end"))
        if table.kind == "caption" and table.price:
            out.append(text(_LEFT, top + 6, f"grey: {table.price} is below plain's", "small"))
        yield f"{method}.{name}", document(WIDTH, top + 16, _title(table, "sweep"), "".join(out))


def _curve(
    table: Table, steps: Sequence[TableLine], metric: str, x: Axis, top: float
) -> Iterator[str]:
    """One metric over a sweep's values, plain's as a dashed line, grey where recall has fallen."""
    plain = table.lines[0].figures[metric]
    ends = [end for step in steps for end in step.figures[metric]]
    y = Axis.over([*ends, plain.value], top + 160, top)
    values = [step.swept[2] for step in steps if step.swept]
    for value, step in zip(values, steps, strict=True):
        if table.price and step.compared[table.price].verdict == "worse":
            left, right = _between(values, value, x)
            yield rect(left, y.end, right - left, y.start - y.end, 'class="shade"')
    yield from _rows(y, x)
    yield text(x.start, top - 12, heading(metric, table.metrics[metric]), "name")
    level = y.at(plain.value)
    yield _path([(x.start, level), (x.end, level)], INK, dashed=True)
    yield text(x.end, level - 5, "plain", "small", "end")
    places = [(x.at(v), y.at(s.figures[metric].value)) for v, s in zip(values, steps, strict=True)]
    yield _path(places, AFTER)
    for place, step in zip(places, steps, strict=True):
        low, high = step.figures[metric][1:]
        if all(map(math.isfinite, (*place, low, high))):
            line = f"M{place[0]:.1f} {y.at(low):.1f}V{y.at(high):.1f}"
            yield f'<path d="{line}" stroke="{AFTER}" stroke-opacity="0.45" fill="none"/>'
            yield _circle(place, f"{step.label}: {metric} {figure(step.figures[metric])}", AFTER)


def _between(values: Sequence[float], value: float, x: Axis) -> tuple[float, float]:
    """The pixels that are nearer to this value than to its neighbours."""
    k = values.index(value)
    left = x.start if k == 0 else x.at((values[k - 1] + value) / 2)
    right = x.end if k == len(values) - 1 else x.at((value + values[k + 1]) / 2)
    return left, right


def _sweeps(table: Table) -> list[list[TableLine]]:
    groups: dict[tuple[str, str], list[TableLine]] = {}
    for line in table.of_role("sweep"):
        if line.swept:
            groups.setdefault(line.swept[:2], []).append(line)
    return [sorted(group, key=lambda line: line.swept or ("", "", 0)) for group in groups.values()]


def _grid(x: Axis, y: Axis) -> Iterator[str]:
    yield from _rows(y, x)
    for value in x.ticks():
        yield text(x.at(value), y.start + 18, f"{value:g}", "small", "middle")


def _rows(y: Axis, x: Axis) -> Iterator[str]:
    for value in y.ticks():
        level = y.at(value)
        yield f'<path d="M{x.start} {level:.1f}H{x.end}" class="rule"/>'
        yield text(x.start - 6, level + 4, f"{value:g}", "small", "end")


def _names(table: Table, price: str, x: Axis, y: Axis) -> Iterator[str]:
    yield text(x.start, y.end - 14, heading(table.headline, table.metrics[table.headline]), "name")
    right = heading(price, table.metrics[price])
    yield text(x.end, y.start + 36, right, "name", "end")


def _place(line: TableLine, table: Table, price: str, x: Axis, y: Axis) -> tuple[float, float]:
    return x.at(line.figures[price].value), y.at(line.figures[table.headline].value)


def _cross(
    across: Interval, along: Interval, at: tuple[float, float], x: Axis, y: Axis
) -> Iterator[str]:
    if all(map(math.isfinite, (*across, *along))):
        flat = f"M{x.held(across.low):.1f} {at[1]:.1f}H{x.held(across.high):.1f}"
        tall = f"M{at[0]:.1f} {y.held(along.low):.1f}V{y.held(along.high):.1f}"
        yield f'<path d="{flat}{tall}" stroke="{SOFT}" stroke-opacity="0.5"/>'


def _path(places: Sequence[tuple[float, float]], colour: str, dashed: bool = False) -> str:
    known = [(a, b) for a, b in places if math.isfinite(a) and math.isfinite(b)]
    if not known:
        return ""
    line = "L".join(f"{a:.1f} {b:.1f}" for a, b in known)
    dash = ' stroke-dasharray="5 4"' if dashed else ""
    return f'<path d="M{line}" fill="none" stroke="{colour}" stroke-width="1.6"{dash}/>'


def _dot(at: tuple[float, float], line: TableLine, table: Table, price: str) -> str:
    return _circle(at, _said(line, table, price), BEFORE) if math.isfinite(sum(at)) else ""


def _end(at: tuple[float, float], line: TableLine) -> str:
    """The value of a sweep's last step, beside its dot."""
    if line.swept is None or not math.isfinite(sum(at)):
        return ""
    method, _, value = line.swept
    words, left = f"{method} {value:g}", at[0] > WIDTH / 2
    return text(at[0] + (-7 if left else 7), at[1] + 14, words, "small", "end" if left else "start")


def _circle(at: tuple[float, float], title: str, colour: str) -> str:
    return (
        f'<circle cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="3.5" fill="{colour}">'
        f"<title>{clean(title)}</title></circle>"
    )


def _numeral(at: tuple[float, float], mark: int) -> str:
    return (
        f'<text x="{at[0]:.1f}" y="{at[1] + 4:.1f}" text-anchor="middle" pointer-events="none" '
        f'style="font-size:11px;fill:#ffffff;font-weight:700">{mark}</text>'
    )


def _legend(entries: Sequence[tuple[str, str, str]], top: float) -> tuple[str, float]:
    """Numbers and names in two columns; returns the y below them."""
    out: list[str] = []
    rows = math.ceil(len(entries) / 2)
    for k, (mark, label, colour) in enumerate(entries):
        x, y = _LEFT + 9 + (k // rows) * (WIDTH - _LEFT) / 2, top + 24 * (k % rows)
        out.append(f'<circle cx="{x}" cy="{y}" r="9" fill="{colour}"/>')
        out.append(_numeral((x, y), int(mark)))
        out.append(text(x + 16, y + 4, _short(label, (WIDTH - _LEFT) / 2 - 34), "small"))
    return "".join(out), top + 24 * rows


def _said(line: TableLine, table: Table, price: str) -> str:
    headline = f"{table.headline} {figure(line.figures[table.headline])}"
    return f"{line.label}: {headline}, {price} {figure(line.figures[price])}"


def _title(table: Table, what: str) -> str:
    return f"{table.benchmark}, {table.model}: {table.headline} {what}"


def _short(words: str, width: float) -> str:
    """`words`, cut where they would be wider."""
    if width_of(words, 14) <= width:
        return words
    while words and width_of(words + "…", 14) > width:
        words = words[:-1]
    return words + "…"
