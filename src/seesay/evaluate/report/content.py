"""What a report says, before anyone writes it down: frozen data, no text but labels and remarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from seesay.evaluate import controls
from seesay.evaluate.benchmark import Answer, Benchmark, Kind, Sample
from seesay.statistics.intervals import Compared, Interval
from seesay.statistics.metrics import Metric

Role = Literal["plain", "method", "control", "sweep"]


@dataclass(frozen=True)
class Answered:
    """One method's answers to one benchmark.

    Attributes:
        label: unique within its benchmark.
        method: as settled on the model, with all its fields.
        control, of: which control it is, and of which label's method; None elsewhere.
        swept: (method, field, value) where it is a step of a sweep.
        pace: seconds a token of plain in the same run, so that cost compares one machine's times.
    """

    label: str
    role: Role
    method: str
    answers: Mapping[str, Answer]
    control: str | None = None
    of: str | None = None
    swept: tuple[str, str, float] | None = None
    pace: float = float("nan")


@dataclass(frozen=True)
class Measured:
    """A benchmark, its samples, and everything that answered it; plain comes first.

    Attributes:
        model: id and revision.
        protocol: how it was asked, scored and generated; JSON types.
    """

    model: str
    benchmark: Benchmark
    samples: Sequence[Sample]
    answered: list[Answered]
    protocol: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Gathered:
    """Attributes:
    measured: runs of one protocol on the same samples stand together.
    stamps: by folder, what holds for the whole run.
    remarks: what a reader of the figures must know about the records.
    """

    measured: list[Measured] = field(default_factory=list)
    stamps: dict[str, dict[str, Any]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Beside:
    """A method beside one of its controls, by the headline figure.

    Attributes:
        name: "length", "recall", "yes-shift", "strength-0", "same-stream", ...
        what: what was done, or why it could not be.
        figure: the control's; None where there is none.
        difference: the method's minus the control's, paired.
        explains: whether the method's gain is gone beside this control; None where that was not
            asked, since there is no gain or no control.
        share: of the method's gain over plain, what the control has too; None where `explains` is
            None or the control is not better than plain.
    """

    name: str
    what: str
    figure: Interval | None = None
    difference: Interval | None = None
    explains: bool | None = None
    share: float | None = None


@dataclass(frozen=True)
class RelativeCost:
    """Attributes:
    seconds, tokens: a mean answer's.
    ratio: seconds a token over plain's in the same run.
    """

    seconds: float
    tokens: float
    ratio: float


@dataclass(frozen=True)
class TableLine:
    """One row: a method, plain, or a control with records of its own.

    Attributes:
        figures: by metric, with their own intervals.
        compared: by metric, beside plain; empty for plain itself.
        mcnemar: (only plain right, only this right, p) over questions; None elsewhere.
        beside: its controls.
        account: in words, what explains the gain.
        remarks: what no figure shows: unparsed or missing answers.
    """

    label: str
    role: Role
    method: str
    figures: Mapping[str, Interval]
    cost: RelativeCost
    compared: Mapping[str, Compared] = field(default_factory=dict)
    mcnemar: tuple[int, int, float] | None = None
    beside: tuple[Beside, ...] = ()
    account: str = ""
    control: str | None = None
    of: str | None = None
    swept: tuple[str, str, float] | None = None
    remarks: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """One benchmark on one model.

    Attributes:
        lines: plain first, then methods, then their controls, then steps of sweeps.
        dropping: (recall, headline) of plain as its least probable mentions are left out: what
            less recall alone buys. Empty where the benchmark or the records cannot say.
    """

    model: str
    benchmark: str
    kind: Kind
    metrics: Mapping[str, Metric]
    pictures: int
    samples: int
    lines: tuple[TableLine, ...]
    protocol: Mapping[str, Any]
    dropping: tuple[tuple[float, float], ...] = ()

    @property
    def headline(self) -> str:
        return next(iter(self.metrics))

    @property
    def price(self) -> str | None:
        """The metric that a headline is most easily bought with: recall, or the share of yes."""
        names = {"caption": controls.RECALL_METRICS, "yes-no": ("yes-ratio",)}.get(self.kind, ())
        return next((name for name in names if name in self.metrics), None)

    def of_role(self, *roles: Role) -> list[TableLine]:
        return [line for line in self.lines if line.role in roles]


@dataclass(frozen=True)
class EvaluationReport:
    """Attributes:
    runs: the folders that it was made from.
    resamples: draws behind every interval.
    stamps: the protocol of each run, without what stands in its tables.
    remarks: sentences that a reader must have seen.
    """

    tables: tuple[Table, ...]
    runs: tuple[str, ...]
    resamples: int
    stamps: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def models(self) -> dict[str, list[Table]]:
        """The tables of each model."""
        found: dict[str, list[Table]] = {}
        for table in self.tables:
            found.setdefault(table.model, []).append(table)
        return found


def shared(tables: Sequence[Table]) -> dict[str, Any]:
    """What all of these tables' protocols say alike."""
    first, *others = (table.protocol for table in tables)
    return {
        name: value
        for name, value in first.items()
        if all(name in other and other[name] == value for other in others)
    }


def settled(tables: Sequence[Table]) -> dict[str, str]:
    """Every method of these tables with all its fields."""
    return {line.label: line.method for table in tables for line in table.of_role("method")}
