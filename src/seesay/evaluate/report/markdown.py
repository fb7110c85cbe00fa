"""A report as Markdown, for a repository."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from seesay.evaluate.report import cells, formatting
from seesay.evaluate.report.cells import Cell, Grid
from seesay.evaluate.report.content import EvaluationReport, Table, settled, shared
from seesay.render.terminal import printable


def render(report: EvaluationReport, title: str = "Evaluation") -> str:
    """The whole report; everything that a model or a user wrote is escaped."""
    return "\n".join([f"# {_text(title)}", "", *_opening(report), *_overview(report),
                      *_tables(report), *_protocol(report)])  # fmt: skip


def leaderboard(report: EvaluationReport, title: str = "Leaderboard") -> str:
    """One table a benchmark, the best first, with the protocol."""
    lines = [f"# {_text(title)}", "", *_opening(report)]
    lines += [
        "Rows are in the order of their figure. That is no order of merit: a row with no evidence "
        "of a difference to plain stands where it does by chance.",
        "",
    ]
    for table in report.tables:
        lines += [f"## {_text(table.benchmark)}", "", f"{_about(table)}", ""]
        lines += grid(cells.standing(table))
    return "\n".join([*lines, *_protocol(report)])


def grid(given: Grid) -> list[str]:
    """A table; cells on one line each."""
    head = "| " + " | ".join(map(_text, given.head)) + " |"
    rule = "|" + " --- |" * len(given.head)
    rows = ["| " + " | ".join(map(_cell, row)) + " |" for row in given.rows]
    return [head, rule, *rows, ""]


def _opening(report: EvaluationReport) -> Iterator[str]:
    for remark in report.remarks:
        yield f"**{_text(remark)}**"
        yield ""


def _overview(report: EvaluationReport) -> Iterator[str]:
    for model, shown in cells.overview(report):
        yield f"## All methods on {_text(model)}"
        yield ""
        yield "The first metric of each benchmark: plain's figure, then each method's difference."
        yield ""
        yield from grid(shown)
    for words in (formatting.READING.format(resamples=report.resamples), formatting.CONTROLS,
                  formatting.COST):  # fmt: skip
        yield words
        yield ""


def _tables(report: EvaluationReport) -> Iterator[str]:
    for table in report.tables:
        yield f"## {_text(table.benchmark)}"
        yield ""
        yield _about(table)
        yield ""
        yield from grid(cells.gains(table))
        yield "All figures:"
        yield ""
        yield from grid(cells.figures(table))
        if any(line.beside for line in table.lines):
            yield f"Beside controls, by {_text(table.headline)}:"
            yield ""
            yield from grid(cells.controls(table))
        if table.of_role("sweep"):
            yield "Sweeps:"
            yield ""
            yield from grid(cells.steps(table))


def _about(table: Table) -> str:
    return f"{_text(table.model)}, {formatting.about(table)}."


def _protocol(report: EvaluationReport) -> Iterator[str]:
    yield "## Protocol"
    yield ""
    for folder, stamp in report.stamps.items():
        yield f"### {_text(folder)}"
        yield ""
        yield from _facts(stamp)
    for model, tables in report.models().items():
        alike = shared(tables)
        yield f"### All tables of {_text(model)}"
        yield ""
        yield from _facts(alike)
        yield from _facts(settled(tables))
        for table in tables:
            own = {name: one for name, one in table.protocol.items() if name not in alike}
            if own:
                yield f"### {_text(table.benchmark)}"
                yield ""
                yield from _facts(own)


def _facts(facts: Mapping[str, Any]) -> Iterator[str]:
    for name, given in facts.items():
        yield f"* {_text(name)}: {_text(formatting.value(given))}"
    if facts:
        yield ""


def _cell(cell: Cell) -> str:
    # The settled method under a name is in the protocol; a row would get too wide.
    under = f" ({cell.under})" if cell.under and not isinstance(cell.key, str) else ""
    return _text(cell.text + under)


def _text(words: str) -> str:
    """One line without Markdown or HTML in it."""
    line = " ".join(printable(words).split())
    return _MARKS.sub(r"\\\1", line).replace("<", "&lt;").replace(">", "&gt;")


_MARKS = re.compile(r"([\\`*_|#~]|(?<=\])\(|\!\[)")
