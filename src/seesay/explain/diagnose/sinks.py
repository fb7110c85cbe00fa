"""Sinks: which patches do all later tokens look back to, in which layers and heads?

After EAH ("Seeing Clearly by Layer Two", arXiv 2411.09968): shallow layers have heads with many
sink columns in the picture (dense), deep layers few (sparse), and captions that invent have fewer
of them where it matters. A sink and its density are those of `methods.eah`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seesay.explain.diagnose.figures import (
    Floats,
    mean,
    mean_curve,
    rank_correlation,
    too_few_pictures,
)
from seesay.explain.diagnose.text_probe import Batch, TextProbe
from seesay.explain.diagnose.types import (
    Claim,
    DescribedImage,
    Diagnosis,
    Evidence,
    Finding,
    FindingPart,
    Numbers,
)
from seesay.explain.diagnose.wording import columns, interval, layers, number, percent
from seesay.methods.eah import column_density, densest_head
from seesay.render import charts

THRESHOLD, IMAGE_TOKENS = 0.002, 576  # the paper's, of methods.eah


class Sinks(Diagnosis):
    name = "sinks"
    title = "Sinks in the picture"
    question = "Are there patches that everything behind them looks back to, and do they matter?"
    paper = "Seeing Clearly by Layer Two (EAH), EMNLP 2025, arXiv 2411.09968"

    def probes(self, batch: Batch) -> list[TextProbe]:
        return [SinkColumns(batch)]

    def conclude(self, evidence: Evidence) -> Finding:
        told, notes = evidence.of(self.name)
        number_of = np.array([one["sinks"] for one in notes], float)  # (pictures, layers, heads)
        image = np.array([one["image"] for one in notes], float)
        density = number_of / image[:, None, None]
        layer = _layer(density)
        parts = [_grid(density, notes), _depth(density)]
        remarks = []
        if all(one.present is None for one in told):
            remarks.append("Inventions: skipped, since nobody said what is in the pictures.")
        else:
            parts.append(_inventions(told, density, layer))
        return self.finding(
            parts, remarks=tuple(remarks), advice=(_advice(density, image, notes, layer),)
        )


class SinkColumns(TextProbe):
    """The image's sink columns while the prompt is read.

    Notes: `sinks` (layers, heads) their number; `densest` (layers,) the head with most of them, −1
    where there is none; `image` the image tokens; `threshold` and `even`, the density of a column
    if every row gave all columns as much.
    """

    def __init__(self, batch: Batch) -> None:
        super().__init__(batch)
        self.real = batch.real[:, : batch.length]
        self.image = batch.image[:, : batch.length]
        at = self.image.any(0).nonzero()[:, 0]
        self.span = range(int(at[0]), int(at[-1]) + 1)
        self.inside = self.image[:, self.span.start : self.span.stop]
        self.threshold = THRESHOLD * IMAGE_TOKENS / self.image.sum(1).clamp(min=1)
        shape = len(batch.told), batch.view.n_layers
        self.sinks = torch.zeros(*shape, batch.view.n_heads, dtype=torch.long)
        self.densest = torch.zeros(shape, dtype=torch.long)

    def take_prompt(self, layer: int, blocks: Iterator[tuple[range, Tensor]]) -> None:
        density = column_density(blocks, self.span, self.real)  # (pictures, heads, span)
        above = (density > self.threshold[:, None, None]) & self.inside[:, None]
        self.sinks[:, layer] = above.sum(-1).cpu()
        self.densest[:, layer] = densest_head(density, self.inside, self.threshold).cpu()

    def results(self) -> list[dict[str, Any]]:
        columns = zip(
            self.sinks.tolist(),
            self.densest.tolist(),
            self.image.sum(1).tolist(),
            self.threshold.tolist(),
            self._even().tolist(),
            strict=True,
        )
        names = ("sinks", "densest", "image", "threshold", "even")
        return [dict(zip(names, row, strict=True)) for row in columns]

    def _even(self) -> Tensor:
        """(pictures,) mean over image columns of the mean even share of the rows below."""
        share = self.real / self.batch.visible[:, : self.batch.length].clamp(min=1)
        below = share.flip(1).cumsum(1).flip(1) - share
        count = (self.real.flip(1).cumsum(1).flip(1) - self.real.long()).clamp(min=1)
        return (below / count * self.image).sum(1) / self.image.sum(1).clamp(min=1)


def _grid(density: Floats, notes: Sequence[Mapping[str, Any]]) -> FindingPart:
    share = density.mean(0)
    threshold = float(np.mean([one["threshold"] for one in notes]))
    even = float(np.mean([one["even"] for one in notes]))
    acts = np.array([[head >= 0 for head in one["densest"]] for one in notes], float)
    return FindingPart(
        "How many patches are sinks, by layer and head",
        "A patch is a sink of a head if the tokens behind it give it, on average, more than "
        f"{number(threshold)} of their attention (EAH's threshold for as many image tokens; an "
        f"even share would be {number(even)}). Each cell is the share of the picture's patches "
        "that are sinks of that head.",
        Numbers(
            ("layer", "mean of heads", "densest head", "pictures with a sink"),
            columns(
                layers(density.shape[1]),
                mean_curve(density.mean(2)),
                mean_curve(density.max(2)),
                [f"{percent(value)}" for value in acts.mean(0)],
            ),
        ),
        charts.grid("Share of patches that are sinks", share),
    )


def _depth(density: Floats) -> FindingPart:
    count = density.shape[1]
    shallow, deep = max(1, min(count - 1, count // 4)), count // 2
    dense = density.max(2)  # of the densest head
    apart = dense[:, :shallow].mean(1) - dense[:, deep:].mean(1)
    claim = Claim(
        "shallow layers have dense sinks, deep layers sparse ones",
        f"share of patches that are sinks of the densest head, layers 0 to {shallow - 1} minus "
        f"layers {deep} to {count - 1}",
        mean(apart),
        unable=too_few_pictures(len(density))
        or ("the model has one layer only" if count < 2 else ""),
    )
    curves = {"densest head": mean_curve(dense), "mean of heads": mean_curve(density.mean(2))}
    lines = [
        charts.ChartLine(name, values, charts.COLOURS[k])
        for k, (name, values) in enumerate(curves.items())
    ]
    return FindingPart(
        "Dense above, sparse below?",
        "The same share along the layers: for the head that has most sinks, and for the mean of "
        "all heads. Bands hold 95 % over pictures.",
        Numbers(("layer", *curves), columns(layers(count), *curves.values())),
        charts.curves("Sinks along the layers", lines, y_name="share of patches"),
        (claim,),
    )


def _inventions(told: Sequence[DescribedImage], density: Floats, layer: int) -> FindingPart:
    named = np.array([len(one.words) for one in told], float)
    known = np.array([one.present is not None for one in told]) & (named > 0)
    share = np.array([one.invented for one in told], float)[known] / named[known]
    dense = density.max(2)[known]
    few = too_few_pictures(int(known.sum()))
    if not few and len(np.unique(share)) < 2:
        few = "all texts invent the same share of what they name"
    found = [rank_correlation(dense[:, one], share) for one in range(dense.shape[1])]
    claim = Claim(
        "captions with fewer sinks invent more",
        f"rank correlation of the densest head's sinks in layer {layer} with the share of named "
        "objects that are invented",
        found[layer],
        above=False,
        unable=few,
    )
    return FindingPart(
        "Do sinks go with fewer inventions?",
        f"Each dot is a picture: the share of its patches that are sinks of layer {layer}'s "
        "densest head, and the share of the objects named in its caption that are not there. The "
        "table has the rank correlation in each layer: −1 if more sinks always go with fewer "
        "inventions, 0 if they have nothing to do with each other. Pictures that are hard in some "
        "other way can make both differ.",
        Numbers(("layer", "rank correlation"), columns(layers(len(found)), found)),
        charts.scatter(
            "Sinks and inventions",
            dense[:, layer],
            share,
            "share of patches that are sinks",
            "share invented",
        ),
        (claim,),
    )


def _layer(density: Floats) -> int:
    """The layer of the shallow half in which the densest head has most sinks."""
    dense = density.max(2).mean(0)
    return int(dense[: max(1, len(dense) // 2)].argmax())


def _advice(
    density: Floats, image: Floats, notes: Sequence[Mapping[str, Any]], layer: int
) -> tuple[str, str]:
    heads = Counter(one["densest"][layer] for one in notes)
    head, times = heads.most_common(1)[0]
    acts = 1 - heads[-1] / len(notes)
    threshold = THRESHOLD * IMAGE_TOKENS / float(image.mean())
    which = f"head {head} in {percent(times / len(notes))}" if head >= 0 else "no head in most"
    even = float(np.mean([one["even"] for one in notes]))
    reason = (
        f"the shallow layer with the densest sinks (the paper's is 1), EAH's threshold for "
        f"{image.mean():.0f} image tokens, or {number(threshold / even)} even shares. "
        f"EAH would act in {percent(acts)} of these pictures and take {which} of them. "
        f"There {interval(mean(density.max(2)[:, layer]))} of the patches are sinks of the "
        "densest head"
    )
    return f"eah(layer={layer}, threshold={threshold:.4g})", reason
