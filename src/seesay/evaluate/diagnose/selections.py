"""Ways to choose what of a prompt stays in the cache, once, as soon as it is read.

All keep the same number of entries a layer, so that only the choice differs. They serve the
diagnosis of sparsity and are no entries of the registry. VASparse's own is `VASparse` itself, with
all its other parts off.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from seesay.engine import Method
from seesay.methods import VASparse
from seesay.methods.vasparse.selection import chosen_entries

if TYPE_CHECKING:
    from torch import Tensor

    from seesay.engine import AnyMethod
    from seesay.engine.attention import Call
    from seesay.engine.kv_cache import Kept
    from seesay.engine.state import Run

_RANKED_IN = 1  # FastV ranks in its second layer and prunes behind it
_ONCE = 10**6  # tokens until VASparse would choose again


@dataclass(frozen=True, repr=False)
class Selection(Method):
    """Keep a share of the prompt's cache entries.

    Attributes:
        keep: of each layer's prompt entries, in (0, 1].
    """

    images_only: ClassVar[bool] = False

    keep: float = 0.5

    def worth(self, layer: int, run: Run) -> Tensor | None:
        """(rows, kv heads, entries), the highest stay; None leaves the layer alone."""
        raise NotImplementedError

    def compact(self, layer: int, run: Run) -> Kept | None:
        from seesay.engine.kv_cache import Kept, entries_of

        if run.seen != run.length:
            return None
        worth = self.worth(layer, run)
        if worth is None:
            return None
        _, valid = entries_of(run.cache.layers[layer], run.padding)
        candidate = valid
        if self.images_only:
            candidate = valid & run.prompt.mask.to(valid.device)[:, None]
        total, own = valid[:, 0].sum(-1), candidate[:, 0].sum(-1)
        count = ((self.keep * total).round().long() - (total - own)).clamp(min=1)
        return Kept(chosen_entries(worth, candidate, valid, count)[0])


@dataclass(frozen=True, repr=False)
class TopK(Selection):
    """What the newest row attends to most, in each layer and head."""

    def worth(self, layer: int, run: Run) -> Tensor:
        weights = run.last_rows[layer].weights
        kv_heads = run.cache.layers[layer].keys.shape[1]
        return weights.view(len(weights), kv_heads, -1, weights.shape[-1]).mean(2)


@dataclass(frozen=True, repr=False)
class FastVStyle(Selection):
    """The image tokens that the newest row attends to most in layer 1, in all layers behind it
    (after FastV, arXiv 2403.06764); text stays."""

    images_only: ClassVar[bool] = True

    def worth(self, layer: int, run: Run) -> Tensor | None:
        if layer <= _RANKED_IN:
            return None
        weights = run.last_rows[_RANKED_IN].weights.mean(1, keepdim=True)
        return weights.expand(-1, run.cache.layers[layer].keys.shape[1], -1)


@dataclass(frozen=True, repr=False)
class SparseVLMStyle(Selection):
    """The image tokens that the text behind them attends to most, in each layer, mean over heads
    (after SparseVLM, arXiv 2410.04417); text stays."""

    images_only: ClassVar[bool] = True

    def rewrite_qk(self, call: Call) -> None:
        """Notes, while the prompt is read, what its text gives to each column; rewrites nothing."""
        image = call.run.prompt.mask
        real = call.run.padding
        text = ~image if real is None else real[:, : image.shape[1]].bool() & ~image
        total = call.query.new_zeros(image.shape, dtype=call.query.dtype).float()
        for rows, weights in call.row_blocks():
            own = text[:, rows.start : rows.stop].to(weights)
            total += (weights.mean(1) * own[..., None]).sum(1)
        call.run.state.setdefault(self, {})[call.layer] = total

    def worth(self, layer: int, run: Run) -> Tensor:
        received: Tensor = run.state[self][layer]
        return received[:, None].expand(-1, run.cache.layers[layer].keys.shape[1], -1)


def selections(keep: float) -> dict[str, AnyMethod]:
    """Every selection at one share, by name; VASparse, which alone looks at what a token itself saw
    of the picture, is the last."""
    own = VASparse(
        aggregate=False, contrast=False, penalise=False, keep=keep, every=_ONCE, candidates="all"
    )
    return {
        "Top-K": TopK(keep),
        "FastV-style": FastVStyle(keep),
        "SparseVLM-style": SparseVLMStyle(keep),
        "VASparse": own,
    }
