"""A run from its beginning to its end: plan, ask what is not recorded yet, record."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seesay.errors import InputError
from seesay.evaluate.benchmark import Answer, Benchmark, Sample
from seesay.evaluate.entries import Wanted
from seesay.evaluate.plan import Plan, batches, jobs_of, planned
from seesay.evaluate.records import Results, ResultsStore, open_run
from seesay.evaluate.worker import AskedBatch, Capabilities
from seesay.runs.worker_pool import WorkerPool


@dataclass(frozen=True)
class EvaluationSettings:
    """How a run asks.

    Attributes:
        suite, data, limit: what the benchmarks were made from; see `benchmarks.suite`.
        batch_size: samples at once.
        max_new_tokens: for all benchmarks; None is each one's own.
        seed: of the draws where tokens are drawn.
        skip_missing: leave out samples whose picture is missing or cannot be read.
    """

    suite: str
    data: str | dict[str, str] | None = None
    limit: int | None = None
    batch_size: int = 8
    max_new_tokens: int | None = None
    seed: int = 0
    skip_missing: bool = False


@dataclass
class Progress:
    """How far a run is.

    Attributes:
        total: items of the whole plan.
        found: of them recorded before this run began.
        done: of them recorded by now.
        entry, benchmark: what was recorded last.
    """

    total: int
    found: int
    left: dict[str, int]
    done: int = 0
    entry: str = ""
    benchmark: str = ""
    started: float = field(default_factory=time.perf_counter)
    _items: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def take(self, entry: str, benchmark: str, answers: Sequence[Answer]) -> None:
        """Answers were recorded."""
        self.entry, self.benchmark = entry, benchmark
        self.done += len(answers)
        self.left[benchmark] -= len(answers)
        self._items[benchmark] += len(answers)
        self._seconds[benchmark] += sum(answer.seconds for answer in answers)

    @property
    def seconds(self) -> float:
        """Since this run began to ask."""
        return time.perf_counter() - self.started

    @property
    def rate(self) -> float:
        """Items a second, of this run."""
        return (self.done - self.found) / max(self.seconds, 1e-9)

    @property
    def seconds_left(self) -> float | None:
        """By what an item of each benchmark took; of those not reached yet, by the mean."""
        items, seconds = sum(self._items.values()), sum(self._seconds.values())
        if not items or not seconds:
            return None
        ahead = 0.0
        for name, left in self.left.items():
            own = self._items.get(name, 0)
            ahead += left * (self._seconds[name] / own if own else seconds / items)
        return ahead * self.seconds / seconds


@dataclass(frozen=True)
class Prepared:
    """A plan and what it was made of: the samples by benchmark and id, and the model's survey."""

    plan: Plan
    samples: Mapping[str, Mapping[str, Sample]]
    survey: Capabilities


def prepare(
    pool: WorkerPool[Any],
    benchmarks: Sequence[Benchmark],
    wanted: Wanted,
    settings: EvaluationSettings,
    note: Callable[[str], None],
) -> Prepared:
    """Plan a run; loads the model.

    Args:
        note: is told in sentences what is left out.

    Raises:
        InputError: samples or pictures that cannot be used.
        EngineError, ModelError: a method that cannot run on the model, or no such model.
    """
    samples, skipped = _samples(benchmarks, settings, note)
    survey: Capabilities = pool.call("survey", wanted)
    for line in survey.notes:
        note(line)
    return Prepared(_plan(benchmarks, samples, skipped, survey, settings), samples, survey)


def ask(
    folder: Path,
    pool: WorkerPool[Any],
    prepared: Prepared,
    settings: EvaluationSettings,
    report: Callable[[Progress], None],
) -> Results:
    """Ask what is planned and not yet recorded in `folder`; returns the finished run.

    Args:
        report: is called at the start and after every batch.

    Raises:
        InputError: a folder that cannot be used, or a picture that cannot be read.
        EngineError, ModelError: a batch that cannot be answered.
        SeesayError: the disk is full, or workers are lost again and again.
    """
    jobs = {job.id: job for job in prepared.plan.work}
    with ResultsStore(folder, prepared.plan) as store:
        total = found = 0
        left: dict[str, int] = defaultdict(int)
        for job in jobs.values():
            ids, done = prepared.plan.ids(job), len(store.done(job.id))
            total, found = total + len(ids), found + done
            left[job.benchmark] += len(ids) - done
        progress = Progress(total, found, dict(left), found)
        report(progress)
        for task, answers in pool.map("answer", _tasks(store, prepared, settings)):
            store.append(task.job, answers, task.prompt)
            progress.take(jobs[task.job].entry, task.benchmark, answers)
            report(progress)
    return open_run(folder)


def _samples(
    benchmarks: Sequence[Benchmark], settings: EvaluationSettings, note: Callable[[str], None]
) -> tuple[dict[str, dict[str, Sample]], dict[str, list[str]]]:
    """Samples by benchmark and id, and the ids of those that are left out."""
    from seesay.evaluate.benchmarks import present_pictures

    samples: dict[str, dict[str, Sample]] = {}
    skipped: dict[str, list[str]] = {}
    for benchmark in benchmarks:
        every = benchmark.samples()
        there, files = present_pictures(every, skip_missing=settings.skip_missing)
        samples[benchmark.name] = {sample.id: sample for sample in there}
        if len(samples[benchmark.name]) < len(there):
            raise InputError(f"{benchmark.name}: an id stands twice among its samples")
        if not there:
            raise InputError(f"{benchmark.name}: there is no sample to ask")
        skipped[benchmark.name] = [s.id for s in every if s.id not in samples[benchmark.name]]
        if skipped[benchmark.name]:
            some = ", ".join(str(file) for file in files[:3])
            note(
                f"{benchmark.name}: {len(skipped[benchmark.name])} of {len(every)} samples are "
                f"left out, {len(files)} pictures are missing ({some}{', ...' * (len(files) > 3)})"
            )
    return samples, skipped


def _plan(
    benchmarks: Sequence[Benchmark],
    samples: Mapping[str, Mapping[str, Sample]],
    skipped: Mapping[str, Sequence[str]],
    survey: Capabilities,
    settings: EvaluationSettings,
) -> Plan:
    asked = {
        benchmark.name: planned(
            benchmark,
            list(samples[benchmark.name].values()),
            skipped=skipped[benchmark.name],
            max_new_tokens=settings.max_new_tokens,
        )
        for benchmark in benchmarks
    }
    entries = tuple(variant.entry for variant in survey.variants)
    draws = any(entry.decoding["do_sample"] for entry in entries)
    protocol = {
        **survey.facts,
        "seed": settings.seed if draws else None,
        # A batch draws other numbers than its samples singly; greedy, it says the same.
        "batch_size": settings.batch_size if draws else None,
    }
    return Plan(
        protocol=protocol,
        suite=settings.suite,
        data=settings.data,
        limit=settings.limit,
        benchmarks=asked,
        entries=entries,
        jobs=jobs_of(entries, asked, samples, protocol),
    )


def _tasks(
    store: ResultsStore, prepared: Prepared, settings: EvaluationSettings
) -> Iterator[AskedBatch]:
    """Every batch of which an answer is missing, in the plan's order."""
    plan, samples = prepared.plan, prepared.samples
    methods = {variant.entry.label: variant for variant in prepared.survey.variants}
    for job in plan.work:
        variant, asked = methods[job.entry], plan.benchmarks[job.benchmark]
        done = store.done(job.id)
        shard = [samples[job.benchmark][id_] for id_ in plan.ids(job)]
        for batch in batches(shard, settings.batch_size):
            missing = frozenset(sample.id for sample in batch) - done
            if missing:
                yield AskedBatch(
                    job=job.id,
                    benchmark=job.benchmark,
                    kind=asked.kind,
                    samples=batch,
                    wanted=missing,
                    method=variant.method,
                    max_new_tokens=asked.max_new_tokens,
                    decoding=variant.entry.decoding,
                    seed=settings.seed,
                    skip_broken=settings.skip_missing,
                )
