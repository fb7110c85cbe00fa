"""Positions that follow from a shortened cache, for methods that ask for it (`Method.recounts`).

A decoder turns positions into rotations once a forward and hands them to all layers. Once layers
have lost different numbers of entries, each gets rotations of its own: the same module is asked
again, with each row's positions less the entries that the layer has lost of this row. Everything
else about positions (several axes, kinds of layers, scaling) stays the decoder's own affair.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from seesay.engine.compaction import CompactedLayer
from seesay.engine.method import Method, Stack
from seesay.engine.run import Run
from seesay.errors import EngineError
from seesay.models import ModelView

_ROTARY, _ROTATIONS, _POSITIONS = "rotary_emb", "position_embeddings", "position_ids"


@contextmanager
def recounted(view: ModelView, stack: Stack, current: Callable[[], Run | None]) -> Iterator[None]:
    """Inside the block a token stands, in each layer, right behind what the layer's cache holds.

    Does nothing unless a method of `stack` asks for it.

    Args:
        current: the run at hand; None while the model works for itself.

    Raises:
        EngineError: a decoder that does not hand its layers the rotations of a module named
            rotary_emb; when the session opens, or else at the first forward.
    """
    asking = [method for method in stack.parts if method.active and method.recounts]
    if not asking:
        yield
        return
    decoder = view.decoder
    rotary = [m for name, m in decoder.named_modules() if name.rpartition(".")[2] == _ROTARY]
    if not rotary:
        raise _unknown(asking[0], decoder)
    positions = _Recounted(asking[0], decoder, current)
    with ExitStack() as undo:
        undo.callback(decoder.register_forward_pre_hook(positions.forget).remove)
        for module in rotary:
            hook = module.register_forward_hook(positions.remember, with_kwargs=True)
            undo.callback(hook.remove)
        for index, layer in enumerate(view.layers):
            shift = positions.shift(index)
            undo.callback(layer.register_forward_pre_hook(shift, with_kwargs=True).remove)
        yield


@dataclass
class _Recounted:
    """The hooks of one session, and the rotations of the forward at hand."""

    method: Method
    decoder: nn.Module
    current: Callable[[], Run | None]
    made: list[tuple[Any, nn.Module, dict[str, Any]]] = field(default_factory=list)

    def forget(self, decoder: nn.Module, args: tuple[Any, ...]) -> None:
        self.made.clear()

    def remember(
        self, rotary: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any
    ) -> None:
        given = inspect.signature(rotary.forward).bind(*args, **kwargs).arguments
        self.made.append((output, rotary, given))

    def shift(self, index: int) -> Callable[..., Any]:
        """The hook of one layer."""

        def hook(layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            run = self.current()
            if run is None:
                return None
            rotations = kwargs.get(_ROTATIONS)
            found = (call for call in self.made if call[0] is rotations)
            _, rotary, given = next(found, (None, None, {}))
            if rotary is None or not isinstance(given.get(_POSITIONS), Tensor):
                raise _unknown(self.method, self.decoder)
            cached = run.cache.layers if run.cache is not None else ()
            if index >= len(cached) or not isinstance(cached[index], CompactedLayer):
                return None
            own = given[_POSITIONS] - cached[index].lost[:, None].to(given[_POSITIONS].device)
            # Not rotary(...), which `remember` would take for the decoder's own call.
            return args, {**kwargs, _ROTATIONS: rotary.forward(**{**given, _POSITIONS: own})}

        return hook


def _unknown(method: Method, decoder: nn.Module) -> EngineError:
    return EngineError(
        f"{method} counts positions by each layer's cache, which {type(decoder).__name__} does not "
        f"let it: its layers are not given what a {_ROTARY} makes of positions; choose "
        "positions='true'"
    )
