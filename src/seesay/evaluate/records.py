"""Results on disk: `run.json` with the plan, and one file of records a job, only ever added to.

A record is an answer and its prompt as one line of JSON; it is written when its answer is there, a
batch with one write. One process writes; workers hand it their answers.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import ValidationError

from seesay.errors import InputError
from seesay.evaluate.benchmark import Answer, NamedObject
from seesay.evaluate.plan import SCHEMA, Entry, Job, Plan
from seesay.storage import files
from seesay.storage.journal import Journal, LineFormat, lock

PLAN, RECORDS, LOCK = "run.json", "records", ".lock"


@dataclass(frozen=True, eq=False)
class Results:
    """A results folder, as far as it has come."""

    folder: Path
    plan: Plan

    def answers(self, entry: Entry | str, benchmark: str) -> dict[str, Answer]:
        """What was answered under an entry, by sample id, in the plan's order.

        Raises:
            InputError: a file of records that is broken before its last line.
        """
        label = entry if isinstance(entry, str) else entry.label
        found: dict[str, Answer] = {}
        for job in self.plan.jobs:
            if (job.entry, job.benchmark) == (label, benchmark):
                stored = {answer.id: answer for answer in self._stored(job)}
                found.update((id_, stored[id_]) for id_ in self.plan.ids(job) if id_ in stored)
        return found

    def missing(self) -> int:
        """How many items are planned and not recorded; 0 when the run is complete."""
        return sum(len(self.plan.ids(job)) - len(self._stored(job)) for job in self.plan.work)

    def verified(self) -> dict[str, dict[str, tuple[int, int]]]:
        """For each method with a strength-0 control: by benchmark, how many of its texts equal the
        plain model's, of how many that both have."""
        result: dict[str, dict[str, tuple[int, int]]] = {}
        controls = [e for e in self.plan.entries if e.control == "strength-0" and e.of]
        plain = {name: self.answers("plain", name) for name in self.plan.benchmarks}
        for entry in controls:
            for name in self.plan.benchmarks:
                zero = self.answers(entry, name)
                both = [(plain[name][id_], zero[id_]) for id_ in zero if id_ in plain[name]]
                if both:
                    equal = sum(mine.text == other.text for mine, other in both)
                    result.setdefault(str(entry.of), {})[name] = (equal, len(both))
        return result

    def _stored(self, job: Job) -> list[Answer]:
        path = record_file(self.folder, job)
        return [answer for answer, _ in RECORD.read(path)] if path.is_file() else []


class ResultsStore:
    """The one writer of a results folder; use it as a context manager.

    Raises:
        InputError: a folder that cannot be used: of another version, of another protocol, not
            writable, in use, or full of other things.
    """

    def __init__(self, folder: Path, plan: Plan) -> None:
        check_folder(folder)
        with _usable(folder):
            (folder / RECORDS).mkdir(parents=True, exist_ok=True)
            self._lock = (folder / LOCK).open("ab")
        lock(self._lock, f"at work in {str(folder)!r}")
        try:
            if (folder / PLAN).is_file():
                plan = open_run(folder).plan.extended(plan)
            self.run = Results(folder, plan)
            self._jobs = {job.id: job for job in plan.work}
            self._done: dict[str, set[str]] = {}
            files.save(folder / PLAN, plan.model_dump_json(by_alias=True, indent=1) + "\n")
        except BaseException:
            self._lock.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.close()

    def done(self, job_id: str) -> frozenset[str]:
        """The ids that a job has records of; cuts off a half-written last line."""
        if job_id not in self._done:
            path = record_file(self.run.folder, self._jobs[job_id])
            found = list(RECORD.read(path)) if path.is_file() else []
            end = found[-1][1] if found else 0
            if path.is_file() and end != path.stat().st_size:
                with Journal(path, RECORD.what, locked=False) as journal:
                    journal.cut(end)
            self._done[job_id] = {answer.id for answer, _ in found}
        return frozenset(self._done[job_id])

    def append(self, job_id: str, answers: Sequence[Answer], prompt: str) -> None:
        """Write answers to a prompt behind the job's others; all of them or none.

        Raises:
            ValueError: an id that the job does not have, or has a record of.
            SeesayError: the disk is full or fails.
        """
        job, done = self._jobs[job_id], set(self.done(job_id))
        for answer in answers:
            if answer.id in done or answer.id not in self.run.plan.ids(job):
                raise ValueError(f"{answer.id!r} is recorded already or not in job {job_id}")
            done.add(answer.id)
        path = record_file(self.run.folder, job)
        with _usable(path.parent):
            path.parent.mkdir(exist_ok=True)
        with Journal(path, RECORD.what, locked=False) as journal:  # the folder is locked
            journal.append("".join(line(answer, prompt) for answer in answers).encode())
        self._done[job_id] = done


def open_run(folder: str | Path) -> Results:
    """A results folder, for reading.

    Raises:
        InputError: no such folder, no plan in it, one of another version, or a broken one.
    """
    folder = Path(folder)
    path = folder / PLAN
    try:
        stored = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise InputError(
            f"{str(folder)!r} holds no {PLAN}; name a folder that `seesay evaluate --out` wrote"
        ) from None
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{str(path)!r} is broken ({error}); restore it, or run anew") from error
    schema = stored.get("schema") if isinstance(stored, dict) else None
    if schema != SCHEMA:
        raise InputError(
            f"{str(folder)!r} holds results of version {schema!r}, and this seesay reads "
            f"{SCHEMA!r}; read it with the seesay that wrote it, or choose another folder"
        )
    try:
        return Results(folder, Plan.model_validate(stored))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(f"{str(path)!r} is broken at {where}: {first['msg']}") from error


def check_folder(folder: Path) -> None:
    """Refuse early what `ResultsStore` would refuse for the folder itself; makes nothing."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{str(folder)!r} is a file; choose a folder for --out")
    with _usable(folder):
        here = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if PLAN in here:
        open_run(folder)
    elif here - {RECORDS, LOCK}:
        raise InputError(
            f"{str(folder)!r} holds other files and no {PLAN}; choose an empty folder for --out"
        )
    parent = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    if not os.access(parent, os.W_OK):
        raise InputError(f"cannot write to {str(parent)!r}; choose another folder for --out")


def record_file(folder: Path, job: Job) -> Path:
    """Where a job's records lie."""
    return folder / RECORDS / job.benchmark / f"{job.id}.jsonl"


@contextmanager
def _usable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"cannot use {str(folder)!r} for results: {error.strerror or error}; choose another "
            "folder for --out"
        ) from error


def line(answer: Answer, prompt: str) -> str:
    """An answer to a prompt as a line of JSON; a number that is not finite becomes null.

    ASCII alone, so that whatever a model says the line stays one line for every reader.
    """
    record = {
        "id": answer.id,
        "prompt": prompt,
        "text": answer.text,
        "tokens": answer.tokens,
        "seconds": round(answer.seconds, 6),
        "ended": answer.ended,
        "mentions": [
            {
                "name": said.name,
                "span": said.span,
                "logprob": _finite(said.logprob),
                "risk": _finite(said.risk),
            }
            for said in answer.mentions
        ],
        "yes": None if answer.yes is None else _finite(answer.yes),
        "error": answer.error,
    }
    return json.dumps(record, allow_nan=False) + "\n"


def _answer(text: bytes) -> Answer:
    record = json.loads(text)
    return Answer(
        id=record["id"],
        text=record["text"],
        tokens=record["tokens"],
        seconds=record["seconds"],
        ended=record["ended"],
        mentions=tuple(
            NamedObject(
                m["name"], (m["span"][0], m["span"][1]), _number(m["logprob"]), _number(m["risk"])
            )
            for m in record["mentions"]
        ),
        yes=record["yes"],
        error=record["error"],
    )


RECORD = LineFormat(
    "record",
    _answer,
    (b'{"id": "',),
    "delete the file, and the run will ask its items again",
)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _number(value: float | None) -> float:
    return math.nan if value is None else value
