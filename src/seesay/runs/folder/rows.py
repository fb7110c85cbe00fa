"""A file of rows that is only ever appended to, so that a run can be killed and go on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from seesay.errors import InputError
from seesay.response import SCHEMA
from seesay.runs.folder.listing import Folder, Stamp
from seesay.storage.journal import Journal, LineFormat

Row = Mapping[str, Any]

ERROR_SCHEMA = "seesay.error/1"
LEFT_OPEN = frozenset({"picture", "picture_sha256", "device", "versions"})
"""What of a protocol may differ between rows of one run."""


def encoded(row: Row) -> bytes:
    """A row as its line. A file name that is no text keeps its bytes as JSON escapes."""
    text = json.dumps(row, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "backslashreplace") + b"\n"


class RowFile:
    """The rows of one run over a folder; use it as a context manager.

    Opening reads what is there and changes nothing; `begin` cuts off the end that will be done
    again; `append` writes.

    Attributes:
        done: picture → stamp of its file, for the rows that are complete.

    Raises:
        InputError: the place cannot be written, holds something else than rows, rows twice or in
            an order that no run writes, or is in use by another run.
    """

    def __init__(self, path: str | Path) -> None:
        self.done: dict[str, Stamp] = {}
        self._protocols: list[dict[str, Any]] = []
        self._journal = Journal(path, ROW.what)
        self.path, self._end = self._journal.path, 0
        try:
            self._read()
        except BaseException:
            self._journal.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._journal.close()

    def check(self, folder: Folder) -> None:
        """Whether the rows are of this folder's pictures as they are now.

        Raises:
            InputError: rows of pictures that are not there, or that have changed.
        """
        there = set(folder.pictures)
        strangers = [name for name in self.done if name not in there]
        if strangers:
            raise InputError(
                f"{self.path} has rows of {len(strangers)} pictures that are not in "
                f"{folder.root} ({strangers[0]}, ...); it belongs to another folder: name another "
                "--out"
            )
        changed = [name for name, stamp in self.done.items() if not _still(stamp, folder, name)]
        if changed:
            raise InputError(
                f"{self.path} has rows of {len(changed)} pictures that have changed since "
                f"({changed[0]}, ...); delete these rows or name another --out"
            )

    def require(self, protocol: Mapping[str, Any]) -> None:
        """Whether all rows were made in this way.

        Args:
            protocol: the part of `Protocol.record()` to hold against them.

        Raises:
            InputError: a value differs.
        """
        for theirs in self._protocols:
            for name, value in protocol.items():
                if theirs.get(name) != value:
                    raise InputError(
                        f"{self.path} belongs to another run: its rows have {name} "
                        f"{_short(theirs.get(name))}, this run has {_short(value)}; name another "
                        "--out, or run with the same settings"
                    )

    def begin(self) -> None:
        """Cut off what is to be done again: errors, and a last line that is not whole."""
        self._journal.cut(self._end)

    def append(self, row: Row) -> None:
        """Write a row.

        Raises:
            SeesayError: it cannot be written, as on a full disk; the rows before it are intact.
        """
        self._journal.append(encoded(row))

    def _read(self) -> None:
        failed = False
        for number, (row, end) in enumerate(ROW.read(self.path), 1):
            if row["schema"] == ERROR_SCHEMA:
                failed = True
            else:
                self._keep(row, number, failed)
                self._end = end

    def _keep(self, row: Row, number: int, failed: bool) -> None:
        name = row["picture"]
        if failed or name in self.done:
            what = "stands after an error" if failed else "is the second one of its picture"
            raise InputError(
                f"line {number} of {self.path} ({name}) {what}, so it was not written by one run; "
                "name another --out"
            )
        self.done[name] = row["file"]
        protocol = {key: value for key, value in row["protocol"].items() if key not in LEFT_OPEN}
        if protocol not in self._protocols:
            self._protocols.append(protocol)


def _parsed(line: bytes) -> Row:
    """What is kept of a row."""
    row = json.loads(line)
    if row["schema"] == ERROR_SCHEMA:
        return {"schema": ERROR_SCHEMA}
    if row["schema"] not in (SCHEMA):
        raise ValueError(f"schema {row['schema']!r}")
    if not isinstance(row["picture"], str) or not isinstance(row["protocol"], dict):
        raise TypeError("picture or protocol is of another type")
    kept = {name: row[name] for name in ("schema", "picture", "protocol")}
    return {**kept, "file": Stamp.model_validate(row["file"])}


ROW = LineFormat(
    "row",
    _parsed,
    (b'{"schema": "seesay.',),
    "it may hold something else than rows of seesay: name another --out",
)


def _still(stamp: Stamp, folder: Folder, name: str) -> bool:
    try:
        return stamp.still(folder.root / name)
    except OSError:
        return False


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
