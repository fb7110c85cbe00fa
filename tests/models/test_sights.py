"""Where a model's crop lies on a picture, held against what its processor does to a ramp."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPImageProcessor, LlavaImageProcessor, SiglipImageProcessor

import families
from seesay.models import patch_layout
from seesay.models.image_geometry import WHOLE, patch_grids, pixels, places
from seesay.models.processors import inputs_for
from seesay.models.view import ModelView

SIZES = [(400, 400), (640, 320), (240, 520), (333, 250), (37, 90)]


def ramp(size) -> Image.Image:
    """Red tells how far right a pixel is, green how far down; blue is full, so padding shows."""
    width, height = size
    x, y = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
    shares = np.stack([x, y, np.ones_like(x)], -1)
    return Image.fromarray((255 * shares).round().astype(np.uint8))


def measured(crop: Image.Image) -> tuple[float, ...]:
    """The place of a crop of a ramp, read from its colours by a straight line along each side."""
    shares = np.asarray(crop).astype(float) / 255
    inside = shares[..., 2] > 0.98
    rows, columns = np.nonzero(inside)
    ends = []
    for channel, at, long in ((0, columns, inside.shape[1]), (1, rows, inside.shape[0])):
        seen = shares[rows, columns, channel]
        middle = (seen > 0.03) & (seen < 0.97)  # the picture's own edges bend under the resampling
        slope, start = np.polyfit(at[middle] + 0.5, seen[middle], 1)
        ends.append((start, start + slope * long))
    (left, right), (top, bottom) = ends
    return (left, top, right, bottom)


def crops_of(model, processor, size):
    view = ModelView.of(model, processor)
    picture = ramp(size)
    inputs = inputs_for(model, processor, [picture], "a dog ?")
    (tiles,) = patch_layout.split(view, inputs)
    return view, tiles, places(view, tiles, picture.size)


@pytest.mark.parametrize("size", SIZES)
def test_every_tile_lies_where_its_colours_say(family, size) -> None:
    view, tiles, found = crops_of(family.model, family.processor, size)
    for tile, place in zip(tiles, found, strict=True):
        assert place is not None
        assert place == pytest.approx(measured(pixels(view, tile)), abs=0.02)


def test_a_centre_crop_is_not_the_whole_picture(llava) -> None:
    _, _, (wide,) = crops_of(llava.model, llava.processor, (640, 320))
    assert wide == pytest.approx((0.25, 0, 0.75, 1))
    _, _, (tall,) = crops_of(llava.model, llava.processor, (320, 640))
    assert tall == pytest.approx((0, 0.25, 1, 0.75))
    _, _, (square,) = crops_of(llava.model, llava.processor, (320, 320))
    assert square == WHOLE


SQUARE = {"height": 32, "width": 32}
PROCESSORS = {
    "stretched": partial(SiglipImageProcessor, size=SQUARE),
    "padded to a square": partial(
        LlavaImageProcessor, size={"shortest_edge": 32}, crop_size=SQUARE, do_pad=True
    ),
    "cropped from more": partial(CLIPImageProcessor, size={"shortest_edge": 40}, crop_size=SQUARE),
    "cropped from less": partial(CLIPImageProcessor, size={"shortest_edge": 25}, crop_size=SQUARE),
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", PROCESSORS)
def test_other_processors(llava, monkeypatch, name, size) -> None:
    made = PROCESSORS[name](do_normalize=False)
    monkeypatch.setattr(llava.processor, "image_processor", made)
    view, (tile,), (place,) = crops_of(llava.model, llava.processor, size)
    assert place is not None
    assert place == pytest.approx(measured(pixels(view, tile)), abs=0.03)


def test_what_is_not_known_is_said(llava, monkeypatch) -> None:
    class Zooming(CLIPImageProcessor):
        """A processor with rules of its own."""

    with monkeypatch.context() as patch:
        own = Zooming(size={"shortest_edge": 32}, crop_size=SQUARE)
        patch.setattr(llava.processor, "image_processor", own)
        assert crops_of(llava.model, llava.processor, (64, 64))[2] == [None]
    with monkeypatch.context() as patch:  # settings that do not give the crop that is there
        view, tiles, _ = crops_of(llava.model, llava.processor, (64, 64))
        patch.setattr(llava.processor.image_processor, "crop_size", {"height": 24, "width": 24})
        assert places(view, tiles, (64, 64)) == [None]


def test_sights_are_of_whole_pictures(family) -> None:
    shown = families.pictures(2)
    inputs = inputs_for(family.model, family.processor, shown, "a dog ?")
    for sight, tiles in zip(
        patch_grids(family.view, inputs, shown),
        patch_layout.split(family.view, inputs),
        strict=True,
    ):
        assert sight is not None
        whole = next(tile for tile in tiles if tile.whole)
        assert torch.equal(sight.cells, whole.tokens)
        assert sight.crop.size == (
            whole.box[3] - whole.box[1],
            whole.box[2] - whole.box[0],
        )


def test_an_unknown_family_has_no_sights(llava, monkeypatch) -> None:
    inputs = inputs_for(llava.model, llava.processor, families.pictures(1), "a dog ?")
    monkeypatch.setattr(llava.model.config, "model_type", "another")
    monkeypatch.setattr(patch_layout, "probed_layout", lambda view, size: None)
    assert patch_grids(llava.view, inputs, families.pictures(1)) == [None]
