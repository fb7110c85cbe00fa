"""Stage 1: the vision tower learns what stands where, from the labels of drawn patches."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from experiments.toy_model.architecture import VISION_WIDTH, pixel_values
from experiments.toy_model.dataset import Dataset, batch_rows
from seesay.toy.scenes import NOTHING
from seesay.toy.world import COLORS, OBJECTS

_IGNORE: Final = -100
_NOTHING_WEIGHT: Final = 0.15


class Eye(nn.Module):
    """A vision tower with the three questions that teach it: what, which colour, what of all."""

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower
        self.patch_object = nn.Linear(VISION_WIDTH, len(OBJECTS) + 1)
        self.patch_color = nn.Linear(VISION_WIDTH, len(COLORS))
        self.image_objects = nn.Linear(VISION_WIDTH, len(OBJECTS))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(b, 3, 96, 96) -> logits (b, 64, 31), (b, 64, 8) and (b, 30), as float32."""
        hidden = self.tower(pixels).last_hidden_state
        # The language model reads rows that no learned norm has touched; so do these questions.
        hidden = F.layer_norm(hidden.float(), (VISION_WIDTH,)).to(hidden.dtype)
        whole, patches = hidden[:, 0], hidden[:, 1:]
        return (
            self.patch_object(patches).float(),
            self.patch_color(patches).float(),
            self.image_objects(whole).float(),
        )


class VisionStage:
    """The tower's training: classes and colours of patches, and objects of the whole picture."""

    name = "vision"
    learning_rate = 1e-3
    weight_decay = 0.03

    def __init__(self, tower: Any, data: Dataset, *, steps: int, batch: int, seed: int) -> None:
        self.steps = steps
        self.trained = Eye(tower)
        # LLaVA takes the rows before this norm, so nothing would train it.
        tower.post_layernorm.requires_grad_(False)
        self._data, self._batch, self._seed = data, batch, seed
        self._colors = torch.from_numpy(_colors(data))
        self._present = torch.from_numpy(_present(data))
        self._weights = torch.ones(len(OBJECTS) + 1)
        self._weights[NOTHING] = _NOTHING_WEIGHT

    def loss(self, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """See `Stage.loss`."""
        rows = batch_rows(step, self._batch, len(self._data.scenes), self._seed)
        pixels = _other_light(pixel_values(self._data.images[rows]), seed=[self._seed, step])
        labels = torch.from_numpy(self._data.labels[rows].astype(np.int64))  # (b, 64)
        known = self._colors[rows].gather(1, labels.clamp(max=NOTHING - 1))
        colors = torch.where(labels == NOTHING, _IGNORE, known)

        what, color, whole = self.trained(pixels.to(torch.bfloat16))
        what_loss = F.cross_entropy(what.flatten(0, 1), labels.flatten(), weight=self._weights)
        color_loss = F.cross_entropy(color.flatten(0, 1), colors.flatten(), ignore_index=_IGNORE)
        whole_loss = F.binary_cross_entropy_with_logits(whole, self._present[rows])
        shown = labels != NOTHING
        return what_loss + 0.3 * color_loss + 1.5 * whole_loss, {
            "patches": what_loss,
            "colors": color_loss,
            "objects": whole_loss,
            "patches right": (what.argmax(-1) == labels)[shown].float().mean(),
        }


@torch.no_grad()
def found(eye: Eye, data: Dataset) -> dict[str, float]:
    """The share of objects that some patch recognises, for each difficulty."""
    hits: dict[str, list[bool]] = {}
    for start in range(0, len(data.scenes), 100):
        what, _, _ = eye(pixel_values(data.images[start : start + 100]))
        for scene, row in zip(data.scenes[start : start + 100], what.argmax(-1), strict=True):
            for placed in scene.objects:
                hit = bool((row == OBJECTS.index(placed.name)).any())
                hits.setdefault(placed.difficulty, []).append(hit)
    return {kind: sum(values) / len(values) for kind, values in sorted(hits.items())}


def _other_light(pixels: Tensor, seed: list[int]) -> Tensor:
    """Each picture a little brighter or darker, with more or less contrast."""
    rng = np.random.default_rng(seed)
    contrast, brightness = torch.from_numpy(rng.normal(0, 0.1, (2, len(pixels), 1, 1, 1))).float()
    lit: Tensor = pixels * (1 + contrast) + brightness
    return lit


def _colors(data: Dataset) -> NDArray[np.int64]:
    """(n, 30) index of each object's colour, ignored where it is absent."""
    names = list(COLORS)
    result = np.full((len(data.scenes), len(OBJECTS)), _IGNORE, np.int64)
    for row, scene in enumerate(data.scenes):
        for placed in scene.objects:
            result[row, OBJECTS.index(placed.name)] = names.index(placed.color)
    return result


def _present(data: Dataset) -> NDArray[np.float32]:
    """(n, 30) 1 where an object is in the picture."""
    return np.where(_colors(data) == _IGNORE, 0, 1).astype(np.float32)
