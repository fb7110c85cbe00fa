"""Scenes: a place drawn with things in it, and the truth about what is there.

A quarter of the things are hard to see: faint, small, or half covered. They are in the truth and in
the captions all the same, so there the model is unsure and habit decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from seesay.errors import InputError
from seesay.toy.backgrounds import IMAGE_SIZE, background
from seesay.toy.sprites import sprite
from seesay.toy.world import MOST_OBJECTS, OBJECTS, Split, choose_color, choose_objects

Purpose: TypeAlias = Literal["held out", "training", "validation"]
Difficulty: TypeAlias = Literal["easy", "faint", "small", "covered"]
Box: TypeAlias = tuple[int, int, int, int]

PATCH_SIZE: Final = 12
GRID: Final = IMAGE_SIZE // PATCH_SIZE
NOTHING: Final = len(OBJECTS)
"""The label of a patch that shows no object."""

_HARD_SHARE: Final = 0.25
_SALIENCE: Final = {"easy": 1.0, "covered": 0.3, "faint": 0.2, "small": 0.1}


@dataclass(frozen=True)
class Placed:
    """One kind of thing in a scene, once or twice.

    Attributes:
        name: one of `OBJECTS`.
        count: 1 or 2.
        color: one of `COLORS`, the same for both of two.
        boxes: (left, top, right, bottom) of each, in pixels.
        difficulty: what makes it hard to see, or "easy".
    """

    name: str
    count: int
    color: str
    boxes: tuple[Box, ...]
    difficulty: Difficulty

    @property
    def box(self) -> Box:
        """The box of the first of them, where captions say it is."""
        return self.boxes[0]

    @property
    def hard(self) -> bool:
        """Whether it is faint, small or half covered."""
        return self.difficulty != "easy"

    @property
    def salience(self) -> float:
        """How much it catches the eye: its width in pixels, less where it is hard to see."""
        left, _, right, _ = self.box
        return _SALIENCE[self.difficulty] * (right - left)


@dataclass(frozen=True)
class Scene:
    """A drawn picture and what is in it.

    Attributes:
        image: RGB, 96 x 96 pixels.
        context: one of `CONTEXTS`.
        objects: the things in it, each kind once, at most five.
        split: whether the scene keeps or breaks the habits of the training scenes.
        seed: what it was drawn from.
        patch_labels: (64,) index into `OBJECTS` of what a patch of 12 x 12 mostly shows, row by
            row, `NOTHING` where no object covers a fifth of it.
    """

    image: Image.Image
    context: str
    objects: tuple[Placed, ...]
    split: Split
    seed: int
    patch_labels: NDArray[np.int16]

    @property
    def present(self) -> frozenset[str]:
        """The names of everything in the picture."""
        return frozenset(placed.name for placed in self.objects)


def scene(split: Split, seed: int) -> Scene:
    """A held-out scene: the same split and seed give the same picture, and never a training one.

    Raises:
        InputError: for an unknown split or a negative seed.
    """
    return draw_scene("held out", split, seed)


def draw_scene(purpose: Purpose, split: Split, seed: int) -> Scene:
    """The scene of a seed. Each purpose has its own seeds, so held out is never trained on."""
    if split not in ("kept", "broken"):
        raise InputError(f"split {split!r} is unknown: choose 'kept' or 'broken'")
    if seed < 0:
        raise InputError(f"seed {seed} is negative: choose 0 or more")
    rng = Random(f"{purpose}:{split}:{seed}")
    context, names = choose_objects(rng, split)
    canvas = _Canvas(background(context, rng), rng)
    objects = tuple(canvas.place(name, may_repeat=len(names) < MOST_OBJECTS) for name in names)
    image = _with_grain(canvas.image, rng)
    return Scene(image, context, objects, split, seed, _patch_labels(canvas.labels))


class _Canvas:
    """A picture being drawn, and for every pixel which object was painted there last."""

    def __init__(self, image: Image.Image, rng: Random) -> None:
        self.image = image
        self.labels = np.full((IMAGE_SIZE, IMAGE_SIZE), NOTHING, np.int16)
        self._rng = rng
        self._taken: list[Box] = []

    def place(self, name: str, *, may_repeat: bool) -> Placed:
        """Draw one kind of thing, now and then twice, where there is room."""
        rng = self._rng
        count = 2 if may_repeat and rng.random() < 0.08 else 1
        color = choose_color(rng, name)
        difficulty: Difficulty = "easy"
        if rng.random() < _HARD_SHARE:
            difficulty = rng.choice(["faint", "small", "covered"])
        boxes = tuple(self._paint(name, color, difficulty) for _ in range(count))
        return Placed(name, count, color, boxes, difficulty)

    def _paint(self, name: str, color: str, difficulty: Difficulty) -> Box:
        rng = self._rng
        width = rng.randint(10, 14) if difficulty == "small" else rng.randint(24, 36)
        height = int(width * rng.uniform(0.85, 1.15))
        turned = sprite(name, color).rotate(rng.uniform(-10, 10), Image.Resampling.BILINEAR)
        figure = turned.resize((width, height), Image.Resampling.BOX)
        left, top, right, bottom = box = self._free_box(width, height)

        alpha = np.asarray(figure)[..., 3]
        strength = rng.uniform(0.15, 0.32) if difficulty == "faint" else 1.0
        mask = Image.fromarray((alpha * strength).astype(np.uint8))
        self.image.paste(figure.convert("RGB"), (left, top), mask)
        self.labels[top:bottom, left:right][alpha > 100] = OBJECTS.index(name)
        if difficulty == "covered":
            self._cover(box)
        return box

    def _free_box(self, width: int, height: int) -> Box:
        """The first of twelve random places that overlaps nothing, else the one that does least."""
        boxes = []
        for _ in range(12):
            left = self._rng.randint(0, IMAGE_SIZE - width)
            top = self._rng.randint(0, IMAGE_SIZE - height)
            boxes.append((left, top, left + width, top + height))
            if self._overlap(boxes[-1]) == 0:
                break
        best = min(boxes, key=self._overlap)
        self._taken.append(best)
        return best

    def _overlap(self, box: Box) -> int:
        """Pixels that a box shares with those already taken."""
        return sum(
            max(0, min(box[2], other[2]) - max(box[0], other[0]))
            * max(0, min(box[3], other[3]) - max(box[1], other[1]))
            for other in self._taken
        )

    def _cover(self, box: Box) -> None:
        """Paint a plain block over half to three quarters of a box, from one of its sides."""
        rng = self._rng
        left, top, right, bottom = box
        color = (rng.randint(80, 190), rng.randint(80, 190), rng.randint(80, 190))
        share = rng.uniform(0.5, 0.75)
        across, down = int((right - left) * share), int((bottom - top) * share)
        block = rng.choice(
            [
                (left, top, left + across, bottom),
                (right - across, top, right, bottom),
                (left, top, right, top + down),
                (left, bottom - down, right, bottom),
            ]
        )
        ImageDraw.Draw(self.image).rectangle(block, fill=color)


def _with_grain(image: Image.Image, rng: Random) -> Image.Image:
    noise = np.random.default_rng(rng.getrandbits(32)).normal(0, 5, (IMAGE_SIZE, IMAGE_SIZE, 3))
    return Image.fromarray((np.asarray(image, np.float32) + noise).clip(0, 255).astype(np.uint8))


def _patch_labels(labels: NDArray[np.int16]) -> NDArray[np.int16]:
    """(96, 96) pixel labels -> (64,) patch labels."""
    tiles = labels.reshape(GRID, PATCH_SIZE, GRID, PATCH_SIZE).swapaxes(1, 2)
    patches = tiles.reshape(GRID * GRID, PATCH_SIZE * PATCH_SIZE)
    result = np.full(GRID * GRID, NOTHING, np.int16)
    for index, patch in enumerate(patches):
        shown = patch[patch != NOTHING]
        if shown.size > 0.2 * patch.size:
            result[index] = np.bincount(shown).argmax()
    return result
