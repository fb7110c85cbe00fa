"""Reports: what runs measured, beside plain and its controls, for every reader.

`build` reads results folders and counts; `terminal`, `markdown`, `page` and `data` write what it
found and decide nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from seesay.evaluate.report import data, markdown, page, terminal
from seesay.evaluate.report.content import EvaluationReport
from seesay.evaluate.report.table_builder import assemble
from seesay.statistics.intervals import RESAMPLES

__all__ = ["EvaluationReport", "build", "data", "markdown", "page", "terminal"]


def build(
    folders: Sequence[str | Path],
    *,
    resamples: int = RESAMPLES,
    controls: bool = True,
    suite: str | None = None,
    data_folder: str | Path | None = None,
    on_line: Callable[[int, int], None] = lambda done, total: None,
) -> EvaluationReport:
    """A report of one or more results folders; needs no model.

    Args:
        resamples: draws behind every interval.
        controls: make the controls that need records alone (length, recall, yes-shift).
        suite: score with other options, such as "pope(parser=vcd)"; only these benchmarks.
        data_folder: where the benchmarks' data lies, if not where it lay.
        on_line: told (lines done, of how many).

    Raises:
        InputError: no run there, another version, other samples, or no plain run among them.
    """
    from seesay.evaluate.report.load import gather

    return assemble(gather(folders, suite, data_folder), resamples, controls, on_line)
