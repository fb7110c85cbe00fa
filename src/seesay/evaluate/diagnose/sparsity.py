"""Sparsity: how few tokens hold the attention, which ones, and what is lost without the others?

After VASparse (arXiv 2501.06553), observations 1 to 4: attention is sparse, text takes more than
its share, text has sinks, and a choice of tokens that does not look at what saw the picture invents
more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from seesay.engine import AnyMethod, Stack
from seesay.evaluate.diagnose.captions import PLAIN, Captions
from seesay.evaluate.diagnose.concentration import GRID, HELD, SINK, TYPES, Sorted, TextSinks
from seesay.evaluate.diagnose.content import Claim, Finding, Numbers, Part
from seesay.evaluate.diagnose.diagnosis import Diagnosis, Evidence
from seesay.evaluate.diagnose.figures import mean, mean_curve, too_few_pictures
from seesay.evaluate.diagnose.reading import Batch, Taker
from seesay.evaluate.diagnose.selections import selections
from seesay.evaluate.diagnose.wording import columns, interval, layers, percent
from seesay.models.view import ModelView
from seesay.render import charts

KEPT = (0.75, 0.5, 0.35)


class Sparsity(Diagnosis):
    name = "sparsity"
    title = "How few tokens hold the attention"
    question = "Can most of what the model remembers be dropped, and what would be lost?"
    paper = "VASparse, CVPR 2025, arXiv 2501.06553"

    def takers(self, batch: Batch) -> list[Taker]:
        return [Sorted(batch), TextSinks(batch)]

    def methods(self, view: ModelView) -> Mapping[str, AnyMethod]:
        found: dict[str, AnyMethod] = {PLAIN: Stack()}
        for keep in KEPT:
            found.update({_label(name, keep): one for name, one in selections(keep).items()})
        return found

    def conclude(self, evidence: Evidence) -> Finding:
        _, notes = evidence.of(self.name)
        notes = [one for one in notes if one["rows"]]
        if not notes:
            return self.skipped("the model said nothing about any picture")
        parts = [_sorted(notes), _types(notes), _sinks(notes)]
        texts = Captions(evidence, self.name)
        if texts.pictures:
            return self.finding([*parts, _dropped(texts)])
        return self.finding(
            parts,
            remarks=("What dropping tokens costs: skipped, since nobody said what is there.",),
        )


def _sorted(notes: Sequence[Mapping[str, Any]]) -> Part:
    held = np.array([one["held"] for one in notes])
    curve = np.array([one["curve"] for one in notes]).mean(1)  # (pictures, grid)
    claim = Claim(
        "attention is sparse",
        f"share of the tokens in sight that holds {percent(HELD)} of the attention, mean of layers",
        mean(held.mean(1)),
        bound=0.5,
        above=False,
        unable=too_few_pictures(len(notes)),
    )
    found = mean_curve(curve)
    by_layer = columns(layers(held.shape[1]), mean_curve(held))
    return Part(
        "How much the most attended tokens hold",
        "Sort the tokens in sight by the attention they get: the curve says how much the first "
        "10 %, 20 %, ... of them hold together (mean of all heads and layers). Even attention "
        f"would be a straight line. Attention counts as sparse here if {percent(HELD)} of it lies "
        "on less than half of the tokens. The table gives that share for each layer.",
        Numbers(("layer", f"share of tokens that holds {percent(HELD)}"), by_layer),
        charts.curves(
            "Sorted attention",
            [
                charts.Line("attention held", found),
                charts.Line("if even", charts.plain(GRID), "#8a8f98"),
            ],
            x=list(GRID),
            x_name="share of the tokens, most attended first",
            y_name="share of attention",
        ),
        (claim,),
    )


def _types(notes: Sequence[Mapping[str, Any]]) -> Part:
    mass = np.array([one["mass"] for one in notes])  # (pictures, layers, types)
    even = np.array([one["even"] for one in notes])
    claim = Claim(
        "text takes more attention than its share of the tokens",
        "share of attention on text minus its share of the tokens, mean over layers",
        mean(mass[:, :, 1:].sum(2).mean(1) - even[:, 1:].sum(1)),
        unable=too_few_pictures(len(notes)),
    )
    curves = {name: mean_curve(mass[:, :, k]) for k, name in enumerate(TYPES)}
    lines = [
        charts.Line(name, values, charts.COLOURS[k])
        for k, (name, values) in enumerate(curves.items())
    ]
    rows = columns(layers(mass.shape[1]), *curves.values())
    evenly = [interval(mean(even[:, k])) for k in range(len(TYPES))]
    return Part(
        "Picture, prompt and answer",
        "What share of the attention goes to the picture, to the prompt's text and to the answer "
        "so far. The table's last row is each one's share of the tokens.",
        Numbers(("layer", *TYPES), [*rows, ["share of the tokens", *evenly]]),
        charts.curves("Attention by type of token", lines, y_name="share of attention"),
        (claim,),
    )


def _sinks(notes: Sequence[Mapping[str, Any]]) -> Part:
    level = np.array([one["level"] for one in notes])
    number = np.array([one["sinks"] for one in notes], float)
    claim = Claim(
        "text has sinks",
        "even shares that the most attended text token gets, mean over layers",
        mean(level.mean(1)),
        bound=SINK,
        unable=too_few_pictures(len(notes)),
    )
    usual = [
        Counter(one["which"][layer] for one in notes).most_common(1)[0]
        for layer in range(level.shape[1])
    ]
    which = [f"“{token}” in {percent(times / len(notes))}" for token, times in usual]
    found = mean_curve(level)
    return Part(
        "Sinks among the text",
        "The text token that later words look back to most, in even shares: 1 is what every token "
        f"would get if all got as much, and from {SINK:g} on a token counts as a sink. The table "
        "also says how many there are and which token it is most often.",
        Numbers(
            ("layer", "even shares of the strongest", "sinks a text", "which, mostly"),
            columns(layers(level.shape[1]), found, mean_curve(number), which),
        ),
        charts.curves(
            "The strongest text sink", [charts.Line("strongest text token", found)],
            y_name="even shares", level=SINK,
        ),
        (claim,),
    )  # fmt: skip


def _dropped(texts: Captions) -> Part:
    names = list(selections(KEPT[0]))
    chair = {n: [texts.chair(_label(n, k)) for k in KEPT] for n in names}
    recall = {n: [texts.recall(_label(n, k)) for k in KEPT] for n in names}
    middle = KEPT[len(KEPT) // 2]
    others = names[:-1]
    weights = {_label(name, middle): 1 / len(others) for name in others}
    claim = Claim(
        "choosing without regard to what saw the picture invents more",
        f"CHAIR_I (points) with {percent(middle)} of the prompt kept: mean of {', '.join(others)} "
        f"minus {names[-1]}",
        texts.combined({**weights, _label(names[-1], middle): -1.0}),
        unable=too_few_pictures(texts.pictures),
    )
    plain = texts.chair(PLAIN), texts.recall(PLAIN)
    rows = [["plain", "100 %", *map(interval, plain)]]
    rows += [
        [name, f"{percent(keep)}", interval(chair[name][k]), interval(recall[name][k])]
        for name in names
        for k, keep in enumerate(KEPT)
    ]
    at = [1.0, *KEPT]
    lines = [
        charts.Line(
            name, charts.plain([plain[0].value, *(one.value for one in chair[name])]), colour
        )
        for name, colour in zip(names, charts.COLOURS, strict=False)
    ]
    lines += [
        charts.Line(
            f"{name}: recall",
            charts.plain([plain[1].value, *(one.value for one in recall[name])]),
            colour,
            dashed=True,
            key=False,
        )
        for name, colour in zip(names, charts.COLOURS, strict=False)
    ]
    return Part(
        "What dropping tokens costs",
        f"{texts.pictures} pictures are described anew with a part of the prompt's cache dropped "
        "as soon as the prompt is read. Top-K keeps in each head what the newest token attends to; "
        "FastV-style keeps all text and, behind layer 1, the image tokens that layer 1's newest "
        "row attends to; SparseVLM-style all text and the image tokens that the prompt's text "
        "attends to; VASparse what answers the newest token and has itself looked at the picture. "
        "All keep as many entries a layer. Solid: CHAIR_I, invented in 100 named objects. Dashed: "
        "recall, named of 100 that are there. Intervals are in the table.",
        Numbers(("choice", "kept", "CHAIR_I", "recall"), rows),
        charts.curves(
            "Inventions and recall by share of the prompt kept", lines, x=at,
            x_name="share of the prompt's cache that stays", y_name="%",
        ),
        (claim,),
    )  # fmt: skip


def _label(name: str, keep: float) -> str:
    return f"{name}, {keep:g}"
