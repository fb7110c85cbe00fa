"""What a generation leaves behind: attention to the image, log-probabilities, entropies.

Everything comes from rows that are computed anyway; nothing stores an n×n map. While the model
runs, values are kept by decoding step and by row (beam); at the end they are gathered for the
sequences that won, so scores follow the winning beam.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from seesay.engine.run import ImageColumns


@dataclass(frozen=True)
class Record:
    """What was recorded, one row a returned sequence; float32 on the CPU, NaN after a text's end.

    Attributes:
        tokens: (sequences, tokens) the new tokens.
        logprob: (sequences, tokens) log-probability of each token under the distribution it was
            chosen from: after the fold, before temperature and other processors. −inf where the
            plausibility cut had removed a token that was forced.
        plain_logprob: the same under the model's own distribution.
        entropy: (sequences, tokens) of the model's own distribution, in nats.
        var: (sequences, tokens, layers, heads) VAR of Attention Lens (arXiv 2411.16724): the
            attention that the row predicting the token pays to all image tokens, 0 to 1.
        image_attention: (sequences, tokens, image tokens) what of it goes to each image token, in
            the order of the prompt; mean over heads and over the middle layers (5 to 18 of 32, by
            relative depth). NaN behind a prompt's last image token and under a compacted cache,
            whose entries stand for no one token.
        acted: (sequences, tokens) 1 where a gated method acted, 0 where the model was sure; None
            without a gate.
    """

    tokens: Tensor
    logprob: Tensor
    plain_logprob: Tensor
    entropy: Tensor
    var: Tensor
    image_attention: Tensor
    acted: Tensor | None = None


@dataclass
class _Step:
    """One decoding step: values of the rows that predicted, and what became of them."""

    var: Tensor  # (rows, layers, heads)
    gaze: Tensor | None  # (rows, image span)
    plain: Tensor  # (rows, vocabulary) log-probabilities, dropped once the tokens are known
    folded: Tensor
    entropy: Tensor  # (rows,)
    ends: Tensor  # (rows, 2, end tokens) plain and folded log-probability of ending here
    acted: Tensor | None  # (rows,)
    parents: Tensor | None = None  # (children,) the row that each row of the next step came from
    tokens: Tensor | None = None  # (children,)
    chosen: Tensor | None = None  # (children, 2) plain and folded log-probability of the token


class Readout:
    """Takes what the engine computes, step by step.

    Args:
        layers, heads: of the decoder.
        ends: the token ids that end a text.
    """

    def __init__(self, layers: int, heads: int, ends: list[int]) -> None:
        self._shape = (layers, heads)
        self._middle = range(5 * layers // 32, 18 * layers // 32 + 1)
        self._ends = torch.tensor(ends, dtype=torch.long)
        self._steps: list[_Step] = []
        self._rows = 0
        self._seen: dict[int, Tensor] = {}
        self._scattered: set[int] = set()  # layers whose heads hold other entries each
        self._image: ImageColumns | None = None
        self._beams: Tensor | None = None
        self._first_look: dict[int, Tensor] = {}

    # ---- while the model runs --------------------------------------------------------------

    def begin_forward(self, rows: int, answer: Tensor | None) -> None:
        """A forward starts on `rows` rows.

        Args:
            answer: (rows, columns) its input ids, the last of which the step before has chosen;
                None while the prompt is read.
        """
        self._rows = rows
        self._seen, self._scattered = {}, set()
        if answer is not None and self._steps:
            self._settle(self._steps[-1], answer[:, -1])

    def take_attention(self, layer: int, weights: Tensor, image: ImageColumns) -> None:
        """The last row's weights of one layer, (rows, heads, columns)."""
        seen = weights[: self._rows, :, image.start : image.stop]
        self._seen[layer] = seen if image.weight is None else seen * image.weight[: self._rows]
        if image.by_head:
            self._scattered.add(layer)
        else:
            self._image = image

    def look_again(self) -> None:
        """The step at hand is computed a second time; see `keep`."""
        self._first_look, self._seen = self._seen, {}

    def keep(self, doubt: Tensor) -> None:
        """Keep the second look of the rows in `doubt` (rows,) and the first one of the others."""
        for layer, first in self._first_look.items():
            self._seen[layer] = torch.where(doubt[:, None, None], self._seen[layer], first)

    def take_logits(self, plain: Tensor, folded: Tensor, acted: Tensor | None = None) -> None:
        """The last position's logits before and after the fold, (rows, vocabulary).

        Args:
            acted: (rows,) whether a gated method acted.
        """
        own = plain.float().log_softmax(-1)
        final = own if folded is plain else folded.float().log_softmax(-1)
        entropy = torch.special.entr(own.exp()).sum(-1)
        ends = self._ends.to(own.device)
        var, gaze = self._sums(own)
        self._steps.append(
            _Step(
                var,
                gaze,
                own,
                final,
                entropy,
                torch.stack([own[:, ends], final[:, ends]], 1),
                acted,
            )
        )

    def take_beams(self, beams: Tensor) -> None:
        """Beam search moved rows: row i goes on from row ``beams[i]``."""
        self._beams = beams

    # ---- afterwards ------------------------------------------------------------------------

    def record(self, new_tokens: Tensor, beam_indices: Tensor | None) -> Record:
        """Gather what belongs to the returned sequences.

        Args:
            new_tokens: (sequences, tokens) without the prompt.
            beam_indices: (sequences, tokens) the row each token was picked from, −1 after the end;
                None without beams.
        """
        new_tokens = new_tokens.cpu()
        count, length = new_tokens.shape
        scores = torch.full((count, length, 3), math.nan)
        var = torch.full((count, length, *self._shape), math.nan)
        widest = 0 if self._image is None else int(self._image.mask.sum(1).max())
        gaze = torch.full((count, length, widest), math.nan)
        acted = torch.full((count, length), math.nan)
        for i in range(count):
            for t in range(min(length, len(self._steps))):
                token = int(new_tokens[i, t])
                row = i if beam_indices is None else int(beam_indices[i, t])
                if row < 0:
                    break
                step = self._steps[t]
                var[i, t] = step.var[row].cpu()
                if step.gaze is not None and self._image is not None:
                    own = self._image.mask[row].nonzero()[:, 0] - self._image.start
                    gaze[i, t, : len(own)] = step.gaze[row, own].cpu()
                scores[i, t, :2] = self._chosen(step, row, token)
                scores[i, t, 2] = step.entropy[row]
                if step.acted is not None:
                    acted[i, t] = step.acted[row]
                if token in self._ends:
                    break
        gated = any(step.acted is not None for step in self._steps)
        return Record(
            new_tokens,
            logprob=scores[..., 1],
            plain_logprob=scores[..., 0],
            entropy=scores[..., 2],
            var=var,
            image_attention=gaze,
            acted=acted if gated else None,
        )

    def _sums(self, like: Tensor) -> tuple[Tensor, Tensor | None]:
        """VAR (rows, layers, heads) and the middle layers' attention by image column.

        Layers are summed at once: one small sum a layer would cost as much as the attention.
        """
        var = like.new_zeros(len(like), *self._shape)
        for layer in self._scattered:
            var[:, layer] = self._seen[layer].sum(-1)
        whole = [layer for layer in self._seen if layer not in self._scattered]
        if not whole:
            return var, None
        stacked = torch.stack([self._seen[layer] for layer in whole], 1)
        var[:, whole] = stacked.sum(-1).to(var)
        middle = [at for at, layer in enumerate(whole) if layer in self._middle]
        return var, stacked[:, middle].mean((1, 2)) if len(middle) == len(self._middle) else None

    def _settle(self, step: _Step, tokens: Tensor) -> None:
        """The tokens that step's rows chose are known: keep their values, drop the rest."""
        parents = torch.arange(len(tokens)) if self._beams is None else self._beams
        self._beams = None
        step.parents, step.tokens = parents.to(tokens.device), tokens
        both = [part[step.parents, tokens] for part in (step.plain, step.folded)]
        step.chosen = torch.stack(both, -1).cpu()
        step.parents, step.tokens = step.parents.cpu(), tokens.cpu()
        step.plain = step.folded = step.plain.new_empty(0)

    def _chosen(self, step: _Step, row: int, token: int) -> Tensor:
        """Plain and folded log-probability of `token` from `row`; (2,)."""
        if step.chosen is not None and step.parents is not None and step.tokens is not None:
            child = ((step.parents == row) & (step.tokens == token)).nonzero()
            if len(child):
                return step.chosen[int(child[0])]
        if token in self._ends:
            # A text that ends is never fed back, so its last value was put aside at the time.
            return step.ends[row, :, int((self._ends == token).nonzero()[0])].cpu()
        if step.chosen is None:
            return torch.stack([step.plain[row, token], step.folded[row, token]]).cpu()
        return torch.full((2,), math.nan)
