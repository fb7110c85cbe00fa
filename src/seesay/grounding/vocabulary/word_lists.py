"""Word lists that people write: one line a class, its name, then its synonyms."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from seesay.errors import InputError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_COMMENT = re.compile(r"(?:^|\s)#.*")


def read(path: str | Path) -> dict[str, list[str]]:
    """Class → synonyms, as the file at `path` lists them, in its order.

    Raises:
        InputError: a file that cannot be read or is no Unicode text, that names no class, or that
            gives one word on two lines; the message names the lines.
    """
    classes: dict[str, list[str]] = {}
    seen: dict[str, int] = {}
    for number, line in enumerate(_text(Path(path)).splitlines(), start=1):
        parts = [" ".join(part.split()) for part in _COMMENT.sub("", line).split(",")]
        if not any(parts):
            continue
        if not any(map(str.isalnum, parts[0])):
            raise InputError(f"{path}, line {number} has no class name before its first comma")
        surfaces = [part for part in parts if any(map(str.isalnum, part))]
        for surface in surfaces:
            key = surface.lower().replace("-", " ")
            if seen.setdefault(key, number) != number:
                raise InputError(
                    f"{path}: {surface!r} is on line {seen[key]} and again on line {number}; "
                    "a word can name one class only, take it out of one of them"
                )
        classes[surfaces[0]] = surfaces[1:]
    if not classes:
        raise InputError(
            f"{path} has no classes; write one line a class: its name, then its synonyms, "
            "separated by commas"
        )
    return classes


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read the vocabulary {str(path)!r}: {error.strerror}") from error
    encoding = next((name for mark, name in _MARKS if raw.startswith(mark)), "utf-8")
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise InputError(
            f"cannot read the vocabulary {str(path)!r}: line {line} is no {encoding[:6]} text; "
            "save the list as UTF-8"
        ) from error
    if "\0" in text:
        raise InputError(
            f"cannot read the vocabulary {str(path)!r}: it is no text; save it as UTF-8"
        )
    return text
