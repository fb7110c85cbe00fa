"""What is noted of how few tokens hold the attention, and which text tokens are sinks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seesay.evaluate.diagnose.reading import Batch, Taker

GRID = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
HELD = 0.98
SINK = 5.0
"""Times an even share from which a text token counts as a sink."""
TYPES = ("picture", "prompt", "answer")

_FEWEST_ROWS = 5  # below a column, for its mean to mean something


class Sorted(Taker):
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


class TextSinks(Taker):
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
