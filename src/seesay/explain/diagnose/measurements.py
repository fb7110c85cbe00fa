"""The measurements of a diagnosis on disk: a line of JSON a picture and stage, only ever added to.

The first line says how they are made.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from seesay.errors import InputError
from seesay.storage.journal import Journal, LineFormat

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
        self._found: dict[str, dict[str, Any]] = {}
        self._journal = Journal(path, MEASUREMENT.what)
        try:
            end = self._read(protocol)
            self._journal.cut(end)
            if not end:
                self._journal.append(_line({"schema": SCHEMA, **protocol}))
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

    def stage(self, name: str) -> Mapping[str, Any]:
        """Picture → what was measured in a stage."""
        return self._found.get(name, {})

    def append(self, found: Iterable[tuple[str, str, Any]]) -> None:
        """Write down (stage, picture, what was measured); a number that is not finite becomes null.

        Raises:
            SeesayError: they cannot be written, as on a full disk; the lines before are intact.
        """
        plain = [(stage, picture, finite(value)) for stage, picture, value in found]
        named = [dict(zip(_NAMES, one, strict=True)) for one in plain]
        self._journal.append(b"".join(map(_line, named)))
        for stage, picture, value in plain:
            self._found.setdefault(stage, {})[picture] = value

    def _read(self, protocol: Mapping[str, Any]) -> int:
        """Take in what is there; returns where its whole lines end, in bytes."""
        last = 0
        for record, end in MEASUREMENT.read(self._journal.path):
            if not last or "schema" in record:
                self._require(record, protocol)
            else:
                self._found.setdefault(record["stage"], {})[record["picture"]] = record["found"]
            last = end
        return last

    def _require(self, first: Mapping[str, Any], protocol: Mapping[str, Any]) -> None:
        if first.get("schema") != SCHEMA:
            raise InputError(
                f"{self._journal.path} holds something else than measurements of this version; "
                "name another file with --out"
            )
        for name, value in protocol.items():
            if first.get(name) != value:
                raise InputError(
                    f"{self._journal.path} was measured with {name} {first.get(name)!r}, and this "
                    f"run has {value!r}; name another file with --out, or delete this one"
                )


def _line(record: Mapping[str, Any]) -> bytes:
    # ASCII, so that whatever a token says the line stays one line for every reader.
    return json.dumps(record, allow_nan=False).encode() + b"\n"


def _parsed(line: bytes) -> Mapping[str, Any]:
    """The first line, or a measurement."""
    record = json.loads(line)
    if "schema" not in record:
        return {name: record[name] for name in _NAMES}
    return dict(record)


_NAMES = ("stage", "picture", "found")
MEASUREMENT = LineFormat(
    "measurement",
    _parsed,
    (b'{"schema": "seesay', b'{"stage": "'),
    "name another file with --out, or delete this one",
)


def finite(value: Any) -> Any:
    """JSON types with null for numbers that are not finite, and seven significant digits."""
    if isinstance(value, float):
        return float(f"{value:.7g}") if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one) for one in value]
    return value
