"""Which parts of a picture does the prompt speak of? AGLA's map, its mask, and our own matcher.

A matcher gives two things: the similarity of picture and prompt, 0 to 1, and how relevant each
part of the picture is to the prompt. From these `keep_mask(relevance_map(...), 1 − similarity / 2)`
says which pixels stay. The published matcher is in `blip`; `match_by_attention` is ours and needs
no extra weights: the model's own attention from prompt to picture, weighted by what it does to the
answer.

    relevance(j) = mean_h Σ_i max(0, ∂score/∂A[h, i, j]) · A[h, i, j]       i over the prompt's text

The formula is AGLA's (arXiv 2406.12718) with the decoder's middle layer in the place of BLIP's text
cross-attention (layer 6 of 12 there), and with the log-probability of the most probable next token
in the place of the matcher's positive logit. Similarity is the share of its attention that the
prompt's text pays to the picture in that layer, mean over heads and over the text behind the
picture. (A cosine of image and text states, nearer to the published ITC cosine, is no measure here:
the two kinds of state stand at angles that depend on the model and hardly on the prompt.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from seesay.engine.gradient import attention_gradient
from seesay.engine.state import Prompt
from seesay.errors import EngineError
from seesay.models import patch_layout
from seesay.models.patch_layout import Tile
from seesay.models.view import ModelView

# σ, of the map's longer side: 7.68 on the published 384 × 384 map.
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
    padding = prompt.inputs.get("attention_mask")
    hybrid = len(prompt.view.attending) < prompt.view.n_layers
    if hybrid and padding is not None and not bool(padding.all()):
        raise EngineError(
            "agla's own matcher reads recurrent layers otherwise in a padded batch than alone; ask "
            "about one picture at a time (batch_size=1)"
        )
    found = attention_gradient(
        prompt.view,
        prompt.inputs,
        _middle(prompt.view),
        lambda logits: logits.log_softmax(-1).amax(-1),
    )
    real = torch.ones_like(prompt.columns) if padding is None else padding.bool()
    text = real & ~prompt.columns
    paid = (found.gradient.clamp(min=0) * found.attention).mean(1)  # (batch, rows, columns)
    relevance = (paid * text[:, :, None]).sum(1) * prompt.columns
    behind = text & (prompt.columns.cumsum(1) > 0)
    looks = (found.attention * prompt.columns[:, None, None]).sum(-1).mean(1)  # (batch, rows)
    similarity = (looks * behind).sum(1) / behind.sum(1).clamp(min=1)
    return Match(relevance, similarity)


def _middle(view: ModelView) -> int:
    """The layer in the decoder's middle; in a hybrid one the nearest to it that attends."""
    return min(view.attending, key=lambda layer: abs(layer - view.n_layers // 2))


def masked_pixels(prompt: Prompt, match: Match) -> dict[str, Tensor]:
    """The prompt's pixel inputs with the irrelevant part of every picture painted black.

    Of each picture's pixels, the ``similarity / 2`` share with the lowest relevance is masked; a
    constant relevance masks nothing. The geometry stays that of the original.
    """
    black = patch_layout.black(prompt.view)
    painted = []
    for picture in prompt.pictures():
        relevance = match.relevance[picture.row, picture.columns]
        keep = 1 - float(match.similarity[picture.row]) / 2
        painted.append(_painted(picture.tiles, relevance, keep, black))
    return patch_layout.assemble(prompt.view, prompt.inputs, painted)


def relevance_map(cells: Tensor, height: int, width: int, *, fade: bool = False) -> Tensor:
    """Relevance of a grid's cells as a smooth map of pixels, 0 to 1 over the map.

    Args:
        cells: (rows, columns), at least 0.
        fade: let the map fall towards 0 at its borders, as the published one does.

    Returns (height, width) float32, `smoothed` between the least and the most relevant cell; a
    constant `cells` gives zeros.
    """
    return unit(smoothed(unit(cells.float()), height, width, fade=fade))


def smoothed(cells: Tensor, height: int, width: int, *, fade: bool = False) -> Tensor:
    """(rows, columns) as (height, width): a cubic spline within the range of `cells`, then a
    Gaussian blur of 2 % of the longer side.

    With `fade` this is ``scipy.ndimage.zoom(order=3, mode="grid-constant", grid_mode=True)``: the
    world around the grid is 0. Otherwise it is as its outermost cells are, so that crops that lie
    side by side show no seam.
    """
    down, across = (
        _spline(cells_along, pixels, fade).to(cells)
        for cells_along, pixels in zip(cells.shape, (height, width), strict=True)
    )
    zoomed = (down @ cells @ across.T).clamp(cells.min(), cells.max())
    return _blurred(zoomed, _BLUR * max(height, width))


def unit(values: Tensor) -> Tensor:
    """`values` moved and scaled to 0..1; zeros if they are all the same."""
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else torch.zeros_like(values)


def keep_mask(relevance: Tensor, keep: float) -> Tensor:
    """Which values of `relevance` (any shape) belong to its `keep` share of highest ones.

    AGLA keeps the share ``1 − similarity / 2``. The threshold is the k-th value in descending
    order, k = ⌊n · keep⌋ counted from 0, and ties stay. A constant map is kept whole.
    """
    flat = relevance.flatten()
    if flat.max() == flat.min():
        return torch.ones_like(relevance, dtype=torch.bool)
    k = int(len(flat) * min(keep, _KEEP_AT_MOST))
    return relevance >= flat.sort(descending=True).values[k]


def _painted(tiles: list[Tile], relevance: Tensor, keep: float, black: Tensor) -> list[Tile]:
    """One picture's tiles with what is not kept set to `black` (3,), normalised as the pixels."""
    cells = [relevance[tile.tokens].float() for tile in tiles]
    if len({value for part in cells for value in part.flatten().tolist()}) == 1:
        return tiles  # smoothing would make differences out of rounding
    maps = []
    for tile, part in zip(tiles, cells, strict=True):
        top, left, bottom, right = tile.box
        maps.append(smoothed(part, bottom - top, right - left))
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


@cache
def _spline(cells: int, pixels: int, fade: bool) -> Tensor:
    """(pixels, cells) float64: the cubic spline through `cells` values, read at pixel centres."""
    around = 12  # cells beyond the grid; a cubic spline forgets within them (0.27¹² < 10⁻⁶)
    size = cells + 2 * around
    index = torch.arange(size)
    inner = (index - around).clamp(0, cells - 1)
    world = functional.one_hot(inner, cells).double()
    if fade:
        world[(index < around) | (index >= around + cells)] = 0
    # A spline with coefficients c takes the value (c[i-1] + 4 c[i] + c[i+1]) / 6 in cell i.
    values = torch.eye(size, dtype=torch.float64) * 4 / 6
    values[index[1:], index[:-1]] = values[index[:-1], index[1:]] = 1 / 6
    at = (torch.arange(pixels).double() + 0.5) * cells / pixels - 0.5 + around
    away = (at[:, None] - index).abs()  # (pixels, size)
    near, far = 2 / 3 - away**2 + away**3 / 2, (2 - away).clamp(min=0) ** 3 / 6
    spline: Tensor = torch.where(away < 1, near, far) @ torch.linalg.solve(values, world)
    return spline


def _blurred(image: Tensor, sigma: float) -> Tensor:
    """(height, width) under a Gaussian of `sigma` pixels, mirrored at its borders."""
    radius = int(4 * sigma + 0.5)
    at = torch.arange(-radius, radius + 1, device=image.device, dtype=image.dtype)
    kernel = torch.exp(-0.5 * (at / sigma) ** 2)
    kernel = kernel / kernel.sum()
    for _ in range(2):  # columns, then rows
        length = image.shape[1]
        beyond = torch.arange(-radius, length + radius, device=image.device) % (2 * length)
        mirrored = torch.minimum(beyond, 2 * length - 1 - beyond)
        padded = image[:, None, mirrored]  # (rows, 1, columns)
        image = functional.conv1d(padded, kernel[None, None])[:, 0].T
    return image
