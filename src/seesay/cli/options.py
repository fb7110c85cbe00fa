"""The options that several commands share, each written once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated

import typer

debug = SimpleNamespace(on=False)


def _debug(value: bool) -> bool:
    debug.on = debug.on or value
    return value


def _version(value: bool) -> None:
    if value:
        from seesay import __version__

        typer.echo(f"seesay {__version__}")
        raise typer.Exit


class Engine(StrEnum):
    LOCAL = "local"
    RAY = "ray"


PictureArgument = Annotated[
    str,
    typer.Argument(
        metavar="PICTURE",
        help="An image file, or toy:broken/7 for a drawn scene (toy:kept/SEED, toy:broken/SEED).",
    ),
]
PictureOrFolder = Annotated[
    str,
    typer.Argument(
        metavar="PICTURE",
        help="An image file, a folder of them (with --out or --jsonl), or toy:broken/7 for a "
        "drawn scene (toy:kept/SEED, toy:broken/SEED).",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        help="For a folder: the file of rows, one JSON object a picture. If it is there, the run "
        "goes on with it.",
    ),
]
Jsonl = Annotated[bool, typer.Option("--jsonl", help="For a folder: print the rows.")]
BatchSize = Annotated[
    int, typer.Option(min=1, help="For a folder: pictures at once. One at a time with --sample.")
]
EngineOption = Annotated[Engine, typer.Option("--engine", help="Where workers live.")]
Workers = Annotated[
    int, typer.Option(min=1, help="Copies of the model at work, on a GPU each if there are.")
]
Address = Annotated[
    str | None, typer.Option(help="Of a Ray cluster. Default: one on this machine.")
]
GpusPerWorker = Annotated[
    float | None, typer.Option(min=0, help="With --engine ray. Default: 1 if there are any.")
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", help="A Hugging Face id or a folder. Default: the bundled tiny model."
    ),
]
Method = Annotated[
    str | None,
    typer.Option(
        "--method", help='Such as "attention-lens(alpha=0.4) + agla"; see seesay methods.'
    ),
]
MaxNewTokens = Annotated[int, typer.Option(min=1, help="The text is cut there.")]
NumBeams = Annotated[int, typer.Option(min=1, help="Beams of the search; 1 is greedy.")]
Sample = Annotated[bool, typer.Option("--sample", help="Draw tokens instead of taking the best.")]
Seed = Annotated[
    int | None, typer.Option(min=0, max=2**63 - 1, help="The same draw again, with --sample.")
]
Prompt = Annotated[str | None, typer.Option(help="What to ask for.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON (schema seesay.seen/1).")]
Report = Annotated[
    Path | None, typer.Option("--report", help="Also write a page, one self-contained HTML file.")
]
Words = Annotated[
    str | None,
    typer.Option(
        "--words",
        help="Object words to look for: coco, toy, open (any noun), or a file, one class a line, "
        "synonyms after commas.",
    ),
]
SelfCheck = Annotated[
    bool,
    typer.Option(
        "--self-check",
        help="Ask the model whether what was named is there, and weigh its answers.",
    ),
]
Deep = Annotated[
    bool,
    typer.Option("--deep", help="Read hidden states too, for four more scores; slower."),
]
Stream = Annotated[
    bool, typer.Option("--stream", help="In a terminal: show the words as they come.")
]
MaxPixels = Annotated[
    int | None,
    typer.Option(min=1, help="Refuse larger pictures before decoding them. Default: 100 million."),
]
Dtype = Annotated[str | None, typer.Option(help="float32, bfloat16, float16 or auto.")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, ... Default: a GPU if any.")]
Revision = Annotated[str | None, typer.Option(help="Branch, tag or commit on the Hub.")]
TrustRemoteCode = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run Python code of the model's repository.")
]
Debug = Annotated[
    bool, typer.Option("--debug", callback=_debug, help="Show the traceback of an error.")
]
Version = Annotated[
    bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
]
