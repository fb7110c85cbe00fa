"""Tiles and tokens: change a cell's pixels, and exactly that cell's token must change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from families import inputs as make_inputs
from families import pictures
from seesay.errors import InputError, ModelError
from seesay.models import layout_probe
from seesay.models.image_geometry import patch_grids
from seesay.models.patch_layout import assemble, black, run_length, split
from seesay.models.processors import inputs_for


@pytest.fixture
def patch_local(family: Any) -> Any:
    """The family with its tower's attention silenced, so that a token sees its own cell alone."""
    silenced = []
    for name, module in family.model.named_modules():
        vision = "vision_tower" in name or "visual" in name
        if vision and name.endswith(("out_proj", "attn.proj", "projection_layer")):
            silenced.append((module, module.weight.clone(), module.bias.clone()))
            module.weight.zero_()
            module.bias.zero_()
    assert silenced
    yield family
    for module, weight, bias in silenced:
        module.weight.copy_(weight)
        module.bias.copy_(bias)


def features(family: Any, batch: dict[str, Any]) -> list[torch.Tensor]:
    """Each image's features (tokens, hidden), whatever the family's own packing."""
    flat = torch.cat([*family.view.encode_images(**batch).pooler_output])
    runs = [run_length(image) for image in split(family.view, batch)]
    return list(flat.split(runs))


def test_every_cell_is_its_token(patch_local: Any) -> None:
    family, view, batch = patch_local, patch_local.view, patch_local.batch()
    before = features(family, batch)
    tiles = split(view, batch)
    generator = torch.Generator().manual_seed(0)
    for index, image in enumerate(tiles):
        for number, tile in enumerate(image):
            top, left, bottom, right = tile.box
            height, width = (bottom - top) // tile.grid[0], (right - left) // tile.grid[1]
            for row in range(tile.grid[0]):
                for column in range(tile.grid[1]):
                    if (row + column + index) % 3:  # a third of the cells, in every row and column
                        continue
                    y, x = top + row * height, left + column * width
                    pixels = tile.pixels.clone()
                    cell = pixels[:, y : y + height, x : x + width]
                    cell += torch.randn(cell.shape, generator=generator)
                    changed = [list(tiles_) for tiles_ in tiles]
                    changed[index][number] = replace(tile, pixels=pixels)
                    after = features(family, {**batch, **assemble(view, batch, changed)})
                    moved = [
                        (i, token)
                        for i, (a, b) in enumerate(zip(before, after, strict=True))
                        for token in (a - b).abs().amax(-1).gt(1e-6).nonzero().flatten().tolist()
                    ]
                    assert moved == [(index, int(tile.tokens[row, column]))]


def test_assembling_unchanged_tiles_changes_no_bit(family: Any) -> None:
    batch = family.batch()
    rebuilt = assemble(family.view, batch, split(family.view, batch))
    for name, value in rebuilt.items():
        assert torch.equal(value, batch[name])
    assert rebuilt["pixel_values"].dtype == batch["pixel_values"].dtype


def test_tokens_are_those_of_the_prompt(family: Any) -> None:
    batch = family.batch()
    tiles = split(family.view, batch)
    assert len(tiles) == 4
    expected = int(family.view.image_columns(**batch).sum())
    assert sum(run_length(image) for image in tiles) == expected
    tokens = [torch.cat([tile.tokens.flatten() for tile in image]) for image in tiles]
    for image in tokens:
        assert len(image.unique()) == len(image)


# Sizes (width, height) that the family's processor need not resize.
UNRESIZED = [
    ("llava", (32, 32)),
    ("llava-next", (64, 32)),
    ("llava-next", (32, 96)),
    ("qwen2.5-vl", (48, 32)),
    ("qwen2.5-vl", (32, 80)),
    ("internvl", (32, 32)),
]


@pytest.mark.parametrize(("name", "size"), UNRESIZED)
def test_a_tile_holds_the_pixels_of_the_picture(
    families_by_name: Any, name: str, size: tuple[int, int]
) -> None:
    family = families_by_name(name)
    width, height = size
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    picture = Image.fromarray(noise)
    batch = make_inputs(name, family.model, family.processor, ["a"], [[picture]])
    tile = split(family.view, batch)[0][-1]
    std = torch.tensor(family.processor.image_processor.image_std)[:, None, None]
    pixels = (tile.pixels - black(family.view)[:, None, None]) * std * 255
    assert torch.allclose(pixels, torch.from_numpy(noise).permute(2, 0, 1).float(), atol=1e-2)


def test_padding_of_llava_next_lies_outside_the_box(families_by_name: Any) -> None:
    family = families_by_name("llava-next")
    for size in ((100, 36), (30, 90), (64, 64), (97, 41)):
        picture = pictures(1)[0].resize(size)
        batch = make_inputs(family.name, family.model, family.processor, ["a"], [[picture]])
        (_, canvas), *_ = split(family.view, batch)
        top, left, bottom, right = canvas.box
        assert (bottom - top, right - left) == (canvas.grid[0] * 8, canvas.grid[1] * 8)
        outside = canvas.pixels.clone()
        outside[:, top:bottom, left:right] = black(family.view)[:, None, None]
        assert torch.allclose(outside, black(family.view)[:, None, None].expand_as(outside))


def test_black_is_a_black_picture(family: Any) -> None:
    picture = pictures(1)[0].point(lambda _: 0)
    batch = make_inputs(family.name, family.model, family.processor, ["a"], [[picture]])
    for tile in split(family.view, batch)[0]:
        assert torch.allclose(tile.pixels, black(family.view)[:, None, None], atol=1e-5)
    assert torch.equal(black(replace(family.view, processor=None)), torch.zeros(3))


def test_a_class_token_comes_before_the_patches(
    llava: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llava.model.config, "vision_feature_select_strategy", "full")
    ((tile,), *_) = split(llava.view, llava.batch())
    assert tile.tokens.tolist() == (1 + torch.arange(16)).reshape(4, 4).tolist()
    monkeypatch.setattr(llava.model.config.vision_config, "model_type", "pixtral")
    with pytest.raises(ModelError, match="llava model"):
        split(llava.view, llava.batch())


def test_no_pictures_no_tiles(llava: Any) -> None:
    batch = make_inputs("llava", llava.model, llava.processor, ["a dog"], [[]])
    assert split(llava.view, batch) == []


def test_a_lost_tile_is_refused(llava: Any) -> None:
    batch = llava.batch()
    with pytest.raises(InputError, match="pass every tile"):
        assemble(llava.view, batch, split(llava.view, batch)[:-1])


def test_an_unknown_family_is_named(llava: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    view, batch = llava.view, llava.batch()
    monkeypatch.setattr(type(llava.model.config), "model_type", "zorg")
    with pytest.raises(ModelError, match=r"zorg.*not at hand, to find it out by"):
        split(view, batch)


@pytest.mark.parametrize("size", [(64, 64), (96, 48), (48, 80)])
def test_a_probed_layout_is_the_written_one(patch_local: Any, size: tuple[int, int]) -> None:
    """Where both exist: the same tokens at the same places, or those of a finer crop."""
    view, picture = patch_local.view, pictures(1)[0].resize(size)
    layout_probe._FOUND.pop(view.model, None)
    found = layout_probe.probed_layout(view, size)
    layout_probe._FOUND.pop(view.model, None)  # of a tower that is put back
    written = patch_grids(
        view, inputs_for(view.model, view.processor, [picture], "a dog ?"), [picture]
    )[0]
    assert written is not None
    if found is None:  # tokens of several crops in numbers that no share of them tells
        assert patch_local.name in ("llava-next", "internvl")
    elif found.tokens.shape == written.cells.shape:
        assert torch.equal(found.tokens, written.cells)
        assert found.box == pytest.approx(written.place, abs=0.02)
    else:  # tiles: the finest grid that covers the picture is another crop's
        assert found.tokens.numel() > written.cells.numel()
        assert patch_local.name in ("llava-next", "internvl")
