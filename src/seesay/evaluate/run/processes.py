"""Workers as processes on this machine, each on a GPU of its own where there are several."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from seesay.evaluate.run.crew import LostWorkerError
from seesay.evaluate.run.speaking import Seat, Setup, on_device

PATIENCE = 5.0
"""Seconds that a process gets to end by itself."""


@dataclass(eq=False)
class Worker:
    """A process and the pipe to it. A pipe each, since a queue that is shared can be left locked by
    a process that is killed."""

    process: BaseProcess
    pipe: Connection


class Processes:
    """A workplace of processes that start afresh: nothing of this one's CUDA state is inherited."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._context = get_context("spawn")

    def hire(self, rank: int) -> Worker:
        ours, theirs = self._context.Pipe()
        setup = on_device(self._setup, rank)
        process = self._context.Process(target=serve, args=(theirs, setup), daemon=True)
        process.start()
        theirs.close()  # so that the pipe ends when the process does
        return Worker(process, ours)

    def send(self, worker: Worker, call: str, argument: Any) -> None:
        with suppress(OSError):  # it is gone, as `receive` will find
            worker.pipe.send((call, argument))

    def ready(self, workers: Sequence[Worker]) -> Sequence[Worker]:
        found = wait([worker.pipe for worker in workers])
        return [worker for worker in workers if worker.pipe in found]

    def receive(self, worker: Worker) -> Any:
        try:
            outcome = worker.pipe.recv()
        except (EOFError, OSError):
            worker.process.join(PATIENCE)
            raise LostWorkerError(_end(worker.process.exitcode)) from None
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def dismiss(self, workers: Sequence[Worker]) -> None:
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
    seat = Seat(setup)
    with suppress(EOFError, BrokenPipeError):
        while True:
            call, argument = pipe.recv()
            pipe.send(seat.call(call, argument))


def _end(code: int | None) -> str:
    if code is None:
        return "it does not answer"
    return f"ended by signal {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
