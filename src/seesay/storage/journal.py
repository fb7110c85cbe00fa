"""Journals: files of lines that are only ever appended to, so that a run can be killed and go on.

Each line is written whole. Whatever ends a run leaves at most a half-written last line, or zeros
where a machine lost power: readers pass over it, and the next run cuts it off and goes on there. A
lock goes with the process that holds it, however that ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Generic, Self, TypeVar

from seesay.errors import InputError, SeesayError
from seesay.storage import files

T = TypeVar("T")


@dataclass(frozen=True)
class LineFormat(Generic[T]):
    """What the lines of a journal are.

    Attributes:
        what: a line's content, in a word: "row".
        parse: a line's content; a ValueError, TypeError or LookupError says that it is none.
        begins: how lines begin. A half line that begins otherwise was not written by a run, and
            is refused instead of cut off.
        remedy: what to do about a file of something else.
    """

    what: str
    parse: Callable[[bytes], T]
    begins: tuple[bytes, ...]
    remedy: str

    def read(self, path: Path) -> Iterator[tuple[T, int]]:
        """The contents of a file's lines, without a half-written last one, each with the byte
        where its line ends, or would if its line end had been written.

        Raises:
            InputError: a line that is broken before the last, or not of this format.
        """
        with path.open("rb") as file:
            end = 0
            for number, line in enumerate(file, 1):
                try:
                    content = self.parse(line)
                except (ValueError, TypeError, LookupError, RecursionError) as error:
                    if self._half(line) and not file.read(1):
                        return
                    raise InputError(
                        f"line {number} of {path} is no {self.what} ({error}); {self.remedy}"
                    ) from error
                end += len(line) + (not line.endswith(b"\n"))
                yield content, end

    def _half(self, line: bytes) -> bool:
        there, zeros, _ = line.partition(b"\0")
        written = any(there.startswith(one[: len(there)]) for one in self.begins)
        return written and bool(zeros or not line.endswith(b"\n"))


class Journal:
    """The one writer of a journal; use it as a context manager.

    Opening makes the file and changes nothing in one that is there; closing removes one that was
    made and never written to.

    Args:
        what: a line's content, in a word, for errors.
        locked: whether to refuse a file that another run has open.

    Raises:
        InputError: no file can be written there, or another run is writing it.
    """

    def __init__(self, path: str | Path, what: str, *, locked: bool = True) -> None:
        self.path, self._what = files.writable(path), what
        self._made = not self.path.exists()
        if not self._made and not self.path.is_file():
            raise InputError(f"{path} is no ordinary file; name one")
        try:
            self._file: IO[bytes] = self.path.open("ab", buffering=0)
        except OSError as error:
            raise InputError(f"cannot write {str(path)!r}: {error.strerror or error}") from error
        if locked:
            lock(self._file, f"writing {self.path}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._made and not self.path.stat().st_size:
            self.path.unlink()
        self._file.close()

    def cut(self, end: int) -> None:
        """Cut off what stands behind a line; `end` is that of `LineFormat.read`.

        Raises:
            SeesayError: it cannot be written.
        """
        if end > self.path.stat().st_size:
            self.append(b"\n")
            return
        try:
            self._file.truncate(end)
        except OSError as error:
            raise self._failed(error) from error

    def append(self, lines: bytes) -> None:
        """Write lines; they are in the system's hands when this returns, all or none.

        Raises:
            SeesayError: they cannot be written, as on a full disk; those before are intact.
        """
        end, rest = self.path.stat().st_size, memoryview(lines)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except BaseException as error:
            with suppress(OSError):  # if this fails too, the next run cuts the half line off
                self._file.truncate(end)
            if isinstance(error, OSError):
                raise self._failed(error) from error
            raise

    def _failed(self, error: OSError) -> SeesayError:
        return SeesayError(
            f"cannot write {self.path}: {error.strerror or error}; the {self._what}s before are "
            "intact: make room and start the same command again, it goes on where it stopped"
        )


def lock(file: IO[bytes], doing: str) -> None:
    """Lock a file until it is closed; where the system has no such locks, two runs in one place
    are not noticed.

    Raises:
        InputError: another run is `doing` that; the file is closed.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise InputError(f"another run is {doing}; wait for it, or name another --out") from error
    except OSError:  # a file system without locks
        return
