"""evaluate: methods × benchmarks, recorded item by item, with controls and a table at the end."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seesay.cli import options
from seesay.cli.options import Engine
from seesay.cli.output import emit, say, spoken, working
from seesay.cli.workers import Placement, setup_of
from seesay.errors import InputError

if TYPE_CHECKING:
    from seesay.evaluate.records import Results
    from seesay.evaluate.runner import Progress

FIRST_WORD, LATER_WORDS = 5.0, 30.0
"""Seconds until progress is first spoken of where stderr is no terminal, and between its lines."""


def evaluate(
    suite: Annotated[
        str, typer.Option(help='Benchmarks: "toy,pope(parser=strict),chair,amber,mme".')
    ] = "toy",
    methods: Annotated[
        str, typer.Option(help='Separated by semicolons: "attention-lens; agla + eah", or all.')
    ] = "all",
    model: options.Model = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The results folder; one that is there goes on. Default: under runs/."),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(help="Where the files lie: pope=FOLDER, once a suite, or one FOLDER for all."),
    ] = None,
    sweep: Annotated[
        list[str] | None,
        typer.Option(help="Also a range of strengths: attention-lens.alpha=0.1:0.8:0.1"),
    ] = None,
    no_controls: Annotated[
        bool, typer.Option("--no-controls", help="Leave out the control runs of each method.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only the first samples of each benchmark.")
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(min=1, help="Samples at once. Default: 32 of the bundled model, else 8."),
    ] = None,
    max_new_tokens: Annotated[
        int | None, typer.Option(min=1, help="Default: the benchmark's own.")
    ] = None,
    num_beams: options.NumBeams = 1,
    sample: options.Sample = False,
    temperature: Annotated[
        float, typer.Option(min=0.01, help="With --sample; all tokens may be drawn.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Of the draws.")] = 0,
    skip_missing: Annotated[
        bool, typer.Option("--skip-missing", help="Leave out samples without a readable picture.")
    ] = False,
    engine: options.EngineOption = Engine.LOCAL,
    workers: options.Workers = 1,
    address: options.Address = None,
    gpus_per_worker: options.GpusPerWorker = None,
    dtype: options.Dtype = None,
    device: options.Device = None,
    revision: options.Revision = None,
    trust_remote_code: options.TrustRemoteCode = False,
    debug: options.Debug = False,
) -> None:
    """Measure methods on benchmarks, with intervals and controls; killed and started again, it goes
    on where it was.

    seesay evaluate --suite toy --methods all --limit 50

    seesay evaluate --model llava-hf/llava-1.5-7b-hf --suite pope --data pope=/data/pope
    --methods "attention-lens, agla + eah" --out runs/a
    """
    placement = Placement(engine, workers, address, gpus_per_worker)
    if not sample and temperature != 1.0:
        raise InputError("--temperature is for drawn tokens; add --sample")
    with working("reading the benchmarks"):
        from seesay.evaluate.benchmarks import suite as benchmarks_of
        from seesay.evaluate.entries import Wanted
        from seesay.evaluate.records import check_folder
        from seesay.evaluate.runner import EvaluationSettings, ask, prepare
        from seesay.evaluate.worker import ModelWorker

        folder = out or _folder(model, suite, limit)
        check_folder(folder)
        drawn = {"temperature": temperature, "top_p": 1.0, "top_k": 0} if sample else {}
        wanted = Wanted.of(
            methods,
            sweep or (),
            controls=not no_controls,
            decoding={"num_beams": num_beams, "do_sample": sample, "generation": drawn},
        )
        where = _folders(data)
        size = batch_size or (32 if model is None else 8)
        settings = EvaluationSettings(suite, where, limit, size, max_new_tokens, seed, skip_missing)
        folders = Path(where) if isinstance(where, str) else where
        chosen = benchmarks_of(suite, data=folders, limit=limit)
        setup = setup_of(model, dtype, device, revision, trust_remote_code)
    with placement.pool(ModelWorker, setup) as pool:
        with working(f"loading {model or 'the bundled model'}"):
            prepared = prepare(pool, chosen, wanted, settings, say)
        try:
            with _progress() as report:
                run = ask(folder, pool, prepared, settings, report)
        except KeyboardInterrupt:
            say(f"what was answered lies in {folder}; the same command goes on from there")
            raise
    _tell_zero(run)
    _results(run)


def _folder(model: str | None, suite: str, limit: int | None) -> Path:
    """Where results go that nobody named a place for: the same for the same question."""
    parts = [Path(model).name if model else "bundled", suite, *([str(limit)] if limit else [])]
    return Path("runs") / re.sub(r"[^\w.=-]+", "-", "-".join(parts)).strip("-.")


def _folders(data: list[str] | None) -> str | dict[str, str] | None:
    """`--data` as `benchmarks.suite` takes it."""
    if not data:
        return None
    if len(data) == 1 and "=" not in data[0]:
        return data[0]
    pairs = [part.partition("=") for part in data]
    for part, (name, _, folder) in zip(data, pairs, strict=True):
        if not name or not folder:
            raise InputError(f"--data {part!r}: write SUITE=FOLDER, such as pope=/data/pope")
    return {name: folder for name, _, folder in pairs}


@contextmanager
def _progress() -> Iterator[Callable[[Progress], None]]:
    """Shows how far the run is: a bar in a terminal, else a line now and again."""
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn
    from rich.progress import Progress as Bar

    terminal, next_word = sys.stderr.isatty(), FIRST_WORD
    last: list[Progress] = []
    columns = (SpinnerColumn(), BarColumn(bar_width=24), TextColumn("{task.description}"))
    console = Console(stderr=True, highlight=False)
    with Bar(*columns, console=console, transient=True, disable=not terminal) as bar:
        task = bar.add_task("", total=None)

        def report(progress: Progress) -> None:
            nonlocal next_word
            last[:] = [progress]
            bar.update(
                task, total=progress.total, completed=progress.done, description=_far(progress)
            )
            if not terminal and progress.seconds >= next_word:
                next_word = progress.seconds + LATER_WORDS
                say(_far(progress))

        yield report
    for progress in last:
        say(_whole(progress))


def _far(progress: Progress) -> str:
    """Such as "agla on toy-captions-kept: 1,230 of 9,000, 38 items a second, about 3 min left"."""
    counted = f"{progress.done:,} of {progress.total:,} items"
    if progress.seconds_left is None:
        return counted
    return (
        f"{progress.entry} on {progress.benchmark}: {counted}, {progress.rate:.3g} a second, about "
        f"{spoken(progress.seconds_left)} left"
    )


def _whole(progress: Progress) -> str:
    asked = progress.done - progress.found
    if not asked:
        return f"all {progress.total:,} items were recorded already"
    before = f" ({progress.found:,} were recorded already)" if progress.found else ""
    return f"{asked:,} items in {spoken(progress.seconds)}, {progress.rate:.3g} a second{before}"


def _tell_zero(run: Results) -> None:
    """Whether each method at strength 0 said what the plain model says."""
    equal = texts = 0
    for method, by_benchmark in run.verified().items():
        for benchmark, (same, of) in by_benchmark.items():
            equal, texts = equal + same, texts + of
            if same != of:
                say(
                    f"{method} at strength 0 differs from the plain model in {of - same} of {of} "
                    f"texts of {benchmark}; do not trust its figures there, and please report it"
                )
    if texts and equal == texts:
        say(f"at strength 0 all {texts:,} texts equal the plain model's")


def _results(run: Results) -> None:
    from seesay.evaluate.report import build, terminal

    with working("counting", timed=True) as counted:
        report = build([run.folder], on_line=counted)
    emit(*terminal.tables(report))
