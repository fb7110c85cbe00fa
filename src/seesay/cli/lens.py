"""lens: where the model looked for one word, and what it made of what it saw."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seesay.cli import options
from seesay.cli.describe import check, load, vocabulary_of
from seesay.cli.output import emit, working
from seesay.cli.result import emit_json, written
from seesay.errors import InputError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from seesay.render.lens_page import Lens


def lens(
    pictures: Annotated[
        list[str],
        typer.Argument(
            metavar="PICTURE...",
            help="Image files, or drawn scenes such as toy:broken/7. Several are asked about in "
            "one prompt, where the model takes that.",
        ),
    ],
    word: Annotated[
        str | None,
        typer.Option(help="A word that the model says. Default: the most doubtful object word."),
    ] = None,
    token: Annotated[
        int | None, typer.Option(min=0, help="In its place: the number of a token, from 0.")
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(help="Heat maps are the mean of these, such as 5-18. Default: the middle."),
    ] = None,
    head: Annotated[
        int | None, typer.Option(min=0, help="Heat maps of one head. Default: the mean of all.")
    ] = None,
    norm: Annotated[
        bool, typer.Option(help="Read patches through the final norm, as the last layer is.")
    ] = True,
    out: Annotated[
        Path | None, typer.Option(help="The page to write. Default: lens-WORD.html, or lens.html.")
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print JSON (schema seesay.lens/1); a page only with --out."),
    ] = False,
    model: options.Model = None,
    prompt: options.Prompt = None,
    max_new_tokens: options.MaxNewTokens = 256,
    words: options.Words = None,
    max_pixels: options.MaxPixels = None,
    dtype: options.Dtype = None,
    device: options.Device = None,
    revision: options.Revision = None,
    trust_remote_code: options.TrustRemoteCode = False,
    debug: options.Debug = False,
) -> None:
    """Show where the model looked for a word: heat maps, heads, what each patch reads as.

    seesay lens toy:broken/9 --word horse

    seesay lens photo.jpg --model llava-hf/llava-1.5-7b-hf --word fork --layers 5-18
    """
    how: dict[str, Any] = {"layers": _range(layers), "head": head, "norm": norm, "token": token}
    how |= {} if prompt is None else {"prompt": prompt}
    if out is None and not as_json:
        out = _page_of(word)
    opened = [check([], out, picture, max_pixels, model) for picture in pictures]
    vocabulary = vocabulary_of(words)
    vlm = load(model, dtype, device, revision, trust_remote_code)
    with working("looking inside"):
        from seesay.explain.lens import lens as look

        seen = look(vlm, opened, word, max_new_tokens=max_new_tokens, vocabulary=vocabulary, **how)
    if as_json:
        emit_json(seen.to_dict())
    else:
        emit(*_summary(seen))
    if out is not None:
        from seesay.render import lens_page
        from seesay.storage import files

        written(files.save(out, lens_page.render(seen)))


def _range(layers: str | None) -> tuple[int, int] | None:
    """The layers of "5-18" or "7", both ends included."""
    if layers is None:
        return None
    found = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", layers)
    if found is None:
        raise InputError(f"--layers {layers!r} is no range; say 5-18, or one layer such as 7")
    return int(found[1]), int(found[2] or found[1])


def _page_of(word: str | None) -> Path:
    """What the page about a word is called: lens- and its letters and digits."""
    name = re.sub(r"\W+", "-", word or "").strip("-")[:40]
    return Path(f"lens-{name}.html" if name else "lens.html")


def _summary(seen: Lens) -> Iterator[RenderableType]:
    """The text with its word marked, and what was found, in a few lines."""
    import numpy as np
    from rich.text import Text

    from seesay.render import wording
    from seesay.render.terminal import printable

    start, end = seen.span
    before, word, after = seen.text[:start], seen.word, seen.text[end:]
    yield Text.assemble(printable(before), (f">{printable(word)}<", "bold"), printable(after))
    first, last = seen.layers
    chosen = seen.var[first : last + 1]
    looked = float((chosen if seen.head is None else chosen[:, seen.head]).mean())
    peak = int(seen.var.mean(1).argmax())
    yield Text(
        f"attention to the picture just before it: {wording.share(looked)} ({seen.where}); "
        f"the most in layer {peak}, {wording.share(float(seen.var[peak].mean()))}"
    )
    crops = [crop for viewed in seen.pictures for crop in viewed.crops]
    best = max(crops, key=lambda crop: float(crop.says.max()))
    layer, row, column = (int(k) for k in np.unravel_index(best.says.argmax(), best.says.shape))
    yield Text(
        f"a patch reads most as “{printable(seen.token)}” after layer {layer}: row {row + 1}, "
        f"column {column + 1}, probability {wording.share(float(best.says.max()))}"
    )
    if seen.mention is not None:
        mark = "doubtful" if seen.mention.doubtful else "not doubtful"
        yield Text(f"risk {wording.risk(seen.mention)}, {mark}", style="dim")
