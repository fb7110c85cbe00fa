"""diagnose: does what a paper observed hold for this model?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seesay.cli import options
from seesay.cli.describe import vocabulary_of
from seesay.cli.options import Engine
from seesay.cli.output import emit, say, working
from seesay.cli.result import written
from seesay.cli.workers import Placement, greet, setup_of
from seesay.errors import InputError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from seesay.explain.diagnose import DiagnosisReport

SPOKEN = 3
"""Pictures that cannot be opened and are named one by one; the rest is counted."""

KINDS = (".html", ".md")


def diagnose(
    model: options.Model = None,
    images: Annotated[
        str,
        typer.Option(
            help="A folder of pictures, toy for drawn scenes, or a file of JSON lines with known "
            'objects: {"image": "photo.jpg", "objects": ["fork"]}.'
        ),
    ] = "toy",
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="The first pictures of them.")] = 200,
    only: Annotated[
        str | None,
        typer.Option(help="Some of vision, heads, decay, sinks, sparsity, strength."),
    ] = None,
    report: Annotated[
        list[Path] | None,
        typer.Option(help="Write a page, .html or .md. May be given again."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The file of measurements; one that is there goes on. Default: under runs/."
        ),
    ] = None,
    asked: Annotated[
        int,
        typer.Option(
            min=0,
            help="Pictures that are described anew for sparsity and strength, the costly ones.",
        ),
    ] = 128,
    title: Annotated[str, typer.Option(help="Over the pages.")] = "Diagnosis",
    words: options.Words = None,
    prompt: options.Prompt = None,
    max_new_tokens: options.MaxNewTokens = 128,
    batch_size: Annotated[
        int | None,
        typer.Option(min=1, help="Pictures at once. Default: 32 of the bundled model, else 8."),
    ] = None,
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
    """See whether what the papers observed about attention holds for a model, on your pictures;
    killed and started again, it goes on where it was.

    seesay diagnose --report diagnosis.html

    seesay diagnose --model llava-hf/llava-1.5-7b-hf --images photos/ --only sinks,decay --report
    llava.html
    """
    targets = report or []
    _refuse(targets)
    placement = Placement(engine, workers, address, gpus_per_worker)
    with working("reading the diagnoses"):
        from seesay.explain import diagnose as measuring
        from seesay.explain.diagnose.described import pictures_of
        from seesay.grounding import Vocabulary

        chosen = measuring.parse(only)
        own = vocabulary_of(words)
        # What is no picture is told before a model is loaded, which may take minutes.
        pictures_of(images, min(n, 1), own or Vocabulary.coco())
        settings = measuring.DiagnosisSettings(
            images,
            n,
            asked,
            batch_size or (32 if model is None else 8),
            max_new_tokens,
            vocabulary=own,
            **({} if prompt is None else {"prompt": prompt}),
        )
    target = out or _place(model, images)
    setup = setup_of(model, dtype, device, revision, trust_remote_code)
    make = measuring.DiagnosisWorker.of(chosen, settings)
    broken = 0

    def left_out(picture: str, error: InputError) -> None:
        nonlocal broken
        broken += 1
        if broken <= SPOKEN:
            say(f"left out: {error}")

    try:
        with placement.pool(make, setup) as pool:
            greet(pool, model)
            with working("measuring", timed=True) as progress:
                found = measuring.diagnose_with(
                    pool, settings, target, on_step=progress, on_broken=left_out
                )
    except KeyboardInterrupt:
        say(f"what was measured lies in {target}; the same command goes on from there")
        raise
    if broken:
        say(f"{broken} pictures could not be opened and were left out")
    emit(*_verdicts(found))
    _write(found, targets, title)


def _refuse(targets: list[Path]) -> None:
    from seesay.storage.files import writable

    for path in targets:
        if path.suffix.lower() not in KINDS:
            raise InputError(
                f"cannot tell what {str(path)!r} is to be: name it .html for a page or .md for "
                "Markdown"
            )
        writable(path)


def _place(model: str | None, images: str) -> Path:
    """Where measurements go that nobody named a place for: the same for the same question."""
    name = Path(model).name if model else "bundled"
    folder = Path("runs")
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot make {str(folder)!r}: {error.strerror}; name a file with --out"
        ) from error
    return folder / f"diagnose-{name}-{Path(images).stem or 'pictures'}.jsonl"


def _write(found: DiagnosisReport, targets: list[Path], title: str) -> None:
    import shlex
    import sys

    from seesay.explain.diagnose import markdown, page
    from seesay.storage.files import save

    command = " ".join(["seesay", *map(shlex.quote, sys.argv[1:])])
    for path in targets:
        if path.suffix.lower() == ".md":
            save(path, markdown.render(found, title, command))
        else:
            save(path, page.render(found, title))
        written(path)


def _verdicts(found: DiagnosisReport) -> list[RenderableType]:
    from rich.table import Table
    from rich.text import Text

    from seesay.explain.diagnose.wording import bound, interval

    looks = {"holds here": "green", "does not hold here": "red", "cannot be told": "dim"}
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for column in ("diagnosis", "verdict", "figure", "observation"):
        table.add_column(column)
    parts: list[RenderableType] = [
        f"{found.model}: {found.pictures} pictures ({found.images}), {found.words} named objects"
        + ("" if found.invented is None else f", {found.invented} of them invented"),
        *(Text(remark, style="dim") for remark in found.remarks),
        "",
        table,
    ]
    for finding in found.findings:
        for claim in finding.claims:
            told = claim.verdict != "cannot be told"
            side = "above" if claim.above else "below"
            value = f"{interval(claim.figure)}, {side} {bound(claim)}?"
            table.add_row(
                finding.name,
                Text(claim.verdict, style=looks[claim.verdict]),
                value if told else claim.unable or "not defined here",
                claim.says,
            )
        if finding.skipped:
            table.add_row(finding.name, Text("skipped", style="dim"), "", finding.skipped)
    for finding in found.findings:
        for method, reason in finding.advice:
            parts += ["", Text.assemble((method, "bold"), f": {reason}")]
    return parts
