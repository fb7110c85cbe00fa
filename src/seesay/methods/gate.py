"""A gate: let any method act only where the plain model is in doubt.

The idea: a fixed strength is too weak at some steps and too strong at others, and most tokens
("the", "of", the rest of a word) need no help at all. A step whose most probable token has a
probability of at least `below` stays as the plain model has it.

    acts at step t  ⇔  max softmax(logits_t) < below

A second stream's logits are left out where the first stream is sure. A method that acts in layers
is computed a second time in the steps that are in doubt, whose cache entries are replaced; rows of
a batch that are sure keep theirs. So a gated method in layers costs one more forward for every
step in doubt, and nothing else. `Record.acted` says where it acted.

Ours; the same need is seen by confidence-gated decoders such as AdaVBoost (arXiv 2602.13600).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from seesay.engine import Method
from seesay.engine.method import ATTENTION_VERBS, Wrapper


@dataclass(frozen=True, repr=False)
class Gate(Wrapper):
    """Another method, where the plain model is in doubt.

    Attributes:
        method: the method that may act.
        below: it acts where the highest probability is under this, 0 to 1; 0 is the plain model.
    """

    name: ClassVar[str] = "gate"
    summary: ClassVar[str] = "lets another method act only where the plain model is in doubt"
    paper: ClassVar[str] = "seesay's own"
    standalone: ClassVar[bool] = False

    method: Method
    below: float = 0.9

    def __post_init__(self) -> None:
        single = isinstance(self.method, Method) and not isinstance(self.method, Gate)
        self._require(single, "method", "must be one method, such as gate(agla, below=0.9)")
        steps = self.method.acts_on == "steps"
        self._require(steps, "method", "acts on finished texts, which have no steps to be gated")
        self._require_number("below", 0, 1)

    @property
    def active(self) -> bool:
        return self.method.active and self.below > 0

    @property
    def gate_threshold(self) -> float:
        return self.below

    def at_zero(self) -> Gate:
        return replace(self, below=0.0)

    @property
    def refuses(self) -> Mapping[str, str]:
        own = {"static cache": "a static cache cannot take a step back"}
        in_layers = any(map(self.overrides, ATTENTION_VERBS))
        return {**self.method.refuses, **(own if in_layers else {})}
