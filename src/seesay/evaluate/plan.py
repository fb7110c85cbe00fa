"""What a run will ask: entries × benchmarks, cut into jobs that are known by their content.

A job's id is a digest of everything that its records depend on: the model and its revision, the
method with every field settled, the samples, the decoding, and the versions at work. So a job that
has been done is never done again, and one that would give other records has another id.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import PurePath
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from seesay.errors import InputError
from seesay.evaluate.benchmark import Benchmark, Kind, Sample

SCHEMA: Final = "seesay.run/1"
SHARD = 128
"""Samples of a job, at least, where there are so many; up to it a prompt's stay together."""

Role = Literal["plain", "method", "control", "sweep"]
Control = Literal["strength-0", "same-stream", "temperature", "plain-greedy"]


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, populate_by_name=True)


class Entry(_Stored):
    """One line of the table to come: a method with its settings, or a control of one.

    Attributes:
        label: unique within the run: "plain", "agla + eah", "agla: strength 0".
        role: what the entry is there for.
        control: which generated control, for the role "control".
        of: the label of the method that the control belongs to; None for a control of the run.
        method: the method's repr, settled on the model.
        written: the method's repr as it was asked for.
        decoding: num_beams, do_sample and what else goes to `generate`.
        sweep: method, field and value, for the role "sweep".
    """

    label: str
    role: Role
    control: Control | None = None
    of: str | None = None
    method: str
    written: str
    decoding: dict[str, Any]
    sweep: dict[str, Any] | None = None


class Planned(_Stored):
    """A benchmark as it is asked in a run.

    Attributes:
        kind, protocol: the benchmark's.
        max_new_tokens: texts are cut there.
        samples: how many are asked.
        digest: of their ids, pictures and prompts in the benchmark's order.
        skipped: ids of samples that are not asked since their picture is missing.
        shards: the samples' ids, one tuple a shard; those of one prompt stand together.
    """

    kind: Kind
    max_new_tokens: int
    samples: int
    digest: str
    skipped: tuple[str, ...] = ()
    shards: tuple[tuple[str, ...], ...]
    protocol: dict[str, Any]


class Job(_Stored):
    """A shard of a benchmark asked under an entry. Entries that come to the same share an id."""

    id: str
    entry: str
    benchmark: str
    shard: int


class Plan(_Stored):
    """What a run asks and how, as `run.json` holds it.

    Attributes:
        protocol: what holds for the whole run: model, revision, dtype, device, versions, seed, ...
        suite, data, limit: as they were asked for; `benchmarks.suite` makes the same of them.
        benchmarks: by name.
        entries: in the order in which a table shows them, the plain model first.
        jobs: entries × benchmarks × shards, in the order in which they are done.
    """

    schema_: Literal["seesay.run/1"] = Field(default=SCHEMA, alias="schema")
    protocol: dict[str, Any]
    suite: str
    data: str | dict[str, str] | None = None
    limit: int | None = None
    benchmarks: dict[str, Planned]
    entries: tuple[Entry, ...]
    jobs: tuple[Job, ...]

    def entry(self, label: str) -> Entry:
        return next(entry for entry in self.entries if entry.label == label)

    def ids(self, job: Job) -> tuple[str, ...]:
        """The samples of a job."""
        return self.benchmarks[job.benchmark].shards[job.shard]

    @property
    def work(self) -> tuple[Job, ...]:
        """The jobs, each id once: under the first entry that has it."""
        first: dict[str, Job] = {}
        for job in self.jobs:
            first.setdefault(job.id, job)
        return tuple(first.values())

    def extended(self, other: Plan) -> Plan:
        """This plan with what `other` adds: methods, sweeps, benchmarks.

        Raises:
            InputError: `other` was made under another protocol or asks other samples.
        """
        _agree("", {**self.protocol, "limit": self.limit}, {**other.protocol, "limit": other.limit})
        for name, planned in other.benchmarks.items():
            mine = self.benchmarks.get(name, planned)
            for field in ("samples", "digest", "max_new_tokens", "shards"):
                _agree(f"{name}: ", _part(mine, field), _part(planned, field))
        known = {entry.label: entry for entry in self.entries}
        for entry in other.entries:
            there, here = known.get(entry.label, entry), entry
            _agree("", {entry.label: there.method}, {entry.label: here.method})
            _agree(f"{entry.label}: ", there.decoding, here.decoding)
        jobs = {(job.entry, job.benchmark, job.shard): job for job in (*self.jobs, *other.jobs)}
        suite, benchmarks = self._suite(other)
        return Plan(
            protocol=self.protocol,
            suite=suite,
            data=_both(self.data, other.data),
            limit=self.limit,
            benchmarks=benchmarks,
            entries=tuple({**known, **{e.label: e for e in other.entries}}.values()),
            jobs=tuple(jobs.values()),
        )

    def _suite(self, other: Plan) -> tuple[str, dict[str, Planned]]:
        """The benchmarks of both, and a text that makes each of them once."""
        mine, theirs = self.benchmarks, other.benchmarks
        if theirs.keys() <= mine.keys():
            return self.suite, mine
        if mine.keys() <= theirs.keys():
            return other.suite, theirs
        if mine.keys() & theirs.keys():
            raise InputError(
                f"the results folder holds answers to {', '.join(mine)}; name all of them in "
                "--suite, or only others"
            )
        return f"{self.suite},{other.suite}", {**mine, **theirs}


def planned(
    benchmark: Benchmark,
    samples: Sequence[Sample],
    *,
    skipped: Sequence[str] = (),
    max_new_tokens: int | None = None,
    shard: int = SHARD,
) -> Planned:
    """How a benchmark's samples are asked. `samples` are those without the skipped ones."""
    return Planned(
        kind=benchmark.kind,
        max_new_tokens=max_new_tokens or benchmark.max_new_tokens,
        samples=len(samples),
        digest=digest([_named(sample) for sample in samples]),
        skipped=tuple(skipped),
        shards=tuple(tuple(s.id for s in part) for part in _shards(samples, shard)),
        protocol=benchmark.protocol(),
    )


def jobs_of(
    entries: Sequence[Entry],
    benchmarks: Mapping[str, Planned],
    samples: Mapping[str, Mapping[str, Sample]],
    protocol: Mapping[str, Any],
) -> tuple[Job, ...]:
    """All jobs: every benchmark under the first entry, then under the next.

    Args:
        samples: by benchmark and id.
        protocol: of the run; all of it goes into the jobs' ids.
    """
    jobs = []
    for entry in entries:
        for name, asked in benchmarks.items():
            for number, ids in enumerate(asked.shards):
                content = {
                    "schema": SCHEMA,
                    "protocol": dict(protocol),
                    "method": entry.method,
                    "decoding": entry.decoding,
                    "max_new_tokens": asked.max_new_tokens,
                    "kind": asked.kind,
                    "benchmark": name,
                    "samples": [_named(samples[name][id_]) for id_ in ids],
                }
                jobs.append(
                    Job(id=digest(content), entry=entry.label, benchmark=name, shard=number)
                )
    return tuple(jobs)


def batches(samples: Iterable[Sample], size: int) -> Iterator[tuple[Sample, ...]]:
    """Up to `size` samples at once that share a prompt. A shard always falls into the same ones."""
    for _, same in groupby(samples, key=lambda sample: sample.prompt):
        group = tuple(same)
        for first in range(0, len(group), size):
            yield group[first : first + size]


def split(text: str) -> list[str]:
    """The parts of "a; b + c, d(x=1, y=2)": cut at semicolons, and at commas outside brackets."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([") - (character in ")]")
        if character == ";" or (character == "," and depth == 0):
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def digest(content: Any) -> str:
    """16 hexadecimal digits of SHA-256 over the content as canonical JSON."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _shards(samples: Sequence[Sample], size: int) -> Iterator[list[Sample]]:
    by_prompt: dict[str, list[Sample]] = {}
    for sample in samples:
        by_prompt.setdefault(sample.prompt, []).append(sample)
    shard: list[Sample] = []
    for group in by_prompt.values():
        for first in range(0, len(group), size):
            shard += group[first : first + size]
            if len(shard) >= size:
                yield shard
                shard = []
    if shard:
        yield shard


def _named(sample: Sample) -> tuple[str, str, str]:
    """What of a sample reaches the model; a file by its name, so that a folder may move."""
    drawn = sample.picture.startswith("toy:")
    return sample.id, sample.picture if drawn else PurePath(sample.picture).name, sample.prompt


def _both(
    mine: str | dict[str, str] | None, other: str | dict[str, str] | None
) -> str | dict[str, str] | None:
    if isinstance(mine, dict) and isinstance(other, dict):
        return {**mine, **other}
    if None not in (mine, other):
        _agree("", {"data": mine}, {"data": other})
    return mine if other is None else other


def _part(asked: Planned, field: str) -> dict[str, Any]:
    return {field: getattr(asked, field)}


def _agree(where: str, mine: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    """Refuse the first difference."""
    for name in sorted(mine.keys() | other.keys()):
        if mine.get(name) != other.get(name):
            raise InputError(
                f"the results folder holds a run with another protocol ({where}{name}: "
                f"{_short(mine.get(name))} there, {_short(other.get(name))} here); choose another "
                "--out, or the settings with which it was begun"
            )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
