"""The tables of a report as cells, for whoever draws them: terminal, Markdown, page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from seesay.evaluate.report import formatting
from seesay.evaluate.report.content import Beside, EvaluationReport, Table, TableLine


@dataclass(frozen=True)
class Cell:
    """Attributes:
    text: the figure or the words.
    under: what belongs below it, smaller: a difference with its verdict.
    key: sorts the column; None sorts last.
    look: "better", "worse" or "" for colour, which only repeats what the words say.
    """

    text: str
    under: str = ""
    key: float | str | None = None
    look: str = ""


@dataclass(frozen=True)
class Grid:
    """A head and rows; the first column names the row."""

    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def overview(report: EvaluationReport) -> Iterator[tuple[str, Grid]]:
    """For each model: every method's headline difference to plain, by benchmark."""
    for model, tables in report.models().items():
        methods = dict.fromkeys(one.label for table in tables for one in table.of_role("method"))
        if not methods:
            continue
        head = [f"{t.benchmark}: {_headline(t)}" for t in tables]
        rows = [("plain", [_plain(table) for table in tables])]
        rows += [(name, [_met(table, name) for table in tables]) for name in methods]
        yield model, Grid(("method", *head), tuple((_name(n), *cells) for n, cells in rows))


def figures(table: Table) -> Grid:
    """Plain and methods: every metric, under it the difference to plain, and the cost."""
    head = [formatting.heading(name, metric) for name, metric in table.metrics.items()]
    rows = [
        (
            _name(line.label, line.method),
            *(_measured(line, name) for name in table.metrics),
            Cell(formatting.cost(line.cost), key=line.cost.ratio),
            Cell(formatting.remarks(line)),
        )
        for line in table.of_role("plain", "method")
    ]
    noted = any(row[-1].text for row in rows)
    kept = [row if noted else row[:-1] for row in rows]
    return Grid(("method", *head, "cost", *(["remarks"] if noted else [])), tuple(kept))


def gains(table: Table) -> Grid:
    """What each method gained in the headline, how sure that is, and what explains it."""
    asked = table.kind == "yes-no"
    beside = table.price
    head = ["method", _headline(table), "to plain"]
    head += [f"{beside}, to plain"] if beside else []
    head += ["p, Holm", *(["McNemar"] if asked else []), "cost", "what explains the gain"]
    rows = []
    for line in table.of_role("plain", "method"):
        one = line.compared.get(table.headline)
        row = [
            _name(line.label),
            Cell(formatting.figure(line.figures[table.headline]), key=_key(line, table.headline)),
            _difference(line, table.headline),
        ]
        row += [_difference(line, beside)] if beside else []
        row += [
            Cell(formatting.probability(one.holm) if one else "", key=one.holm if one else None)
        ]
        row += [Cell(formatting.mcnemar(line) if one else "")] if asked else []
        row += [Cell(formatting.cost(line.cost), key=line.cost.ratio), Cell(line.account)]
        rows.append(tuple(row))
    return Grid(tuple(head), tuple(rows))


def controls(table: Table) -> Grid:
    """Each method beside each of its controls."""
    rows = []
    for line in table.of_role("method"):
        for one in line.beside:
            known = one.difference
            rows.append(
                (
                    _name(line.label),
                    Cell(formatting.control(one.name)),
                    Cell(one.what),
                    Cell(formatting.figure(one.figure) if one.figure else "not made"),
                    Cell(
                        formatting.apart(known) if known else "",
                        key=known.value if known else None,
                    ),
                    Cell(_explains(one)),
                )
            )
    head = ("method", "control", "what was done", f"its {table.headline}")
    return Grid((*head, "method minus control", "explains the gain"), tuple(rows))


def steps(table: Table) -> Grid:
    """The steps of all sweeps."""
    names = [name for name in (table.headline, table.price) if name]
    rows = [
        (
            Cell(f"{line.swept[0]}, {line.swept[1]}"),
            Cell(f"{line.swept[2]:g}", key=line.swept[2]),
            *(_measured(line, name) for name in names),
        )
        for line in table.of_role("sweep")
        if line.swept
    ]
    heads = [formatting.heading(name, table.metrics[name]) for name in names]
    return Grid(("sweep", "value", *heads), tuple(rows))


def standing(table: Table) -> Grid:
    """The leaderboard of one benchmark: plain and methods, the best headline first."""
    lines = [
        line
        for line in table.of_role("plain", "method")
        if math.isfinite(line.figures[table.headline].value)
    ]
    sign = -1 if table.metrics[table.headline].better == "higher" else 1
    lines.sort(key=lambda line: sign * line.figures[table.headline].value)
    more = [name for name in (table.price, "F1") if name and name in table.metrics]
    rows = [
        (
            _name(line.label),
            Cell(formatting.figure(line.figures[table.headline]), key=_key(line, table.headline)),
            _difference(line, table.headline),
            *(_value(line, name) for name in more),
            Cell(line.account),
        )
        for line in lines
    ]
    heads = [formatting.heading(name, table.metrics[name]) for name in more]
    return Grid(
        ("method", _headline(table), "to plain", *heads, "what explains the gain"), tuple(rows)
    )


def _explains(one: Beside) -> str:
    if one.explains is None:
        return ""
    if one.explains:
        return "yes"
    return "no" if one.share is None else f"{one.share:.0%} of it"


def _headline(table: Table) -> str:
    return formatting.heading(table.headline, table.metrics[table.headline])


def _name(label: str, method: str = "") -> Cell:
    return Cell(label, under=method if method not in ("", label, "plain") else "", key=label)


def _plain(table: Table) -> Cell:
    line = table.lines[0]
    return Cell(formatting.figure(line.figures[table.headline]), key=0.0)


def _met(table: Table, label: str) -> Cell:
    line = next((one for one in table.of_role("method") if one.label == label), None)
    return _difference(line, table.headline) if line else Cell(formatting.MISSING)


def _measured(line: TableLine, metric: str) -> Cell:
    """A figure; plain's with its interval, the others' with their difference."""
    one = line.compared.get(metric)
    if one is None:
        return Cell(formatting.figure(line.figures[metric]), key=_key(line, metric))
    value = formatting.number(line.figures[metric].value)
    return Cell(value, formatting.difference(one), _key(line, metric), _look(one.verdict))


def _value(line: TableLine, metric: str) -> Cell:
    return Cell(formatting.number(line.figures[metric].value), key=_key(line, metric))


def _difference(line: TableLine, metric: str) -> Cell:
    one = line.compared.get(metric)
    if one is None:
        return Cell("", key=0.0)
    return Cell(formatting.difference(one), key=one.difference.value, look=_look(one.verdict))


def _look(verdict: str) -> str:
    return verdict if verdict in ("better", "worse") else ""


def _key(line: TableLine, metric: str) -> float | None:
    value = line.figures[metric].value
    return value if math.isfinite(value) else None


def columns(grid: Grid) -> Sequence[Sequence[Cell]]:
    """The grid's cells, column by column."""
    return [[row[k] for row in grid.rows] for k in range(len(grid.head))]


def worded(column: Sequence[Cell]) -> bool:
    """Whether a column holds words rather than figures."""
    return not any(isinstance(cell.key, float) for cell in column)
