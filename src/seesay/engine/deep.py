"""The deep readout: what hidden states and the places of patches tell beside attention rows.

Costs more than the plain readout and is read only on request: each layer's image states are kept
for the length of a generation (layers × image tokens × hidden), and the logit lens reads each of
them once. Nothing here changes what the model computes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from seesay.engine.probes import Probe
from seesay.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seesay.engine.state import GenerationState, ImageColumns
    from seesay.models.view import ModelView

_TOP = 5  # cosines a layer, arXiv 2604.04863
_SHARE = 0.1  # of the patches, arXiv 2604.04863
_AT_ONCE = 64  # image tokens under the head at once: no (patches × vocabulary × layers) is held


class HiddenStates(Probe):
    """Hidden states of one generation.

    Args:
        view: the model.
        neighbours: (prompts, image span, 8), see `neighbours`; None where patches have no place.
    """

    def __init__(self, view: ModelView, neighbours: Tensor | None) -> None:
        self.view = view
        self._neighbours = neighbours
        self._image: dict[int, Tensor] = {}  # layer -> (rows, columns so far, hidden), unit length
        self._holds: dict[int, Tensor] = {}  # layer -> (rows, columns so far) which are image
        self._now: dict[int, Tensor] = {}  # layer -> (read rows, hidden) of the forward at hand
        self._first_look: dict[int, Tensor] = {}
        self.words: Tensor | None = None  # (rows, vocabulary) largest logit-lens probability

    def take_state(self, layer: int, hidden: Tensor, run: GenerationState) -> None:
        if run.image is None or run.readout is None:
            return
        last = run.readout.rows  # how many of the newest rows predict
        own = hidden[: run.rows]
        offset = run.seen - own.shape[1]
        start, stop = max(run.image.start, offset), min(run.image.stop, run.seen)
        if start < stop:
            states = own[:, start - offset : stop - offset]
            holds = run.image.mask[: run.rows, start:stop].to(states.device)
            self._read(states, holds)
            unit = functional.normalize(states.float(), dim=-1).to(states.dtype)
            before, held = self._image.get(layer), self._holds.get(layer)
            self._image[layer] = unit if before is None else torch.cat([before, unit], 1)
            self._holds[layer] = holds if held is None else torch.cat([held, holds], 1)
        self._now[layer] = own[:, -last:].reshape(-1, own.shape[-1]) if last > 1 else own[:, -1]

    def look_again(self) -> None:
        """The step at hand is computed a second time; see `keep`."""
        self._first_look, self._now = self._now, {}

    def keep(self, doubt: Tensor) -> None:
        """Keep the second look of the rows in `doubt` (rows,) and the first one of the others."""
        for layer, first in self._first_look.items():
            self._now[layer] = torch.where(doubt[:, None], self._now[layer], first)

    def consistency(self) -> Tensor:
        """(read rows, layers) mean of the largest cosines with the image tokens' states."""
        layers = []
        for layer in sorted(self._now):
            state = functional.normalize(self._now[layer].float(), dim=-1)
            image, holds = self._image.get(layer), self._holds.get(layer)
            if image is None or holds is None:
                layers.append(torch.full_like(state[:, 0], torch.nan))
                continue
            states = state.view(len(image), -1, state.shape[1])
            cosines = states @ image.float().transpose(1, 2)
            cosines = cosines.masked_fill(~holds[:, None], -torch.inf)
            top = cosines.topk(min(_TOP, cosines.shape[-1]), dim=-1).values
            top = top.masked_fill(top.isneginf(), torch.nan)
            layers.append(top.nanmean(-1).flatten())
        return torch.stack(layers, -1)

    def dispersion(self, attention: Tensor, image: ImageColumns) -> Tensor | None:
        """`dispersion` of (rows, layers, image span); None where patches have no known place."""
        if self._neighbours is None or attention.shape[-1] != self._neighbours.shape[1]:
            return None
        beams = len(attention) // len(self._neighbours)
        neighbours = self._neighbours.to(attention.device).repeat_interleave(beams, 0)
        rows = len(image.mask)
        holds = image.mask[:, image.start : image.stop].repeat_interleave(
            max(1, len(attention) // rows), 0
        )[: len(attention)]
        return dispersion(attention, neighbours, holds)

    def _read(self, states: Tensor, holds: Tensor) -> None:
        """The logit lens on image states: each vocabulary entry keeps its largest probability."""
        found = []
        for row, which in zip(states, holds, strict=True):
            best = row.new_zeros(self.view.vocabulary, dtype=torch.float32)
            for chunk in row[which].split(_AT_ONCE):
                shares = self.view.read_hidden(chunk).float().softmax(-1)
                best = torch.maximum(best, shares.amax(0))
            found.append(best)
        now = torch.stack(found)
        self.words = now if self.words is None else torch.maximum(self.words, now)


def dispersion(attention: Tensor, neighbours: Tensor, holds: Tensor) -> Tensor:
    """How attention lies on the picture (after ADS, arXiv 2604.04863).

    The tenth of the patches with most attention form connected groups (eight neighbours); a patch
    alone is dropped as a sink. The paper mixes two quantities in a way that is not public, so both
    are given.

    Args:
        attention: (rows, layers, span), mean over heads.
        neighbours: (rows, span, 8) indices within the span, −1 for none.
        holds: (rows, span) which of the span are image tokens.

    Returns (rows, layers, 2): the groups' share of the picture's attention, 0 to 1; and the entropy
    in nats of the attention on all other patches.
    """
    open_ = holds[:, None].expand_as(attention)
    masked = attention.masked_fill(~open_, -torch.inf)
    count = (holds.sum(-1) * _SHARE).ceil().long().clamp(min=1)  # (rows,)
    ranked = masked.sort(-1, descending=True).values
    at = (count - 1)[:, None, None].expand(-1, attention.shape[1], 1)
    top = masked >= ranked.gather(-1, at)  # ties stay
    rows, span, eight = neighbours.shape
    index = neighbours.clamp(min=0).view(rows, 1, span * eight).expand(-1, attention.shape[1], -1)
    beside = top.gather(-1, index).view(*top.shape, eight) & (neighbours >= 0)[:, None]
    grouped = top & beside.any(-1)
    weights = attention.masked_fill(~open_, 0.0)
    total = weights.sum(-1)
    mass = (weights * grouped).sum(-1) / total
    rest = weights * ~top
    shares = rest / rest.sum(-1, keepdim=True)
    return torch.stack([mass, torch.special.entr(shares).sum(-1)], -1)


def neighbours(view: ModelView, inputs: Mapping[str, Any], image: ImageColumns) -> Tensor | None:
    """Which patches touch, (prompts, image span, 8) indices within the span, −1 for none.

    Patches touch within a crop only. None for a family whose patch order is not known.
    """
    from seesay.engine.state import Prompt  # here: run imports nothing of the readout's

    try:
        pictures = Prompt(view, inputs, image.mask).pictures()
    except ModelError:
        return None
    found = torch.full((len(image.mask), image.stop - image.start, 8), -1)
    steps = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]
    for picture in pictures:
        columns = picture.columns.cpu() - image.start
        for tile in picture.tiles:
            grid = columns[tile.tokens]  # (rows, columns) places within the span
            padded = functional.pad(grid, (1, 1, 1, 1), value=-1)
            height, width = grid.shape
            for k, (dy, dx) in enumerate(steps):
                shifted = padded[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
                found[picture.row, grid.flatten(), k] = shifted.flatten()
    return found
