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
from seesay.methods.published import by_depth, published

if TYPE_CHECKING:
    from torch import Tensor

    from seesay.engine.attention import Call
    from seesay.models.view import ModelView

# LLaVA-1.5-7B's, which serve where nothing is published.
_ALPHA, _LAYERS, _DEPTH = 0.5, (5, 18), 32


@dataclass(frozen=True, repr=False)
class AttentionLens(Method):
    """Raise image attention of the newest row in a range of layers.

    Attributes:
        alpha: strength α; 0 is the plain model, negative looks away. None takes what is published
            for the model, 0.5 to 0.55, or 0.5.
        layers: (first, last) decoder layers, 0-based, both inclusive. None takes what is published
            for the model, or carries 5–18 of 32 layers over by relative depth: ⌊l · layers / 32⌋.
    """

    name: ClassVar[str] = "attention-lens"
    summary: ClassVar[str] = "boosts attention to the image in the middle layers"
    paper: ClassVar[str] = "Devils in Middle Layers, CVPR 2025, arXiv 2411.16724"

    alpha: float | None = None
    layers: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.alpha is not None:
            self._require_number("alpha")
        self._require_layers(self.layers)

    @property
    def active(self) -> bool:
        return self.alpha != 0

    def at_zero(self) -> AttentionLens:
        return replace(self, alpha=0.0)

    def resolved_for(self, view: ModelView) -> AttentionLens:
        row = published(self.name, view)
        given = row.settings if row else {}
        alpha = given.get("alpha", _ALPHA) if self.alpha is None else self.alpha
        layers = self.layers or given.get("layers") or by_depth(_LAYERS, _DEPTH, view)
        return replace(self, alpha=alpha, layers=layers)

    def acts_in(self, view: ModelView) -> Collection[int]:
        first, last = self.layers or by_depth(_LAYERS, _DEPTH, view)
        return range(first, last + 1)

    def score_bias(self, call: Call, scores: Tensor) -> Tensor:
        return boost(scores, _ALPHA if self.alpha is None else self.alpha)


def boost(scores: Tensor, alpha: float) -> Tensor:
    """α · mean_h' |S[h', last, c]|, shared by all heads.

    Args:
        scores: (batch, heads, columns) of the last row, before softmax.

    Returns (batch, 1, columns).
    """
    return scores.abs().mean(1, keepdim=True).mul_(alpha)
