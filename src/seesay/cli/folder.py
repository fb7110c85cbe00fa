"""describe with a folder: rows into a file that a stopped run goes on with, or into a pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from seesay.cli.output import Report, say, working
from seesay.errors import InputError, SeesayError

if TYPE_CHECKING:
    from seesay.options import Options
    from seesay.runs.folder import FolderRun, Tally
    from seesay.vlm import VLM


def wanted(picture: str, out: Path | None, jsonl: bool, as_json: bool, report: Path | None) -> bool:
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
    return is_folder


def describe_folder(
    picture: str,
    out: Path | None,
    load: Callable[[], VLM],
    note: str | None,
    *,
    max_pixels: int | None,
    asked: dict[str, Any],
) -> None:
    """Rows of a folder; what can be refused is, before `load` loads the model.

    Args:
        picture: the folder.
        out: the file of rows, or None to print them.
        note: what to say once the run goes ahead.
        asked: prompt and options of `VLM.describe`, without those left at their default.

    Raises:
        SeesayError: beside `seesay.runs.folder`'s reasons, pictures that could not be described;
            all others have been.
    """
    from seesay.models.images import MAX_PIXELS
    from seesay.options import GenerationOptions
    from seesay.runs.folder import Folder, FolderRun, RowFile
    from seesay.vlm import PROMPT

    prompt: str = asked.pop("prompt", PROMPT)
    checked = GenerationOptions.of(prompt, **asked)  # before the model: a wrong number or method
    folder = Folder.of(picture)

    def job() -> FolderRun:
        if folder.others:
            counts = ", ".join(f"{count} {end}" for end, count in sorted(folder.others.items()))
            say(f"left out, no pictures by their suffix: {counts}")
        if note is not None:
            say(note)
        limit = MAX_PIXELS if max_pixels is None else max_pixels
        return FolderRun(load(), folder, prompt, cast("Options", asked), limit)

    what = f"describing {picture}"
    if out is None:
        describing = job()
        with working(what, timed=True) as report:
            _finish(_printed(describing, report), "")
        return
    with RowFile(out) as file:
        file.check(folder)
        file.require({"prompt": prompt, "decoding": checked.decoding, "seed": checked.seed})
        describing = job()
        with working(what, timed=True) as report:
            tally = describing.into(file, report)
    _finish(tally, f"; {out} has {tally.pictures} rows")


def _printed(describing: FolderRun, report: Report) -> Tally:
    """Rows on stdout as they come; a reader that has gone away ends the work and is no error."""
    from seesay.runs.folder import ERROR_SCHEMA, Tally, encoded

    describing.protocol()  # what would fail with every picture fails here
    described, failed = 0, {}
    try:
        for row in describing.rows(on_progress=report):
            sys.stdout.buffer.write(encoded(row))
            sys.stdout.flush()
            if row["schema"] == ERROR_SCHEMA:
                failed[row["picture"]] = row["error"]
            else:
                described += 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
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
