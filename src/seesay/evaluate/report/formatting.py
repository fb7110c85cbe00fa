"""How a report writes numbers: the same in a terminal, in Markdown and on a page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from seesay.evaluate.report.content import RelativeCost, Table, TableLine
from seesay.statistics.intervals import Compared, Interval
from seesay.statistics.metrics import Metric

TOY = (
    "The model is tiny and its pictures are drawn scenes. These figures show that the tools work, "
    "which methods move anything here, and how much of a gain a shorter text, less recall or fewer "
    "yeses would have brought. They cannot show which method helps a large model on photographs."
)
READING = (
    "Intervals hold 95 % and come from {resamples:,} draws of pictures with return (percentiles); "
    "differences to plain are paired. “No evidence” stands where the interval of a difference "
    "holds zero, “better” and “worse” where it does not, before correction; p is of the first "
    "metric, after Holm's correction over the methods of the table."
)
CONTROLS = (
    "A control is plain with one side effect of the method: its lengths, its recall, its share of "
    "yes, or the method with its effect switched off. A gain is explained by a control if there is "
    "no evidence that the method is better than it, and in part if the control is better than "
    "plain (in brackets: its share of the gain). Explained does not mean refuted: it means that "
    "the figure is to be had without the method."
)
COST = (
    "Cost is seconds a token, over plain's of the same run; answers are made in batches, and other "
    "work on the machine shows in it."
)
MISSING = "–"


def number(value: float) -> str:
    """One decimal; a true minus; a dash for what is not defined."""
    if not math.isfinite(value):
        return MISSING
    text = f"{value:.1f}"
    return text.replace("-", "−") if text != "-0.0" else "0.0"


def signed(value: float) -> str:
    text = number(value)
    return f"+{text}" if value > 0 and text not in ("0.0", MISSING) else text


def around(interval: Interval) -> str:
    return f"[{number(interval.low)}, {number(interval.high)}]"


def figure(interval: Interval) -> str:
    """A figure with its own interval."""
    if not math.isfinite(interval.value):
        return "not defined"
    return f"{number(interval.value)} {around(interval)}"


def difference(compared: Compared) -> str:
    """A difference to plain with its interval and verdict."""
    if compared.verdict == "not defined":
        return "not defined"
    return f"{apart(compared.difference)} {compared.verdict}"


def apart(interval: Interval) -> str:
    return f"{signed(interval.value)} {around(interval)}"


def probability(p: float) -> str:
    if not math.isfinite(p):
        return MISSING
    return "< .001" if p < 0.001 else f"{p:.3f}".lstrip("0") if p < 1 else "1"


def cost(value: RelativeCost) -> str:
    return f"×{value.ratio:.2f}" if math.isfinite(value.ratio) else MISSING


def heading(name: str, metric: Metric) -> str:
    """A metric's name with its unit and an arrow to where it is better."""
    arrow = {"lower": " ↓", "higher": " ↑", None: ""}[metric.better]
    unit = "" if metric.unit in ("%", name) else f" ({metric.unit})"
    return f"{name}{unit}{arrow}"


def control(name: str) -> str:
    return CONTROL_NAMES.get(name, name)


CONTROL_NAMES: Mapping[str, str] = {
    "length": "length",
    "recall": "recall",
    "yes-shift": "yes-shift",
    "strength-0": "strength 0",
    "same-stream": "second stream := first",
    "temperature": "temperature",
    "plain-greedy": "plain, greedy",
}


def mcnemar(line: TableLine) -> str:
    if line.mcnemar is None:
        return MISSING
    lost, won, p = line.mcnemar
    return f"{won} won, {lost} lost, p {probability(p)}"


def remarks(line: TableLine) -> str:
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in line.remarks.items())


def about(table: Table) -> str:
    count = f"{table.pictures} pictures"
    return count if table.samples == table.pictures else f"{count}, {table.samples} questions"


def value(given: Any) -> str:
    """A protocol's value, on one line."""
    if isinstance(given, Mapping):
        return ", ".join(f"{key} {value(one)}" for key, one in given.items()) or "none"
    if isinstance(given, list | tuple):
        return ", ".join(value(one) for one in given) or "none"
    return "none" if given is None else str(given)
