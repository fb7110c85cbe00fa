"""What is noted of each object word: where its row looks, what attention adds to it, and what image
tokens read as. The definitions are those of Attention Lens (arXiv 2411.16724)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seesay.engine.state import GenerationState
from seesay.explain.diagnose.text_probe import Batch, TextProbe

_AT_ONCE = 64  # image tokens under the head at once


class ObjectAttention(TextProbe):
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

    def take_added(self, layer: int, added: Tensor, run: GenerationState) -> None:
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


class ObjectLens(TextProbe):
    """What image tokens read as, layer by layer, under the logit lens.

    Notes, by word: `reads` (layers,) the share of the picture's tokens whose likeliest vocabulary
    entry is the word's first token; `sure` (layers,) the largest probability of it among them;
    `elsewhere` (layers,) the mean of that largest probability over the batch's other pictures
    whose texts do not say the word: a model's favourite words are likely anywhere. NaN, written as
    null, where every text says it.
    """

    def __init__(self, batch: Batch) -> None:
        super().__init__(batch)
        _ = batch.view.lens  # found out by a forward, so before the session is open
        rows, _, ids = batch.words
        shape = len(ids), batch.view.n_layers
        self.reads, self.sure, self.elsewhere = (torch.zeros(shape) for _ in range(3))
        pictures = torch.arange(len(batch.told), device=rows.device)[:, None]
        # (pictures, words) whether a picture's text says a word that some text says.
        said = (rows == pictures)[:, None] & (ids[:, None] == ids)
        self.silent = ~said.any(2).cpu()

    def take_state(self, layer: int, hidden: Tensor, run: GenerationState) -> None:
        rows, _, ids = self.batch.words
        loudest = torch.zeros(len(hidden), len(ids))
        for row in range(len(hidden)):
            states = hidden[row][self.batch.image[row].to(hidden.device)]
            own = (rows == row).nonzero()[:, 0]
            hits = torch.zeros(len(own))
            for chunk in torch.split(states, _AT_ONCE):
                shares = self.batch.view.read_hidden(chunk).float().softmax(-1)
                hits += (shares.argmax(-1)[:, None] == ids[own]).sum(0).cpu()
                loudest[row] = torch.maximum(loudest[row], shares[:, ids].amax(0).cpu())
            self.reads[own.cpu(), layer] = hits / len(states)
        self.sure[:, layer] = loudest.gather(0, rows.cpu()[None])[0]
        self.elsewhere[:, layer] = (loudest * self.silent).sum(0) / self.silent.sum(0)

    def results(self) -> list[dict[str, Any]]:
        parts = (self.reads, self.sure, self.elsewhere)
        rows = zip(*map(self.batch.by_picture, parts), strict=True)
        return [dict(zip(("reads", "sure", "elsewhere"), row, strict=True)) for row in rows]
