"""The control "second stream := first": a method's fold with nothing new in its second stream.

What a fold does to the plain logits alone (it sharpens them, or cuts the improbable) can look like
a gain that the second picture brought. Here the fold is given the plain logits in the place of its
own stream's. Whatever is left of the gain is the arithmetic's, or comes from what the method does
in layers. No second stream is computed, so it costs what the plain model costs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from seesay.engine import Method
from seesay.engine.method import Wrapper

if TYPE_CHECKING:
    from torch import Tensor

    from seesay.engine.state import GenerationState


def has_stream(method: Method) -> bool:
    """Whether `method` looks at a second stream, with its settings."""
    # What brings a stream refuses chunks, as the base class says of it; PAI at γ = 1 brings none.
    return (
        method.active and method.overrides("second_input") and "prefill in chunks" in method.refuses
    )


@dataclass(frozen=True, repr=False)
class SameStream(Wrapper):
    """Another method, whose fold finds the first stream where it looks for the second.

    It has no name in the registry: nobody would ask for it but as a control.
    """

    method: Method

    def __post_init__(self) -> None:
        # An instance's own, so that a sum may hold several.
        object.__setattr__(self, "name", f"same-stream({self.method.name})")

    @classmethod
    def within(cls, method: Method) -> Method:
        """`method` as this control, in its gate if it has one; itself if it has no stream."""
        if not has_stream(method):
            return method
        inner = getattr(method, "method", None)
        if method.gate_threshold is not None and isinstance(inner, Method):
            return replace(method, method=cls(inner))  # type: ignore[type-var]
        return cls(method)

    def __repr__(self) -> str:
        return f"same-stream({self.method})"

    def overrides(self, verb: str) -> bool:
        return verb != "second_input" and self.method.overrides(verb)

    def logits_term(self, plain: Tensor, own: Tensor | None, run: GenerationState) -> Tensor | None:
        return self.method.logits_term(plain, plain, run)
