"""VCD: visual contrastive decoding against a noised picture.

The idea: on a picture drowned in noise the model says what it would say out of habit; what a clear
picture adds to that is what was seen. A second stream sees the noised picture, and its logits are
subtracted.

    fused = (1 + α) · logit(v) − α · logit(v'),
    tokens with logit(v) < max logit(v) + ln β are −inf
    v' = √ᾱ_T · v + √(1 − ᾱ_T) · ε,  ᾱ_T = Π_{t=1..T} (1 − β_t),
    β_t = 10⁻⁵ + (5·10⁻³ − 10⁻⁵) · sigmoid(x_t),  x_t evenly from −6 to 6 for t = 1..1000

Leng et al., "Mitigating Object Hallucinations in Large Vision-Language Models through Visual
Contrastive Decoding", CVPR 2024, arXiv 2311.16922. T = 500 keeps ᾱ = 0.75, a picture that one still
recognises; T = 999 keeps 0.08. The published code counts steps from 0 (one step more for the same
number), draws ε from the global random state, and noises only when sampling; here ε depends on the
seed alone and every way of decoding is served.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from seesay.engine import Method

if TYPE_CHECKING:
    from torch import Tensor

    from seesay.engine.state import GenerationState, Prompt
    from seesay.models.patch_layout import Tile

_STEPS = 1000


@dataclass(frozen=True, repr=False)
class VCD(Method):
    """Subtract the logits of a second stream that sees a noised picture.

    Attributes:
        alpha: strength α ≥ 0, published 1; 0 is the plain model, uncut.
        beta: plausibility β in [0, 1], published 0.1 (0.2 in the released POPE script for
            LLaVA-1.5); 0 cuts nothing.
        noise_step: T, from 0 (no noise) to 1000, published 500; noise is added to the pixel values
            as the processor normalised them, padding left alone.
        seed: of the noise, from 0. The same picture gets the same noise in every call, alone or
            in a batch; several pictures of one prompt get different noise.
    """

    name: ClassVar[str] = "vcd"
    summary: ClassVar[str] = "subtracts the logits of a second stream on a noised image"
    paper: ClassVar[str] = "Visual Contrastive Decoding, CVPR 2024, arXiv 2311.16922"

    alpha: float = 1.0
    beta: float = 0.1
    noise_step: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        self._require_number("alpha", 0)
        self._require_number("beta", 0, 1)
        self._require(type(self.noise_step) is int, "noise_step", "must be a whole number")
        self._require_number("noise_step", 0, _STEPS)
        self._require(type(self.seed) is int, "seed", "must be a whole number")
        self._require_number("seed", 0, 2**63 - 1)

    @property
    def active(self) -> bool:
        return self.alpha > 0

    @property
    def plausibility(self) -> float:
        return self.beta

    def at_zero(self) -> VCD:
        return replace(self, alpha=0.0)

    def second_input(self, prompt: Prompt) -> dict[str, Tensor] | None:
        from seesay.models import patch_layout

        if prompt.pixels() is None:
            return None  # a prompt without a picture has no second stream
        if not patch_layout.is_known(prompt.view):
            return self._noised_inputs(prompt)
        noised = [
            _noised_tiles(picture.tiles, self.noise_step, self.seed + picture.index)
            for picture in prompt.pictures()
        ]
        return patch_layout.assemble(prompt.view, prompt.inputs, noised)

    def _noised_inputs(self, prompt: Prompt) -> dict[str, Tensor]:
        """Where patches have no known order: noise on all of a picture's values, whatever their
        order; what is exactly 0 is padding, and left alone."""
        import torch

        from seesay.models.layout_probe import values_by_picture

        name = str(prompt.pixels())
        pixels: Tensor = prompt.inputs[name].clone()
        for index, values in values_by_picture(prompt.view, prompt.inputs, pixels):
            images = values.flatten(0, -4) if values.dim() > 3 else values[None]
            for place, image in enumerate(images, index):
                shown = _without_padding(image)
                generator = torch.Generator().manual_seed((self.seed + place) % 2**63)
                noise = torch.randn(shown.shape, generator=generator).to(shown)
                shown.copy_(noised(shown, noise, self.noise_step))
        return {name: pixels}

    def logits_term(self, plain: Tensor, own: Tensor | None, run: GenerationState) -> Tensor | None:
        return None if own is None else self.alpha * (plain - own)


def kept_signal(step: int) -> float:
    """ᾱ after `step` steps of 1000: the share of the picture's variance that is left, 1 to 0.08."""
    import torch

    rates = torch.linspace(-6, 6, _STEPS, dtype=torch.float64).sigmoid() * (5e-3 - 1e-5) + 1e-5
    return float((1 - rates[:step]).prod())


def noised(pixels: Tensor, noise: Tensor, step: int) -> Tensor:
    """√ᾱ·pixels + √(1 − ᾱ)·noise, the forward diffusion of `pixels` (any shape) to `step`.

    Args:
        noise: of the same shape, standard normal.
    """
    signal = kept_signal(step)
    return math.sqrt(signal) * pixels + math.sqrt(1 - signal) * noise


def _without_padding(image: Tensor) -> Tensor:
    """The part of an image's values, (channels, height, width) or rows of patches, that is not
    exactly 0 behind the last one that is something else."""
    for dim in range(image.dim()):
        others = [d for d in range(image.dim()) if d != dim]
        held = (image != 0).sum(others).nonzero()
        image = image.narrow(dim, 0, int(held[-1]) + 1 if len(held) else 0)
    return image


def _noised_tiles(tiles: list[Tile], step: int, seed: int) -> list[Tile]:
    """One picture's tiles with noise on all that is no padding."""
    import torch

    # Drawn on the CPU, so that every device sees the same noise.
    generator = torch.Generator().manual_seed(seed % 2**63)
    changed = []
    for tile in tiles:
        top, left, bottom, right = tile.box
        pixels = tile.pixels.clone()
        inside = pixels[:, top:bottom, left:right]
        noise = torch.randn(inside.shape, generator=generator).to(inside)
        pixels[:, top:bottom, left:right] = noised(inside, noise, step)
        changed.append(replace(tile, pixels=pixels))
    return changed
