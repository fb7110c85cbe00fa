"""Workers: each has the model and is handed one batch at a time; a lost worker's batch goes to
another. What carries a worker (this process, another one, Ray) is a `Backend`.

Workers as processes on this machine, each on a GPU of its own where there are several.
"""

from __future__ import annotations

import signal
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
from seesay.evaluate.benchmark import Answer
from seesay.evaluate.entries import Wanted
from seesay.evaluate.worker import Capabilities, ModelWorker, RemoteWorker, Setup, Task, on_device

MOST_LOSSES = 3
"""So often a batch may lose its worker before the run stops: then it is the batch that kills."""

W = TypeVar("W")


class LostWorkerError(Exception):
    """A worker is gone: killed, out of memory, its machine down."""


class Backend(Protocol[W]):
    """Where workers live. A worker is given one call of its `ModelWorker` at a time."""

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

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._called: tuple[str, Any] = ("", None)

    def hire(self, rank: int) -> ModelWorker:
        return ModelWorker(self._setup)

    def send(self, worker: ModelWorker, call: str, argument: Any) -> None:
        self._called = call, argument

    def ready(self, workers: Sequence[ModelWorker]) -> Sequence[ModelWorker]:
        return workers

    def receive(self, worker: ModelWorker) -> Any:
        call, argument = self._called
        return getattr(worker, call)(argument)

    def dismiss(self, workers: Sequence[ModelWorker]) -> None:
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
        self._busy: dict[int, tuple[W, Task]] = {}  # by rank
        self._rank: dict[int, int] = {}  # id of a worker -> rank

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

    def survey(self, wanted: Wanted) -> Capabilities:
        """Ask the first worker."""
        worker = self._hire(0)
        self._idle.append(worker)
        self._place.send(worker, "survey", wanted)
        self._place.ready([worker])
        try:
            found: Capabilities = self._place.receive(worker)
        except LostWorkerError as lost:
            raise SeesayError(f"a worker was lost while it loaded the model: {lost}") from lost
        return found

    def say(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, list[Answer]]]:
        """Hand out the tasks in order; what comes back, as it comes.

        Raises:
            SeesayError: what a worker raised, or a task that workers do not survive.
        """
        waiting, losses = deque(tasks), Counter[tuple[str, frozenset[str]]]()
        for rank in range(len(self._rank), min(self.size, len(waiting))):
            self._idle.append(self._hire(rank))
        while waiting or self._busy:
            while self._idle and waiting:
                worker, task = self._idle.pop(), waiting.popleft()
                self._busy[self._rank[id(worker)]] = worker, task
                self._place.send(worker, "say", task)
            for worker in self._place.ready([worker for worker, _ in self._busy.values()]):
                rank = self._rank[id(worker)]
                task = self._busy[rank][1]
                try:
                    answers = self._place.receive(worker)
                except LostWorkerError as lost:
                    del self._busy[rank], self._rank[id(worker)]
                    self._place.dismiss([worker])
                    losses[task.job, task.wanted] += 1
                    self._note(f"worker {rank} was lost ({lost}); its batch is asked again")
                    if losses[task.job, task.wanted] >= MOST_LOSSES:
                        raise SeesayError(
                            f"{task.benchmark} under {task.method}: {MOST_LOSSES} workers were "
                            f"lost at the same batch, the last one by: {lost}; try a smaller "
                            "--batch-size, and start the same command again"
                        ) from lost
                    waiting.appendleft(task)
                    self._idle.append(self._hire(rank))
                else:
                    del self._busy[rank]
                    self._idle.append(worker)
                    yield task, answers

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

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._context = get_context("spawn")

    def hire(self, rank: int) -> ProcessWorker:
        ours, theirs = self._context.Pipe()
        setup = on_device(self._setup, rank)
        process = self._context.Process(target=serve, args=(theirs, setup), daemon=True)
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


def serve(pipe: Connection, setup: Setup) -> None:
    """The process: answer calls until the other side is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other side decides when to end
    seat = RemoteWorker(setup)
    with suppress(EOFError, BrokenPipeError):
        while True:
            call, argument = pipe.recv()
            pipe.send(seat.call(call, argument))


def _end(code: int | None) -> str:
    if code is None:
        return "it does not answer"
    return f"ended by signal {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
