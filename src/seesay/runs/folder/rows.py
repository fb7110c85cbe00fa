"""A file of rows that is only ever appended to, so that a run can be killed and go on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from seesay.errors import InputError, SeesayError
from seesay.render import page
from seesay.response import SCHEMA
from seesay.runs.folder.listing import Folder, Stamp

Row = Mapping[str, Any]

ERROR_SCHEMA = "seesay.error/1"
LEFT_OPEN = frozenset({"picture", "picture_sha256", "device", "versions"})
"""What of a protocol may differ between rows of one run."""

_BEGINNING = b'{"schema": "seesay.'  # of every row: tells a half row from somebody's notes


def encoded(row: Row) -> bytes:
    """A row as its line. A file name that is no text keeps its bytes as JSON escapes."""
    text = json.dumps(row, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "backslashreplace") + b"\n"


class RowFile:
    """The rows of one run over a folder.

    Opening reads what is there and changes nothing; `begin` cuts off the end that will be done
    again; `append` writes. While it is open no other run can open it (where the system has
    `flock`).

    Attributes:
        done: picture → stamp of its file, for the rows that are complete.

    Raises:
        InputError: the place cannot be written, holds something else than rows, rows twice or in
            an order that no run writes, or is in use by another run.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = page.writable(path)
        self.done: dict[str, Stamp] = {}
        self._protocols: list[dict[str, Any]] = []
        self._made = not self.path.exists()
        if not self._made and not self.path.is_file():
            raise InputError(f"{path} is no ordinary file; name one, or use --jsonl for a pipe")
        try:
            self._file = self.path.open("ab", buffering=0)
        except OSError as error:
            raise InputError(f"cannot write {str(path)!r}: {error.strerror or error}") from error
        try:
            _lock(self._file, self.path)
            self._end, self._unfinished = self._read()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._made and not self.path.stat().st_size:
            self.path.unlink()  # a run that was refused leaves nothing behind
        self._file.close()

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
        with _explained(self.path):
            self._file.truncate(self._end)
            if self._unfinished:  # only its line end is missing
                self._write(b"\n")

    def append(self, row: Row) -> None:
        """Write a row; it is in the system's hands when this returns, whole.

        Raises:
            SeesayError: it cannot be written, as on a full disk; the rows before it are intact.
        """
        with _explained(self.path):
            self._write(encoded(row))

    def _write(self, line: bytes) -> None:
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except BaseException:
            with suppress(OSError):  # if this fails too, the next run cuts the half row off
                self._file.truncate(self._end)
            raise
        self._end += len(line)

    def _read(self) -> tuple[int, bool]:
        """Where the done rows end, in bytes, and whether only a line end is missing there."""
        end, failed, unfinished = 0, False, False
        with self.path.open("rb") as file:
            head = file.read(len(_BEGINNING))
            if not _begins(head):
                raise InputError(
                    f"{self.path} holds something else than rows of seesay; name another --out"
                )
            file.seek(0)
            for number, line in enumerate(file, 1):
                row = _parsed(line, f"line {number} of {self.path}")
                if row is None:
                    break
                if row["schema"] == ERROR_SCHEMA:
                    failed = True
                    continue
                self._keep(row, number, failed)
                end += len(line)
                unfinished = not line.endswith(b"\n")
        return end, unfinished

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


def _parsed(line: bytes, where: str) -> Row | None:
    """A row, or None for one that was only half written."""
    try:
        row = json.loads(line)
        if row["schema"] == ERROR_SCHEMA:
            return {"schema": ERROR_SCHEMA}
        if row["schema"] == SCHEMA:
            kept = {name: row[name] for name in ("schema", "picture", "protocol")}
            if isinstance(row["picture"], str) and isinstance(row["protocol"], dict):
                return {**kept, "file": Stamp.model_validate(row["file"])}
        reason = "is no row of a folder"
    except (ValueError, TypeError, LookupError, RecursionError):  # ValidationError is a ValueError
        if not line.endswith(b"\n") and _begins(line):
            return None
        reason = "is no row"
    raise InputError(f"{where} {reason} that this version writes; name another --out")


def _begins(line: bytes) -> bool:
    """Whether a line could be the beginning of a row. A machine that lost power may have left
    zeros in place of what was not yet on its disk."""
    line = line.rstrip(b"\0")[: len(_BEGINNING)]
    return _BEGINNING.startswith(line)


def _still(stamp: Stamp, folder: Folder, name: str) -> bool:
    try:
        return stamp.still(folder.root / name)
    except OSError:
        return False


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _lock(file: BinaryIO, path: Path) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise InputError(
            f"another run is writing {path}; wait for it, or name another --out"
        ) from error
    except OSError:  # a file system without locks
        return


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SeesayError(
            f"cannot write {path}: {error.strerror or error}; the rows before are intact: make "
            "room and run the same command again"
        ) from error
