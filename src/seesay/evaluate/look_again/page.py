"""The page ``docs/look-again.md``; its sentences follow the measured figures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from seesay.evaluate.look_again.cost import Cost
from seesay.evaluate.look_again.plot import TITLES
from seesay.evaluate.look_again.split import BY_PROBABILITY, CUT, EVIDENCE, Measured
from seesay.evaluate.statistics import Interval

_LESS = (1.0, 2.0, 5.0, 10.0)
_HEADLINE = ("CHAIR_I", "CHAIR_S", "recall", "F1", "words")
_QUALITY = ("well-formed", "whole parts", "empty", "repeating")


def page(
    facts: Mapping[str, str], splits: Mapping[str, Measured], costs: Mapping[str, Cost], svg: str
) -> str:
    """The whole page as Markdown.

    Args:
        facts: the protocol's rows.
        splits: by split.
        costs: by method, plain among them.
        svg: the name of the figure beside the page.
    """
    return "\n".join(_lines(facts, splits, costs, svg)).rstrip() + "\n"


def _lines(
    facts: Mapping[str, str], splits: Mapping[str, Measured], costs: Mapping[str, Cost], svg: str
) -> Iterator[str]:
    yield "# Look Again, measured"
    yield ""
    yield (
        "`look-again` lets the model write its text undisturbed, asks it after every object that "
        'it names ("Is there a knife in the image?", in a dialogue of its own on the picture that '
        "is encoded already), and leaves out the clauses of what it does not find. This page holds "
        "it against the methods of the field on the bundled model's drawn scenes. **Nothing here "
        "says anything about large models.**"
    )
    yield ""
    yield f"![CHAIR_I against recall]({svg})"
    yield ""
    yield "This page is generated; the command is in the table."
    yield ""
    yield from _table(["", ""], facts.items())
    yield (
        "Brackets hold 95 % intervals from 2,000 draws of scenes with return; differences are "
        "paired: both sides are computed on the same draws. An object counts once a text. CHAIR_I "
        "is the share of named objects that are not there, CHAIR_S the share of texts with one."
    )
    yield ""
    yield "## At its default"
    yield ""
    for split, its in splits.items():
        yield from _default(split, its)
    yield "## At equal recall"
    yield ""
    yield (
        "Every method buys fewer inventions with fewer true objects, so methods are compared where "
        "they name the same share of what is there: Look Again's CHAIR_I at the recall of each "
        "point of each rival, between two of its thresholds by a straight line. A rival that names "
        "more than plain is out of its reach, since it only leaves out; there plain's own CHAIR_I "
        "stands, and the difference of recall is given."
    )
    yield ""
    for split, its in splits.items():
        yield from _equal(split, its)
    yield from _controls(splits)
    yield "## Evidence, calibration, modes"
    yield ""
    for split, its in splits.items():
        yield from _ablations(split, its)
    yield "## Added to other methods"
    yield ""
    yield from _added(splits)
    yield "## The texts"
    yield ""
    yield from _texts(splits)
    yield "## What it costs"
    yield ""
    yield from _cost(costs)
    yield "## Where it does not win"
    yield ""
    yield from _lost(splits, costs)


def _default(split: str, its: Measured) -> Iterator[str]:
    yield f"### {TITLES[split].capitalize()}"
    yield ""
    rivals = [p for name, points in its.rivals.items() for p in points if p.label == name]
    shown = [its.plain, its.look, its.same_length, *rivals]
    rows = [[_code(p.label), *(_figure(p.estimate(rate)) for rate in _HEADLINE)] for p in shown]
    yield from _table(["", *_HEADLINE], rows)
    changes = ", ".join(
        f"{rate} {_change(its.look.against(its.plain, rate))}"
        for rate in ("CHAIR_I", "recall", "F1")
    )
    yield f"Look Again less plain: {changes}."
    yield ""


def _equal(split: str, its: Measured) -> Iterator[str]:
    rows = []
    for points in its.rivals.values():
        for point in points:
            recall, chair = point.value("recall"), point.value("CHAIR_I")
            cells = [_code(point.label), f"{recall:.1f}", f"{chair:.1f}"]
            difference = its.curve.against_point(point)
            if math.isfinite(difference.value):
                own = its.curve.at(recall)
                rows.append([*cells, f"{own:.1f}", _change(difference), _verdict(difference)])
                continue
            more = point.against(its.plain, "recall")
            instead = its.plain.against(point, "CHAIR_I")
            note = f"out of reach: names {_change(more)} points more than plain"
            rows.append([*cells, f"({its.plain.value('CHAIR_I'):.1f})", _change(instead), note])
    yield f"### {TITLES[split].capitalize()}"
    yield ""
    head = ["rival", "its recall", "its CHAIR_I", "Look Again there", "difference", ""]
    yield from _table(head, rows)


def _controls(splits: Mapping[str, Measured]) -> Iterator[str]:
    yield "Against what needs no second look: the same clauses left out by the caption's own"
    yield "log-probability, and plain captions cut to a length. CHAIR_I at so many points of recall"
    yield "under plain's:"
    yield ""
    rows = []
    for split, its in splits.items():
        for less in _LESS:
            at = its.plain.value("recall") - less
            cells = [TITLES[split], f"−{less:g}", f"{its.curve.at(at):.1f}"]
            for name in (BY_PROBABILITY, CUT):
                other = its.curves[name]
                difference = its.curve.against(other, its.plain, less)
                cells.append(f"{other.at(at):.1f}, {_change(difference)}")
            rows.append(cells)
    head = ["", "recall", "look-again", f"{BY_PROBABILITY}, difference", f"{CUT}, difference"]
    yield from _table(head, rows)


def _ablations(split: str, its: Measured) -> Iterator[str]:
    yield f"### {TITLES[split].capitalize()}"
    yield ""
    yield "CHAIR_I at so many points of recall under plain's, by evidence:"
    yield ""
    rows = []
    for evidence in EVIDENCE:
        curve = its.curves[evidence]
        at = [curve.at(its.plain.value("recall") - less) for less in _LESS]
        cells = ["–" if math.isnan(chair) else f"{chair:.1f}" for chair in at]
        rows.append([evidence, *cells])
    yield from _table(["evidence", *(f"−{less:g}" for less in _LESS)], rows)
    yield "Settings at their defaults; by self-check alone is what a model without a calibration"
    yield "gets:"
    yield ""
    rows = [
        [_code(p.label), *(_figure(p.estimate(rate)) for rate in _HEADLINE)] for p in its.variants
    ]
    yield from _table(["", *_HEADLINE], rows)
    marked, found = its.flags
    yield (
        f"`mode=mark` changes no text: of the objects that it marks {marked:.0f} % are not there, "
        f"and of those that are not there {found:.0f} % are marked."
    )
    yield ""


def _added(splits: Mapping[str, Measured]) -> Iterator[str]:
    yield "The calibration was made with the plain model, and a method that acts on attention moves"
    yield "the scores that it weighs; the answers to questions, which the plain model gives, it"
    yield "does not move."
    yield ""
    rows = [
        [
            TITLES[split], _code(both.label),
            *(_figure(both.estimate(rate)) for rate in ("CHAIR_I", "recall", "F1")),
            _change(both.against(base, "CHAIR_I")), _change(both.against(base, "F1")),
        ]
        for split, its in splits.items()
        for base, *added in its.added.values()
        for both in added
    ]  # fmt: skip
    head = ["", "", "CHAIR_I", "recall", "F1", "CHAIR_I less the method's alone", "F1"]
    yield from _table(head, rows)


def _texts(splits: Mapping[str, Measured]) -> Iterator[str]:
    yield "Percent of texts. *Well-formed*: whole captions of the grammar that the model was"
    yield "trained on. *Whole parts*: whole sentences of it, some of which say less (“There is a"
    yield "black car.”). *Empty*: nothing is left, and the honest sentence stands there."
    yield "*Repeating*: a sentence comes twice."
    yield ""
    rows = []
    for split, its in splits.items():
        for point in (its.plain, its.look, its.variants[-1]):
            values = [f"{point.value(rate):.1f}" for rate in _QUALITY]
            rows.append([TITLES[split], _code(point.label), *values])
    yield from _table(["", "", *_QUALITY], rows)


def _cost(costs: Mapping[str, Cost]) -> Iterator[str]:
    yield "One picture at a time, captions of 22 to 28 words with three object words (plain's),"
    yield "means; tokens are the rows times columns that the decoder reads, second streams among"
    yield "them. CPU time on a machine that others use too: differences of a tenth mean nothing."
    yield ""
    plain = costs["plain"]
    rows = [
        [
            _code(name), f"{c.forwards:.1f}", f"{c.tokens:.0f}", f"{1000 * c.seconds:.0f} ms",
            f"{c.seconds / plain.seconds:.2f}",
        ]
        for name, c in costs.items()
    ]  # fmt: skip
    yield from _table(["", "forwards", "tokens", "time", "beside plain"], rows)


def _lost(splits: Mapping[str, Measured], costs: Mapping[str, Cost]) -> Iterator[str]:
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
        "It can only leave out. An object that the model does not name stays missing, and an "
        "invention that the question shares (the model says yes to it too) stays in. Later "
        "mentions of a failing object go with it, and so may true neighbours in its clause."
    )
    yield ""


def _lost_on(its: Measured) -> Iterator[str]:
    beyond, better, unsure = [], [], []
    for point in (p for points in its.rivals.values() for p in points):
        difference, name = its.curve.against_point(point), _code(point.label)
        if not math.isfinite(difference.value):
            beyond.append(f"{name} ({_change(point.against(its.plain, 'recall'))} points)")
        elif difference.value >= 0:
            better.append(f"{name} ({_change(difference)})")
        elif not difference.high < 0:
            unsure.append(f"{name} ({_change(difference)})")
    for name in (BY_PROBABILITY, CUT):
        for less in _LESS:
            difference = its.curve.against(its.curves[name], its.plain, less)
            if not difference.high < 0:
                unsure.append(f"{name}, −{less:g} points of recall ({_change(difference)})")
    if beyond:
        yield f"name more than plain, which it cannot: {', '.join(beyond)}."
    if better:
        yield f"no higher CHAIR_I at the same recall: {', '.join(better)}."
    if unsure:
        yield f"lower CHAIR_I, but not certainly, than {', '.join(unsure)}."
    change = its.look.against(its.plain, "F1")
    if change.value < 0:
        yield f"F1 at the default is under plain's ({_change(change)})."


def _verdict(difference: Interval) -> str:
    if difference.high < 0:
        return "lower, certain"
    if difference.low > 0:
        return "higher, certain"
    return "not certain"


def _figure(figure: Interval) -> str:
    return f"{figure.value:.1f} [{figure.low:.1f}, {figure.high:.1f}]"


def _change(figure: Interval) -> str:
    value, low, high = (f"{number:+.1f}".replace("-", "−") for number in figure)
    return f"{value} [{low}, {high}]"


def _code(label: str) -> str:
    return label if label.startswith("plain,") or " by " in label else f"`{label}`"


def _table(head: Sequence[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""
