"""The decoder's input, handed to the methods that read it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from seesay.engine.method import Stack
from seesay.engine.state import GenerationState
from seesay.models.view import ModelView


@contextmanager
def handed_on(
    view: ModelView, stack: Stack, current: Callable[[], GenerationState | None]
) -> Iterator[None]:
    """Inside the block `Method.read_embeddings` is called before the decoder, in every forward.

    Args:
        current: the run at hand; None while the model works for itself.
    """
    readers = [m for m in stack.parts if m.active and m.overrides("read_embeddings")]
    if not readers:
        yield
        return

    def hand_on(decoder: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        run = current()
        if run is None:
            return
        found = _embeddings(view, args, kwargs)
        for method in readers:
            method.read_embeddings(found, run)

    hook = view.decoder.register_forward_pre_hook(hand_on, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()


def _embeddings(view: ModelView, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor:
    """The input embeddings (rows, columns, hidden) of a call of the decoder."""
    given = kwargs.get("inputs_embeds")
    if given is None:
        ids = args[0] if args else kwargs["input_ids"]
        given = view.model.get_input_embeddings()(ids)
    return given  # type: ignore[no-any-return]
