"""The page's comparisons at equal recall, and where they are lost."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from seesay.evaluate.look_again.cost import Cost
from seesay.evaluate.look_again.plot import TITLES
from seesay.evaluate.look_again.split import BY_PROBABILITY, CUT, Measured
from seesay.evaluate.look_again.wording import change, code, verdict
from seesay.evaluate.markdown import table

LESS = (1.0, 2.0, 5.0, 10.0)
"""Points of recall under plain's."""


def equal(split: str, its: Measured) -> Iterator[str]:
    """One split's table: each rival beside Look Again at the rival's recall."""
    rows = []
    for point in its.points:
        cells = [code(point.label), f"{point.value('recall'):.1f}", f"{point.value('CHAIR_I'):.1f}"]
        for curve in (its.curve, its.whole):
            difference = curve.against_point(point)
            if math.isfinite(difference.value):
                own = curve.at(point.value("recall"))
                cells += [f"{own:.1f}", change(difference), verdict(difference)]
            else:
                cells += ["–", "–", "names fewer"]
        rows.append(cells)
    yield f"### {TITLES[split].capitalize()}"
    yield ""
    head = ["rival", "its recall", "its CHAIR_I", "leaving out", "difference", ""]
    yield from table([*head, "and adding", "difference", ""], rows)


def controls(splits: Mapping[str, Measured]) -> Iterator[str]:
    yield "Against what needs no second look: the same clauses left out by the caption's own"
    yield "log-probability, and plain captions cut to a length. CHAIR_I at so many points of recall"
    yield "under plain's:"
    yield ""
    rows = []
    for split, its in splits.items():
        for less in LESS:
            at = its.plain.value("recall") - less
            cells = [TITLES[split], f"−{less:g}", f"{its.curve.at(at):.1f}"]
            for name in (BY_PROBABILITY, CUT):
                other = its.curves[name]
                difference = its.curve.against(other, its.plain, less)
                cells.append(f"{other.at(at):.1f}, {change(difference)}")
            rows.append(cells)
    head = ["", "recall", "look-again", f"{BY_PROBABILITY}, difference", f"{CUT}, difference"]
    yield from table(head, rows)


def lost(splits: Mapping[str, Measured], costs: Mapping[str, Cost]) -> Iterator[str]:
    lines = [f"{TITLES[split].capitalize()}: {line}" for split, its in splits.items()
             for line in _lost_on(its)]  # fmt: skip
    ratio = costs["look-again"].seconds / costs["plain"].seconds
    if ratio > 1.5:
        lines.append(f"A caption costs {ratio:.2f} times plain's time; the aim was 1.5.")
    yield from (f"* {line}" for line in lines)
    if not lines:
        yield "Nowhere among the comparisons of this page."
    yield ""
    yield (
        "Why: an invention that the question shares (the model says yes to it too) stays in, and "
        "with `add` it may come in; on habit-breaking scenes that is frequent. Near plain's own "
        "recall few words are left out, so little can differ. Later mentions of a failing object "
        "go with it, and so may true neighbours in its clause."
    )
    yield ""


def _lost_on(its: Measured) -> Iterator[str]:
    beyond, better, unsure = [], [], []
    for point in its.points:
        difference, name = its.whole.against_point(point), code(point.label)
        if not math.isfinite(its.curve.against_point(point).value):
            more = change(point.against(its.plain, "recall"))
            alone = change(its.plain.against(point, "CHAIR_I"))
            beyond.append(f"{name} ({more} points; plain's CHAIR_I less its own {alone})")
        if not math.isfinite(difference.value):
            better.append(f"{name} (out of reach)")
        elif difference.value >= 0:
            better.append(f"{name} ({change(difference)})")
        elif not difference.high < 0:
            unsure.append(f"{name} ({change(difference)})")
    for name in (BY_PROBABILITY, CUT):
        for less in LESS:
            difference = its.curve.against(its.curves[name], its.plain, less)
            if not difference.high < 0:
                unsure.append(f"{name}, −{less:g} points of recall ({change(difference)})")
    if better:
        yield f"with adding, no lower CHAIR_I at the same recall: {', '.join(better)}."
    if unsure:
        yield f"lower CHAIR_I, but not certainly, than {', '.join(unsure)}."
    if beyond:
        yield f"without adding it cannot name as much as {'; '.join(beyond)}."
    change_ = its.look.against(its.plain, "F1")
    if change_.value < 0:
        yield f"F1 at the default is under plain's ({change(change_)})."
