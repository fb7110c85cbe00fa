"""Whole files: whether one can be written at a place, and writing it whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from seesay.errors import InputError


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


def save(path: str | Path, text: str) -> Path:
    """Write `text` to `path`: the whole of it or nothing, also when interrupted.

    Raises:
        InputError: the folder is missing or cannot be written to.
    """
    target = writable(path)
    try:
        handle, draft = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            Path(draft).chmod(0o644)  # mkstemp's 0600 is for secrets
            Path(draft).replace(target)
        finally:
            Path(draft).unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"cannot write {str(path)!r}: {error.strerror or error}") from error
    return target
