"""One decoding step of a readout: the rows that predicted, and what became of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class Step:
    """Values of the rows that predicted.

    Attributes:
        values: (rows, ...) by the record's names.
        plain, folded: (rows, vocabulary) log-probabilities; dropped once the tokens are known.
        ends: (rows, 2, end tokens) plain and folded log-probability of ending here.
        parents: (children,) the row that each row of the next step came from.
        tokens: (children,) what each of them took.
        chosen: (children, 2) plain and folded log-probability of that token.
    """

    values: dict[str, Tensor]
    plain: Tensor
    folded: Tensor
    ends: Tensor
    parents: Tensor | None = None
    tokens: Tensor | None = None
    chosen: Tensor | None = None

    def settle(self, tokens: Tensor, beams: Tensor | None) -> None:
        """The tokens that the rows chose are known: keep their values, drop the rest.

        Args:
            tokens: (children,).
            beams: (children,) the row each one goes on from; None without beams.
        """
        parents = torch.arange(len(tokens)) if beams is None else beams
        at = parents.to(tokens.device)
        both = [part[at, tokens] for part in (self.plain, self.folded)]
        self.chosen = torch.stack(both, -1).cpu()
        self.parents, self.tokens = parents.cpu(), tokens.cpu()
        self.plain = self.folded = self.plain.new_empty(0)

    def logprobs(self, rows: Tensor, tokens: Tensor, ends: Tensor) -> Tensor:
        """Plain and folded log-probability of `tokens` from `rows`; (sequences, 2).

        Args:
            rows, tokens: (sequences,).
            ends: the ids that end a text.
        """
        if self.chosen is None:
            plain, folded = (part.cpu()[rows, tokens] for part in (self.plain, self.folded))
            return torch.stack([plain, folded], -1)
        found = torch.full((len(rows), 2), math.nan)
        if self.parents is not None and self.tokens is not None:
            same = (self.parents == rows[:, None]) & (self.tokens == tokens[:, None])
            child = same.int().argmax(1)
            found = torch.where(same.any(1)[:, None], self.chosen[child], found)
        if len(ends):
            # A text that ends may never be fed back, so its last value was put aside at the time.
            end = tokens[:, None] == ends
            values = self.ends.cpu()[rows, :, end.int().argmax(1)]
            found = torch.where((end.any(1) & found.isnan().all(1))[:, None], values, found)
        return found


def divergence(one: Tensor, other: Tensor) -> Tensor:
    """Jensen-Shannon divergence in nats of log-probabilities (rows, vocabulary); (rows,)."""
    middle = torch.logaddexp(one, other) - math.log(2)
    parts = [(p.exp() * (p - middle)).nansum(-1) for p in (one, other)]
    return (parts[0] + parts[1]) / 2
