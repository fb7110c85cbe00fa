"""What is noted for attention's leaks: shares by kind of token, by generated token, by distance."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seesay.explain.diagnose.text_probe import Batch, TextProbe
from seesay.explain.diagnose.token_types import KINDS, kinds
from seesay.methods.farsight import FarSight

HALVES = 2  # bins of distance a doubling


class AttentionShares(TextProbe):
    """What the rows that predict pay to each kind of token, by layer, mean over heads and rows.

    Notes: `shares` (layers, kinds), which sum to 1; `even` (kinds,) the shares if all tokens that
    a row can see got as much; `background`, whether it is known.
    """

    def __init__(self, batch: Batch) -> None:
        super().__init__(batch)
        table, self.known = kinds(batch)
        self.onehot = torch.stack([table == k for k in range(len(KINDS))], -1).float()
        steps = batch.predicts(range(batch.ids.shape[1] - batch.length)).float()
        self.steps = steps.sum(1)
        self.shares = torch.zeros(len(batch.told), batch.view.n_layers, len(KINDS))
        seen = self.onehot.cumsum(1)[:, batch.length - 1 : -1]  # (pictures, steps, kinds)
        even = seen / batch.visible[:, batch.length - 1 : -1, None].clamp(min=1)
        self.even = (even * steps[..., None]).sum(1) / self.steps[:, None]

    def take_text(self, layer: int, steps: range, weights: Tensor) -> None:
        own = weights.mean(1) * self.batch.predicts(steps)[..., None]  # (pictures, steps, columns)
        shares = torch.einsum("bsc,bck->bk", own, self.onehot.to(own)) / self.steps[:, None]
        self.shares[:, layer] += shares.float().cpu()

    def results(self) -> list[dict[str, Any]]:
        rows = zip(self.shares.tolist(), self.even.tolist(), strict=True)
        return [{"shares": s, "even": e, "background": self.known} for s, e in rows]


class Fading(TextProbe):
    """Attention on the picture by generated token, mean over heads and layers.

    Notes: `fading` (tokens,), with registers `registers` (tokens,); `even_picture` (tokens,) what
    it were if all tokens got as much.
    """

    def __init__(self, batch: Batch, registers: FarSight | None = None) -> None:
        super().__init__(batch)
        self.registers = registers
        self.seen = torch.zeros(batch.ids.shape[0], batch.ids.shape[1] - batch.length)

    def take_text(self, layer: int, steps: range, weights: Tensor) -> None:
        seen = torch.einsum("bhsc,bc->bs", weights, self.batch.image.to(weights))
        count = self.batch.view.n_layers * weights.shape[1]
        self.seen[:, steps.start : steps.stop] += (seen / count).float().cpu()

    def results(self) -> list[dict[str, Any]]:
        batch = self.batch
        lengths = [len(one.ids) for one in batch.told]
        name = "fading" if self.registers is None else "registers"
        found = [{name: row[:n].tolist()} for row, n in zip(self.seen, lengths, strict=True)]
        if self.registers is None:
            visible = batch.visible[:, batch.length - 1 : -1]
            even = batch.image.sum(1, keepdim=True) / visible.clamp(min=1)
            for one, row, n in zip(found, even, lengths, strict=True):
                one["even_picture"] = row[:n].tolist()
        return found


class Distances(TextProbe):
    """Attention on a token of the picture by its distance behind, times the tokens in sight, so
    that 1 is an even share; mean over heads and layers. Two bins a doubling of the distance.

    Notes: `far` (bins,) sums and `pairs` (bins,) of (row, image token) pairs; bin k is from
    2^(k/2) tokens on.
    """

    def __init__(self, batch: Batch) -> None:
        super().__init__(batch)
        rows, width = batch.ids.shape
        self.columns = torch.arange(width, device=batch.ids.device)
        self.far = torch.zeros(rows, int(_bins(self.columns[-1:])) + 1)
        self.pairs = torch.zeros_like(self.far)

    def take_text(self, layer: int, steps: range, weights: Tensor) -> None:
        batch, first = self.batch, self.batch.length - 1
        at = slice(first + steps.start, first + steps.stop)
        own = weights.mean(1) * batch.visible[:, at, None] / batch.view.n_layers
        counted = batch.predicts(steps)[..., None] & batch.image[:, None]
        bins = _bins(self.columns[at, None] - self.columns).expand_as(own).flatten(1)
        self.far += _summed(own * counted, bins, self.far.shape[1])
        if layer == 0:
            self.pairs += _summed(counted.float(), bins, self.far.shape[1])

    def results(self) -> list[dict[str, Any]]:
        rows = zip(self.far.tolist(), self.pairs.tolist(), strict=True)
        return [{"far": far, "pairs": pairs} for far, pairs in rows]


def _bins(distance: Tensor) -> Tensor:
    return (distance.clamp(min=1).float().log2() * HALVES + 1e-4).floor().long()


def _summed(values: Tensor, bins: Tensor, count: int) -> Tensor:
    """(pictures, ...) values by bin, (pictures, bins)."""
    flat = values.float().flatten(1)
    out = flat.new_zeros(len(flat), count)
    return out.scatter_add_(1, bins, flat).cpu()
