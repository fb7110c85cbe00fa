"""describe with a folder: rows into a file that a stopped run goes on with, or into a pipe."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

from seesay.cli.output import Report, say, working
from seesay.cli.workers import Placement, greet
from seesay.errors import InputError, SeesayError

if TYPE_CHECKING:
    from seesay.options import Options
    from seesay.runs.folder import FolderRun, Tally
    from seesay.runs.setup import Setup
    from seesay.runs.worker_pool import WorkerPool


def wanted(
    picture: str,
    out: Path | None,
    jsonl: bool,
    as_json: bool,
    report: Path | None,
    placement: Placement,
) -> bool:
    """Whether rows of a folder are asked for; refuses options that mean nothing there, or only
    there."""
    is_folder = Path(picture).expanduser().is_dir()
    if is_folder and (as_json or report is not None):
        raise InputError(
            f"{picture!r} is a folder: --json and --report are for one picture; say --out or "
            "--jsonl"
        )
    if is_folder and jsonl == (out is not None):
        raise InputError(
            f"{picture!r} is a folder; say either --out ROWS.jsonl, which can be stopped and goes "
            "on, or --jsonl for rows on stdout"
        )
    if not is_folder and (jsonl or out is not None):
        raise InputError(
            f"--out and --jsonl are for a folder, which {picture!r} is not; say --json or --report"
        )
    if not is_folder and not placement.here:
        raise InputError(f"--workers and --engine are for a folder, which {picture!r} is not")
    return is_folder


def describe_folder(
    picture: str,
    out: Path | None,
    placement: Placement,
    setup: Setup,
    note: str | None,
    *,
    max_pixels: int | None,
    asked: dict[str, Any],
) -> None:
    """Rows of a folder; what can be refused is, before a model is loaded.

    Args:
        picture: the folder.
        out: the file of rows, or None to print them.
        placement, setup: where workers live, and how they load the model.
        note: what to say once the run goes ahead.
        asked: prompt and options of `VLM.describe`, without those left at their default.

    Raises:
        SeesayError: beside `seesay.runs.folder`'s reasons, pictures that could not be described;
            all others have been.
    """
    from seesay.models.images import MAX_PIXELS
    from seesay.runs.folder import Folder, FolderRun, FolderWorker, RowFile
    from seesay.vlm import PROMPT

    prompt: str = asked.pop("prompt", PROMPT)
    limit = MAX_PIXELS if max_pixels is None else max_pixels
    run = FolderRun(Folder.of(picture), prompt, cast("Options", asked), limit)
    checked = run.asked.checked  # a wrong number or method
    stdout, what = sys.stdout, f"describing {picture}"
    with nullcontext() if out is None else RowFile(out) as file:
        if file is not None:
            file.check(run.folder)
            file.require({"prompt": prompt, "decoding": checked.decoding, "seed": checked.seed})
        if run.folder.others:
            counts = ", ".join(f"{count} {end}" for end, count in sorted(run.folder.others.items()))
            say(f"left out, no pictures by their suffix: {counts}")
        if note is not None:
            say(note)
        with placement.pool(FolderWorker.of(run.asked), setup) as pool:
            greet(pool, setup.model)
            with working(what, timed=True) as report:
                if file is None:
                    tally = _printed(run, pool, report, stdout)
                else:
                    tally = run.into(file, pool, report)
    _finish(tally, "" if out is None else f"; {out} has {tally.pictures} rows")


def _printed(run: FolderRun, pool: WorkerPool[Any], report: Report, stdout: TextIO) -> Tally:
    """Rows on stdout as they come; a reader that has gone away ends the work and is no error."""
    from seesay.runs.folder import ERROR_SCHEMA, Tally, encoded

    pool.call("protocol")  # what would fail with every picture fails here
    described, failed = 0, {}
    try:
        for row in run.rows(pool, on_progress=report):
            stdout.buffer.write(encoded(row))
            stdout.flush()
            if row["schema"] == ERROR_SCHEMA:
                failed[row["picture"]] = row["error"]
            else:
                described += 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stdout.fileno())
    except OSError as error:
        raise SeesayError(f"cannot write rows to stdout: {error.strerror or error}") from error
    return Tally(described, 0, failed)


def _finish(tally: Tally, where: str) -> None:
    kept = f", {tally.kept} were there" if tally.kept else ""
    done = f"{tally.described} described{kept}"
    if not tally.failed:
        say(done + where)
        return
    name, reason = next(iter(tally.failed.items()))
    raise SeesayError(
        f"{done}, {len(tally.failed)} could not be{where}; the first is {name}: {reason} (the "
        "last rows hold each one's reason; the same command tries them again)"
    )
