"""calibrate: from ranks to probabilities, on pictures whose objects are known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seesay.cli import options
from seesay.cli.describe import load, vocabulary_of
from seesay.cli.output import emit, say, working
from seesay.errors import InputError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from seesay.evaluate.calibrate import Known
    from seesay.grounding import Calibration
    from seesay.grounding.calibration import Logistic

SPOKEN = 3
"""Pictures that cannot be opened and are named one by one; the rest is counted."""


def calibrate(
    model: options.Model = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help='Pictures of your own, one JSON object a line: {"image": "photo.jpg", "objects": '
            '["fork", "cup"]}. Default: drawn scenes.'
        ),
    ] = None,
    scenes: Annotated[
        int | None, typer.Option(min=1, help="Drawn scenes of each kind. Default: 1000.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The file to write. Default: in your data folder, where it is found."),
    ] = None,
    words: options.Words = None,
    no_self_check: Annotated[
        bool, typer.Option("--no-self-check", help="Do not ask the model about what it named.")
    ] = False,
    max_new_tokens: options.MaxNewTokens = 128,
    batch_size: Annotated[
        int | None,
        typer.Option(min=1, help="Pictures at once. Default: 32 of the bundled model, else 8."),
    ] = None,
    dtype: options.Dtype = None,
    device: options.Device = None,
    revision: options.Revision = None,
    trust_remote_code: options.TrustRemoteCode = False,
    debug: options.Debug = False,
) -> None:
    """Turn a model's scores into risks: describe pictures whose objects are known, and fit.

    seesay calibrate --model llava-hf/llava-1.5-7b-hf --data images.jsonl

    seesay calibrate --scenes 200 --out calibration.json
    """
    with working("reading the pictures"):
        from seesay.evaluate import calibrate as measuring
        from seesay.grounding import Vocabulary
        from seesay.grounding.calibration import places
        from seesay.storage import files
    if data is not None and scenes is not None:
        raise InputError("--scenes counts drawn scenes, and --data brings pictures; say one")
    if out is not None:
        files.writable(out)
    own = vocabulary_of(words)
    if data is None:
        vocabulary = own or Vocabulary.toy()
        count = scenes or measuring.SCENES
        pictures = measuring.scenes(count)
        last = measuring.FIRST_SEED + count - 1
        made_from = f"drawn scenes, seeds {measuring.FIRST_SEED} to {last} of each kind"
    else:
        vocabulary = own or Vocabulary.coco()
        pictures, made_from = measuring.listed(data, vocabulary), data.name
    vlm = load(model, dtype, device, revision, trust_remote_code)
    if model is not None and data is None:
        say("drawn scenes are no photos: risks fitted on them may be off; see --data")
    if not no_self_check and (reason := vlm.exam.reason) is not None:
        say(f"without self-check: {reason}")
    target = out or places(vlm.id, None)[0]
    if out is None:
        target.parent.mkdir(parents=True, exist_ok=True)
        files.writable(target)
    broken: list[str] = []

    def left_out(known: Known, error: InputError) -> None:
        broken.append(known.id)
        if len(broken) <= SPOKEN:
            say(f"left out: {error}")

    with working("describing", timed=True) as progress:
        found = measuring.calibrate(
            vlm,
            pictures,
            made_from=made_from,
            vocabulary=vocabulary,
            batch_size=batch_size or (32 if model is None else 8),
            max_new_tokens=max_new_tokens,
            self_check=not no_self_check,
            on_picture=progress,
            on_broken=left_out,
        )
    if broken:
        say(f"{len(broken)} of {len(pictures)} pictures could not be opened and were left out")
    emit(*_account(found))
    files.save(target, found.text())
    say(f"wrote {target}")


def _account(found: Calibration) -> list[RenderableType]:
    """What was found, for a reader."""
    from rich.text import Text

    share = found.invented / found.words
    first, last = found.layers
    parts: list[RenderableType] = [
        f"{found.pictures} pictures ({found.made_from}), {found.words} named objects, "
        f"{found.invented} of them invented ({share:.0%})",
        "",
        f"attention on the picture tells them apart best in layers {first} to {last} of "
        f"{len(found.by_layer)}: AUROC {found.layers_auroc:.3f}, cross-validated",
        _layers(found),
    ]
    models = {"risk from the scores of one pass": found.single}
    if found.checked is not None:
        models["risk with self-check"] = found.checked
    for name, model in models.items():
        parts += ["", Text(name, style="bold"), *_figures(model)]
    return parts


def _layers(found: Calibration) -> RenderableType:
    """The VAR curve: each layer's AUROC alone, as a bar from chance."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("layer", justify="right")
    table.add_column("AUROC", justify="right")
    table.add_column("")
    first, last = found.layers
    for layer, value in enumerate(found.by_layer):
        bar = "█" * round(max(0.0, value - 0.5) * 60)
        table.add_row(
            str(layer), f"{value:.3f}", bar, style="" if first <= layer <= last else "dim"
        )
    return table


def _figures(model: Logistic) -> list[RenderableType]:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for column in ("risk said", "share invented", "objects"):
        table.add_column(column, justify="right")
    for said, share, count in model.curve:
        table.add_row(f"{said:.2f}", f"{share:.2f}", str(count))
    return [
        f"AUROC {model.auroc}, expected calibration error {model.error}, on pictures that the "
        f"weights had not seen; marked from {model.threshold:.2f}",
        table,
    ]
