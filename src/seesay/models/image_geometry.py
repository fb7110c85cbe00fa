"""Where on a picture the crop lies that a model saw of it.

A processor scales a picture, may cut its middle out and may pad it. A heat map over the model's
patches belongs on the part of the picture that they show, and on no other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from seesay.errors import ModelError
from seesay.models import patch_layout
from seesay.models.patch_layout import Tile
from seesay.models.view import ModelView

Box = tuple[float, float, float, float]
Size = tuple[int, int]

WHOLE: Box = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, eq=False)
class PatchGrid:
    """How a model saw a whole picture: as cells, each of which is one image token.

    Attributes:
        cells: (rows, columns) long, each cell's index within the picture's run of image tokens.
        place: (left, top, right, bottom) of the cells on the picture, as shares of its width and
            height. `WHOLE` is all of the picture; a centre crop lies inside, padding outside.
            None where it is not known how the processor cuts.
        crop: what the cells cover, as a picture again.
    """

    cells: Tensor
    place: Box | None
    crop: Image.Image


def patch_grids(
    view: ModelView, inputs: Mapping[str, Any], pictures: Sequence[Image.Image]
) -> list[PatchGrid | None]:
    """How the model sees each picture whole.

    Args:
        inputs: a processor's outputs for `pictures`, in order.

    Returns a PatchGrid for each picture; None for each where the family's patch order is not known.
    """
    try:
        split = patch_layout.split(view, inputs, pictures)
    except ModelError:
        return [None] * len(pictures)
    return [_whole(view, tiles, one.size) for tiles, one in zip(split, pictures, strict=True)]


def places(view: ModelView, tiles: Sequence[Tile], size: Size) -> list[Box | None]:
    """Where the cells of each tile of a picture lie on it; see `PatchGrid.place`.

    Args:
        tiles: all tiles of one picture, as `patches.split` returns them.
        size: (width, height) of the picture as the processor was given it.
    """
    crops = _CROPS.get(view.model.config.model_type, _stretched)(view, tiles, size)
    return [
        None if crop is None else _cells(tile, crop)
        for tile, crop in zip(tiles, crops, strict=True)
    ]


def pixels(view: ModelView, tile: Tile) -> Image.Image:
    """A tile as a picture again: its normalisation undone, its padding cut off."""
    top, left, bottom, right = tile.box
    shown = tile.pixels[:, top:bottom, left:right].float().cpu()
    images = _images(view)
    if getattr(images, "do_normalize", False):
        mean, std = torch.tensor(images.image_mean), torch.tensor(images.image_std)
        shown = shown * std[:, None, None] + mean[:, None, None]
    return Image.fromarray((shown.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy())


def _whole(view: ModelView, tiles: Sequence[Tile], size: Size) -> PatchGrid | None:
    pairs = zip(tiles, places(view, tiles, size), strict=True)
    tile, place = next(pair for pair in pairs if pair[0].whole)
    return PatchGrid(tile.tokens, place, pixels(view, tile))


def _cells(tile: Tile, crop: Box) -> Box:
    """The cells' part of a crop that lies at `crop`; the rest of it is padding."""
    _, height, width = tile.pixels.shape
    left, top, right, bottom = crop
    wide, high = (right - left) / width, (bottom - top) / height
    begin, first, end, last = tile.box
    return (left + first * wide, top + begin * high, left + last * wide, top + end * high)


def _stretched(view: ModelView, tiles: Sequence[Tile], size: Size) -> list[Box | None]:
    """Families that scale the picture to the crop, both sides on their own."""
    return [WHOLE if tile.whole else None for tile in tiles]


def _llava(view: ModelView, tiles: Sequence[Tile], size: Size) -> list[Box | None]:
    return [_by_settings(_images(view), size, _size(tile)) for tile in tiles]


def _llava_next(view: ModelView, tiles: Sequence[Tile], size: Size) -> list[Box | None]:
    base, *larger = tiles
    boxes = [_letterbox(size, _size(canvas)) for canvas in larger]
    return [*_stretched(view, [base], size), *boxes]


def _internvl(view: ModelView, tiles: Sequence[Tile], size: Size) -> list[Box | None]:
    """Crops of a grid whose shape is the nearest to the picture's, then the picture stretched."""
    images = _images(view)
    grid_of = getattr(import_module(type(images).__module__), "get_optimal_tiled_canvas", None)
    small = [tile for tile in tiles if not tile.whole]
    found: list[Box | None] = [None] * len(small)
    if small and grid_of is not None:
        sides = (small[0].pixels.shape[1], small[0].pixels.shape[2])
        columns, rows = grid_of(size[::-1], sides, images.min_patches, images.max_patches)
        if columns * rows == len(small):
            cells = [divmod(k, columns) for k in range(len(small))]
            found = [(c / columns, r / rows, (c + 1) / columns, (r + 1) / rows) for r, c in cells]
    return [*found, *(WHOLE for tile in tiles if tile.whole)]


_CROPS = {"llava": _llava, "llava_next": _llava_next, "internvl": _internvl}


def _images(view: ModelView) -> Any:
    """The image part of the model's processor; None if there is none."""
    return getattr(view.processor, "image_processor", None)


def _size(tile: Tile) -> Size:
    return (tile.pixels.shape[2], tile.pixels.shape[1])


def _letterbox(size: Size, canvas: Size) -> Box:
    """A picture scaled until it fits `canvas`, and centred there (LLaVA-NeXT's larger picture)."""
    scale = min(room / long for room, long in zip(canvas, size, strict=True))
    ends = []
    for room, long in zip(canvas, size, strict=True):
        shown = min(-int(-long * scale // 1), room)  # rounded up
        before = (room - shown) // 2
        ends.append((-before / shown, (room - before) / shown))
    (left, right), (top, bottom) = ends
    return (left, top, right, bottom)


# Image processors that do what their settings say and no more: pad to a square, scale, cut the
# middle out. Names are those of their slow, fast and Pillow versions without the ending.
_BY_SETTINGS = {
    "BlipImageProcessor",
    "CLIPImageProcessor",
    "LlavaImageProcessor",
    "SiglipImageProcessor",
    "ViTImageProcessor",
}


def _by_settings(images: Any, size: Size, crop: Size) -> Box | None:
    """The whole crop (width, height) on the picture, from the processor's settings.

    None for another kind of processor, and where the settings do not give that crop.
    """
    if type(images).__name__.removesuffix("Pil").removesuffix("Fast") not in _BY_SETTINGS:
        return None
    padded = max(size) if getattr(images, "do_pad", False) else 0
    canvas = tuple(max(long, padded) for long in size)
    scaled = _scaled(images, canvas) if getattr(images, "do_resize", True) else canvas
    cuts = getattr(images, "do_center_crop", False)
    wanted = (images.crop_size["width"], images.crop_size["height"]) if cuts else scaled
    if scaled is None or wanted != crop:
        return None
    ends = []
    for long, whole, now, shown in zip(size, canvas, scaled, crop, strict=True):
        before = (now - shown) // 2  # negative where the crop is larger and padded
        pad = (whole - long) // 2
        ends.append([(at * whole / now - pad) / long for at in (before, before + shown)])
    (left, right), (top, bottom) = ends
    return (left, top, right, bottom)


def _scaled(images: Any, canvas: tuple[int, ...]) -> tuple[int, ...] | None:
    """(width, height) after scaling by the processor's `size`; None for a rule not known here."""
    given = {name: value for name, value in dict(images.size).items() if value}
    if given.keys() == {"height", "width"}:
        return (given["width"], given["height"])
    if given.keys() == {"shortest_edge"}:
        short = given["shortest_edge"]
        return tuple(
            short if long == min(canvas) else int(short * long / min(canvas)) for long in canvas
        )
    return None
