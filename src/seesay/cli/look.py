"""describe, ask, compare: a picture in, marked text out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seesay.cli import folder, options
from seesay.cli.output import emit, say, working

if TYPE_CHECKING:
    from rich.console import RenderableType

    from seesay.pictures import Opened
    from seesay.seen import Seen
    from seesay.vlm import VLM

SCENES_ONLY = "the bundled model knows its drawn scenes only; for other pictures name a --model"


def describe(
    picture: options.PictureOrFolder,
    model: options.Model = None,
    method: options.Method = None,
    prompt: options.Prompt = None,
    max_new_tokens: options.MaxNewTokens = 256,
    num_beams: options.NumBeams = 1,
    sample: options.Sample = False,
    seed: options.Seed = None,
    as_json: options.Json = False,
    report: options.Report = None,
    out: options.Out = None,
    jsonl: options.Jsonl = False,
    batch_size: options.BatchSize = 8,
    words: options.Words = None,
    max_pixels: options.MaxPixels = None,
    dtype: options.Dtype = None,
    device: options.Device = None,
    revision: options.Revision = None,
    trust_remote_code: options.TrustRemoteCode = False,
    debug: options.Debug = False,
) -> None:
    """Describe a picture and mark the doubtful words, or a folder of pictures into rows.

    seesay describe photo.jpg --model llava-hf/llava-1.5-7b-hf --method attention-lens

    seesay describe toy:broken/7 --report scene.html

    seesay describe photos/ --out photos.jsonl --batch-size 16
    """
    rows = folder.wanted(picture, out, jsonl, as_json, report)
    opened = None if rows else check([method], report, picture, max_pixels, model)
    asked = {} if prompt is None else {"prompt": prompt}
    how = {**asked, **_decoding(max_new_tokens, num_beams, sample, seed, words)}
    if opened is None:
        how.update(method=method, batch_size=batch_size)
        loads = partial(load, model, dtype, device, revision, trust_remote_code)
        note = SCENES_ONLY if model is None else None
        folder.describe_folder(picture, out, loads, note, max_pixels=max_pixels, asked=how)
        return
    vlm = load(model, dtype, device, revision, trust_remote_code)
    with working("describing") as progress:
        seen = vlm.describe(opened, method=method, on_token=progress, **how)
    _show(seen, as_json, report)


def ask(
    picture: options.PictureArgument,
    question: Annotated[str, typer.Argument(help='Such as "Is there a fork in the image?"')],
    model: options.Model = None,
    method: options.Method = None,
    max_new_tokens: options.MaxNewTokens = 256,
    num_beams: options.NumBeams = 1,
    sample: options.Sample = False,
    seed: options.Seed = None,
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
    """Ask a question about a picture.

    seesay ask photo.jpg "Is there a dog in the image?"
    """
    opened = check([method], report, picture, max_pixels, model)
    how = _decoding(max_new_tokens, num_beams, sample, seed, words)
    vlm = load(model, dtype, device, revision, trust_remote_code)
    with working("answering") as progress:
        seen = vlm.ask(opened, question, method=method, on_token=progress, **how)
    _show(seen, as_json, report)


def compare(
    picture: options.PictureArgument,
    methods: Annotated[
        str, typer.Option(help='Separated by semicolons: "all; agla + farsight".')
    ] = "all",
    model: options.Model = None,
    prompt: options.Prompt = None,
    max_new_tokens: options.MaxNewTokens = 256,
    num_beams: options.NumBeams = 1,
    sample: options.Sample = False,
    seed: options.Seed = None,
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
    """Describe a picture under several methods, one after the other.

    seesay compare toy:broken/7 --methods "plain; attention-lens; attention-lens + farsight"
    """
    listed = [part.strip() for part in methods.split(";") if part.strip()]
    opened = check([part for part in listed if part != "all"], report, picture, max_pixels, model)
    asked = {} if prompt is None else {"prompt": prompt}
    how = {**asked, **_decoding(max_new_tokens, num_beams, sample, seed, words)}
    vlm = load(model, dtype, device, revision, trust_remote_code)
    if "all" in listed:
        for name, reason in vlm.misfits().items():
            say(f"without {name}: {reason}")
    texts = []
    for method in vlm.chosen(listed):
        with working(f"describing with {method}") as progress:
            texts += vlm.compare(opened, [method], on_token=progress, **how)
    if as_json:
        emit_json([seen.to_dict() for seen in texts])
    else:
        from seesay.seen import panel_of
        from seesay.show import terminal

        emit(terminal.panel(panel_of(texts)))
        emit(_scale(texts[0]))
    if report is not None:
        from seesay.seen import report as write

        written(write(texts, report))


def check(
    methods: Sequence[str | None],
    report: Path | None,
    picture: str,
    max_pixels: int | None = None,
    model: str | None = None,
) -> Opened:
    """Refuse what can be refused before a model is loaded, which may take minutes; opens the
    picture."""
    from seesay.methods import parse
    from seesay.pictures import open_picture
    from seesay.show import page

    for method in methods:
        if method is not None:
            parse(method)
    if report is not None:
        page.writable(report)
    opened = open_picture(picture, **({} if max_pixels is None else {"max_pixels": max_pixels}))
    if model is None and opened.present is None:
        say(SCENES_ONLY)
    return opened


def load(
    model: str | None,
    dtype: str | None,
    device: str | None,
    revision: str | None,
    trust_remote_code: bool,
) -> VLM:
    with working(f"loading {model or 'the bundled model'}"):
        import torch

        from seesay.vlm import load as load_vlm

        if model is None:
            torch.set_num_threads(1)  # threads cost so small a model more than they bring
        return load_vlm(
            model,
            dtype=dtype,
            device=device,
            revision=revision,
            trust_remote_code=trust_remote_code,
        )


def emit_json(record: Any) -> None:
    emit(json.dumps(record, ensure_ascii=False, indent=2, allow_nan=False))


def written(path: Path) -> None:
    say(f"wrote {path}")


def _decoding(
    max_new_tokens: int, num_beams: int, sample: bool, seed: int | None, words: Path | None
) -> dict[str, Any]:
    from seesay.grounding import Vocabulary

    return {
        "max_new_tokens": max_new_tokens,
        "num_beams": num_beams,
        "do_sample": sample,
        "seed": seed,
        "vocabulary": None if words is None else Vocabulary.read(words),
    }


def _show(seen: Seen, as_json: bool, report: Path | None) -> None:
    if as_json:
        emit_json(seen.to_dict())
    else:
        from seesay.show import terminal

        account = seen.account()
        parts: list[RenderableType] = [terminal.marked(account, seen.present)]
        if seen.doubtful:
            parts.append(terminal.doubt_table(account, seen.present))
        if seen.present is not None:
            parts.append(terminal.there(seen.present))
        if seen.acted is not None:
            parts.append(f"{seen.method} {terminal.gate_share(seen.acted)}")
        emit(*parts, _scale(seen))
    if report is not None:
        written(seen.save(report))


def _scale(seen: Seen) -> RenderableType:
    from rich.text import Text

    return Text(f"risk: {seen.protocol.risk}", style="dim")
