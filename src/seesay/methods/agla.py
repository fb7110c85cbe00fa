"""AGLA: assembly of global and local attention.

The idea: the picture as a whole invites habit ("a fork, so a knife"); its parts that matter to the
prompt do not. A second stream sees the picture with everything masked that the prompt does not
speak of, and its logits are added.

    fused = logit(v) + α · logit(v_masked),    tokens with logit(v) < max logit(v) + ln β are −inf

An et al., "Mitigating Object Hallucinations with Assembly of Global and Local Attention", CVPR
2025, arXiv 2406.12718. Each stream has its own cache here; in the published loop both read one,
so the masked picture reaches the first token only. Published POPE gains are over sampling; plain
greedy decoding alone gives as much, so compare with greedy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from seesay.engine import Method
from seesay.errors import nearest

if TYPE_CHECKING:
    from torch import Tensor

    from seesay.engine.run import Prompt, Run

MATCHERS = ("self",)


@dataclass(frozen=True, repr=False)
class AGLA(Method):
    """Add the logits of a second stream that sees a prompt-masked image.

    Attributes:
        alpha: weight α ≥ 0 of the second stream, published 2; 0 is the plain model, uncut.
        beta: plausibility β in [0, 1], published 0.5; 0 cuts nothing.
        matcher: what finds the relevant parts: "self", the model's own attention × gradient.
    """

    name: ClassVar[str] = "agla"
    summary: ClassVar[str] = "adds the logits of a second stream on a prompt-masked image"
    paper: ClassVar[str] = "Assembly of Global and Local Attention, CVPR 2025, arXiv 2406.12718"

    alpha: float = 2.0
    beta: float = 0.5
    matcher: str = "self"

    def __post_init__(self) -> None:
        self._require_number("alpha", 0)
        self._require_number("beta", 0, 1)
        known = self.matcher in MATCHERS
        self._require(known, "matcher", f"is unknown; {nearest(str(self.matcher), MATCHERS)}")

    @property
    def active(self) -> bool:
        return self.alpha > 0

    @property
    def plausibility(self) -> float:
        return self.beta

    def at_zero(self) -> AGLA:
        return replace(self, alpha=0.0)

    def prepare(self, prompt: Prompt) -> dict[str, Tensor] | None:
        from seesay.methods.matching import masked_pixels, match_by_attention

        if prompt.inputs.get("pixel_values") is None:
            return None  # a prompt without a picture has no second stream
        return masked_pixels(prompt, match_by_attention(prompt))

    def fold(self, plain: Tensor, own: Tensor | None, run: Run) -> Tensor | None:
        return None if own is None else self.alpha * own
