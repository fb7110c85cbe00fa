"""A report: one self-contained HTML page that opens from disk and asks no network for anything."""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seesay.errors import InputError
from seesay.show import meaning
from seesay.show.account import Panel, invented, named, totals
from seesay.show.cards import first_choice, shown
from seesay.show.inline import data_uri
from seesay.show.terminal import printable

if TYPE_CHECKING:
    from jinja2 import Environment


def render(
    panels: Sequence[Panel],
    *,
    title: str = "seesay",
    lead: str = "",
    protocol: Mapping[str, Any] | None = None,
) -> str:
    """The page as text. Everything that a model or a user wrote is escaped.

    Args:
        panels: pictures with their accounts.
        lead: a sentence or two under the title.
        protocol: how the texts were made, printed at the foot; its "risk" stands at the head too.
    """
    views = shown(panels)
    mentions = [m for panel in panels for account in panel.accounts for m in account.mentions]
    return (
        environment()
        .get_template("page.html")
        .render(
            title=title,
            lead=lead,
            panels=views,
            first=first_choice(views),
            ranked=not all(mention.calibrated for mention in mentions),
            scale=(protocol or {}).get("risk"),
            totals=totals(panels) if len(panels) > 1 else [],
            protocol=rows(protocol or {}),
            truth_known=any(panel.present is not None for panel in panels),
        )
    )


def save(path: str | Path, html: str) -> Path:
    """Write `html` to `path`: the whole page or nothing, also when interrupted.

    Raises:
        InputError: the folder is missing or cannot be written to.
    """
    target = writable(path)
    handle, draft = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(html)
        Path(draft).chmod(0o644)  # mkstemp's 0600 is for secrets
        Path(draft).replace(target)
    except OSError as error:
        raise InputError(f"cannot write {str(path)!r}: {error.strerror or error}") from error
    finally:
        Path(draft).unlink(missing_ok=True)
    return target


def writable(path: str | Path) -> Path:
    """`path` if a file can be written there; InputError if not. To be asked before long work."""
    target = Path(path).expanduser()
    if target.is_dir():
        raise InputError(f"cannot write {str(path)!r}: it is a folder; name a file in it")
    if not target.parent.is_dir():
        raise InputError(f"cannot write {str(path)!r}: there is no folder {str(target.parent)!r}")
    if not os.access(target.parent, os.W_OK):
        raise InputError(f"cannot write {str(path)!r}: no permission in {str(target.parent)!r}")
    return target


@lru_cache
def environment() -> Environment:
    """Where pages are made: everything that goes into a template is escaped unless it says `safe`,
    and `clean` takes control characters out."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("seesay", "show"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["clean"] = printable
    made.globals.update(
        data_uri=data_uri,
        digest=digest,
        invented=invented,
        named=named,
        part=part,
        share=meaning.share,
    )
    return made


def digest(script: str) -> str:
    """What a page's security policy names the one script by that may run in it."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def part(name: str) -> str:
    """A style sheet or a script that pages hold; no model or user wrote any of it."""
    return files("seesay.show").joinpath(name).read_text(encoding="utf-8")


def rows(protocol: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The protocol as (name, value) lines; nested values are written out."""
    lines = []
    for name, value in protocol.items():
        if isinstance(value, Mapping):
            value = ", ".join(f"{key} {item}" for key, item in value.items())
        elif isinstance(value, list | tuple):
            value = ", ".join(map(str, value))
        lines.append((name.replace("_", " "), "none" if value is None else str(value)))
    return lines
