"""Workers: each has the model and is handed one task at a time; a lost worker's task goes to
another. What carries a worker (this process, another one, Ray) is a `Backend`.

What a worker is depends on the kind of run: evaluating, describing a folder, diagnosing. It is made
from a `Setup`; each of its methods takes one argument, and the pool calls them by name.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

from seesay.errors import SeesayError
from seesay.runs.setup import Setup

MOST_LOSSES = 3
"""So often a task may lose its worker before the run stops: then it is the task that kills."""
MOST_AHEAD = 4
"""Tasks of each worker that may be done before one whose result is to come first: what is held
back is lost with the run."""

Make = Callable[[Setup], Any]  # makes a worker; to be pickled unless it stays in this process
W = TypeVar("W")


class Task(Protocol):
    """What a method of a worker is given; `description` tells errors which one it was."""

    @property
    def description(self) -> str: ...


T = TypeVar("T", bound=Task)


class LostWorkerError(Exception):
    """A worker is gone: killed, out of memory, its machine down."""


class Backend(Protocol[W]):
    """Where workers live. A worker is given one call at a time."""

    def hire(self, rank: int) -> W:
        """A new worker, which may still be loading."""
        ...

    def send(self, worker: W, call: str, argument: Any) -> None:
        """Begin a call; never fails."""
        ...

    def ready(self, workers: Sequence[W]) -> Sequence[W]:
        """Wait until calls have ended; at least one of `workers`."""
        ...

    def receive(self, worker: W) -> Any:
        """What the call gave, or what it raised; `LostWorkerError` if it never will."""
        ...

    def dismiss(self, workers: Sequence[W]) -> None:
        """Let them go."""
        ...

    def close(self) -> None:
        """The run is over."""
        ...


class InProcess:
    """The workplace of the default engine: this process. Its only worker can not be lost."""

    def __init__(self, make: Make, setup: Setup) -> None:
        self._make, self._setup = make, setup
        self._called: tuple[str, Any] = ("", None)

    def hire(self, rank: int) -> Any:
        return self._make(self._setup)

    def send(self, worker: Any, call: str, argument: Any) -> None:
        self._called = call, argument

    def ready(self, workers: Sequence[Any]) -> Sequence[Any]:
        return workers

    def receive(self, worker: Any) -> Any:
        call, argument = self._called
        return getattr(worker, call)(argument)

    def dismiss(self, workers: Sequence[Any]) -> None:
        pass

    def close(self) -> None:
        pass


class WorkerPool(Generic[W]):
    """Up to `size` workers; use it as a context manager.

    Args:
        note: is told in a sentence when a worker is lost.
    """

    def __init__(self, place: Backend[W], size: int, note: Callable[[str], None]) -> None:
        self.size = size
        self._place, self._note = place, note
        self._idle: list[W] = []
        self._busy: dict[int, tuple[W, int]] = {}  # by rank, with the number of its task
        self._rank: dict[int, int] = {}  # id of a worker -> rank

    @classmethod
    def alone(cls, worker: Any) -> WorkerPool[Any]:
        """A worker that is there already, in this process."""
        return WorkerPool(InProcess(lambda _: worker, Setup()), 1, lambda _: None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._place.dismiss([*self._idle, *(worker for worker, _ in self._busy.values())])
        self._place.close()

    def call(self, name: str, argument: Any = None) -> Any:
        """What a method of one worker gives; the first call loads the model.

        Raises:
            SeesayError: what the worker raised, or a call that workers do not survive.
        """
        return next(self._results(name, [argument], [f"the call of {name!r}"], ordered=False))[1]

    def map(
        self, name: str, tasks: Iterable[T], *, ordered: bool = False
    ) -> Iterator[tuple[T, Any]]:
        """Hand out the tasks in order; each with what the method gave, as it comes.

        Args:
            ordered: give them in the order of the tasks.

        Raises:
            SeesayError: what a worker raised, or a task that workers do not survive.
        """
        given = list(tasks)
        descriptions = [task.description for task in given]
        for number, result in self._results(name, given, descriptions, ordered):
            yield given[number], result

    def _results(
        self, name: str, arguments: Sequence[Any], descriptions: Sequence[str], ordered: bool
    ) -> Iterator[tuple[int, Any]]:
        waiting, losses = deque(range(len(arguments))), Counter[int]()
        held: dict[int, Any] = {}
        following = 0  # the number that comes next, if ordered
        for rank in range(len(self._rank), min(self.size, len(waiting))):
            self._idle.append(self._hire(rank))
        ahead = MOST_AHEAD * self.size if ordered else len(arguments)
        while waiting or self._busy:
            while self._idle and waiting and waiting[0] < following + ahead:
                worker, number = self._idle.pop(), waiting.popleft()
                self._busy[self._rank[id(worker)]] = worker, number
                self._place.send(worker, name, arguments[number])
            for worker in self._place.ready([worker for worker, _ in self._busy.values()]):
                rank = self._rank[id(worker)]
                number = self._busy[rank][1]
                try:
                    held[number] = self._place.receive(worker)
                except LostWorkerError as lost:
                    del self._busy[rank], self._rank[id(worker)]
                    self._place.dismiss([worker])
                    losses[number] += 1
                    self._note(f"worker {rank} was lost ({lost}); its batch is asked again")
                    if losses[number] >= MOST_LOSSES:
                        raise SeesayError(
                            f"{descriptions[number]}: {MOST_LOSSES} workers were lost at the same "
                            f"batch, the last one by: {lost}; try a smaller --batch-size or fewer "
                            "--workers, and start the same command again"
                        ) from lost
                    waiting.appendleft(number)
                    self._idle.append(self._hire(rank))
                    continue
                del self._busy[rank]
                self._idle.append(worker)
                following = following if ordered else number
                while following in held:
                    following += 1
                    yield following - 1, held.pop(following - 1)

    def _hire(self, rank: int) -> W:
        worker = self._place.hire(rank)
        self._rank[id(worker)] = rank
        return worker


PATIENCE = 5.0
"""Seconds that a process gets to end by itself."""


@dataclass(eq=False)
class ProcessWorker:
    """A process and the pipe to it. A pipe each, since a queue that is shared can be left locked by
    a process that is killed."""

    process: BaseProcess
    pipe: Connection


class ProcessBackend:
    """A workplace of processes that start afresh: nothing of this one's CUDA state is inherited."""

    def __init__(self, make: Make, setup: Setup) -> None:
        self._make, self._setup = make, setup
        self._context = get_context("spawn")

    def hire(self, rank: int) -> ProcessWorker:
        ours, theirs = self._context.Pipe()
        seat = RemoteWorker(self._make, self._setup.of_rank(rank))
        process = self._context.Process(target=serve, args=(theirs, seat), daemon=True)
        process.start()
        theirs.close()  # so that the pipe ends when the process does
        return ProcessWorker(process, ours)

    def send(self, worker: ProcessWorker, call: str, argument: Any) -> None:
        with suppress(OSError):  # it is gone, as `receive` will find
            worker.pipe.send((call, argument))

    def ready(self, workers: Sequence[ProcessWorker]) -> Sequence[ProcessWorker]:
        found = wait([worker.pipe for worker in workers])
        return [worker for worker in workers if worker.pipe in found]

    def receive(self, worker: ProcessWorker) -> Any:
        try:
            outcome = worker.pipe.recv()
        except (EOFError, OSError):
            worker.process.join(PATIENCE)
            raise LostWorkerError(_end(worker.process.exitcode)) from None
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def dismiss(self, workers: Sequence[ProcessWorker]) -> None:
        for worker in workers:
            worker.pipe.close()
            worker.process.terminate()
        for worker in workers:
            worker.process.join(PATIENCE)

    def close(self) -> None:
        pass


class RemoteWorker:
    """A worker at the far end of a call: it is made at the first call, and what goes wrong is
    returned, so that it arrives as it was raised."""

    def __init__(self, make: Make, setup: Setup) -> None:
        self._make, self._setup = make, setup
        self._worker: Any = None

    def call(self, name: str, argument: Any) -> Any:
        """What the worker's method gave, or the exception that it raised."""
        try:
            if self._worker is None:
                self._worker = self._make(self._setup)
            return getattr(self._worker, name)(argument)
        except SeesayError as error:
            return error
        except Exception as error:  # noqa: BLE001  # it belongs to the process that asked
            return RuntimeError(f"{type(error).__name__} in a worker: {error}")


def serve(pipe: Connection, worker: RemoteWorker) -> None:
    """The process: answer calls until the other side is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other side decides when to end
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # stdout is for the other side's results
    with suppress(EOFError, BrokenPipeError):
        while True:
            call, argument = pipe.recv()
            pipe.send(worker.call(call, argument))


def _end(code: int | None) -> str:
    if code is None:
        return "it does not answer"
    return f"ended by signal {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
