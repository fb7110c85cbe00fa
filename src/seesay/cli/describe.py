"""describe, ask, compare: a picture in, marked text out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seesay.cli import folder, options
from seesay.cli.options import Engine
from seesay.cli.output import emit, say, working
from seesay.cli.result import emit_json, scale, show, written
from seesay.cli.workers import Placement, setup_of
from seesay.errors import InputError

if TYPE_CHECKING:
    from seesay.cli.streaming import Growing
    from seesay.grounding import Vocabulary
    from seesay.pictures import Opened
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
    engine: options.EngineOption = Engine.LOCAL,
    workers: options.Workers = 1,
    address: options.Address = None,
    gpus_per_worker: options.GpusPerWorker = None,
    self_check: options.SelfCheck = False,
    deep: options.Deep = False,
    stream: options.Stream = False,
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

    seesay describe photos/ --out photos.jsonl --batch-size 16 --workers 4
    """
    placement = Placement(engine, workers, address, gpus_per_worker)
    rows = folder.wanted(picture, out, jsonl, as_json, report, placement)
    _refuse_stream(stream and (rows or as_json), num_beams if stream else 1)
    opened = None if rows else check([method], report, picture, max_pixels, model)
    asked = {} if prompt is None else {"prompt": prompt}
    how = {**asked, **_decoding(max_new_tokens, num_beams, sample, seed, words)}
    how.update(_second_looks(self_check, deep))
    if opened is None:
        how.update(method=method, batch_size=batch_size)
        setup = setup_of(model, dtype, device, revision, trust_remote_code)
        note = SCENES_ONLY if model is None else None
        folder.describe_folder(
            picture, out, placement, setup, note, max_pixels=max_pixels, asked=how
        )
        return
    vlm = load(model, dtype, device, revision, trust_remote_code)
    with _following("describing", opened, stream) as (followers, shown):
        seen = vlm.describe(opened, method=method, **followers, **how)
    show(seen, as_json, report, shown)


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
    self_check: options.SelfCheck = False,
    deep: options.Deep = False,
    stream: options.Stream = False,
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
    _refuse_stream(stream and as_json, num_beams if stream else 1)
    opened = check([method], report, picture, max_pixels, model)
    how = _decoding(max_new_tokens, num_beams, sample, seed, words)
    how.update(_second_looks(self_check, deep))
    vlm = load(model, dtype, device, revision, trust_remote_code)
    with _following("answering", opened, stream) as (followers, shown):
        seen = vlm.ask(opened, question, method=method, **followers, **how)
    show(seen, as_json, report, shown)


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
        from seesay.render import terminal
        from seesay.response import panel_of

        emit(terminal.panel(panel_of(texts)))
        emit(scale(texts[0]))
    if report is not None:
        from seesay.response import report as write

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
    from seesay.storage.files import writable

    for method in methods:
        if method is not None:
            parse(method)
    if report is not None:
        writable(report)
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
        vlm = setup_of(model, dtype, device, revision, trust_remote_code).load()
    if vlm.remark:
        say(vlm.remark)
    return vlm


def vocabulary_of(words: str | None) -> Vocabulary | None:
    """The vocabulary that --words names."""
    from seesay.grounding import Vocabulary

    return None if words is None else Vocabulary.named(words)


def _decoding(
    max_new_tokens: int, num_beams: int, sample: bool, seed: int | None, words: str | None
) -> dict[str, Any]:
    return {
        "max_new_tokens": max_new_tokens,
        "num_beams": num_beams,
        "do_sample": sample,
        "seed": seed,
        "vocabulary": vocabulary_of(words),
    }


def _second_looks(self_check: bool, deep: bool) -> dict[str, Any]:
    """Options that stand in no protocol while they are off."""
    return {**({"self_check": True} if self_check else {}), **({"deep": True} if deep else {})}


def _refuse_stream(elsewhere: bool, num_beams: int) -> None:
    if elsewhere:
        raise InputError("--stream shows one text as it grows; leave it out for folders and --json")
    if num_beams > 1:
        raise InputError(
            f"--stream: a search over {num_beams} beams may change its text to the end; leave out "
            "--stream or --num-beams"
        )


@contextmanager
def _following(
    what: str, opened: Opened, stream: bool
) -> Iterator[tuple[dict[str, Any], Growing | None]]:
    """What follows a text: the text itself in a terminal that asks for it, else a count."""
    from seesay.cli.streaming import growing

    with growing(stream, opened.present) as shown:
        if shown is not None:
            yield {"on_text": shown}, shown
            return
        with working(what) as progress:
            yield {"on_token": progress}, None
