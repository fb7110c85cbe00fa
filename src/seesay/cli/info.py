"""methods, doctor: what there is, and whether it works here."""

from __future__ import annotations

import inspect
import os
import platform
from collections.abc import Iterator
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seesay.cli import options
from seesay.cli.describe import load
from seesay.cli.output import emit, working
from seesay.errors import SeesayError

if TYPE_CHECKING:
    from seesay.engine import Method
    from seesay.models.view import ModelView
    from seesay.vlm import VLM


def methods(
    name: Annotated[str | None, typer.Argument(help="One method, for its fields.")] = None,
    model: options.Model = None,
    debug: options.Debug = False,
) -> None:
    """List the methods and what they serve, or the fields of one; with --model, its settings."""
    from seesay.engine.spec import load_installed, method_class
    from seesay.methods import REGISTRY

    load_installed()
    kinds = sorted(REGISTRY.values(), key=lambda kind: kind.name)
    if name is not None:
        kinds = [method_class(name)]
        emit(*_method_facts(kinds[0]))
    else:
        emit(_registry_table(kinds), "", *_modes(kinds))
        emit("", "fields and defaults of one: seesay methods NAME")
    if model is not None:
        view = load(model, None, None, None, trust_remote_code=False).view
        emit("", f"settings on {model}:")
        emit(_settings(kinds, view))


def doctor(
    model: options.Model = None,
    dtype: options.Dtype = None,
    device: options.Device = None,
    revision: options.Revision = None,
    trust_remote_code: options.TrustRemoteCode = False,
    debug: options.Debug = False,
) -> None:
    """Show versions and model facts, which methods fit, and that seesay changes nothing unasked."""
    vlm = load(model, dtype, device, revision, trust_remote_code)
    with working("checking the model"):
        difference = vlm.identity()
        rows = [*_environment(), *_model_facts(vlm), *_fits(vlm)]
    same = "no method: logits bit-equal to the untouched model"
    wrong = f"no method: logits differ from the untouched model by up to {difference:g}"
    emit(_two_columns([*rows, ("identity", same if difference == 0 else wrong)]))
    if difference != 0:
        from seesay.errors import EngineError

        raise EngineError(
            f"{vlm.id}: with no method its logits change by up to {difference:g}, so no result on "
            "it can be trusted; please report the model's family"
        )


def _registry_table(kinds: list[type[Method]]) -> Any:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("method", style="cyan", no_wrap=True)
    table.add_column("what it does")
    table.add_column("paper", style="dim")
    for kind in kinds:
        table.add_row(kind.name, kind.summary, kind.paper)
    return table


def _settings(kinds: list[type[Method]], view: ModelView) -> Any:
    """Every method as a model gets it, and who says so."""
    from rich.table import Table

    from seesay.methods.published import published

    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False, pad_edge=False)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column()
    table.add_column(style="dim")
    for kind in kinds:
        if not kind.standalone:
            continue
        row = published(kind.name, view)
        source = f"published for this model: {row.source}" if row else "general rule"
        try:
            table.add_row(kind.name, repr(kind().resolved_for(view)), source)
        except SeesayError as error:
            table.add_row(kind.name, f"does not fit: {error}", "")
    return table


def _modes(kinds: list[type[Method]]) -> Iterator[Any]:
    """Which ways of decoding each method serves, and why not the others."""
    from rich.table import Table

    from seesay.engine.method import MODES

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for title in ("serves", *MODES):
        table.add_column(title, style="cyan" if title == "serves" else None, no_wrap=True)
    reasons: dict[str, None] = {}
    for kind in kinds:
        if not kind.standalone:
            continue
        method = kind()
        cells = []
        for mode in MODES:
            refused, aside = method.refuses.get(mode), method.inactive_in.get(mode)
            cells.append("refuses" if refused else "stands aside" if aside else "yes")
            if refused or aside:
                reasons[f"{kind.name}, {mode}: {refused or aside}"] = None
        table.add_row(kind.name, *cells)
    yield table
    yield from reasons
    yield "gate serves what its method serves; in layers it refuses a static cache"


def _method_facts(kind: type[Method]) -> Iterator[Any]:
    from rich.text import Text

    yield Text.assemble((kind.name, "bold cyan"), f": {kind.summary}")
    yield Text(kind.paper, style="dim")
    yield Text(f"\n{inspect.getdoc(kind) or ''}\n")
    yield _two_columns(
        (field.name, f"{field.type}, {_default(field)}")
        for field in fields(kind)  # type: ignore[arg-type]  # every method is a dataclass
    )


def _default(field: Any) -> str:
    if field.default is not MISSING:
        return f"default {field.default!r}"
    if field.default_factory is not MISSING:
        return f"default {field.default_factory()!r}"
    return "required"


def _environment() -> Iterator[tuple[str, str]]:
    import torch

    from seesay.models.compat import TESTED, untested, versions

    yield "python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    for name, number in versions().items():
        _, newest = TESTED.get(name, ("", ""))
        yield name, number + (f", newer than {newest}, the newest tested" if untested(name) else "")
    yield "threads", f"{torch.get_num_threads()} of {os.cpu_count()} cores"
    count = torch.cuda.device_count()
    names = ", ".join(torch.cuda.get_device_name(index) for index in range(count))
    yield "GPU", names or "none"


def _model_facts(vlm: VLM) -> Iterator[tuple[str, str]]:
    view, model = vlm.view, vlm.model
    parameters = sum(parameter.numel() for parameter in model.parameters())
    yield "model", f"{vlm.id}, revision {vlm.revision or 'unknown'}"
    yield "family", f"{type(model).__name__}, decoder {type(view.decoder).__name__}"
    yield "size", f"{parameters / 1e6:,.1f} M parameters, {model.dtype} on {model.device}"
    yield (
        "decoder",
        f"{view.n_layers} layers, {view.n_heads} heads, {view.n_kv_heads} key-value heads",
    )
    yield "image ids", ", ".join(map(str, sorted(view.image_token_ids))) or "marked by an input"
    yield "patches", _patches(vlm)
    yield "object words", f"{len(vlm.vocabulary.classes)} classes ({vlm.vocabulary.name})"
    yield "risk", vlm.scale


def _patches(vlm: VLM) -> str:
    """Whether it is known which image token is which part of a picture, and how."""
    from seesay.errors import SeesayError
    from seesay.models.layout_probe import probed_layout
    from seesay.models.patch_layout import is_known

    if is_known(vlm.view):
        return "their order is written down for this family"
    try:
        found = probed_layout(vlm.view, (448, 448))
    except SeesayError as error:
        return f"not known: {error}"
    if found is None:
        return "not known: painting over parts of a picture moved no image token of its own"
    rows, columns = found.tokens.shape
    agreed = f"{found.agreed} of {found.asked} painted squares moved the token that they should"
    return f"probed on a 448 x 448 picture: {rows} x {columns} of {found.run} tokens; {agreed}"


def _fits(vlm: VLM) -> Iterator[tuple[str, str]]:
    from seesay.methods import REGISTRY

    misfits = vlm.misfits()
    for name, kind in REGISTRY.items():
        fits = "fits" if kind.standalone else "needs another method to act on"
        yield name, f"does not fit: {misfits[name]}" if name in misfits else fits


def _two_columns(rows: Any) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for name, value in rows:
        table.add_row(name, Text(value))
    return table
