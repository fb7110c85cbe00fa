"""Results folders as what a report is made of: each benchmark with everything that answered it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from seesay.errors import InputError
from seesay.evaluate.benchmark import Answer, Benchmark, Sample
from seesay.evaluate.benchmarks import suite as suite_of
from seesay.evaluate.plan import Entry, Plan, Planned, planned, split
from seesay.evaluate.records import Results, open_run
from seesay.evaluate.report.content import Answered, Gathered, Measured


def gather(
    folders: Sequence[str | Path], suite: str | None = None, data: str | Path | None = None
) -> Gathered:
    """Read runs.

    Args:
        suite: benchmarks with other options than those of the run, such as "pope(parser=vcd)":
            the same answers are scored in another way.
        data: where the benchmarks' data lies now, if not where it lay.

    Raises:
        InputError: a folder that holds no run, or samples that are no longer those that were asked.
    """
    found = Gathered()
    groups: dict[str, Measured] = {}
    for folder in dict.fromkeys(map(str, folders)):
        run = open_run(folder)
        found.stamps[folder] = {"command": command(run.plan, folder), **_stamp(run.plan)}
        if missing := run.missing():
            found.remarks.append(
                f"{folder}: {missing} planned answers are not recorded yet; `seesay evaluate` with "
                "the same settings goes on where it stopped. The figures are of what is there."
            )
        for name, benchmark in _benchmarks(run.plan, suite, data).items():
            asked = run.plan.benchmarks[name]
            samples = _samples(run, benchmark, asked)
            plain = run.plan.entries[0]
            key = _key(run.plan, benchmark, asked, plain)
            if key not in groups:
                groups[key] = _start(run.plan, benchmark, samples, asked, plain)
            _join(groups[key].answered, _answered(run, name), folder)
    found.measured.extend(_told_apart(list(groups.values())))
    return found


def command(plan: Plan, folder: str) -> str:
    """The `seesay evaluate` that makes such a run."""
    methods = "; ".join(entry.written for entry in plan.entries if entry.role == "method")
    parts = ["seesay evaluate", f'--suite "{plan.suite}"', f'--methods "{methods}"']
    sweeps: dict[str, list[str]] = {}
    for entry in plan.entries:
        if entry.sweep:
            name = f"{entry.sweep['method']}.{entry.sweep['field']}"
            sweeps.setdefault(name, []).append(repr(entry.sweep["value"]))
    parts += [f'--sweep "{name}={",".join(values)}"' for name, values in sweeps.items()]
    parts += [f"--limit {plan.limit}"] if plan.limit else []
    return " ".join([*parts, f"--out {folder}"])


def _benchmarks(plan: Plan, suite: str | None, data: str | Path | None) -> dict[str, Benchmark]:
    where: Any = data if data is not None else plan.data
    where = Path(where) if isinstance(where, str) else where
    found = {b.name: b for b in suite_of(plan.suite, data=where, limit=plan.limit)}
    if suite is not None:
        again = {b.name: b for b in suite_of(suite, data=where, limit=plan.limit)}
        if unknown := sorted(again.keys() - found.keys()):
            raise InputError(
                f"the run holds no answers to {', '.join(unknown)}; it holds "
                f"{', '.join(found)}, asked as {', '.join(split(plan.suite))}"
            )
        found = again
    return {name: benchmark for name, benchmark in found.items() if name in plan.benchmarks}


def _samples(run: Results, benchmark: Benchmark, asked: Planned) -> list[Sample]:
    skipped = set(asked.skipped)
    every = list(benchmark.samples())[: run.plan.limit]
    samples = [sample for sample in every if sample.id not in skipped]
    if planned(benchmark, samples).digest != asked.digest:
        raise InputError(
            f"{run.folder}: the samples of {benchmark.name} are not those that were asked "
            f"({len(samples)} now, {asked.samples} then); give the data of that time with --data"
        )
    return samples


def _answered(run: Results, benchmark: str) -> Iterator[Answered]:
    answers = {entry.label: run.answers(entry, benchmark) for entry in run.plan.entries}
    pace = _pace(answers[run.plan.entries[0].label])
    for entry in run.plan.entries:
        if answers[entry.label]:
            yield Answered(
                label=entry.label,
                role=entry.role,
                method=entry.method,
                answers=answers[entry.label],
                control=entry.control,
                of=entry.of,
                swept=_swept(entry),
                pace=pace,
            )


def _swept(entry: Entry) -> tuple[str, str, float] | None:
    step = entry.sweep
    return (step["method"], step["field"], float(step["value"])) if step else None


def _pace(answers: Mapping[str, Answer]) -> float:
    tokens = sum(answer.tokens for answer in answers.values())
    return sum(a.seconds for a in answers.values()) / tokens if tokens else float("nan")


def _start(
    plan: Plan, benchmark: Benchmark, samples: Sequence[Sample], asked: Planned, plain: Entry
) -> Measured:
    protocol = {
        **benchmark.protocol(),
        "samples": len(samples),
        "samples' digest": asked.digest,
        "max_new_tokens": asked.max_new_tokens,
        **plain.decoding,
    }
    if asked.skipped:
        protocol["left out, picture missing"] = len(asked.skipped)
    return Measured(_model(plan), benchmark, samples, [], protocol)


def _join(answered: list[Answered], more: Iterable[Answered], folder: str) -> None:
    """Add what is new; another method of a known name goes by its folder, too, and so do its
    controls."""
    known = {one.label: one for one in answered}
    renamed: dict[str | None, str] = {}
    for one in more:
        of = renamed.get(one.of, one.of)
        first = known.get(one.label)
        if first is None:
            answered.append(replace(one, of=of))
        elif (first.method, first.control, first.of) != (one.method, one.control, of):
            renamed[one.label] = f"{one.label} ({folder})"
            answered.append(replace(one, label=renamed[one.label], of=of))


def _key(plan: Plan, benchmark: Benchmark, asked: Planned, plain: Entry) -> str:
    parts = [plan.protocol, benchmark.name, asked.digest, asked.max_new_tokens]
    return json.dumps([*parts, benchmark.protocol(), plain.decoding], sort_keys=True, default=str)


def _told_apart(measured: list[Measured]) -> Iterator[Measured]:
    """Runs of different protocols never share a table; where their titles are one, number them."""
    titles = [(one.model, one.benchmark.name) for one in measured]
    for k, one in enumerate(measured):
        same = titles[:k].count(titles[k]) + 1
        alone = titles.count(titles[k]) == 1
        yield one if alone else replace(one, model=f"{one.model}, protocol {same}")


def _model(plan: Plan) -> str:
    revision = plan.protocol.get("revision")
    return f"{plan.protocol['model']}" + (f" @ {str(revision)[:12]}" if revision else "")


def _stamp(plan: Plan) -> dict[str, Any]:
    stamp = {name: value for name, value in plan.protocol.items() if value is not None}
    return {**stamp, "suite": plan.suite, **({"limit": plan.limit} if plan.limit else {})}
