"""Reading benchmark files: JSON and JSON lines, never pickles."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from seesay.errors import InputError

PICKLES = frozenset({".pkl", ".pickle", ".p", ".pt", ".pth", ".joblib", ".dill"})
_PICKLED = b"\x80"  # how every pickle since protocol 2 begins; no JSON text can


def read_json(path: Path, *, without: Iterable[str] = ()) -> Any:
    """The content of a JSON file.

    Args:
        without: fields that are dropped while it is read, so that large ones are never held.

    Raises:
        InputError: missing, no JSON, or a pickle.
    """
    content = _content(path)
    unwanted = frozenset(without)

    def kept(found: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in found.items() if name not in unwanted}

    try:
        return json.loads(content, object_hook=kept if unwanted else None)
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error}); download it again") from error


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The records of a JSON-lines file, or of a JSON file that holds a list of them.

    Raises:
        InputError: missing, broken (the line is named), a record that is no object, or a pickle.
    """
    content = _content(path)
    if content.lstrip().startswith(b"["):
        rows = read_json(path)
    else:
        rows = []
        for number, line in enumerate(content.splitlines(), 1):
            if not line.strip():
                continue
            try:
                rows.append(json.loads(line))
            except ValueError as error:
                raise InputError(f"{path}, line {number}: not JSON ({error})") from error
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise InputError(f"{path}, record {number}: {row!r} is no object with named fields")
    return list(rows)


def field(row: dict[str, Any], names: Sequence[str], path: Path) -> Any:
    """The first of several fields that a record has.

    Raises:
        InputError: it has none.
    """
    for name in names:
        if name in row:
            return row[name]
    raise InputError(
        f"{path}: a record has no field {' or '.join(map(repr, names))}; it has {sorted(row)}"
    )


def find_file(folder: Path, patterns: Iterable[str], what: str) -> Path:
    """The first file of a folder that fits a pattern, tried in order.

    Raises:
        InputError: no such folder, or nothing fits; a pickle that lies there is named.
    """
    found = find_files(folder, patterns)
    if found:
        return found[0]
    raise InputError(f"no {what} in {folder}: looked for {', '.join(patterns)}" + _pickles(folder))


def find_files(folder: Path, patterns: Iterable[str]) -> list[Path]:
    """All files of the first pattern that fits any, by name.

    Raises:
        InputError: no such folder, or a pickle in its place.
    """
    if folder.suffix in PICKLES:
        raise InputError(_refusal(folder))
    if not folder.is_dir():
        raise InputError(f"no folder {str(folder)!r}; give the folder that holds the data")
    for pattern in patterns:
        found = sorted(path for path in folder.glob(pattern) if path.is_file())
        if found:
            return found
    return []


def digest(paths: Iterable[Path]) -> dict[str, str]:
    """File name → SHA-256 of its content, for a protocol."""
    return {path.name: _sha256(path) for path in paths}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _content(path: Path) -> bytes:
    if path.suffix in PICKLES:
        raise InputError(_refusal(path))
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    if content.startswith(_PICKLED):
        raise InputError(_refusal(path))
    return content


def _refusal(path: Path) -> str:
    return (
        f"{path} is a pickle: opening one runs whatever code it holds, so it is refused; give the "
        "JSON files it was made from"
    )


def _pickles(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES)
    if not names:
        return ""
    return (
        f"; {', '.join(names)} is a pickle, and opening one runs whatever code it holds: give the "
        "JSON files it was made from"
    )
