"""Training scenes on disk: drawn once by all processes, read as memory-mapped arrays."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seesay.toy.scenes import Purpose, Scene, draw_scene

_CHUNK: Final = 250
_NO_IMAGE: Final = Image.new("RGB", (1, 1))


@dataclass(frozen=True)
class Dataset:
    """Scenes with their pictures kept apart.

    Attributes:
        images: (n, 96, 96, 3) uint8, memory-mapped.
        labels: (n, 64) int16, what each patch shows.
        scenes: n scenes whose `image` is blank.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int16]
    scenes: list[Scene]

    def share(self, rank: int, ranks: int) -> Dataset:
        """Every `ranks`-th scene, from `rank` on."""
        mine = slice(rank, None, ranks)
        return Dataset(self.images[mine], self.labels[mine], self.scenes[mine])


def draw_dataset(folder: Path, purpose: Purpose, count: int, processes: int) -> Dataset:
    """The first `count` habit-keeping scenes of a purpose, drawn unless the folder has them."""
    folder = folder / f"{purpose}-{count}"
    if not (folder / "scenes.pickle").exists():
        folder.mkdir(parents=True, exist_ok=True)
        with ProcessPoolExecutor(processes) as pool:
            starts = range(0, count, _CHUNK)
            _write(folder, count, pool.map(_draw, repeat(purpose), starts, repeat(count)))
    return load_dataset(folder)


def load_dataset(folder: Path) -> Dataset:
    """What `draw_dataset` wrote."""
    with (folder / "scenes.pickle").open("rb") as file:
        scenes = pickle.load(file)
    return Dataset(np.load(folder / "images.npy", mmap_mode="r"), _labels(scenes), scenes)


def batch_rows(step: int, size: int, count: int, seed: int) -> NDArray[np.int64]:
    """(size,) sorted rows of a step's batch: shuffled epochs, a function of its arguments only."""
    epoch, place = divmod(step, count // size)
    order = np.random.default_rng([seed, epoch]).permutation(count)
    return np.sort(order[place * size : (place + 1) * size])


def _draw(purpose: Purpose, start: int, count: int) -> list[Scene]:
    return [draw_scene(purpose, "kept", seed) for seed in range(start, min(start + _CHUNK, count))]


def _write(folder: Path, count: int, chunks: Iterable[list[Scene]]) -> None:
    shape = (count, *np.asarray(draw_scene("training", "kept", 0).image).shape)
    images: Any = np.lib.format.open_memmap(folder / "images.npy", "w+", np.uint8, shape)
    scenes: list[Scene] = []
    for chunk in chunks:
        for scene in chunk:
            images[len(scenes)] = np.asarray(scene.image)
            # What is said about a scene needs its facts alone.
            scenes.append(replace(scene, image=_NO_IMAGE))
    images.flush()
    # Last and in one move: its presence says that the folder is complete.
    unfinished = folder / "scenes.unfinished"
    unfinished.write_bytes(pickle.dumps(scenes))
    unfinished.replace(folder / "scenes.pickle")


def _labels(scenes: list[Scene]) -> NDArray[np.int16]:
    return np.stack([scene.patch_labels for scene in scenes])
