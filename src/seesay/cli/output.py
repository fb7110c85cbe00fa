"""Where things are printed: results on stdout, progress and notes on stderr."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

Report = Callable[[int, int], None]  # (done, of how many)

WIDE = 10_000
FIRST_WORD, LATER_WORDS = 2.0, 15.0
"""Seconds until progress is first spoken of where stderr is no terminal, and between its lines."""


def say(line: str) -> None:
    """One line on stderr."""
    from seesay.render.terminal import printable

    print(f"seesay: {printable(' '.join(line.split()))}", file=sys.stderr)  # noqa: T201


def emit(*parts: RenderableType) -> None:
    """Print results on stdout; a reader that has gone away is no error."""
    from rich.console import Console

    terminal = sys.stdout.isatty()
    # A pipe gets whole lines: what reads it should not have to join ours.
    console = Console(width=None if terminal else WIDE, highlight=False, emoji=False, markup=False)
    with console.capture() as captured:  # rich would exit by itself where the reader is gone
        for part in parts:
            console.print(part)
    text = captured.get()
    if not terminal:
        text = "\n".join(line.rstrip() for line in text.split("\n"))  # tables pad their cells
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def working(what: str, *, timed: bool = False) -> Iterator[Report]:
    """Show on stderr that `what` goes on: a spinner with a bar in a terminal, else a line after two
    seconds and then now and again. Yields a function to report (done, of how many); `timed` adds
    how long the rest will take."""
    count = _timed() if timed else _counted
    with _spinner(what, count) if sys.stderr.isatty() else _lines(what, count) as report:
        yield report


def _counted(done: int, total: int) -> str:
    return f"{done} of {total}"


def _timed() -> Callable[[int, int], str]:
    """Counts with the time left, at the pace since the first count: that is not 0 where an earlier
    run has done a part."""
    began: tuple[int, float] | None = None

    def count(done: int, total: int) -> str:
        nonlocal began
        now = time.monotonic()
        first, started = began = began or (done, now)
        if done in (first, total):
            return _counted(done, total)
        left = (now - started) / (done - first) * (total - done)
        return f"{_counted(done, total)}, about {spoken(left)} left"

    return count


def spoken(seconds: float) -> str:
    """A stretch of time as people say it: 40 s, 12 min, 3 h 20 min."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


@contextmanager
def _spinner(what: str, count: Callable[[int, int], str]) -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=24))
    with Progress(
        *columns,
        TextColumn("{task.fields[count]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True, highlight=False),
        transient=True,
    ) as progress:
        task = progress.add_task(what, total=None, count="")

        def report(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total, count=count(done, total))

        yield report


@contextmanager
def _lines(what: str, count: Callable[[int, int], str]) -> Iterator[Report]:
    reached = ""
    over = threading.Event()

    def speak() -> None:
        started, pause = time.monotonic(), FIRST_WORD
        while not over.wait(pause):
            say(f"{what} ... {time.monotonic() - started:.0f} s{reached}")
            pause = LATER_WORDS

    def report(done: int, total: int) -> None:
        nonlocal reached
        reached = f", {count(done, total)}"

    speaker = threading.Thread(target=speak, daemon=True)
    speaker.start()
    try:
        yield report
    finally:
        over.set()
        speaker.join()
