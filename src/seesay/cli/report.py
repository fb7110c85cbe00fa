"""report: what runs measured, beside plain and its controls."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seesay.cli import options
from seesay.cli.output import emit, working
from seesay.cli.result import written

if TYPE_CHECKING:
    from seesay.evaluate.report import EvaluationReport

KINDS = {".md": "markdown", ".html": "html", ".json": "json"}


def report(
    runs: Annotated[list[Path], typer.Argument(help="Results folders that seesay evaluate wrote.")],
    out: Annotated[
        list[Path] | None,
        typer.Option(help="Also write a file: .md, .html or .json. May be given again."),
    ] = None,
    as_: Annotated[
        str | None,
        typer.Option("--format", help="Print this instead of tables: markdown, html or json."),
    ] = None,
    leaderboard: Annotated[
        Path | None, typer.Option(help="Also write one table a benchmark, sorted, as Markdown.")
    ] = None,
    title: Annotated[str, typer.Option(help="Over the files.")] = "Evaluation",
    suite: Annotated[
        str | None,
        typer.Option(help='Score in another way, such as "pope(parser=vcd)"; needs no model.'),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Where the benchmarks' data lies, if it has moved.")
    ] = None,
    resamples: Annotated[
        int, typer.Option(min=100, max=1_000_000, help="Draws behind every interval.")
    ] = 10_000,
    controls: Annotated[
        bool, typer.Option(help="Length, recall and yes-shift controls, made from the records.")
    ] = True,
    debug: options.Debug = False,
) -> None:
    """Compare the methods of one or more runs with plain and with controls; needs no model.

    seesay report runs/a --out results.md --out results.html

    Runs of one protocol on the same samples share their tables.
    """
    targets = _targets(out or [], leaderboard)
    printed = _kind(as_)
    with working("comparing") as progress:
        from seesay.evaluate.report import build, markdown

        found = build(
            runs,
            resamples=resamples,
            controls=controls,
            suite=suite,
            data_folder=data,
            on_line=progress,
        )
    if printed is None:
        from seesay.evaluate.report import terminal

        emit(*terminal.tables(found))
    else:
        typer.echo(_renderer(printed)(found, title), nl=False)
    from seesay.storage import files

    for target, kind in targets.items():
        files.save(target, _renderer(kind)(found, title))
        written(target)
    if leaderboard is not None:
        files.save(leaderboard, markdown.leaderboard(found))
        written(leaderboard)


def _targets(out: list[Path], leaderboard: Path | None) -> dict[Path, str]:
    """The files to write and what goes into each; refused before any work is done."""
    from seesay.errors import InputError
    from seesay.storage.files import writable

    for path in [*out, *([leaderboard] if leaderboard else [])]:
        writable(path)
    wrong = [path for path in out if path.suffix.lower() not in KINDS]
    if wrong:
        raise InputError(
            f"cannot tell what {str(wrong[0])!r} is to be: name it .md for Markdown, .html for a "
            "page or .json"
        )
    return {path: KINDS[path.suffix.lower()] for path in out}


def _kind(name: str | None) -> str | None:
    from seesay.errors import InputError, nearest

    if name is not None and name not in KINDS.values():
        raise InputError(f"unknown format {name!r}; {nearest(name, KINDS.values())}")
    return name


def _renderer(kind: str) -> Callable[[EvaluationReport, str], str]:
    from seesay.evaluate.report import data, markdown, page

    return {
        "markdown": markdown.render,
        "html": page.render,
        "json": lambda found, _: data.render(found),
    }[kind]
