"""Acting only in doubt: a step is computed without gated methods first, and again where needed.

A gated method with a second stream is simply left out of the fold in rows that are sure. One that
acts in layers cannot be taken back so cheaply: the step runs without it; where the most probable
token stays under the gate's threshold, the step's cache entries are taken back, the step runs again
with the method, and rows in doubt take the second outcome while rows that are sure keep the first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from seesay.engine.method import ATTENTION_VERBS, Method, Stack
from seesay.engine.state import GenerationState
from seesay.errors import EngineError
from seesay.models.compat import DynamicLayer


def doubtful(plain: Tensor, below: float) -> Tensor:
    """Where the most probable token has a probability under `below`.

    Args:
        plain: (..., vocabulary) logits of the first stream.
    """
    return plain.float().softmax(-1).amax(-1) < below


def gated_in_layers(stack: Stack) -> Method | None:
    """The gated method of `stack` that acts in layers, if there is one.

    Raises:
        EngineError: several, or one that shortens the cache.
    """
    gated = [
        m
        for m in stack.parts
        if m.active and m.gate_threshold is not None and any(map(m.overrides, ATTENTION_VERBS))
    ]
    if len(gated) > 1:
        raise EngineError(
            f"{' and '.join(map(repr, gated))} would each compute a step again; gate one of them"
        )
    if gated and gated[0].overrides("prune_cache"):
        raise EngineError(f"{gated[0]} shortens the cache, which a gate could not take back")
    return gated[0] if gated else None


def look_again(
    output: Any, run: GenerationState, below: float, queries: int, forward: Callable[[], Any]
) -> Any:
    """Compute the step at hand again and keep that outcome in the rows that are in doubt.

    Args:
        output: of the step without the gated method.
        below: the gate's threshold.
        queries: columns of this step.
        forward: runs the step with the gated method.

    Returns `output` with the logits and cache entries of doubtful rows replaced.

    Raises:
        EngineError: a cache from which a step cannot be taken back (static, compacted).
    """
    doubt = doubtful(output.logits[: run.rows, -1], below)
    run.acted = doubt
    if not bool(doubt.any()):
        return output
    name = run.view.cache_name
    cache = output.get(name)
    if cache is not None:
        for layer in cache.layers:
            if type(layer) is not DynamicLayer:
                raise EngineError(
                    f"a gate takes a step back, which a {type(layer).__name__} cannot; generate "
                    "with the default dynamic cache"
                )
        first = [_take_back(layer, queries) for layer in cache.layers]
    if run.readout is not None:
        run.readout.look_again()
    second = forward()
    rows = doubt.repeat(run.streams)
    if cache is not None:
        for layer, (keys, values) in zip(second[name].layers, first, strict=True):
            layer.keys = _merged(rows, layer.keys, keys, queries)
            layer.values = _merged(rows, layer.values, values, queries)
        output[name] = second[name]
    if run.readout is not None:
        run.readout.keep(doubt)
    output.logits = torch.where(rows[:, None, None], second.logits, output.logits)
    return output


def _take_back(layer: Any, queries: int) -> tuple[Tensor, Tensor]:
    """Remove the newest entries of a cache layer, and return them."""
    newest = layer.keys[:, :, -queries:], layer.values[:, :, -queries:]
    layer.keys, layer.values = layer.keys[:, :, :-queries], layer.values[:, :, :-queries]
    return newest


def _merged(rows: Tensor, whole: Tensor, first: Tensor, queries: int) -> Tensor:
    """`whole` with its newest entries replaced by `first` in the rows that are not in doubt."""
    newest = torch.where(rows[:, None, None, None], whole[:, :, -queries:], first)
    return torch.cat([whole[:, :, :-queries], newest], dim=2)
