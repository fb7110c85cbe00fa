"""The crops that a model saw of each picture, and the image token of each cell of a crop.

    tiles = split(view, inputs)                  # per image: the tiles the model saw
    darker = replace(tile, pixels=...)           # change one
    inputs |= assemble(view, inputs, tiles)      # back to what the model takes

A model cuts a picture into crops, the crops into patches, and may merge neighbouring patches into
one token; each family orders them its own way. Here that order is written down, once a family.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor

from seesay.errors import InputError, ModelError
from seesay.models import compat
from seesay.models.layout_probe import as_picture, as_pixels, probed_layout, read_again
from seesay.models.view import ModelView

# Letters in shape comments: T tiles, H and W pixels of a crop, h and w patches, m patches merged
# along a side, p pixels along a patch's side.

Inputs = Mapping[str, Any]
Tiles = Sequence[Sequence["Tile"]]


@dataclass(frozen=True, eq=False)
class Tile:
    """One crop that the model saw, with the image token of each of its cells.

    Attributes:
        pixels: (3, H, W), normalised as the model takes them.
        grid: (rows, columns) of cells.
        box: (top, left, bottom, right), the pixels that the grid covers; the rest is padding.
        tokens: (rows, columns) long; each cell's index within this image's run of image tokens.
        whole: whether the crop shows the whole picture (LLaVA: what its processor's crop left).
        after: tokens of the image that stand behind its last cell, for no cell.
    """

    pixels: Tensor
    grid: tuple[int, int]
    box: tuple[int, int, int, int]
    tokens: Tensor
    whole: bool = True
    after: int = 0


def split(
    view: ModelView, inputs: Inputs, pictures: Sequence[Image] | None = None
) -> list[list[Tile]]:
    """The tiles of each image, images in order of appearance over the batch.

    Args:
        view: the model.
        inputs: a processor's outputs; no images give an empty list.
        pictures: what the processor made them from; a family whose patch order is not written down
            here is then probed (`layout_probe`), and each picture is one tile.

    Raises:
        ModelError: a family whose patch order is not known here, and not found out.
    """
    layout = _known(view)
    if layout is not None:
        return [] if inputs.get("pixel_values") is None else layout.split(view, inputs)
    if not bool(view.image_columns(**inputs).any()):
        return []
    if pictures is None or view.processor is None:
        raise _unknown(view, "the pictures themselves are not at hand, to find it out by")
    return [[_probed(view, picture)] for picture in pictures]


def _probed(view: ModelView, picture: Image) -> Tile:
    found = probed_layout(view, picture.size)
    if found is None:
        raise _unknown(view, "no part of a picture moves one image token of its own")
    rows, columns = found.tokens.shape
    left, top, right, bottom = found.box
    high, wide = picture.height, picture.width
    whole = (round(top * high), round(left * wide), round(bottom * high), round(right * wide))
    after = found.run - 1 - int(found.tokens.max())
    return Tile(as_pixels(view, picture), (rows, columns), whole, found.tokens, after=after)


def assemble(view: ModelView, inputs: Inputs, tiles: Tiles) -> dict[str, Any]:
    """The model's pixel inputs from (changed) tiles; unchanged tiles give them back bit for bit.

    Args:
        view: the model.
        inputs: what `tiles` were split from.
        tiles: as `split` returned them, with other `pixels` of the same shape.

    Returns:
        `pixel_values` and the inputs that describe them (`image_sizes`, `image_grid_thw`).

    Raises:
        InputError: not as many tiles as `inputs` holds.
    """
    layout = _known(view)
    if layout is None:
        shown = [as_picture(view, tile.pixels) for image in tiles for tile in image]
        return read_again(view, inputs, shown)
    companions = {
        name: inputs[name] for name in ("image_sizes", "image_grid_thw") if name in inputs
    }
    original: Tensor = inputs["pixel_values"]
    pixels = layout.assemble(inputs, tiles).to(original)
    if pixels.shape != original.shape:
        raise InputError(
            f"tiles make pixel_values {tuple(pixels.shape)} where the inputs have "
            f"{tuple(original.shape)}; pass every tile that split returned, none resized"
        )
    return {"pixel_values": pixels, **companions}


def is_known(view: ModelView) -> bool:
    """Whether the family's patch order is written down here; others are probed."""
    return _known(view) is not None


def run_length(tiles: Sequence[Tile]) -> int:
    """How many image tokens stand for one image, those that end a row of cells included."""
    return int(max(tile.tokens.max() for tile in tiles)) + 1 + sum(tile.after for tile in tiles)


def black(view: ModelView) -> Tensor:
    """The value (3,) of a black pixel after the processor's normalisation; zeros if unknown."""
    images = getattr(view.processor, "image_processor", None)
    if images is None or not getattr(images, "do_normalize", False):
        return torch.zeros(3)
    return -torch.tensor(images.image_mean) / torch.tensor(images.image_std)


@dataclass(frozen=True)
class _Layout:
    split: Callable[[ModelView, Inputs], list[list[Tile]]]
    assemble: Callable[[Inputs, Tiles], Tensor]


def _known(view: ModelView) -> _Layout | None:
    config = view.model.config
    if config.model_type == "llava" and _tower(config) not in _FIRST_TOKEN:
        return None
    return _LAYOUTS.get(config.model_type)


def _unknown(view: ModelView, why: str) -> ModelError:
    return ModelError(
        f"where the patches of this {view.model.config.model_type} model lie on a picture is not "
        f"known: {why}; use a method that leaves the image as it is"
    )


# LLaVA: every picture is one square crop of row-major patches.

# Where the first patch's token is, by tower and feature strategy: CLIP puts a class token first.
_FIRST_TOKEN = {
    ("clip_vision_model", "default"): 0,
    ("clip_vision_model", "full"): 1,
    ("siglip_vision_model", "full"): 0,
}


def _tower(config: Any) -> tuple[str, str]:
    return config.vision_config.model_type, config.vision_feature_select_strategy


def _split_llava(view: ModelView, inputs: Inputs) -> list[list[Tile]]:
    config = view.model.config
    first = _FIRST_TOKEN[_tower(config)]
    pixels: Tensor = inputs["pixel_values"]  # (images, 3, H, W)
    side = config.vision_config.patch_size
    return [[_tile(crop, side, first)] for crop in pixels]


def _stack_crops(inputs: Inputs, tiles: Tiles) -> Tensor:
    return torch.stack([tile.pixels for image in tiles for tile in image])  # (T, 3, H, W)


# InternVL: a grid of square crops, then the whole picture; pixel shuffle merges patches into one
# token and keeps the tokens row-major. Crops of all images follow each other without a count.


def _split_internvl(view: ModelView, inputs: Inputs) -> list[list[Tile]]:
    config = view.model.config
    cell = round(_first(config.vision_config.patch_size) / config.downsample_ratio)  # pixels
    crops = iter(inputs["pixel_values"])  # (T, 3, H, W)
    images = []
    for run in _image_runs(view, inputs):
        tiles: list[Tile] = []
        seen = 0
        while seen < run:
            tile = _tile(next(crops), cell, seen, whole=False)
            seen += tile.tokens.numel()
            tiles.append(tile)
        tiles[-1] = _whole(tiles[-1])
        images.append(tiles)
    return images


def _image_runs(view: ModelView, inputs: Inputs) -> list[int]:
    """Lengths of the runs of image tokens, one an image, row after row."""
    columns = view.image_columns(inputs["input_ids"]).int()  # (batch, columns)
    edges = torch.nn.functional.pad(columns, (1, 1)).diff(dim=1)  # (batch, columns + 1)
    starts, ends = (edges == 1).nonzero()[:, 1], (edges == -1).nonzero()[:, 1]
    return [int(length) for length in ends - starts]


# LLaVA-NeXT: the whole picture as one square crop, then the picture at a higher resolution, cut
# into square crops. The model puts those together again, drops the cells that hold only padding
# and ends each row with a newline token, which stands for no cell.


def _split_llava_next(view: ModelView, inputs: Inputs) -> list[list[Tile]]:
    config = view.model.config
    side = config.vision_config.patch_size
    images = []
    for crops, size in zip(inputs["pixel_values"], inputs["image_sizes"].tolist(), strict=True):
        base = _tile(crops[0], side)
        rows, columns = _crop_grid(view, size)
        canvas = _join(crops[1 : 1 + rows * columns], rows, columns)  # (3, H, W)
        h, w = canvas.shape[1] // side, canvas.shape[2] // side
        cells = torch.arange(h * w).reshape(1, h, w)
        kept = compat.without_padding(cells, size)[0]  # (rows, columns): cells not padding
        if not kept.numel():  # a strip so thin that no cell is left of it, its newlines at most
            images.append([replace(base, after=kept.shape[0])])
            continue
        top, left = divmod(int(kept[0, 0]), w)
        bottom, right = divmod(int(kept[-1, -1]), w)
        grid = (kept.shape[0], kept.shape[1])
        tokens = torch.arange(grid[0] * (grid[1] + 1)).reshape(grid[0], grid[1] + 1)[:, :-1]
        box = (top * side, left * side, (bottom + 1) * side, (right + 1) * side)
        images.append([base, Tile(canvas, grid, box, base.tokens.numel() + tokens, after=1)])
    return images


def _assemble_llava_next(inputs: Inputs, tiles: Tiles) -> Tensor:
    pixels: Tensor = inputs["pixel_values"].clone()  # (images, T, 3, H, W), padded with zero tiles
    for crops, (base, *larger) in zip(pixels, tiles, strict=True):
        crops[0] = base.pixels
        for canvas in larger:
            cut = _cut(canvas.pixels, crops.shape[-1])
            crops[1 : 1 + len(cut)] = cut
    return pixels


def _crop_grid(view: ModelView, size: Sequence[int]) -> tuple[int, int]:
    config = view.model.config
    return compat.crop_grid(size, config.image_grid_pinpoints, config.vision_config.image_size)


def _join(crops: Tensor, rows: int, columns: int) -> Tensor:
    side = crops.shape[-1]
    return (
        crops.reshape(rows, columns, 3, side, side).permute(2, 0, 3, 1, 4).flatten(3).flatten(1, 2)
    )


def _cut(canvas: Tensor, side: int) -> Tensor:
    rows, columns = canvas.shape[1] // side, canvas.shape[2] // side
    return canvas.reshape(3, rows, side, columns, side).permute(1, 3, 0, 2, 4).flatten(0, 1)


# Qwen2-VL and Qwen2.5-VL: pictures of any size. Each row of pixel_values is a patch; patches that
# are merged into one token follow each other; each patch is there twice, as two frames.


def _split_qwen(view: ModelView, inputs: Inputs) -> list[list[Tile]]:
    vision = view.model.config.vision_config
    m, p = vision.spatial_merge_size, vision.patch_size
    images = []
    grids = inputs["image_grid_thw"].tolist()
    for rows, (_, h, w) in zip(_per_image(inputs), grids, strict=True):
        patches = rows.reshape(h // m, w // m, m, m, 3, -1, p, p)[:, :, :, :, :, 0]  # one frame
        pixels = patches.permute(4, 0, 2, 5, 1, 3, 6).reshape(3, h * p, w * p)
        images.append([_tile(pixels, m * p)])
    return images


def _assemble_qwen(inputs: Inputs, tiles: Tiles) -> Tensor:
    rows = []
    grids = inputs["image_grid_thw"].tolist()
    for original, (tile,), (_, h, w) in zip(_per_image(inputs), tiles, grids, strict=True):
        p, m = tile.pixels.shape[1] // h, h // tile.grid[0]
        patches = tile.pixels.reshape(3, h // m, m, p, w // m, m, p).permute(1, 4, 2, 5, 0, 3, 6)
        frames = original.shape[1] // (3 * p * p)
        twice = patches.unsqueeze(5).expand(-1, -1, -1, -1, -1, frames, -1, -1)
        rows.append(twice.reshape(original.shape))  # (h w, 3 frames p p)
    return torch.cat(rows)


def _per_image(inputs: Inputs) -> Iterator[Tensor]:
    return iter(inputs["pixel_values"].split(inputs["image_grid_thw"].prod(-1).tolist()))


_LAYOUTS = {
    "llava": _Layout(_split_llava, _stack_crops),
    "llava_next": _Layout(_split_llava_next, _assemble_llava_next),
    "qwen2_vl": _Layout(_split_qwen, _assemble_qwen),
    "qwen2_5_vl": _Layout(_split_qwen, _assemble_qwen),
    "internvl": _Layout(_split_internvl, _stack_crops),
}


def _tile(pixels: Tensor, cell: int, first: int = 0, whole: bool = True) -> Tile:
    """A crop (3, H, W) of row-major cells, `cell` pixels along a side, from token `first` on."""
    rows, columns = pixels.shape[1] // cell, pixels.shape[2] // cell
    tokens = first + torch.arange(rows * columns).reshape(rows, columns)
    return Tile(pixels, (rows, columns), (0, 0, rows * cell, columns * cell), tokens, whole)


def _whole(tile: Tile) -> Tile:
    return Tile(tile.pixels, tile.grid, tile.box, tile.tokens, whole=True)


def _first(size: int | Sequence[int]) -> int:
    return size if isinstance(size, int) else size[0]
