"""The measurements of a diagnosis on disk: a line of JSON a picture and stage, only ever added to.

The first line says how they are made. Whatever ends a run leaves at most one line half-written; the
next run cuts it off and goes on behind it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from seesay.errors import InputError, SeesayError
from seesay.render import page

SCHEMA = "seesay.diagnosis/1"


class MeasurementFile:
    """The one writer of a file of measurements; use it as a context manager.

    Args:
        path: made if it is not there.
        protocol: how measurements are made. A file that is there must have been made in this way.

    Raises:
        InputError: a place that cannot be written, a file of something else or of another
            protocol, or one that another run is writing.
    """

    def __init__(self, path: str | Path, protocol: Mapping[str, Any]) -> None:
        self.path = page.writable(path)
        self._found: dict[str, dict[str, Any]] = {}
        try:
            self._file = self.path.open("ab", buffering=0)
        except OSError as error:
            raise InputError(f"cannot write {str(path)!r}: {error.strerror or error}") from error
        try:
            self._lock()
            end = self._read(protocol)
            self._file.truncate(end)
            if not end:
                self._write({"schema": SCHEMA, **protocol})
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
        self._file.close()

    def stage(self, name: str) -> Mapping[str, Any]:
        """Picture → what was measured in a stage."""
        return self._found.get(name, {})

    def append(self, stage: str, picture: str, found: Any) -> None:
        """Write down what was measured of a picture; a number that is not finite becomes null.

        Raises:
            SeesayError: it cannot be written, as on a full disk; the lines before it are intact.
        """
        plain = finite(found)
        self._write({"stage": stage, "picture": picture, "found": plain})
        self._found.setdefault(stage, {})[picture] = plain

    def _write(self, record: Mapping[str, Any]) -> None:
        # ASCII, so that whatever a token says the line stays one line for every reader.
        rest = memoryview(json.dumps(record, allow_nan=False).encode() + b"\n")
        end = self.path.stat().st_size
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self._file.truncate(end)
            raise SeesayError(
                f"cannot write {self.path}: {error.strerror or error}; the lines before are "
                "intact: make room and start the same command again"
            ) from error

    def _read(self, protocol: Mapping[str, Any]) -> int:
        """Take in what is there; returns where its whole lines end, in bytes."""
        lines = self.path.read_bytes().splitlines(keepends=True)
        end = 0
        for number, line in enumerate(lines, 1):
            try:
                if not line.endswith(b"\n"):
                    raise ValueError("no end of line")
                record = json.loads(line)
                if number == 1:
                    self._require(record, protocol)
                else:
                    found = self._found.setdefault(record["stage"], {})
                    found[record["picture"]] = record["found"]
            except (ValueError, KeyError, TypeError) as error:
                if isinstance(error, InputError):
                    raise
                if number == len(lines) and (number > 1 or line.startswith(b'{"schema": "seesay')):
                    break
                raise InputError(
                    f"line {number} of {self.path} is no measurement ({error}); name another file "
                    "with --out, or delete this one"
                ) from error
            end += len(line)
        return end

    def _require(self, first: Any, protocol: Mapping[str, Any]) -> None:
        if not isinstance(first, dict) or first.get("schema") != SCHEMA:
            raise InputError(
                f"{self.path} holds something else than measurements of this version; name "
                "another file with --out"
            )
        for name, value in protocol.items():
            if first.get(name) != value:
                raise InputError(
                    f"{self.path} was measured with {name} {first.get(name)!r}, and this run has "
                    f"{value!r}; name another file with --out, or delete this one"
                )

    def _lock(self) -> None:
        try:
            import fcntl  # not on Windows, where two runs in one file are not noticed
        except ImportError:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(
                f"another run is writing {self.path}; wait for it, or name another file with --out"
            ) from error


def finite(value: Any) -> Any:
    """JSON types with null for numbers that are not finite, and seven significant digits."""
    if isinstance(value, float):
        return float(f"{value:.7g}") if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one) for one in value]
    return value
