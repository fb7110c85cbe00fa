"""The page's comparisons at equal recall, and where they are lost."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from experiments.look_again.cost import Cost
from experiments.look_again.plot import TITLES
from experiments.look_again.split import BY_PROBABILITY, CUT, Measured
from experiments.look_again.wording import change, code, verdict
from seesay.render.markdown import table

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
    """Look Again beside what needs no second look, at some points of recall under plain's."""
    yield "Against what needs no second look: the same clauses left out by the caption's own"
    yield "log-probability, and plain captions cut to a length. CHAIR_I at so many points of recall"
    yield "under plain's, and Look Again's less theirs: leaving out, then with adding."
    yield ""
    rows = []
    for split, its in splits.items():
        for less in LESS:
            at = its.plain.value("recall") - less
            own = [f"{curve.at(at):.1f}" for curve in (its.curve, its.whole)]
            cells = [TITLES[split], f"−{less:g}", *own]
            for name in (BY_PROBABILITY, CUT):
                other = its.curves[name]
                differences = (c.against(other, its.plain, less) for c in (its.curve, its.whole))
                cells += [f"{other.at(at):.1f}", *map(change, differences)]
            rows.append(cells)
    head = ["", "recall", "leaving out", "and adding"]
    for name in (BY_PROBABILITY, CUT):
        head += [name, "difference", "and adding"]
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
        "Why: leaving out alone never names more than plain does, and near plain's own recall it "
        "leaves out few words, so little can differ. An invention that the question shares (the "
        "model says yes to it too) stays in, and with `add` it may come in; on habit-breaking "
        "scenes that is frequent. Later mentions of a failing object go with it, and so may true "
        "neighbours in its clause. `add` costs a question for every class of the vocabulary."
    )
    yield ""


def _lost_on(its: Measured) -> Iterator[str]:
    for way, curve in (("leaving out alone", its.curve), ("with adding", its.whole)):
        compared = [(code(point.label), curve.against_point(point)) for point in its.points]
        for name in (BY_PROBABILITY, CUT):
            for less in LESS:
                difference = curve.against(its.curves[name], its.plain, less)
                compared.append((f"{name} at −{less:g} points of recall", difference))
        beyond = [name for name, one in compared if not math.isfinite(one.value)]
        better = [f"{name} ({change(one)})" for name, one in compared if one.value >= 0]
        unsure = [f"{name} ({change(one)})" for name, one in compared if one.value < 0 <= one.high]
        if better:
            yield f"{way}, no lower CHAIR_I at equal recall than {', '.join(better)}."
        if unsure:
            yield f"{way}, lower CHAIR_I, but not certainly, than {', '.join(unsure)}."
        if beyond:
            yield f"{way}, it cannot name as much as {', '.join(beyond)}."
    change_ = its.look.against(its.plain, "F1")
    if change_.value < 0:
        yield f"F1 at the default is under plain's ({change(change_)})."
