"""AGLA: assembly of global and local attention.

The idea: the picture as a whole invites habit ("a fork, so a knife"); its parts that matter to the
prompt do not. A second stream sees the picture with everything masked that the prompt does not
speak of, and its logits are added.

    fused = logit(v) + α · logit(v_masked),    tokens with logit(v) < max logit(v) + ln β are −inf

An et al., "Mitigating Object Hallucinations with Assembly of Global and Local Attention", CVPR
2025, arXiv 2406.12718. Of the pixels, the ``similarity / 2`` share that matters least to the
prompt is masked. A matcher finds both: published, a BLIP image–text matcher of 1.8 GB (`blip`); our
default is the model's own attention × gradient (`matching`), which works offline on any model
without further weights. Each stream has its own cache here; in the published loop both read the
first one's, so the masked picture reaches the first token only (`shared_cache`). Published POPE
gains are over sampling; plain greedy decoding alone gives as much, so compare with greedy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from seesay.engine import Method
from seesay.errors import nearest

if TYPE_CHECKING:
    from torch import Tensor

    from seesay.engine.state import GenerationState, Prompt

MATCHERS = ("self", "blip")
GEOMETRIES = ("original", "squashed")
CHECKPOINT = "Salesforce/blip-itm-large-coco"


@dataclass(frozen=True, repr=False)
class AGLA(Method):
    """Add the logits of a second stream that sees a prompt-masked image.

    Attributes:
        alpha: weight α ≥ 0 of the second stream, published 2; 0 is the plain model, uncut.
        beta: plausibility β in [0, 1], published 0.5; 0 cuts nothing.
        matcher: what finds the relevant parts: "self", the model's own attention × gradient, or
            "blip", the published one, which looks at the original pictures: the session needs
            ``images=`` and ``processor=``, which `seesay.load` models pass on.
        checkpoint: id or folder of the BlipForImageTextRetrieval that "blip" uses.
        geometry: "original" masks the picture as it is, so that both streams see it in one
            geometry; "squashed" (with "blip") shows the second stream the picture at the matcher's
            384 × 384, as published, and is refused where a model's tokens depend on the shape.
        shared_cache: the published decoding: from its second token on, the second stream reads the
            first one's cache, says what the first one says, and so only sharpens it by 1 + α.
    """

    name: ClassVar[str] = "agla"
    summary: ClassVar[str] = "adds the logits of a second stream on a prompt-masked image"
    paper: ClassVar[str] = "Assembly of Global and Local Attention, CVPR 2025, arXiv 2406.12718"

    alpha: float = 2.0
    beta: float = 0.5
    matcher: str = "self"
    checkpoint: str = CHECKPOINT
    geometry: str = "original"
    shared_cache: bool = False

    def __post_init__(self) -> None:
        self._require_number("alpha", 0)
        self._require_number("beta", 0, 1)
        for field, known in (("matcher", MATCHERS), ("geometry", GEOMETRIES)):
            value = getattr(self, field)
            self._require(value in known, field, f"is unknown; {nearest(str(value), known)}")
        text = isinstance(self.checkpoint, str) and bool(self.checkpoint)
        self._require(text, "checkpoint", "must be the id or folder of a matcher")
        for field, default in (("checkpoint", CHECKPOINT), ("geometry", "original")):
            read = self.matcher == "blip" or getattr(self, field) == default
            self._require(read, field, "is read with matcher='blip' alone")
        whether = isinstance(self.shared_cache, bool)
        self._require(whether, "shared_cache", "must be True or False")

    @property
    def active(self) -> bool:
        return self.alpha > 0

    @property
    def plausibility(self) -> float:
        return self.beta

    def at_zero(self) -> AGLA:
        return replace(self, alpha=0.0)

    def second_input(self, prompt: Prompt) -> dict[str, Tensor] | None:
        if prompt.pixels() is None:
            return None  # a prompt without a picture has no second stream
        if self.matcher == "blip":
            from seesay.methods.originals import masked_inputs

            return masked_inputs(prompt, self.checkpoint, self.geometry)
        from seesay.methods.agla.matching import masked_pixels, match_by_attention

        return masked_pixels(prompt, match_by_attention(prompt))

    def logits_term(self, plain: Tensor, own: Tensor | None, run: GenerationState) -> Tensor | None:
        if own is None:
            return None
        if self.shared_cache and run.seen > run.length:
            own = plain  # the same cache and the same token give the same logits
        return self.alpha * own


def fused(plain: Tensor, own: Tensor, alpha: float, beta: float) -> Tensor:
    """The decoding distribution of a step: ``plain + α · own``, −inf under ``max(plain) + ln β``.

    Args:
        plain, own: (..., vocabulary) logits on the picture and on the masked one.
        alpha: weight of the second stream.
        beta: plausibility, 0 to 1; tokens at the threshold stay.
    """
    import torch

    from seesay.engine.contrastive import plausible

    return plausible(plain + alpha * own, plain, torch.tensor(beta))
