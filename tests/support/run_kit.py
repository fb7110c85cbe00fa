"""For tests of runs: a benchmark that needs no files, a plan, and a folder's records to compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from seesay.evaluate.benchmark import Answer, Benchmark, Sample
from seesay.evaluate.entries import Wanted
from seesay.evaluate.plan import Entry, Plan, jobs_of, planned
from seesay.evaluate.records import open_run
from seesay.evaluate.runner import EvaluationSettings, ask, prepare
from seesay.evaluate.worker import ModelWorker
from seesay.runs.setup import Setup
from seesay.runs.worker_pool import InProcess, ProcessBackend, WorkerPool
from seesay.statistics.metrics import Metric, Score, ratio

GREEDY = {"num_beams": 1, "do_sample": False, "generation": {}}
THINGS = ("fork", "dog", "cup")


@dataclass(frozen=True)
class Captions(Benchmark):
    """Drawn scenes to describe; counts words."""

    name: str = "captions"
    scenes: int = 6
    max_new_tokens: int = 24
    kind = "caption"
    metrics: ClassVar = {"words": Metric(ratio("words", "texts", 1.0), None, "words")}
    prompt: str = "Please describe this image in detail."

    def samples(self) -> Sequence[Sample]:
        return [
            Sample(f"s{k}", f"toy:broken/{k}", self.prompt, f"s{k}") for k in range(self.scenes)
        ]

    def score(self, samples: Sequence[Sample], answers: Mapping[str, Answer]) -> Score:
        there = [sample for sample in samples if sample.id in answers]
        counts = [[len(answers[sample.id].text.split()), 1] for sample in there]
        clusters = tuple(sample.cluster for sample in there)
        return Score(clusters, ("words", "texts"), np.array(counts, float))

    def protocol(self) -> dict[str, Any]:
        return {"scorer": "words"}


@dataclass(frozen=True)
class Questions(Captions):
    """Questions about the same scenes, three prompts in turn."""

    name: str = "questions"
    max_new_tokens: int = 4
    kind = "yes-no"

    def samples(self) -> Sequence[Sample]:
        return [
            Sample(f"q{k}", f"toy:broken/{k}", f"Is there a {THINGS[k % 3]} in the image?", f"s{k}")
            for k in range(self.scenes)
        ]


def plan(
    *benchmarks: Benchmark,
    methods: Sequence[str] = ("plain",),
    protocol: Mapping[str, Any] = {"model": "bundled", "revision": "1"},
    shard: int = 4,
) -> Plan:
    """A plan that no model was asked for."""
    chosen = benchmarks or (Captions(),)
    samples = {b.name: {s.id: s for s in b.samples()} for b in chosen}
    asked = {b.name: planned(b, b.samples(), shard=shard) for b in chosen}
    entries = [
        Entry(
            label=name,
            role="plain" if name == "plain" else "method",
            method=name,
            written=name,
            decoding=GREEDY,
        )
        for name in methods
    ]
    return Plan(
        protocol=dict(protocol),
        suite=",".join(asked),
        benchmarks=asked,
        entries=tuple(entries),
        jobs=jobs_of(entries, asked, samples, protocol),
    )


def recorded(folder: Path) -> dict[str, dict[str, dict[str, Answer]]]:
    """All answers of a run by entry, benchmark and id, without what differs from run to run."""
    run = open_run(folder)
    return {
        entry.label: {
            name: {id_: _timeless(answer) for id_, answer in run.answers(entry, name).items()}
            for name in run.plan.benchmarks
        }
        for entry in run.plan.entries
    }


def lines_of(folder: Path) -> int:
    """How many lines all files of records hold."""
    return sum(len(file.read_bytes().splitlines()) for file in folder.rglob("*.jsonl"))


class Murderous(ProcessBackend):
    """Kills a worker as soon as it has been given its second task.

    Args:
        call: the name of the tasks' method.
        kills: how often.
        survived: tasks before the first that kills.
    """

    def __init__(self, make, setup, *, call: str, kills: int = 1, survived: int = 1) -> None:
        super().__init__(make, setup)
        self.call, self.kills, self.survived = call, kills, survived

    def send(self, worker, call, argument) -> None:
        super().send(worker, call, argument)
        if call == self.call:
            self.survived -= 1
            if self.survived < 0 and self.kills:
                self.kills -= 1
                worker.process.kill()


def _timeless(answer: Answer) -> Answer:
    return replace(answer, seconds=0.0)


SETUP = Setup(threads=1)
BOTH = (Captions(), Questions())


@cache
def _here() -> ModelWorker:
    return ModelWorker(SETUP)


def run(folder, methods="plain", *, place=None, size=1, benchmarks=BOTH, notes=None, **more):
    notes = [] if notes is None else notes
    reports = []
    wanted = more.pop("wanted", None) or Wanted.of(methods, controls=more.pop("controls", False))
    settings = EvaluationSettings("made for tests", **{"batch_size": 4, **more})
    with WorkerPool(place or InProcess(lambda _: _here(), SETUP), size, notes.append) as crew:
        prepared = prepare(crew, benchmarks, wanted, settings, notes.append)
        ask(folder, crew, prepared, settings, lambda p: reports.append((p.done, p.total)))
    return reports
