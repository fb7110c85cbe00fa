"""PAI: pay attention to the image, and subtract what the text alone would say.

The idea: a model may know the picture and still speak from its text, by inertia. Before softmax
the newest row's scores on image columns are raised by their own magnitude, head by head; and a
second stream that has no picture says what the text alone would say, which is subtracted.

    S[h, last, c] += α · |S[h, last, c]|    for image columns c, in all layers from `start_layer`
    fused = γ · logit(v) − (γ − 1) · logit(none),
    tokens with logit(v) < max logit(v) + ln β are −inf

Liu et al., "Paying More Attention to Image: A Training-Free Method for Alleviating Hallucination in
LVLMs", ECCV 2024, arXiv 2407.21771. Log-probabilities in the place of logits give the same
distribution. The stream without picture is the same prompt with its image columns closed to
attention, so every text token keeps its position; the published code takes the placeholder out, so
the text behind it moves up. In both, the boost acts on the stream with the picture alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from seesay.engine import Method

if TYPE_CHECKING:
    from torch import Tensor

    from seesay.engine.attention import Call
    from seesay.engine.state import GenerationState, Prompt
    from seesay.models.view import ModelView


@dataclass(frozen=True, repr=False)
class PAI(Method):
    """Raise image attention of the newest row, and subtract a stream that has no picture.

    Attributes:
        alpha: strength α ≥ 0 of the boost, published 0.5 (LLaVA-1.5), 0.2 (MiniGPT-4) and 0.6
            (Shikra); 0 leaves attention alone.
        gamma: γ ≥ 1, published 1.1; 1 is without the second stream and without the cut.
        beta: plausibility β in [0, 1], 0.1; 0 cuts nothing.
        start_layer: first decoder layer (0-based) whose attention is raised, published 2.
    """

    name: ClassVar[str] = "pai"
    summary: ClassVar[str] = "boosts attention to the image and subtracts an image-free stream"
    paper: ClassVar[str] = "Paying More Attention to Image, ECCV 2024, arXiv 2407.21771"

    alpha: float = 0.5
    gamma: float = 1.1
    beta: float = 0.1
    start_layer: int = 2

    def __post_init__(self) -> None:
        self._require_number("alpha", 0)
        self._require_number("gamma", 1)
        self._require_number("beta", 0, 1)
        self._require(type(self.start_layer) is int, "start_layer", "must be a whole number")
        self._require_number("start_layer", 0)

    @property
    def active(self) -> bool:
        return self.alpha > 0 or self.gamma > 1

    @property
    def plausibility(self) -> float:
        return self.beta

    def at_zero(self) -> PAI:
        return replace(self, alpha=0.0, gamma=1.0)

    @property
    def refuses(self) -> Mapping[str, str]:
        return super().refuses if self.gamma > 1 else {}

    def acts_in(self, view: ModelView) -> Collection[int]:
        if self.alpha == 0:
            return ()
        last = max(view.n_layers - 1, self.start_layer)  # a start beyond the model is refused
        return range(self.start_layer, last + 1)

    def score_bias(self, call: Call, scores: Tensor) -> Tensor:
        return scores.abs().mul_(self.alpha)  # (batch, heads, image columns)

    def second_input(self, prompt: Prompt) -> dict[str, Tensor] | None:
        if self.gamma == 1 or not bool(prompt.columns.any()):
            return None
        return {"attention_mask": (~prompt.columns).long()}

    def logits_term(self, plain: Tensor, own: Tensor | None, run: GenerationState) -> Tensor | None:
        return None if own is None else (self.gamma - 1) * (plain - own)
