"""Which parts of a picture does the prompt speak of? The matchers of AGLA.

A matcher gives two things: the similarity of picture and prompt, 0 to 1, and how relevant each
image token is to the prompt. The published matcher is a BLIP image–text matcher;
`match_by_attention` is ours and needs no extra weights: the model's own attention from prompt to
picture, weighted by what it does to the answer.

    relevance(j) = mean_h Σ_i max(0, ∂score/∂A[h, i, j]) · A[h, i, j]       i over the prompt's text

The formula is AGLA's (arXiv 2406.12718) with the decoder's middle layer in the place of BLIP's text
cross-attention (layer 6 of 12 there), and with the log-probability of the most probable next token
in the place of the matcher's positive logit. Similarity is the cosine of the mean image state and
the mean text state entering that layer, negative values cut to 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from seesay import patches
from seesay.engine.gradient import attention_gradient
from seesay.engine.run import Prompt
from seesay.patches import Tile

# Of the map's longer side: σ 7.68 on the published 384 × 384 map.
_BLUR = 0.02
_KEEP_AT_MOST = 1 - 1e-5


@dataclass(frozen=True)
class Match:
    """What a matcher found for a batch of prompts.

    Attributes:
        relevance: (batch, columns) float32, 0 outside image columns.
        similarity: (batch,) in [0, 1].
    """

    relevance: Tensor
    similarity: Tensor


def match_by_attention(prompt: Prompt) -> Match:
    """By the model's own attention × gradient: one forward and backward over the prompt."""
    found = attention_gradient(
        prompt.view,
        prompt.inputs,
        prompt.view.n_layers // 2,
        lambda logits: logits.log_softmax(-1).amax(-1),
    )
    padding = prompt.inputs.get("attention_mask")
    real = torch.ones_like(prompt.columns) if padding is None else padding.bool()
    text = real & ~prompt.columns
    paid = (found.gradient.clamp(min=0) * found.attention).mean(1)  # (batch, rows, columns)
    relevance = (paid * text[:, :, None]).sum(1) * prompt.columns
    seen, said = (_mean_state(found.hidden, which) for which in (prompt.columns, text))
    similarity = functional.cosine_similarity(seen, said).clamp(0, 1)
    return Match(relevance, similarity)


def masked_pixels(prompt: Prompt, match: Match) -> dict[str, Tensor]:
    """The prompt's pixel inputs with the irrelevant part of every picture painted black.

    Of each picture's pixels, the ``similarity / 2`` share with the lowest relevance is masked; a
    constant relevance masks nothing. The geometry stays that of the original.
    """
    black = patches.black(prompt.view)
    painted = []
    for picture in prompt.pictures():
        relevance = match.relevance[picture.row, picture.columns]
        keep = 1 - float(match.similarity[picture.row]) / 2
        painted.append(_painted(picture.tiles, relevance, keep, black))
    return patches.assemble(prompt.view, prompt.inputs, painted)


def relevance_map(cells: Tensor, height: int, width: int) -> Tensor:
    """Relevance of a grid's cells as a smooth map of pixels.

    Args:
        cells: (rows, columns), at least 0.

    Returns (height, width) float32: cubic interpolation within the range of `cells`, then a
    Gaussian blur of 2 % of the longer side.
    """
    smooth = functional.interpolate(
        cells[None, None].float(), (height, width), mode="bicubic", align_corners=False
    )
    smooth = smooth.clamp(cells.min(), cells.max())
    return _blurred(smooth, _BLUR * max(height, width))[0, 0]


def keep_mask(relevance: Tensor, keep: float) -> Tensor:
    """Which values of `relevance` (any shape) belong to its `keep` share of highest ones.

    The threshold is the k-th value in descending order, k = ⌊n · keep⌋ counted from 0, and ties
    stay. A constant map is kept whole.
    """
    flat = relevance.flatten()
    if flat.max() == flat.min():
        return torch.ones_like(relevance, dtype=torch.bool)
    k = int(len(flat) * min(keep, _KEEP_AT_MOST))
    return relevance >= flat.sort(descending=True).values[k]


def _painted(tiles: list[Tile], relevance: Tensor, keep: float, black: Tensor) -> list[Tile]:
    """One picture's tiles with what is not kept set to `black` (3,), normalised as the pixels."""
    maps = []
    for tile in tiles:
        top, left, bottom, right = tile.box
        maps.append(relevance_map(relevance[tile.tokens], bottom - top, right - left))
    sizes = [part.numel() for part in maps]
    kept = keep_mask(torch.cat([part.flatten() for part in maps]), keep)
    masks = torch.split(kept, sizes)
    painted = []
    for tile, part, mask in zip(tiles, maps, masks, strict=True):
        top, left, bottom, right = tile.box
        pixels = tile.pixels.clone()
        inside = pixels[:, top:bottom, left:right]
        fill = black.to(inside)[:, None, None]
        pixels[:, top:bottom, left:right] = torch.where(mask.view(part.shape), inside, fill)
        painted.append(replace(tile, pixels=pixels))
    return painted


def _blurred(image: Tensor, sigma: float) -> Tensor:
    """(1, 1, height, width) under a Gaussian of `sigma` pixels, edges repeated."""
    radius = max(1, round(4 * sigma))
    at = torch.arange(-radius, radius + 1, device=image.device, dtype=image.dtype)
    kernel = torch.exp(-0.5 * (at / sigma) ** 2)
    kernel = kernel / kernel.sum()
    padded = functional.pad(image, (radius, radius, radius, radius), mode="replicate")
    return functional.conv2d(
        functional.conv2d(padded, kernel.view(1, 1, -1, 1)), kernel.view(1, 1, 1, -1)
    )


def _mean_state(hidden: Tensor, which: Tensor) -> Tensor:
    """Mean of the states (batch, columns, hidden) at `which` (batch, columns)."""
    weight = which[..., None].float()
    return (hidden.float() * weight).sum(1) / weight.sum(1).clamp(min=1)
