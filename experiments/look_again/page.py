"""The page ``docs/look-again.md``; its sentences follow the measured figures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from experiments.look_again import equal
from experiments.look_again.cost import Cost
from experiments.look_again.details import Details
from experiments.look_again.plot import TITLES
from experiments.look_again.split import EVIDENCE, HABIT_OFF, SHOWN_ADD, Measured
from experiments.look_again.wording import area, change, code, figure
from seesay.render.markdown import table

_HEADLINE = ("CHAIR_I", "CHAIR_S", "recall", "F1", "words")
_QUALITY = ("well-formed", "as trained", "empty", "repeating")


def page(
    facts: Mapping[str, str],
    splits: Mapping[str, Measured],
    details: Mapping[str, Details],
    costs: Mapping[str, Cost],
    svg: str,
) -> str:
    """The whole page as Markdown.

    Args:
        facts: the protocol's rows.
        splits, details: by split.
        costs: by method, plain among them.
        svg: the name of the figure beside the page.
    """
    return "\n".join(_lines(facts, splits, details, costs, svg)).rstrip() + "\n"


def _lines(
    facts: Mapping[str, str],
    splits: Mapping[str, Measured],
    details: Mapping[str, Details],
    costs: Mapping[str, Cost],
    svg: str,
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
    yield from table(["", ""], facts.items())
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
        "point of each rival, between two of its own points by a straight line. *Leaving out*: "
        "over thresholds, which reaches from nothing up to plain. *And adding*: the same below "
        "its default; from there on the default says at the end what else of the vocabulary it "
        "affirms (`add`), over bars for P(yes), which reaches beyond plain."
    )
    yield ""
    for split, its in splits.items():
        yield from equal.equal(split, its)
    yield from equal.controls(splits)
    yield "## Evidence, calibration, modes"
    yield ""
    for split, its in splits.items():
        yield from _ablations(split, its)
    yield "## Attributes and counts"
    yield ""
    yield from _details(details)
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
    yield from equal.lost(splits, costs)


def _default(split: str, its: Measured) -> Iterator[str]:
    yield f"### {TITLES[split].capitalize()}"
    yield ""
    rivals = [p for name, points in its.rivals.items() for p in points if p.label == name]
    shown = [its.plain, its.look, its.more, its.same_length, *rivals]
    rows = [[code(p.label), *(figure(p.estimate(rate)) for rate in _HEADLINE)] for p in shown]
    yield from table(["", *_HEADLINE], rows)
    for name, point in (("Look Again", its.look), (f"With `add={SHOWN_ADD}`", its.more)):
        changes = ", ".join(
            f"{rate} {change(point.against(its.plain, rate))}"
            for rate in ("CHAIR_I", "recall", "F1")
        )
        yield f"{name} less plain: {changes}."
    yield ""


def _ablations(split: str, its: Measured) -> Iterator[str]:
    yield f"### {TITLES[split].capitalize()}"
    yield ""
    yield "CHAIR_I at so many points of recall under plain's, by evidence:"
    yield ""
    rows = []
    habit_off = [name for name in its.curves if name.endswith(HABIT_OFF.format(""))]
    for evidence in (*EVIDENCE, *habit_off):
        curve = its.curves[evidence]
        at = [curve.at(its.plain.value("recall") - less) for less in equal.LESS]
        cells = ["–" if math.isnan(chair) else f"{chair:.1f}" for chair in at]
        rows.append([evidence, *cells])
    yield from table(["evidence", *(f"−{less:g}" for less in equal.LESS)], rows)
    yield "The habit is the log-odds of the same question about the blurred picture, half of it"
    yield "taken off. Settings at their defaults; by self-check alone is what a model without a"
    yield "calibration gets:"
    yield ""
    rows = [
        [code(p.label), *(figure(p.estimate(rate)) for rate in _HEADLINE)] for p in its.variants
    ]
    yield from table(["", *_HEADLINE], rows)
    marked, found = its.flags
    yield (
        f"`mode=mark` changes no text: of the objects that it marks {marked:.0f} % are not there, "
        f"and of those that are not there {found:.0f} % are marked."
    )
    yield ""


def _details(details: Mapping[str, Details]) -> Iterator[str]:
    yield "With `attributes=True` colours of named objects are asked after too. Of the colours that"
    yield "plain's captions give to objects that are there, in percent:"
    yield ""
    names = ("wrong", "still_wrong", "left_out", "right_lost")
    rows = [
        [TITLES[split], str(its.colors), *(figure(getattr(its, name)) for name in names)]
        for split, its in details.items()
    ]
    head = ["", "colours", "wrong", "wrong of those still said", "left out", "right ones left out"]
    yield from table(head, rows)
    yield "How well it tells wrong from right (AUROC), beside the caption's own log-probability of"
    yield "the colour; and how well the count “two”, asked of every object that is there, tells"
    yield "those that are there twice:"
    yield ""
    rows = [
        [
            TITLES[split], area(its.asked), area(its.unasked), f"{its.twice}",
            area(its.counted), f"{its.claimed}",
        ]
        for split, its in details.items()
    ]  # fmt: skip
    head = ["", "colour, asked", "colour, log-probability", "objects there twice", "count, asked"]
    yield from table([*head, "numbers in the captions"], rows)
    yield "The bundled model never learnt to be asked after colours or counts; it is asked by how"
    yield "its own answer goes on behind “Yes, there is”. Where its captions hold no number,"
    yield "`counts=True` has nothing to leave out."
    yield ""


def _added(splits: Mapping[str, Measured]) -> Iterator[str]:
    yield "The calibration was made with the plain model, and a method that acts on attention moves"
    yield "the scores that it weighs; the answers to questions, which the plain model gives, it"
    yield "does not move."
    yield ""
    rows = [
        [
            TITLES[split], code(both.label),
            *(figure(both.estimate(rate)) for rate in ("CHAIR_I", "recall", "F1")),
            change(both.against(base, "CHAIR_I")), change(both.against(base, "F1")),
        ]
        for split, its in splits.items()
        for base, *added in its.added.values()
        for both in added
    ]  # fmt: skip
    head = ["", "", "CHAIR_I", "recall", "F1", "CHAIR_I less the method's alone", "F1"]
    yield from table(head, rows)


def _texts(splits: Mapping[str, Measured]) -> Iterator[str]:
    yield "Percent of texts. *Well-formed*: every sentence is a whole one of the grammar that the"
    yield "model was trained on, or one that says less (“There is a black car.” without its place)."
    yield "*As trained*: the whole caption could stand in the training texts, its opening and all."
    yield "*Empty*: nothing is left, and the honest sentence stands there. *Repeating*: a sentence"
    yield "comes twice."
    yield ""
    rows = []
    for split, its in splits.items():
        for point in (its.plain, its.look, its.rewritten):
            values = [f"{point.value(rate):.1f}" for rate in _QUALITY]
            rows.append([TITLES[split], code(point.label), *values])
    yield from table(["", "", *_QUALITY], rows)


def _cost(costs: Mapping[str, Cost]) -> Iterator[str]:
    yield "One picture at a time, captions of 22 to 28 words with three object words (plain's),"
    yield "means; tokens are the rows times columns that the decoder reads, second streams among"
    yield "them. CPU time on a machine that others use too: differences of a tenth mean nothing."
    yield ""
    plain = costs["plain"]
    rows = [
        [
            code(name), f"{c.forwards:.1f}", f"{c.tokens:.0f}", f"{1000 * c.seconds:.0f} ms",
            f"{c.seconds / plain.seconds:.2f}",
        ]
        for name, c in costs.items()
    ]  # fmt: skip
    yield from table(["", "forwards", "tokens", "time", "beside plain"], rows)
