"""What each column of a prompt and its text is: a beginning, punctuation, background, words, ..."""

from __future__ import annotations

import torch
from torch import Tensor

from seesay.errors import ModelError
from seesay.explain.diagnose.text_probe import Batch
from seesay.models.patch_layout import Tile

KINDS = (
    "beginning and other marks",
    "punctuation",
    "plain background",
    "rest of the picture",
    "words of the prompt",
    "words of the answer",
)
MARKS, PUNCTUATION, BACKGROUND, PICTURE, PROMPT, ANSWER = range(len(KINDS))
LOW = (MARKS, PUNCTUATION, BACKGROUND)
"""Kinds that tell the model next to nothing."""

_PLAIN = 0.25  # of a picture's patches


def kinds(batch: Batch) -> tuple[Tensor, bool]:
    """(pictures, columns) which of `KINDS` each column is; −1 on padding.

    Marks are the tokenizer's special tokens (the begin-of-text token first of all), punctuation is
    every other text token without a letter or digit, and plain background is the quarter of a
    picture's patches whose pixels vary least.

    Returns the table and whether the background is known: it is not where a family's patch order
    is unknown, and then all of the picture is its rest.
    """
    found = torch.full_like(batch.ids, ANSWER)
    found[:, : batch.length] = PROMPT
    special = torch.tensor(batch.tokenizer.all_special_ids or [-1], device=found.device)
    silent = _silent(batch)
    found[torch.isin(batch.ids, silent)] = PUNCTUATION
    found[torch.isin(batch.ids, special)] = MARKS
    found[batch.image] = PICTURE
    plain = background(batch)
    if plain is not None:
        found[plain] = BACKGROUND
    return found.masked_fill(~batch.real, -1), plain is not None


def background(batch: Batch) -> Tensor | None:
    """(pictures, columns) bool, the plain patches; None where patches have no known place."""
    plain = torch.zeros_like(batch.image)
    try:
        pictures = batch.prompt.pictures()
    except ModelError:
        return None
    for picture in pictures:
        columns, varied = [], []
        for tile in picture.tiles:
            columns.append(picture.columns[tile.tokens.flatten().to(picture.columns.device)])
            varied.append(variation(tile).flatten())
        variances = torch.cat(varied)
        bound = variances.quantile(_PLAIN)
        plain[picture.row, torch.cat(columns)[(variances <= bound).to(plain.device)]] = True
    return plain


def variation(tile: Tile) -> Tensor:
    """(rows, columns) the variance of the pixels in each cell of a crop, mean over colours."""
    top, left, bottom, right = tile.box
    shown = tile.pixels[:, top:bottom, left:right].float().cpu()
    rows, columns = tile.grid
    # Cells of padded crops may be cut; adaptive pooling shares the pixels out all the same.
    mean = torch.nn.functional.adaptive_avg_pool2d(shown, (rows, columns))
    square = torch.nn.functional.adaptive_avg_pool2d(shown**2, (rows, columns))
    return (square - mean**2).clamp(min=0).mean(0)


def _silent(batch: Batch) -> Tensor:
    """The ids of this batch that write no letter and no digit."""
    ids: Tensor = torch.unique(batch.ids)
    writes = [any(map(str.isalnum, batch.tokenizer.decode([one]))) for one in ids.tolist()]
    return ids[~torch.tensor(writes, device=ids.device)]
