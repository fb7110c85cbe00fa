"""audit: which words of a given text to doubt."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from seesay.cli import options
from seesay.cli.describe import check, load, vocabulary_of
from seesay.cli.output import say, working
from seesay.cli.result import show
from seesay.errors import InputError

LONGEST = 1_000_000
"""Bytes of a text file: far more than any model reads at once."""


def audit(
    picture: options.PictureArgument,
    text: Annotated[str | None, typer.Option(help="What is said of the picture.")] = None,
    text_file: Annotated[
        Path | None, typer.Option(help="The same from a UTF-8 file; - reads it from stdin.")
    ] = None,
    model: options.Model = None,
    prompt: Annotated[str | None, typer.Option(help="What the text is taken to answer.")] = None,
    self_check: Annotated[
        bool | None,
        typer.Option(
            "--self-check/--no-self-check",
            help="Ask the model whether what is named is there. Default: where it can be asked.",
        ),
    ] = None,
    deep: options.Deep = False,
    as_json: options.Json = False,
    report: options.Report = None,
    words: options.Words = None,
    max_pixels: options.MaxPixels = None,
    dtype: options.Dtype = None,
    device: options.Device = None,
    revision: options.Revision = None,
    trust_remote_code: options.TrustRemoteCode = False,
    debug: options.Debug = False,
) -> None:
    """Mark the doubtful words of a text about a picture, whoever wrote it.

    The model reads the text in one pass, as if it had said it.

    Unless --no-self-check saves it, the model is asked after each object, which is what a mark
    rests on; without an answer words are ranked and none is marked.

    seesay audit toy:broken/7 --text "A cow and a barn."

    seesay audit photo.jpg --text-file caption.txt --model llava-hf/llava-1.5-7b-hf
    """
    said = _text(text, text_file)
    opened = check([], report, picture, max_pixels, model)
    vocabulary = vocabulary_of(words)
    from seesay.grounding.vocabulary.language import NOT_ENGLISH, looks_english
    from seesay.vlm import PROMPT

    vlm = load(model, dtype, device, revision, trust_remote_code)
    if self_check is None:
        self_check = (reason := vlm.exam.reason) is None
        if reason is not None:
            say(f"{vlm.id} is not asked ({reason}), so words are ranked and none is marked")
    with working("reading the text"):
        seen = vlm.audit(
            opened,
            said,
            prompt=prompt or PROMPT,
            vocabulary=vocabulary,
            self_check=self_check,
            deep=deep,
        )
    if not seen.mentions and not looks_english(said) and seen.protocol.vocabulary == "coco":
        say(NOT_ENGLISH)
    elif not seen.mentions:
        say(f"the text names no object that the vocabulary {seen.protocol.vocabulary!r} knows")
    show(seen, as_json, report)


def _text(text: str | None, file: Path | None) -> str:
    if (text is None) == (file is None):
        raise InputError('give the text to audit as --text "..." or as --text-file FILE, once')
    if file is not None:
        text = _read(file)
    if text is None or not text.strip():
        where = "" if file is None else f" in {str(file)!r}"
        raise InputError(f"there is no text{where}; give the text that is to be checked")
    return text


def _read(file: Path) -> str:
    try:
        if str(file) == "-":
            raw = sys.stdin.buffer.read(LONGEST + 1)
        else:
            with file.expanduser().open("rb") as opened:
                raw = opened.read(LONGEST + 1)
        if len(raw) > LONGEST:
            raise InputError(
                f"{str(file)!r} holds more than {LONGEST:,} bytes; no model reads that"
            )
        return raw.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot read {str(file)!r}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"cannot read {str(file)!r}: it is no UTF-8 text ({error.reason} at byte "
            f"{error.start}); save it as UTF-8"
        ) from error
