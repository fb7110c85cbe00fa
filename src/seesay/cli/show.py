"""show: one picture of what a method changed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from seesay.cli import options
from seesay.cli.describe import check, load
from seesay.cli.output import emit, working
from seesay.cli.result import written

SCENE = "toy:broken/12"


def show(
    method: Annotated[
        str,
        typer.Argument(
            metavar="METHOD", help='Such as farsight, "agla(alpha=1)" or "agla + attention-lens".'
        ),
    ],
    picture: Annotated[
        str, typer.Option(help="An image file, or a drawn scene such as toy:kept/3.")
    ] = SCENE,
    model: options.Model = None,
    out: Annotated[
        Path | None, typer.Option(help="The SVG file to write. Default: the method's name.")
    ] = None,
    prompt: options.Prompt = None,
    max_new_tokens: options.MaxNewTokens = 96,
    max_pixels: options.MaxPixels = None,
    dtype: options.Dtype = None,
    device: options.Device = None,
    revision: options.Revision = None,
    trust_remote_code: options.TrustRemoteCode = False,
    debug: options.Debug = False,
) -> None:
    """Draw what a method changes: texts, attention, second pictures, memory, odds of a word.

    seesay show attention-lens

    seesay show "agla(alpha=1)" --picture toy:broken/12 --out agla.svg
    """
    target = _target(method, out)
    opened = check([method], target, picture, max_pixels, model)
    asked = {} if prompt is None else {"prompt": prompt}
    vlm = load(model, dtype, device, revision, trust_remote_code)
    with working(f"tracing {method.strip()}"):
        from seesay.explain.trace import trace
        from seesay.render import figure
        from seesay.storage import files

        traced = trace(vlm, opened, method, max_new_tokens=max_new_tokens, **asked)
        drawing = figure.draw(traced)
    files.save(target, drawing)
    emit(figure.caption(traced))
    written(target)


def _target(method: str, out: Path | None) -> Path:
    """The file to write; InputError if it is to be no SVG."""
    from seesay.errors import InputError

    if out is None:
        return Path(re.sub(r"[^\w.+-]+", "-", method.strip()).strip("-.") + ".svg")
    if out.suffix.lower() != ".svg":
        raise InputError(
            f"cannot write {str(out)!r}: figures are SVG, which every browser opens and prints; "
            f"name it {out.with_suffix('.svg').name}"
        )
    return out
