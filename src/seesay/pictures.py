"""Anything that a user may call a picture: a file, an image in memory, a drawn scene."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL.Image import Image

from seesay import toy
from seesay.errors import InputError
from seesay.grounding import Vocabulary
from seesay.models.images import MAX_PIXELS, open_image
from seesay.toy.world import Split

Picture = Any  # a path, bytes, a PIL image, a drawn scene, or its name: see `open_picture`


_SPLITS: dict[str, Split] = {"kept": "kept", "broken": "broken"}


@dataclass(frozen=True)
class Opened:
    """A picture ready for a processor.

    `present` are its objects if they are known, as classes of `vocabulary`: only a text read with
    that vocabulary can be held against them.
    """

    image: Image
    name: str
    present: frozenset[str] | None = None
    vocabulary: Vocabulary | None = None


def open_picture(picture: Picture, *, max_pixels: int = MAX_PIXELS) -> Opened:
    """Open anything that `images.open_image` takes, or a drawn scene.

    "toy:broken/7" is the scene that `seesay.toy` draws for the split "broken" (habits broken) and
    seed 7; the other split is "kept". Its objects are known.
    """
    if isinstance(picture, Opened):
        return picture
    if isinstance(picture, toy.Scene):
        name = f"toy:{picture.split}/{picture.seed}"
        return Opened(picture.image, name, picture.present, Vocabulary.toy())
    if isinstance(picture, str) and picture.startswith("toy:"):
        name, _, seed = picture.removeprefix("toy:").partition("/")
        split = _SPLITS.get(name)
        if split is None or not (seed.isascii() and seed.isdecimal()):
            raise InputError(
                f"no drawn scene {picture!r}: say toy:kept/SEED or toy:broken/SEED, with a whole "
                "number for SEED, such as toy:broken/7"
            )
        return open_picture(toy.scene(split, int(seed)))
    name = Path(picture).name if isinstance(picture, str | Path) else type(picture).__name__
    return Opened(open_image(picture, max_pixels=max_pixels), name)
