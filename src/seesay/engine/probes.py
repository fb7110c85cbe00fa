"""Probes: what sees a model at work and changes nothing.

A method holds no state and changes what is computed; a probe may hold state and changes nothing. A
session takes probes beside its methods, ``method(model, probes=[...])``, and calls what they
override: nothing else is computed for them. They see what the methods made of a layer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from seesay.engine.attention import Call, current_kernel, switched
from seesay.errors import EngineError, ModelError
from seesay.models.layers import attention_of

if TYPE_CHECKING:
    from seesay.engine.state import GenerationState, ImageColumns
    from seesay.models.view import ModelView


class Probe:
    """Sees layers; override what is needed."""

    layers: Collection[int] | None = None
    """The decoder layers (0-based) whose attention is seen; None is all of them."""

    def take_row(
        self, layer: int, weights: Tensor, image: ImageColumns, run: GenerationState
    ) -> None:
        """The newest row of a layer's attention, in every forward.

        Args:
            weights: (rows × streams, heads, entries) float32 or better; with a sink they sum to
                less than 1.
            image: which of the entries are image tokens.
        """

    def take_rows(self, call: Call) -> None:
        """Every row of a layer's attention, in every forward: `Call.row_blocks` computes those that
        are wanted, from queries and keys as the methods left them."""

    def take_state(self, layer: int, hidden: Tensor, run: GenerationState) -> None:
        """A layer's output (rows × streams, queries, hidden)."""

    def take_added(self, layer: int, added: Tensor, run: GenerationState) -> None:
        """What a layer's attention adds, behind its output projection; shape as the state."""

    def wants(self, what: str) -> bool:
        """Whether `what`, the name of one of these, is overridden."""
        return getattr(type(self), what) is not getattr(Probe, what)

    def sees(self, layer: int, what: str) -> bool:
        """Whether it wants `what` of a layer's attention."""
        return (self.layers is None or layer in self.layers) and self.wants(what)


@contextmanager
def hooked(
    view: ModelView, wanted: Collection[str], current: Callable[[], GenerationState | None]
) -> Iterator[None]:
    """Inside the block a generation's probes get what hooks on modules see.

    Args:
        wanted: among take_state and take_added.
        current: the generation at hand; None while the model works for itself.

    Raises:
        ModelError: a layer without an attention module of its own.
    """
    with ExitStack() as undo:
        for what in wanted:
            for layer, module in enumerate(view.layers):
                place = module if what == "take_state" else _attending(module)
                tell = _telling(what, layer, current)
                undo.callback(place.register_forward_hook(tell).remove)
        yield


@contextmanager
def observed(view: ModelView, probe: Probe, run: GenerationState) -> Iterator[None]:
    """`Probe.take_rows` for a forward that belongs to no session. The kernel's output stays what
    it is, bit for bit.

    Raises:
        EngineError: a keyword of an attention call that is not understood.
    """
    kernel = current_kernel(view.decoder)

    def attend(
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        scaling: float | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor | None]:
        layer = getattr(module, "layer_idx", None)
        if layer is not None and probe.sees(layer, "take_rows"):
            tensors = query, key, value, attention_mask
            probe.take_rows(Call.of(layer, tensors, scaling, run.prompt, run, kwargs, kernel))
        return kernel(module, query, key, value, attention_mask, scaling=scaling, **kwargs)

    with switched(view.decoder, f"seesay-probe-{id(view.decoder):x}", attend):
        yield


def _attending(layer: nn.Module) -> nn.Module:
    """A layer's attention, whose output is that of its output projection."""
    if (attention := attention_of(layer)) is None:
        raise ModelError(
            f"{type(layer).__name__} does not attend (a hybrid decoder), so what its attention "
            "adds cannot be read; use a model whose layers all attend"
        )
    return attention


def _telling(
    what: str, layer: int, current: Callable[[], GenerationState | None]
) -> Callable[..., None]:
    def tell(module: nn.Module, args: Any, output: Any) -> None:
        run = current()
        for probe in () if run is None else run.probes:
            if probe.wants(what):
                getattr(probe, what)(layer, output[0] if isinstance(output, tuple) else output, run)

    return tell


class Gaze(Probe):
    """Where some rows of a forward look: the share of attention on each column.

    Args:
        rows: (batch, rows) long, the queries that are read.
        layers: over which it is averaged.
    """

    def __init__(self, rows: Tensor, layers: Collection[int]) -> None:
        self.rows, self.layers = rows, layers
        self._taken: list[Tensor] = []  # (batch, rows, columns) each

    def take_rows(self, call: Call) -> None:
        self._taken.append(call.rows(self.rows).mean(1))

    def mean(self) -> Tensor:
        """(batch, rows, columns) float32, mean over heads and layers.

        Raises:
            EngineError: no layer came by.
        """
        if not self._taken:
            raise EngineError("no layer's attention was seen; ask without gaze")
        total = sum((taken.to(self.rows.device) for taken in self._taken[1:]),
                    start=self._taken[0].to(self.rows.device))  # fmt: skip
        return (total / len(self._taken)).float()
