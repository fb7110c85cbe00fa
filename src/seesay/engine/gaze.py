"""Where some rows of a forward look, taken beside the kernel that computes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from seesay.engine.attention import current_kernel, masked, scores_of, switched
from seesay.engine.readout import middle_layers
from seesay.errors import EngineError

if TYPE_CHECKING:
    from seesay.models.view import ModelView


class Gaze:
    """What is taken of one forward.

    Args:
        rows: (batch, rows) long, the queries that are read.
    """

    def __init__(self, rows: Tensor) -> None:
        self.rows = rows
        self._layers: list[Tensor] = []  # (batch, rows, columns) each

    def take(self, query: Tensor, key: Tensor, mask: Tensor, scaling: float) -> None:
        """One layer's rows; shapes and masks are those of `kernel`."""
        rows = self.rows.to(query.device)[:, None, :, None]
        own, open_to = (
            x.gather(2, rows.expand(-1, x.shape[1], -1, x.shape[3])) for x in (query, mask)
        )
        self._layers.append(masked(scores_of(own, key, scaling), open_to).softmax(-1).mean(1))

    def mean(self) -> Tensor:
        """The share of attention on each column, heads and layers averaged, (batch, rows, columns)
        float32."""
        first, *others = self._layers
        total = sum((layer.to(first.device) for layer in others), start=first)
        return (total / len(self._layers)).float()


@contextmanager
def gazing(view: ModelView, rows: Tensor) -> Iterator[Gaze]:
    """Take where these rows look in the middle layers; to be opened around one forward, which has a
    mask of four dimensions. The kernel's output stays what it is, bit for bit.

    Args:
        rows: (batch, rows) long, queries of that forward.

    Raises:
        EngineError: a layer that caps its attention scores.
    """
    decoder, middle = view.decoder, middle_layers(view.n_layers)
    kernel, gaze = current_kernel(decoder), Gaze(rows)

    def attend(
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor,
        scaling: float | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor | None]:
        if getattr(module, "layer_idx", None) in middle:
            if kwargs.get("softcap") is not None:
                raise EngineError(
                    "a layer caps its attention scores, so where it looks cannot be read; ask "
                    "without gaze"
                )
            scale = query.shape[-1] ** -0.5 if scaling is None else scaling
            gaze.take(query, key, attention_mask, scale)
        return kernel(module, query, key, value, attention_mask, scaling=scaling, **kwargs)

    with switched(decoder, f"seesay-gaze-{id(decoder):x}", attend):
        yield gaze
