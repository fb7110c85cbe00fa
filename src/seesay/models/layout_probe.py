"""Which image token is which part of a picture, found out by looking: for families whose patch
order is written down nowhere here.

A square of a picture is painted over, and the token whose embedding moves most is the one that
stands for it. Some squares decide between the few grids that the number of tokens allows; a layout
is taken only if so many of them moved the token that they should have that chance cannot be it, and
two of three at least. Towers that mix patches
into every token (Q-formers, resamplers) agree with no grid, and are left unknown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import comb, isqrt
from typing import Any, Final
from weakref import WeakKeyDictionary

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from seesay.errors import InputError, ModelError
from seesay.models.processors import inputs_for
from seesay.models.view import ModelView

SQUARES: Final = 24
"""Squares that are painted over."""

Box = tuple[float, float, float, float]
"""(left, top, right, bottom) as shares of a width and a height."""

_PROMPT: Final = "Describe the image."


@dataclass(frozen=True)
class ProbedLayout:
    """Where a picture's tokens lie.

    Attributes:
        tokens: (rows, columns) long, the token of each cell of the picture, cells left to right and
            top to bottom; each is an index within the picture's run of image tokens.
        box: the part of the picture that the cells cover, as shares of its width and height.
        run: image tokens of the picture, those that stand for no cell of this grid among them.
        agreed, asked: how many squares moved the token that they should have, of how many.
    """

    tokens: Tensor
    box: Box
    run: int
    agreed: int
    asked: int


_FOUND: WeakKeyDictionary[Any, dict[tuple[int, int], ProbedLayout | None]] = WeakKeyDictionary()


def probed_layout(view: ModelView, size: tuple[int, int]) -> ProbedLayout | None:
    """The layout of a picture of this (width, height); None where squares agree with no grid.

    Found out once a model and size, by `SQUARES` + 1 runs of the vision tower.

    Raises:
        ModelError, InputError: see `inputs_for`.
    """
    found = _FOUND.setdefault(view.model, {})
    if size not in found:
        found[size] = _look(view, size)
    return found[size]


def _look(view: ModelView, size: tuple[int, int]) -> ProbedLayout | None:
    chance = np.random.default_rng(0)
    canvas = chance.integers(64, 192, (size[1], size[0], 3), dtype=np.uint8)
    before = _embedded(view, Image.fromarray(canvas))
    if before is None:
        return None
    grids = [(tokens, box) for tokens in _grids(len(before), size) for box in _boxes(view, size)]
    agreed, asked, chance_of = ([0.0] * len(grids) for _ in range(3))
    side = _SIDE / max(isqrt(len(before)), 2)
    for _ in range(SQUARES):
        left, top = chance.uniform(0, 1 - side, 2)
        painted = canvas.copy()
        rows = slice(round(top * size[1]), max(round((top + side) * size[1]), 1))
        columns = slice(round(left * size[0]), max(round((left + side) * size[0]), 1))
        painted[rows, columns] = 255 * (painted[rows, columns] < 128)
        after = _embedded(view, Image.fromarray(painted))
        if after is None or after.shape != before.shape:
            return None
        moved = (after - before).norm(dim=-1)
        square = (left, top, left + side, top + side)
        for k, (tokens, box) in enumerate(grids):
            if (seen := _within(square, box)) is not None:
                under = _under(tokens.shape, seen)  # (rows, columns)
                asked[k] += 1
                chance_of[k] += float(under.float().mean())
                agreed[k] += bool(under.flatten()[moved[tokens].argmax()])
    clean = [
        k
        for k, n in enumerate(asked)
        if agreed[k] >= _MOST * n and _by_chance(int(agreed[k]), int(n), chance_of[k]) < _CERTAIN
    ]
    if not clean:
        return None
    # Of a coarse grid and a fine one in the same tokens (tiles, and the whole) the fine one shows
    # more; of as many cells the one that more squares agree with.
    best = max(clean, key=lambda k: (grids[k][0].numel(), agreed[k] / asked[k], asked[k]))
    return ProbedLayout(*grids[best], len(before), int(agreed[best]), int(asked[best]))


def _boxes(view: ModelView, size: tuple[int, int]) -> Iterator[Box]:
    """The parts of a picture that a processor may show: all of it, or its middle."""
    yield 0.0, 0.0, 1.0, 1.0
    images = getattr(view.processor, "image_processor", None)
    if not getattr(images, "do_center_crop", False):
        return
    shorter = min(size)
    crop, edge = getattr(images, "crop_size", None), getattr(images, "size", None)
    share = 1.0
    if crop and edge and "height" in crop and "shortest_edge" in edge:
        share = crop["height"] / edge["shortest_edge"]
    wide, high = (min(1.0, share * shorter / side) for side in size)
    yield (1 - wide) / 2, (1 - high) / 2, (1 + wide) / 2, (1 + high) / 2


def _within(square: Box, box: Box) -> Box | None:
    """A square in the box's own shares; None if it does not lie in it whole."""
    wide, high = box[2] - box[0], box[3] - box[1]
    left, right = ((square[k] - box[0]) / wide for k in (0, 2))
    top, bottom = ((square[k] - box[1]) / high for k in (1, 3))
    inside = min(left, top) >= 0 and max(right, bottom) <= 1
    return (left, top, right, bottom) if inside else None


def _grids(tokens: int, size: tuple[int, int]) -> Iterator[Tensor]:
    """The grids that a picture's tokens may form: row-major, all of them or an equal share at the
    beginning or the end (tiles beside the whole picture), rows perhaps ended by a newline."""
    for share in range(1, 17):
        for count in {tokens // share, (tokens - 1) // share, tokens // share - 1}:
            if count < 4:
                continue
            for start in {0, tokens - count, 1} if share == 1 else {0, tokens - count}:
                if start + count > tokens:
                    continue
                for newline in (0, 1):
                    yield from _row_major(count, start, newline, size)


def _row_major(count: int, start: int, newline: int, size: tuple[int, int]) -> Iterator[Tensor]:
    for rows in range(2, count // 2 + 1):
        columns, rest = divmod(count, rows)
        if rest or columns - newline < 2:
            continue
        stretched = (columns / rows) / (size[0] / size[1])
        if columns != rows and not 0.4 < stretched < 2.5:  # square crops of any picture, or like it
            continue
        yield torch.arange(start, start + count).view(rows, columns)[:, : columns - newline]


def _under(shape: Sequence[int], square: Box) -> Tensor:
    """(rows, columns) bool, the cells of which a tenth or more lies under a square."""
    sides = []
    for cells, begin, end in zip(shape, square[1::-1], square[:1:-1], strict=True):
        at = torch.arange(cells)
        over = (at + 1).clamp(max=end * cells) - at.clamp(min=begin * cells)
        sides.append(over.clamp(min=0))
    return sides[0][:, None] * sides[1] >= _LEAST


def _by_chance(agreed: int, asked: int, expected: float) -> float:
    """The probability that so many squares or more agree with a grid that means nothing.

    Args:
        expected: how many would.
    """
    p = min(expected / max(asked, 1), 1.0)
    return sum(comb(asked, k) * p**k * (1 - p) ** (asked - k) for k in range(agreed, asked + 1))


_MOST: Final = 2 / 3  # of the squares must agree: a tower mixes what lies beside each other
_CERTAIN: Final = 1e-4
_LEAST: Final = 0.1
_SIDE: Final = 0.7  # of a square, in cells of a square grid


class _EmbeddedError(Exception):
    """Carries what a decoder was given, out of the forward that need not go on."""


@torch.no_grad()
def _embedded(view: ModelView, picture: Image.Image) -> Tensor | None:
    """(image tokens, hidden) of a picture as the decoder gets them; None if it gets none."""

    def stop(module: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        raise _EmbeddedError(kwargs.get("inputs_embeds"))

    inputs = inputs_for(view.model, view.processor, [picture], _PROMPT)
    hook = view.decoder.register_forward_pre_hook(stop, with_kwargs=True)
    try:
        view.model(**inputs, use_cache=False)
    except _EmbeddedError as embedded:
        given: Tensor | None = embedded.args[0]
        if given is None:
            return None
        return given[0][view.image_columns(**inputs)[0].to(given.device)].float().cpu()
    finally:
        hook.remove()
    return None


def as_pixels(view: ModelView, picture: Image.Image) -> Tensor:
    """A picture (3, height, width) as the processor normalises one, at its own size."""
    mean, deviation = _statistics(view)
    pixels = torch.from_numpy(np.asarray(picture.convert("RGB")).copy()).permute(2, 0, 1) / 255
    return (pixels - mean) / deviation


def as_picture(view: ModelView, pixels: Tensor) -> Image.Image:
    """The picture that `as_pixels` was made from."""
    mean, deviation = _statistics(view)
    shown = pixels.float().cpu() * deviation + mean
    return Image.fromarray((shown.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy())


def _statistics(view: ModelView) -> tuple[Tensor, Tensor]:
    images = getattr(view.processor, "image_processor", None)
    if not getattr(images, "do_normalize", False):
        return torch.zeros(3, 1, 1), torch.ones(3, 1, 1)
    both = (images.image_mean, images.image_std)  # type: ignore[union-attr]
    mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in both)
    return mean, deviation


def read_again(
    view: ModelView, inputs: Mapping[str, Any], pictures: Sequence[Image.Image]
) -> dict[str, Tensor]:
    """The pixel inputs of a prompt, had its pictures been these.

    Raises:
        ModelError: pictures that are laid out otherwise than the prompt's.
    """
    if view.processor is None:
        raise InputError("reading pictures again takes the model's processor; open with processor=")
    per_row = _pictures_per_row(view, inputs, pictures)
    given = iter(pictures)
    rows = [[next(given) for _ in range(count)] for count in per_row]
    token = str(view.processor.image_token)
    batch = view.processor(
        images=rows, text=[token * len(row) for row in rows], padding=True, return_tensors="pt"
    )
    own = {
        name: value
        for name, value in batch.items()
        if isinstance(value, Tensor) and name in inputs and not _of_text(name)
    }
    for name, value in own.items():
        if value.shape != inputs[name].shape:
            raise ModelError(
                f"the changed pictures give {name} of shape {tuple(value.shape)}, the prompt has "
                f"{tuple(inputs[name].shape)}; use a method that leaves the image as it is"
            )
    return {name: value.to(inputs[name]) for name, value in own.items()}


def values_by_picture(
    view: ModelView, inputs: Mapping[str, Any], pixels: Tensor
) -> Iterator[tuple[int, Tensor]]:
    """Each picture's part of `pixel_values`, as views of `pixels`, and its index in its prompt.

    Raises:
        ModelError: values that cannot be told apart by picture.
    """
    grid = inputs.get("image_grid_thw")
    counts = view.image_columns(**inputs).sum(1).tolist()  # image tokens of each prompt
    if grid is not None and int(grid.prod(-1).sum()) == len(pixels):
        sizes = grid.prod(-1).tolist()  # patches, of which equally many are one token
        merged = sum(sizes) // max(sum(counts), 1)
        row = index = left = start = 0
        for size in sizes:
            if not left:
                row, index = next(n for n in range(row, len(counts)) if counts[n]), 0
                left, row = counts[row], row + 1
            yield index, pixels[start : start + size]
            start, index, left = start + size, index + 1, left - size // merged
    elif not any(count % max(sum(counts) // len(pixels), 1) for count in counts):
        each = max(sum(counts) // len(pixels), 1)  # tokens of a picture, or of a tile of one
        start = 0
        for count in counts:
            for index in range(count // each):
                yield index, pixels[start + index : start + index + 1]
            start += count // each
    elif len(pixels) == len(counts) or (len(set(counts)) == 1 and not len(pixels) % len(counts)):
        each = len(pixels) // len(counts)
        for start in range(0, len(pixels), each):
            yield 0, pixels[start : start + each]
    else:
        raise ModelError(
            f"pixel_values {tuple(pixels.shape)} of {len(counts)} prompts: which belong to which "
            "picture is not known for this family; ask about prompts with equally many pictures"
        )


def _of_text(name: str) -> bool:
    by_token = name.endswith(("attention_mask", "token_type_ids")) and not name.startswith("pixel")
    return by_token or name in ("input_ids", "labels")


def _pictures_per_row(
    view: ModelView, inputs: Mapping[str, Any], pictures: Sequence[Image.Image]
) -> list[int]:
    """How many of the pictures each prompt holds, by the image tokens that they take."""
    counts = view.image_columns(**inputs).sum(1).tolist()
    if len(pictures) == len(counts):
        return [1] * len(counts)
    found, left = [0] * len(counts), list(counts)
    row = 0
    for picture in pictures:
        layout = probed_layout(view, picture.size)
        row = next((n for n in range(row, len(left)) if left[n]), len(left))
        if layout is None or row == len(left):
            raise ModelError(
                f"{len(pictures)} pictures in {len(counts)} prompts: which is whose is not known "
                "for this family; ask about one picture a prompt"
            )
        found[row] += 1
        left[row] -= layout.run
    return found
