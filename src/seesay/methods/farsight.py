"""FarSight: attention registers that drain attention from outlier tokens.

The idea: a softmax must spend its whole mass, and what it cannot place goes to tokens of little
content. Future columns, which causal attention leaves unused, serve as registers that soak up that
mass; what they took is dropped, so a row's weights may sum to less than one.

    W = ω∘C + P,   P[i, j] = −(j − i)·σ for j > i,   Ā = softmax(W)∘C,   out = Ā·V

C is the lower triangle of ones. Tang et al., "Seeing Far and Clearly", CVPR 2025,
arXiv 2505.16652; σ = log₁₀₂₄ 256 = 0.8. This is exactly an ordinary causal softmax with one more
entry of value zero, whose logit for a row with R registers is

    sink = log Σ_{m=1..R} exp(−m·σ),      −log(exp(σ) − 1) for R = ∞

The paper is silent on R while decoding with a cache: row i would have R = n − 1 − i registers, none
for the newest row, and earlier rows would change with every token. `registers` decides. At σ = 0.8
the sink takes about 0.1 % of the mass of 640 equal scores: expect a small effect, and sweep σ. The
published code masks its registers out whenever it is handed a 4-D mask; then it is the plain model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from seesay.engine import Method

if TYPE_CHECKING:
    from torch import Tensor

    from seesay.engine.attention import Call


@dataclass(frozen=True, repr=False)
class FarSight(Method):
    """A softmax entry of value zero in every row of every layer.

    Attributes:
        sigma: decay σ > 0 of the registers with distance; the larger, the weaker.
        registers: "infinite" (the same sink in every row, free of length; equal to the paper's to
            1e-3 but for the last nine rows), a whole number R ≥ 0 (0 is the plain model), or
            "square" (R = n − 1 − i while the prompt is read, none while decoding).
        per_head: give each head the published code's rate of decay,
            σ(1 − ¼·i/(n − 1)) + 2^(−8(h + 1)/H) for row i and head h of H.
    """

    name: ClassVar[str] = "farsight"
    summary: ClassVar[str] = "attention registers drain attention from outlier tokens"
    paper: ClassVar[str] = "Seeing Far and Clearly, CVPR 2025, arXiv 2505.16652"

    sigma: float = 0.8
    registers: int | str = "infinite"
    per_head: bool = False

    def __post_init__(self) -> None:
        self._require_number("sigma", 0, above=True)
        whole = type(self.registers) is int and self.registers >= 0
        known = self.registers in ("infinite", "square")
        self._require(
            whole or known, "registers", "must be 'infinite', 'square' or a whole number from 0"
        )
        self._require(isinstance(self.per_head, bool), "per_head", "must be True or False")

    @property
    def active(self) -> bool:
        return self.registers != 0

    def at_zero(self) -> FarSight:
        return replace(self, registers=0)

    def sink_logit(self, call: Call) -> Tensor | float | None:
        if self.registers == "square" and not call.is_prefill:
            return None  # the newest row has no future columns
        if not self.per_head and self.registers != "square":
            return sink_logit(
                self.sigma, math.inf if self.registers == "infinite" else float(self.registers)
            )
        return self._sink_by_row(call)

    def _sink_by_row(self, call: Call) -> Tensor:
        """(1 or batch, 1 or heads, queries): the rows' own register counts and decay rates."""
        import torch

        # A prompt read in chunks counts as the whole prompt that it is.
        length = max(call.run.length, call.rows_at.stop)
        row = torch.arange(call.rows_at.start, call.rows_at.stop, device=call.query.device).double()
        rate = torch.full_like(row, self.sigma)[None, None]  # (1, 1, queries)
        if self.per_head:
            head = torch.arange(1, call.n_heads + 1, device=row.device)
            slope = torch.exp2(-8.0 * head / call.n_heads)[:, None]  # (heads, 1)
            before = self._padding(call, length)  # (batch, 1, 1)
            place = (row - before) / (length - 1 - before).clamp(min=1)
            rate = rate * (1 - 0.25 * place.clamp(min=0)) + slope
        match self.registers:
            case "square":
                count = length - 1 - row
            case "infinite":
                count = torch.full_like(row, math.inf)
            case _:
                count = torch.full_like(row, float(self.registers))
        return sink_logits(rate, count)

    def _padding(self, call: Call, length: int) -> Tensor:
        """(batch, 1, 1) columns of padding before each row's prompt."""
        import torch

        padding = call.run.padding
        if padding is None:
            return torch.zeros(1, 1, 1, device=call.query.device)
        real = padding[:, :length].to(call.query.device).bool()
        return (real.cumsum(1) == 0).sum(1).double()[:, None, None]


def sink_logit(rate: float, registers: float) -> float:
    """log Σ_{m=1..R} exp(−m·rate), by the geometric series; −inf for R = 0."""
    if registers == 0:
        return -math.inf
    return math.log(-math.expm1(-rate * registers)) - rate - math.log(-math.expm1(-rate))


def sink_logits(rate: Tensor, registers: Tensor) -> Tensor:
    """The same elementwise on tensors."""
    taken = (-rate * registers).expm1().neg()  # 0 where there are no registers
    return taken.log() - rate - (-rate).expm1().neg().log()
