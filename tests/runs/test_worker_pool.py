"""The pool without a model: order, losses, errors, how far it runs ahead."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

import run_kit
from seesay.errors import InputError, SeesayError
from seesay.runs.setup import Setup
from seesay.runs.worker_pool import MOST_AHEAD, InProcess, LostWorkerError, RemoteWorker, WorkerPool


@dataclass(frozen=True)
class Number:
    value: int

    @property
    def description(self) -> str:
        return f"number {self.value}"


class Doubler:
    def __init__(self, setup: Setup) -> None:
        self.setup = setup

    def double(self, number: Number) -> int:
        if number.value < 0:
            raise InputError("below nought")
        return 2 * number.value

    def model(self, _: None) -> str | None:
        return self.setup.model


class Slow:
    """A workplace whose first worker ends a call only when no other has one, and may be lost."""

    def __init__(self, losses: int = 0) -> None:
        self.losses, self.given, self.sent = losses, {}, []

    def hire(self, rank: int) -> RemoteWorker:
        return RemoteWorker(Doubler, Setup())

    def send(self, worker, call, argument) -> None:
        self.given[worker] = call, argument
        self.sent.append(argument)

    def ready(self, workers):
        return [max(workers, key=lambda worker: self.given[worker][1].value)]

    def receive(self, worker):
        if self.given[worker][1].value == 0 and self.losses:
            self.losses -= 1
            raise LostWorkerError("gone")
        return worker.call(*self.given[worker])

    def dismiss(self, workers) -> None:
        pass

    def close(self) -> None:
        pass


NUMBERS = [Number(k) for k in range(20)]


def test_one_process_does_one_after_the_other():
    with WorkerPool(InProcess(Doubler, Setup("x")), 1, print) as pool:
        assert pool.call("model") == "x"
        assert list(pool.map("double", NUMBERS)) == [(n, 2 * n.value) for n in NUMBERS]
        with pytest.raises(InputError, match="below nought"):
            list(pool.map("double", [Number(-1)]))


def test_results_come_as_they_come_or_in_order():
    with WorkerPool(Slow(), 2, print) as pool:
        found = [number.value for number, _ in pool.map("double", NUMBERS)]
    assert found == [*range(1, 20), 0]
    place = Slow()
    with WorkerPool(place, 2, print) as pool:
        results = pool.map("double", NUMBERS, ordered=True)
        assert next(results) == (NUMBERS[0], 0)
        assert len(place.sent) == 2 * MOST_AHEAD  # no further, since it was to come first
        assert [number for number, _ in results] == NUMBERS[1:]


@pytest.mark.parametrize("ordered", [False, True])
def test_a_lost_workers_task_is_given_again(ordered):
    notes = []
    with WorkerPool(Slow(losses=2), 2, notes.append) as pool:
        found = list(pool.map("double", NUMBERS, ordered=ordered))
    assert sorted(found, key=lambda pair: pair[0].value) == [(n, 2 * n.value) for n in NUMBERS]
    assert len(notes) == 2
    assert "was lost (gone)" in notes[0]


def test_a_task_that_kills_ends_the_run_by_its_name():
    with (
        WorkerPool(Slow(losses=3), 2, lambda _: None) as pool,
        pytest.raises(SeesayError, match="number 0: 3 workers were lost at the same batch"),
    ):
        list(pool.map("double", NUMBERS))


@pytest.mark.usefixtures("quick_workers")
def test_processes_answer_and_may_be_killed():
    notes = []
    place = run_kit.Murderous(Doubler, Setup(), call="double")
    with WorkerPool(place, 2, notes.append) as pool:
        found = list(pool.map("double", NUMBERS[:6], ordered=True))
        assert found == [(n, 2 * n.value) for n in NUMBERS[:6]]
        assert any("was lost (ended by signal SIGKILL)" in note for note in notes)
        with pytest.raises(InputError, match="below nought"):
            list(pool.map("double", [Number(-1)]))
        with pytest.raises(RuntimeError, match="AttributeError in a worker"):
            pool.call("halve")
