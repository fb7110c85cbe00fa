"""What is noted of each object word: where its row looks, what attention adds to it, and what image
tokens read as. The definitions are those of Attention Lens (arXiv 2411.16724)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seesay.evaluate.diagnose.reading import Batch, Taker

_AT_ONCE = 64  # image tokens under the head at once


class Looks(Taker):
    """VAR of the row that predicts each object word, and what attention adds to the word's logit.

    Notes, by word: `var` (layers, heads), `added` (layers,).
    """

    def __init__(self, batch: Batch) -> None:
        super().__init__(batch)
        view, count = batch.view, len(batch.words[0])
        self.var = torch.zeros(count, view.n_layers, view.n_heads)
        self.added = torch.zeros(count, view.n_layers)

    def take_text(self, layer: int, steps: range, weights: Tensor) -> None:
        rows, tokens, _ = self.batch.words
        here = (tokens >= steps.start) & (tokens < steps.stop)
        own = weights[rows[here], :, tokens[here] - steps.start]  # (words, heads, columns)
        seen = (own * self.batch.image[rows[here], None]).sum(-1)
        self.var[here.cpu(), layer] = seen.float().cpu()

    def take_added(self, layer: int, added: Tensor) -> None:
        rows, tokens, ids = self.batch.words
        states = added[rows, self.batch.length - 1 + tokens].float()
        head: Any = self.batch.view.head
        logits = (states * head.weight[ids].to(states)).sum(-1)
        bias = getattr(head, "bias", None)
        logits = logits if bias is None else logits + bias[ids].to(logits)
        self.added[:, layer] = logits.float().cpu()

    def results(self) -> list[dict[str, Any]]:
        pairs = zip(self.batch.by_picture(self.var), self.batch.by_picture(self.added), strict=True)
        return [{"var": var, "added": added} for var, added in pairs]


class Lens(Taker):
    """What image tokens read as, layer by layer, under the logit lens.

    Notes, by word: `reads` (layers,) the share of the picture's tokens whose likeliest vocabulary
    entry is the word's first token; `sure` (layers,) the largest probability of it among them;
    `others` (layers,) the mean of the same largest probability over the words said of the batch's
    other pictures and not of this one: what a model's favourite words get anywhere. NaN, written
    as null, where there are none.
    """

    def __init__(self, batch: Batch) -> None:
        super().__init__(batch)
        shape = len(batch.words[0]), batch.view.n_layers
        self.reads, self.sure, self.others = (torch.zeros(shape) for _ in range(3))

    def take_state(self, layer: int, hidden: Tensor) -> None:
        rows, _, ids = self.batch.words
        for row in range(len(hidden)):
            own = (rows == row).nonzero()[:, 0]
            if not len(own):
                continue
            states = hidden[row][self.batch.image[row].to(hidden.device)]
            reads, loudest = torch.zeros(len(own)), torch.zeros(len(ids))
            for chunk in torch.split(states, _AT_ONCE):
                shares = self.batch.view.read_hidden(chunk).float().softmax(-1)
                hits = shares.argmax(-1)[:, None] == ids[own]
                reads += hits.sum(0).cpu()
                loudest = torch.maximum(loudest, shares[:, ids].amax(0).cpu())
            foreign = ((rows != row) & ~torch.isin(ids, ids[own])).cpu()
            own = own.cpu()
            self.reads[own, layer] = reads / len(states)
            self.sure[own, layer] = loudest[own]
            self.others[own, layer] = loudest[foreign].mean()

    def results(self) -> list[dict[str, Any]]:
        parts = (self.reads, self.sure, self.others)
        rows = zip(*map(self.batch.by_picture, parts), strict=True)
        return [dict(zip(("reads", "sure", "others"), row, strict=True)) for row in rows]
