"""The errors that seesay raises.

::

    SeesayError
    ├── InputError     a picture, text or argument that cannot be used        exit code 2
    ├── MethodError    unknown method or field, value out of range,           exit code 2
    │                  or a composition that cannot mean anything
    ├── ModelError     a model that cannot be found, loaded or supported      exit code 1
    └── EngineError    a session used in a way that would give wrong results  exit code 1

Every message names the value, the reason and the remedy. `InputError` and `MethodError` are also
`ValueError`s, so that callers who know nothing of seesay catch them.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class SeesayError(Exception):
    """Root of everything that seesay raises on purpose."""

    exit_code = 1


class InputError(SeesayError, ValueError):
    """A picture, a text or an argument that cannot be used."""

    exit_code = 2


class MethodError(SeesayError, ValueError):
    """An unknown method or field, a value out of range, or a pair that cannot be composed."""

    exit_code = 2


class ModelError(SeesayError):
    """A model that cannot be found, loaded or supported."""


class EngineError(SeesayError, RuntimeError):
    """A session used in a way that would silently give wrong results."""


class UntestedVersionWarning(UserWarning):
    """A library is newer than the newest version that seesay was tested with."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A clause that names the close matches of `name`, or everything known if none is close."""
    names = sorted(known)
    close = get_close_matches(name, names, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(names)}"
