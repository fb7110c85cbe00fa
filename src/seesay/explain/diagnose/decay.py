"""Attention collapse and decay: does attention go to tokens that say nothing, and does the picture
fade as the text grows?

After FarSight ("Seeing Far and Clearly", arXiv 2505.16652): attention collapses onto tokens of
little content, and the picture is attended to less the longer the text and the farther behind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from seesay.explain.diagnose.attention_shares import HALVES, AttentionShares, Distances, Fading
from seesay.explain.diagnose.figures import (
    Floats,
    curve,
    mean,
    mean_curve,
    slope,
    slowed,
    too_few_pictures,
)
from seesay.explain.diagnose.text_probe import Batch, TextProbe
from seesay.explain.diagnose.token_types import KINDS, LOW
from seesay.explain.diagnose.types import Claim, Diagnosis, Evidence, Finding, FindingPart, Numbers
from seesay.explain.diagnose.wording import columns, interval, layers, percent
from seesay.methods.farsight import FarSight
from seesay.render import charts

_SHOWN = 10  # pictures that a point of a curve needs
_NOTABLE = 0.05  # of the fading


class Decay(Diagnosis):
    name = "decay"
    title = "Where attention leaks, and how the picture fades"
    question = "Does attention leak to tokens that say nothing, and away from the picture?"
    paper = "Seeing Far and Clearly (FarSight), CVPR 2025, arXiv 2505.16652"

    def probes(self, batch: Batch) -> list[TextProbe]:
        return [AttentionShares(batch), Fading(batch), Fading(batch, FarSight()), Distances(batch)]

    def conclude(self, evidence: Evidence) -> Finding:
        _, notes = evidence.of(self.name)
        notes = [one for one in notes if one["fading"]]
        if not notes:
            return self.skipped("the model said nothing about any picture")
        remarks = []
        if not all(one["background"] for one in notes):
            remarks.append(
                "Where this family's patches lie is not known, so plain background is counted "
                "with the rest of the picture."
            )
        parts = [_collapse(notes), _fades(notes), _far(notes)]
        return self.finding(parts, remarks=tuple(remarks))


def _collapse(notes: Sequence[Mapping[str, Any]]) -> FindingPart:
    shares = np.array([one["shares"] for one in notes])  # (pictures, layers, kinds)
    even = np.array([one["even"] for one in notes])  # (pictures, kinds)
    low = shares[:, :, LOW].sum(2)
    fair = even[:, LOW].sum(1)
    claim = Claim(
        "attention collapses onto tokens that say next to nothing",
        "share of attention on beginnings, punctuation and plain background minus their share of "
        "the tokens, mean over layers",
        mean(low.mean(1) - fair),
        unable=too_few_pictures(len(notes)),
    )
    curves = {kind: mean_curve(shares[:, :, k]) for k, kind in enumerate(KINDS)}
    evenly = [interval(mean(even[:, k])) for k in range(len(KINDS))]
    rows = columns(layers(shares.shape[1]), *curves.values())
    lines = [
        charts.ChartLine(kind, found, charts.COLOURS[k])
        for k, (kind, found) in enumerate(curves.items())
    ]
    return FindingPart(
        "Who gets the attention",
        "As the model writes, each layer hands out 100 % of its attention. The curves say what "
        "share goes to which kind of token. Low in content are: the beginning-of-text token and "
        "other marks, punctuation, and the quarter of each picture's patches whose pixels vary "
        "least (plain background). The table's last row is what they would get if every token "
        "got as much.",
        Numbers(("layer", *KINDS), [*rows, ["even shares", *evenly]]),
        charts.curves("Attention by kind of token", lines, y_name="share of attention"),
        (claim,),
    )


def _fades(notes: Sequence[Mapping[str, Any]]) -> FindingPart:
    plain, held, even = (_ragged(notes, n) for n in ("fading", "registers", "even_picture"))
    steps = [np.arange(len(row), dtype=float) / 10 for row in plain]
    few = too_few_pictures(len(notes))
    beside = [row / fair for row, fair in zip(plain, even, strict=True)]
    fades = slope(steps, plain)
    with_registers = f"with FarSight's registers ({FarSight()!r}, all layers)"
    claims = (
        Claim(
            "the picture fades as the text grows",
            "change of the share of attention on the picture in ten more tokens",
            fades,
            above=False,
            unable=few,
        ),
        Claim(
            "it fades faster than sharing with more tokens explains",
            "change in ten more tokens of that share over the picture's even share",
            slope(steps, beside),
            above=False,
            unable=few,
        ),
        Claim(
            "FarSight's registers slow the fading",
            "share of the fading that the registers take away",
            slowed(steps, held, plain),
            bound=_NOTABLE,
            unable=few or ("" if fades.high < 0 else "the picture does not fade here"),
        ),
    )
    shown = _common(plain)
    found = {
        "plain": _by_step(plain, shown),
        "with FarSight's registers": _by_step(held, shown),
        "even share": _by_step(even, shown),
    }
    lines = [
        charts.ChartLine(name, values, colour, dashed)
        for (name, values), (colour, dashed) in zip(
            found.items(),
            ((charts.COLOURS[0], False), (charts.COLOURS[1], True), (charts.COLOURS[5], True)),
            strict=True,
        )
    ]
    at = list(range(0, shown, max(1, shown // 12)))
    rows = [[str(t), *(interval(values[t]) for values in found.values())] for t in at]
    return FindingPart(
        "Does the picture fade as the text grows?",
        "The share of attention on the picture, token by token of the answer (mean of all heads "
        f"and layers), for the plain model and for the same words read {with_registers}. The grey "
        "line is what the picture would get if every token in sight got as much: it falls by "
        f"itself as the text grows. The curve ends where fewer than {_SHOWN} texts go on; slopes "
        "are taken within texts, so that short and long ones do not mix. Registers take a little "
        "of all attention, so slopes with and without them are each taken over their own mean "
        f"level; less than {percent(_NOTABLE)} of the fading counts as nothing.",
        Numbers(("token", *found), rows),
        charts.curves(
            "Attention on the picture by generated token", lines, points=False,
            x_name="generated token", y_name="share of attention",
        ),
        claims,
    )  # fmt: skip


def _far(notes: Sequence[Mapping[str, Any]]) -> FindingPart:
    width = max(len(one["far"]) for one in notes)
    far, pairs = (
        np.array([[*one[name], *[0.0] * (width - len(one[name]))] for one in notes])
        for name in ("far", "pairs")
    )
    used = np.flatnonzero((pairs > 0).sum(0) >= min(_SHOWN, len(notes)))
    far, pairs = far[:, used], pairs[:, used]
    found = curve(far, pairs)
    distances = [2 ** (k / HALVES) for k in used.tolist()]
    points, values = [], []
    for sums, counts in zip(far, pairs, strict=True):
        there = counts > 0
        points.append((used[there] / HALVES).astype(float))
        values.append(sums[there] / counts[there])
    claim = Claim(
        "patches that lie farther behind are attended to less",
        "change of a patch's attention, in even shares, as its distance doubles",
        slope(points, values),
        above=False,
        unable=too_few_pictures(len(notes)),
    )
    rows = [[f"{d:.0f}", interval(one)] for d, one in zip(distances, found, strict=True)]
    return FindingPart(
        "Does distance matter?",
        "How much attention a patch gets, by how many tokens it lies behind the word that is being "
        "written; 1 is an even share. Rotary positions make far tokens fainter. Distance counts "
        "tokens; families that give pictures positions of their own (Qwen-VL) see other distances, "
        "and then the curve says less.",
        Numbers(("tokens behind, from", "attention, in even shares"), rows),
        charts.curves(
            "Attention on a patch by its distance",
            [charts.ChartLine("a patch of the picture", found)],
            x=[float(np.log2(d)) for d in distances],
            x_name="log₂ of the distance in tokens",
            y_name="even shares",
            level=1.0,
        ),
        (claim,),
    )


def _ragged(notes: Sequence[Mapping[str, Any]], name: str) -> list[Floats]:
    return [np.array(one[name], float) for one in notes]


def _common(rows: Sequence[Floats]) -> int:
    """How many tokens at least `_SHOWN` texts have; of fewer texts, all of them."""
    lengths = sorted((len(row) for row in rows), reverse=True)
    return lengths[min(_SHOWN, len(lengths)) - 1]


def _by_step(rows: Sequence[Floats], steps: int) -> list[Any]:
    table = np.full((len(rows), steps), np.nan)
    for k, row in enumerate(rows):
        table[k, : min(steps, len(row))] = row[:steps]
    return mean_curve(table)
