"""Attention Lens: look harder at the image in the middle layers.

The idea: middle layers enrich the picture's content and hand it to the words, and a word is more
often invented where its row pays the image little attention. Before softmax, the newest row's
scores on image columns are raised by their own mean magnitude over heads.

    S[h, last, c] += α · mean_h' |S[h', last, c]|        for image columns c

Jiang et al., "Devils in Middle Layers of Large Vision-Language Models", CVPR 2025,
arXiv 2411.16724. The published sweep has a cliff: at α .6 LLaVA-1.5-7B's captions fall apart, so
the default of .5 sits near the edge; watch recall and repetition.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from seesay.engine import Method

if TYPE_CHECKING:
    from torch import Tensor

    from seesay.engine.attention import Call
    from seesay.models import ModelView

# Layers 5 to 18 of LLaVA-1.5's 32, carried to other depths by relative depth.
_PUBLISHED, _PUBLISHED_DEPTH = (5, 18), 32


@dataclass(frozen=True, repr=False)
class AttentionLens(Method):
    """Raise image attention of the newest row in a range of layers.

    Attributes:
        alpha: strength α, published 0.5 to 0.55; 0 is the plain model, negative looks away.
        layers: (first, last) decoder layers, 0-based, both inclusive. None carries the published
            5–18 of 32 layers over by relative depth: floor(l · layers / 32).
    """

    name: ClassVar[str] = "attention-lens"
    summary: ClassVar[str] = "boosts attention to the image in the middle layers"
    paper: ClassVar[str] = "Devils in Middle Layers, CVPR 2025, arXiv 2411.16724"

    alpha: float = 0.5
    layers: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        self._require_number("alpha")
        if self.layers is not None:
            pair = isinstance(self.layers, tuple) and len(self.layers) == 2
            whole = pair and all(type(layer) is int for layer in self.layers)
            self._require(whole, "layers", "must be two whole numbers, such as (5, 18)")
            self._require(0 <= self.layers[0] <= self.layers[1], "layers", "must go upwards from 0")

    @property
    def active(self) -> bool:
        return self.alpha != 0

    def at_zero(self) -> AttentionLens:
        return replace(self, alpha=0.0)

    def acts_in(self, view: ModelView) -> Collection[int]:
        first, last = self.layers or (n * view.n_layers // _PUBLISHED_DEPTH for n in _PUBLISHED)
        return range(first, last + 1)

    def score_bias(self, call: Call, scores: Tensor) -> Tensor:
        return scores.abs().mean(1, keepdim=True).mul_(self.alpha)  # (batch, 1, image columns)
