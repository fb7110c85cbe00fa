"""Which pictures a folder holds, and whether one of them has changed since."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from pydantic import BaseModel, ConfigDict

from seesay.errors import InputError

_JPEG = {".jpg", ".jpeg", ".jfif", ".mpo", ".jp2", ".j2k"}
_BITMAP = {".bmp", ".ppm", ".pgm", ".pbm"}
SUFFIXES = frozenset({".png", ".webp", ".gif", ".tif", ".tiff", ".avif"} | _JPEG | _BITMAP)
"""What counts as a picture; in capitals too."""


@dataclass(frozen=True)
class Folder:
    """The pictures of a folder and of the folders in it.

    Attributes:
        root: the folder.
        pictures: paths relative to it, "/" between their parts, sorted part by part.
        others: how many files have which other suffix.
    """

    root: Path
    pictures: tuple[str, ...]
    others: Mapping[str, int]

    @classmethod
    def of(cls, root: str | Path) -> Folder:
        """List a folder. Links to files are followed, links to folders are not, since they may
        lead back; names that begin with a dot are left out.

        Raises:
            InputError: no folder, no picture in it, or a folder in it that cannot be read.
        """
        root = Path(root).expanduser()
        if not root.is_dir():
            raise InputError(f"{str(root)!r} is no folder; give a folder of pictures")
        found: list[Path] = []
        others = Counter[str]()
        for place, folders, files in os.walk(root, onerror=_closed):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for path in (Path(place, name) for name in files if not name.startswith(".")):
                if path.suffix.lower() in SUFFIXES:
                    found.append(path.relative_to(root))
                else:
                    others[path.suffix.lower() or "no suffix"] += 1
        if not found:
            known = ", ".join(sorted(SUFFIXES))
            raise InputError(f"no picture in the folder {str(root)!r}; pictures end in {known}")
        ordered = sorted(found, key=lambda path: path.parts)
        return cls(root, tuple(path.as_posix() for path in ordered), others)


def _closed(error: OSError) -> NoReturn:
    raise InputError(
        f"cannot read the folder {error.filename!r}: {error.strerror}; its pictures would be "
        "missing: make it readable, or move it out"
    )


class Stamp(BaseModel):
    """What a file was when it was described.

    `bytes` is its size, `modified` in microseconds since 1970, `sha256` of its bytes.
    """

    model_config = ConfigDict(frozen=True)

    bytes: int
    modified: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> Stamp:
        """The stamp of a file; OSError if it cannot be read."""
        found = path.stat()
        return cls(bytes=found.st_size, modified=found.st_mtime_ns // 1000, sha256=_digest(path))

    def still(self, path: Path) -> bool:
        """Whether the file holds the same bytes. Only where its time of change differs, as after
        a copy, is it read for that."""
        found = path.stat()
        if found.st_size != self.bytes:
            return False
        return found.st_mtime_ns // 1000 == self.modified or _digest(path) == self.sha256


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
