"""A report in a terminal: what was gained, how sure that is, and what explains it."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table as Drawn
from rich.text import Text

from seesay.evaluate.report import cells, formatting
from seesay.evaluate.report.cells import Grid
from seesay.evaluate.report.content import EvaluationReport
from seesay.render.terminal import printable

_LOOKS = {"better": "green", "worse": "red"}


def tables(report: EvaluationReport) -> Iterator[RenderableType]:
    """One table a benchmark, then what a reader must know."""
    for table in report.tables:
        yield Text(f"{printable(table.benchmark)} on {printable(table.model)}, "
                   f"{formatting.about(table)}", style="bold")  # fmt: skip
        yield _drawn(cells.gains(table))
        if table.of_role("sweep"):
            yield _drawn(cells.steps(table))
        yield ""
    yield Text(formatting.READING.format(resamples=report.resamples), style="dim")
    for remark in report.remarks:
        yield Text(printable(remark))


def _drawn(grid: Grid) -> Drawn:
    drawn = Drawn(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for k, name in enumerate(grid.head):
        drawn.add_column(printable(name), style="cyan" if k == 0 else "")
    for row in grid.rows:
        # Under a name stands its settings, which are in the files that a report writes.
        cells = [row[0].text, *(f"{cell.text} {cell.under}".strip() for cell in row[1:])]
        looks = [_LOOKS.get(cell.look, "") for cell in row]
        drawn.add_row(*(Text(printable(c), style=s) for c, s in zip(cells, looks, strict=True)))
    return drawn
