"""From answers to a report: score, compare with plain, set beside controls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count

from seesay.errors import InputError
from seesay.evaluate import controls
from seesay.evaluate.benchmark import Answer, Benchmark
from seesay.evaluate.report import formatting
from seesay.evaluate.report.content import (
    Answered,
    Beside,
    EvaluationReport,
    Gathered,
    Measured,
    RelativeCost,
    Table,
    TableLine,
)
from seesay.statistics import intervals
from seesay.statistics.intervals import Compared
from seesay.statistics.metrics import Score

_STEPS = 12
_DROPPED = 0.5  # of plain's mentions, at the end of its curve


def assemble(
    gathered: Gathered,
    resamples: int = intervals.RESAMPLES,
    controlled: bool = True,
    on_line: Callable[[int, int], None] = lambda done, total: None,
) -> EvaluationReport:
    """The report of what was gathered; `on_line` is told (lines done, of how many)."""
    total, done = sum(len(one.answered) for one in gathered.measured), count(1)
    tables = [
        table(one, resamples, controlled, lambda: on_line(next(done), total))
        for one in gathered.measured
    ]
    remarks = list(gathered.remarks)
    if any(one.benchmark.startswith("toy-") for one in tables):
        remarks.insert(0, formatting.TOY)
    return EvaluationReport(
        tuple(tables), tuple(gathered.stamps), resamples, gathered.stamps, tuple(remarks)
    )


def table(
    measured: Measured,
    resamples: int = intervals.RESAMPLES,
    controlled: bool = True,
    on_line: Callable[[], None] = lambda: None,
) -> Table:
    """Everything that is said about one benchmark on one model.

    Args:
        controlled: make the controls that need records alone, too.
        on_line: called after every line, for progress.

    Raises:
        InputError: no plain answers to compare with.
    """
    return _Desk(measured, resamples, controlled).table(on_line)


class _Desk:
    """One benchmark's answers and scores, while its table is made."""

    def __init__(self, measured: Measured, resamples: int, controlled: bool) -> None:
        self.measured, self.resamples, self.controlled = measured, resamples, controlled
        self.benchmark: Benchmark = measured.benchmark
        self.by_label = {one.label: one for one in measured.answered}
        plain = next((one for one in measured.answered if one.role == "plain"), None)
        if plain is None:
            raise InputError(
                f"{self.benchmark.name}: the records hold no plain run to compare with; evaluate "
                "with plain among the methods"
            )
        self.plain = plain
        self.scores = {
            one.label: self.benchmark.score(measured.samples, one.answers)
            for one in measured.answered
        }
        self.reduced = controls.Reduced(self.benchmark, measured.samples, plain.answers)

    def table(self, on_line: Callable[[], None]) -> Table:
        compared = self._compared()
        lines = []
        for one in sorted(self.measured.answered, key=lambda one: _ORDER[one.role]):
            lines.append(self._line(one, compared.get(one.label, {})))
            on_line()
        benchmark = self.benchmark
        return Table(
            model=self.measured.model,
            benchmark=benchmark.name,
            kind=benchmark.kind,
            metrics=benchmark.metrics,
            pictures=len(self.scores[self.plain.label].clusters),
            samples=len(self.measured.samples),
            lines=tuple(lines),
            protocol=self.measured.protocol,
            dropping=tuple(self._dropping()),
        )

    def _compared(self) -> dict[str, dict[str, Compared]]:
        """Everything beside plain; Holm over methods alone, and over each kind of the rest."""
        plain = self.scores[self.plain.label]
        found: dict[str, dict[str, Compared]] = {}
        for role in ("method", "control", "sweep"):
            others = {
                one.label: self.scores[one.label]
                for one in self.measured.answered
                if one.role == role
            }
            found |= intervals.compare(plain, others, self.benchmark.metrics, self.resamples)
        return found

    def _line(self, one: Answered, compared: Mapping[str, Compared]) -> TableLine:
        score = self.scores[one.label]
        beside = tuple(self._beside(one, compared)) if one.role == "method" else ()
        return TableLine(
            label=one.label,
            role=one.role,
            method=one.method,
            figures=(
                {name: c.figure for name, c in compared.items()}
                if compared
                else intervals.figures(score, self.benchmark.metrics, self.resamples)
            ),
            cost=_cost(one),
            compared=compared,
            mcnemar=self._mcnemar(score) if compared else None,
            beside=beside,
            account=account(compared[self.headline], beside) if one.role == "method" else "",
            control=one.control,
            of=one.of,
            swept=one.swept,
            remarks={name: many for name, many in score.remarks.items() if many},
        )

    @property
    def headline(self) -> str:
        return next(iter(self.benchmark.metrics))

    def _beside(self, one: Answered, compared: Mapping[str, Compared]) -> Iterator[Beside]:
        gain = compared[self.headline].verdict == "better"
        for other in self.measured.answered:
            if other.role == "control" and other.of in (one.label, None):
                name, what = other.control or other.label, self._sameness(other)
                yield self._against(one, name, what, self.scores[other.label], gain)
        if not self.controlled:
            return
        for control in controls.controls(
            self.benchmark,
            self.measured.samples,
            self.plain.answers,
            one.answers,
            self.scores[one.label],
            self.reduced,
        ):
            if control.score is None:
                yield Beside(control.name, control.what)
            else:
                yield self._against(one, control.name, control.what, control.score, gain)

    def _against(self, one: Answered, name: str, what: str, control: Score, gain: bool) -> Beside:
        headline = self.headline
        metrics = {headline: self.benchmark.metrics[headline]}
        method, plain = self.scores[one.label], self.scores[self.plain.label]
        apart = intervals.compare(control, {name: method}, metrics, self.resamples)[name][headline]
        beyond = intervals.compare(plain, {name: control}, metrics, self.resamples)[name][headline]
        if not gain:
            return Beside(name, what, beyond.figure, apart.difference)
        part = beyond.difference.value / (beyond.difference.value + apart.difference.value)
        return Beside(
            name=name,
            what=what,
            figure=beyond.figure,
            difference=apart.difference,
            explains=apart.verdict != "better",
            share=part if beyond.verdict == "better" else None,
        )

    def _sameness(self, control: Answered) -> str:
        plain = self.plain.answers
        both = [key for key in control.answers if key in plain]
        same = sum(control.answers[key].text == plain[key].text for key in both)
        return f"its texts are plain's in {same} of {len(both)} cases"

    def _mcnemar(self, score: Score) -> tuple[int, int, float] | None:
        """Over questions that both answered; what parsers cannot read is wrong."""
        before, after = self.scores[self.plain.label].parsed, score.parsed
        pairs = [
            (controls.right(before[key]), controls.right(after[key]))
            for key in before
            if key in after
        ]
        known = [(was, now) for was, now in pairs if was is not None and now is not None]
        if self.benchmark.kind != "yes-no" or not known:
            return None
        lost = sum(was and not now for was, now in known)
        won = sum(now and not was for was, now in known)
        return lost, won, intervals.mcnemar(lost, won)

    def _dropping(self) -> Iterator[tuple[float, float]]:
        reduced, recall = self.reduced, self.reduced.recall
        if not self.controlled or recall is None or self.benchmark.kind != "caption":
            return
        most = int(reduced.mentions * _DROPPED)
        stops = {most * step // _STEPS for step in range(_STEPS + 1)} if most else set()
        for dropped in sorted(stops):
            yield reduced.figure(recall, dropped), reduced.figure(self.headline, dropped)


_ORDER = {"plain": 0, "method": 1, "control": 2, "sweep": 3}


def account(compared: Compared, beside: Sequence[Beside]) -> str:
    """In words, which controls explain the gain of a method in the headline figure."""
    if compared.verdict == "no evidence":
        return "no gain to explain"
    if compared.verdict == "worse":
        return "worse than plain"
    if compared.verdict != "better":
        return compared.verdict
    made = [one for one in beside if one.figure is not None]
    if not made:
        return "no control was made"
    whole = [formatting.control(one.name) for one in made if one.explains]
    partly = [
        f"{formatting.control(one.name)} ({one.share:.0%})"
        for one in made
        if not one.explains and one.share is not None
    ]
    parts = ["by " + " and by ".join(whole)] if whole else []
    parts += ["in part by " + " and by ".join(partly)] if partly else []
    text = "explained " + ("; ".join(parts) or "by no control here")
    untested = [formatting.control(one.name) for one in beside if one.figure is None]
    return f"{text} (not made: {', '.join(untested)})" if untested else text


def _cost(one: Answered) -> RelativeCost:
    said: list[Answer] = [answer for answer in one.answers.values() if answer.error is None]
    seconds, tokens = sum(a.seconds for a in said), sum(a.tokens for a in said)
    many = max(len(said), 1)
    pace = seconds / tokens if tokens else float("nan")
    return RelativeCost(
        seconds / many, tokens / many, pace / one.pace if one.pace else float("nan")
    )
