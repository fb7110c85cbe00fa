"""Sparsity: how few tokens hold the attention, which ones, and what is lost without the others?

After VASparse (arXiv 2501.06553), observations 1 to 4: attention is sparse, text takes more than
its share, text has sinks, and a choice of tokens that does not look at what saw the picture invents
more.

Ways to choose what of a prompt stays in the cache, once, as soon as it is read.

All keep the same number of entries a layer, so that only the choice differs. They serve the
diagnosis of sparsity and are no entries of the registry. VASparse's own is `VASparse` itself, with
all its other parts off.

What is noted of how few tokens hold the attention, and which text tokens are sinks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from seesay.engine import AnyMethod, Method, Stack
from seesay.explain.diagnose.described import PLAIN, Captions
from seesay.explain.diagnose.figures import mean, mean_curve, too_few_pictures
from seesay.explain.diagnose.text_probe import Batch, TextProbe
from seesay.explain.diagnose.types import Claim, Diagnosis, Evidence, Finding, FindingPart, Numbers
from seesay.explain.diagnose.wording import columns, interval, layers, percent
from seesay.methods import VASparse
from seesay.methods.vasparse.selection import chosen_entries
from seesay.models.view import ModelView
from seesay.render import charts

if TYPE_CHECKING:
    from torch import Tensor

    from seesay.engine import AnyMethod
    from seesay.engine.attention import Call
    from seesay.engine.kv_cache import KeptEntries
    from seesay.engine.state import GenerationState

KEPT = (0.75, 0.5, 0.35)


class Sparsity(Diagnosis):
    name = "sparsity"
    title = "How few tokens hold the attention"
    question = "Can most of what the model remembers be dropped, and what would be lost?"
    paper = "VASparse, CVPR 2025, arXiv 2501.06553"

    def probes(self, batch: Batch) -> list[TextProbe]:
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


def _sorted(notes: Sequence[Mapping[str, Any]]) -> FindingPart:
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
    return FindingPart(
        "How much the most attended tokens hold",
        "Sort the tokens in sight by the attention they get: the curve says how much the first "
        "10 %, 20 %, ... of them hold together (mean of all heads and layers). Even attention "
        f"would be a straight line. Attention counts as sparse here if {percent(HELD)} of it lies "
        "on less than half of the tokens. The table gives that share for each layer.",
        Numbers(("layer", f"share of tokens that holds {percent(HELD)}"), by_layer),
        charts.curves(
            "Sorted attention",
            [
                charts.ChartLine("attention held", found),
                charts.ChartLine("if even", charts.plain(GRID), "#8a8f98"),
            ],
            x=list(GRID),
            x_name="share of the tokens, most attended first",
            y_name="share of attention",
        ),
        (claim,),
    )


def _types(notes: Sequence[Mapping[str, Any]]) -> FindingPart:
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
        charts.ChartLine(name, values, charts.COLOURS[k])
        for k, (name, values) in enumerate(curves.items())
    ]
    rows = columns(layers(mass.shape[1]), *curves.values())
    evenly = [interval(mean(even[:, k])) for k in range(len(TYPES))]
    return FindingPart(
        "Picture, prompt and answer",
        "What share of the attention goes to the picture, to the prompt's text and to the answer "
        "so far. The table's last row is each one's share of the tokens.",
        Numbers(("layer", *TYPES), [*rows, ["share of the tokens", *evenly]]),
        charts.curves("Attention by type of token", lines, y_name="share of attention"),
        (claim,),
    )


def _sinks(notes: Sequence[Mapping[str, Any]]) -> FindingPart:
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
    return FindingPart(
        "Sinks among the text",
        "The text token that later words look back to most, in even shares: 1 is what every token "
        f"would get if all got as much, and from {SINK:g} on a token counts as a sink. The table "
        "also says how many there are and which token it is most often.",
        Numbers(
            ("layer", "even shares of the strongest", "sinks a text", "which, mostly"),
            columns(layers(level.shape[1]), found, mean_curve(number), which),
        ),
        charts.curves(
            "The strongest text sink", [charts.ChartLine("strongest text token", found)],
            y_name="even shares", level=SINK,
        ),
        (claim,),
    )  # fmt: skip


def _dropped(texts: Captions) -> FindingPart:
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
        charts.ChartLine(
            name, charts.plain([plain[0].value, *(one.value for one in chair[name])]), colour
        )
        for name, colour in zip(names, charts.COLOURS, strict=False)
    ]
    lines += [
        charts.ChartLine(
            f"{name}: recall",
            charts.plain([plain[1].value, *(one.value for one in recall[name])]),
            colour,
            dashed=True,
            key=False,
        )
        for name, colour in zip(names, charts.COLOURS, strict=False)
    ]
    return FindingPart(
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


_RANKED_IN = 1  # FastV ranks in its second layer and prunes behind it
_ONCE = 10**6  # tokens until VASparse would choose again


@dataclass(frozen=True, repr=False)
class Selection(Method):
    """Keep a share of the prompt's cache entries.

    Attributes:
        keep: of each layer's prompt entries, in (0, 1].
    """

    images_only: ClassVar[bool] = False

    keep: float = 0.5

    def worth(self, layer: int, run: GenerationState) -> Tensor | None:
        """(rows, kv heads, entries), the highest stay; None leaves the layer alone."""
        raise NotImplementedError

    def prune_cache(self, layer: int, run: GenerationState) -> KeptEntries | None:
        from seesay.engine.kv_cache import KeptEntries, entries_of

        if run.seen != run.length:
            return None
        worth = self.worth(layer, run)
        if worth is None:
            return None
        _, valid = entries_of(run.cache.layers[layer], run.padding)
        candidate = valid
        if self.images_only:
            candidate = valid & run.prompt.mask.to(valid.device)[:, None]
        total, own = valid[:, 0].sum(-1), candidate[:, 0].sum(-1)
        count = ((self.keep * total).round().long() - (total - own)).clamp(min=1)
        return KeptEntries(chosen_entries(worth, candidate, valid, count)[0])


@dataclass(frozen=True, repr=False)
class TopK(Selection):
    """What the newest row attends to most, in each layer and head."""

    def worth(self, layer: int, run: GenerationState) -> Tensor:
        weights = run.last_rows[layer].weights
        kv_heads = run.cache.layers[layer].keys.shape[1]
        return weights.view(len(weights), kv_heads, -1, weights.shape[-1]).mean(2)


@dataclass(frozen=True, repr=False)
class FastVStyle(Selection):
    """The image tokens that the newest row attends to most in layer 1, in all layers behind it
    (after FastV, arXiv 2403.06764); text stays."""

    images_only: ClassVar[bool] = True

    def worth(self, layer: int, run: GenerationState) -> Tensor | None:
        if layer <= _RANKED_IN:
            return None
        weights = run.last_rows[_RANKED_IN].weights.mean(1, keepdim=True)
        return weights.expand(-1, run.cache.layers[layer].keys.shape[1], -1)


@dataclass(frozen=True, repr=False)
class SparseVLMStyle(Selection):
    """The image tokens that the text behind them attends to most, in each layer, mean over heads
    (after SparseVLM, arXiv 2410.04417); text stays."""

    images_only: ClassVar[bool] = True

    def shared_head(self, call: Call) -> None:
        """Notes, while the prompt is read, what its text gives to each column; rewrites nothing."""
        image = call.run.prompt.mask
        real = call.run.padding
        text = ~image if real is None else real[:, : image.shape[1]].bool() & ~image
        total = call.query.new_zeros(image.shape, dtype=call.query.dtype).float()
        for rows, weights in call.row_blocks():
            own = text[:, rows.start : rows.stop].to(weights)
            total += (weights.mean(1) * own[..., None]).sum(1)
        call.run.state.setdefault(self, {})[call.layer] = total

    def worth(self, layer: int, run: GenerationState) -> Tensor:
        received: Tensor = run.state[self][layer]
        return received[:, None].expand(-1, run.cache.layers[layer].keys.shape[1], -1)


def selections(keep: float) -> dict[str, AnyMethod]:
    """Every selection at one share, by name; VASparse, which alone looks at what a token itself saw
    of the picture, is the last."""
    own = VASparse(
        aggregate=False, contrast=False, penalise=False, keep=keep, every=_ONCE, candidates="all"
    )
    return {
        "Top-K": TopK(keep),
        "FastV-style": FastVStyle(keep),
        "SparseVLM-style": SparseVLMStyle(keep),
        "VASparse": own,
    }


GRID = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
HELD = 0.98
SINK = 5.0
"""Times an even share from which a text token counts as a sink."""
TYPES = ("picture", "prompt", "answer")

_FEWEST_ROWS = 5  # below a column, for its mean to mean something


class Sorted(TextProbe):
    """How concentrated each row's attention is; means over heads and rows that predict.

    Notes: `curve` (layers, grid) the attention that the share `GRID` of the tokens in sight holds,
    the most attended first; `held` (layers,) the share of them that holds `HELD`; `mass` (layers,
    3) of the picture, the prompt's text and the answer, `even` (3,) their shares of the tokens;
    `rows`, how many rows.
    """

    def __init__(self, batch: Batch) -> None:
        super().__init__(batch)
        width = batch.ids.shape[1]
        steps = batch.predicts(range(width - batch.length)).float()
        self.rows = steps.sum(1)
        shape = len(batch.told), batch.view.n_layers
        self.curve, self.held = torch.zeros(*shape, len(GRID)), torch.zeros(shape)
        self.mass = torch.zeros(*shape, len(TYPES))
        answer = torch.arange(width, device=batch.ids.device) >= batch.length
        prompt = batch.real & ~batch.image & ~answer
        self.types = torch.stack([batch.image, prompt, batch.real & answer], -1).float()
        seen = self.types.cumsum(1)[:, batch.length - 1 : -1]
        even = seen / batch.visible[:, batch.length - 1 : -1, None].clamp(min=1)
        self.even = (even * steps[..., None]).sum(1) / self.rows[:, None]

    def take_text(self, layer: int, steps: range, weights: Tensor) -> None:
        batch, first = self.batch, self.batch.length - 1
        counts = batch.predicts(steps).to(weights)  # (pictures, steps)
        visible = batch.visible[:, first + steps.start : first + steps.stop].clamp(min=1)
        total = weights.sort(dim=-1, descending=True).values.cumsum(-1)
        # As many tokens as reach it; a sum that rounding keeps below takes all in sight.
        needed = ((total < HELD).sum(-1) + 1).minimum(visible[:, None].long())
        share = (needed / visible[:, None]).mean(1)
        self.held[:, layer] += ((share * counts).sum(1) / self.rows).float().cpu()
        for k, part in enumerate(GRID):
            # Rounding must not make 13 of 0.6 · 20.
            at = (part * visible - 1e-4).ceil().long().clamp(min=1) - 1  # (pictures, steps)
            at = at[:, None, :, None].expand(-1, weights.shape[1], -1, 1)
            mass = total.gather(-1, at)[..., 0].mean(1)
            self.curve[:, layer, k] += ((mass * counts).sum(1) / self.rows).float().cpu()
        own = weights.mean(1) * counts[..., None]
        mass = torch.einsum("bsc,bck->bk", own, self.types.to(own)) / self.rows[:, None]
        self.mass[:, layer] += mass.float().cpu()

    def results(self) -> list[dict[str, Any]]:
        names = ("curve", "held", "mass", "even", "rows")
        parts = (self.curve, self.held, self.mass, self.even, self.rows.long())
        rows = zip(*(part.tolist() for part in parts), strict=True)
        return [dict(zip(names, row, strict=True)) for row in rows]


class TextSinks(TextProbe):
    """Text tokens that all later rows of the answer look back to.

    A column's level is the attention it receives from the rows of the answer behind it, times the
    tokens in sight of each (1 is an even share), mean over rows and heads.

    Notes: `sinks` (layers,) text columns with a level above `SINK`, `level` (layers,) the highest,
    `which` (layers,) the token that has it; columns with fewer than five rows behind them are left
    out.
    """

    def __init__(self, batch: Batch) -> None:
        super().__init__(batch)
        rows, width = batch.ids.shape
        self.level = torch.zeros(rows, batch.view.n_layers, width)
        steps = batch.predicts(range(width - batch.length)).float()
        at = torch.arange(batch.length - 1, width - 1, device=steps.device)
        below = at[:, None] >= torch.arange(width, device=steps.device)
        self.count = torch.einsum("bs,sc->bc", steps, below.float()).cpu()

    def take_text(self, layer: int, steps: range, weights: Tensor) -> None:
        batch, first = self.batch, self.batch.length - 1
        visible = batch.visible[:, first + steps.start : first + steps.stop]
        own = weights.mean(1) * (visible * batch.predicts(steps))[..., None]
        self.level[:, layer] += own.sum(1).float().cpu()

    def results(self) -> list[dict[str, Any]]:
        batch = self.batch
        text = (batch.real & ~batch.image).cpu() & (self.count >= _FEWEST_ROWS)
        level = (self.level / self.count.clamp(min=1)[:, None]).masked_fill(~text[:, None], 0.0)
        best = level.max(-1)
        found = []
        for row in range(len(level)):
            ids = batch.ids[row].cpu()[best.indices[row]].tolist()
            found.append(
                {
                    "sinks": (level[row] > SINK).sum(-1).tolist(),
                    "level": best.values[row].tolist(),
                    "which": [batch.tokenizer.decode([one]).strip() or repr(one) for one in ids],
                }
            )
        return found
