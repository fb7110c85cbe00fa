"""How a method reaches a running model: the only place that knows transformers' hooks.

===========================  ===================================================================
`method` `spec`              what a method is, its verbs and ``+``; methods from text
`session` `state`            on, off and each forward; one generation's state and how it begins
`attention`                  what a layer computes under methods; the arithmetic of rows and sinks
`probes`                     what sees layers and changes nothing
`contrastive` `recompute`    second streams; a step again, under a gate
`kv_cache` `embeddings`      cache entries kept, merged, dropped; the decoder's input
`readout` `deep`             what a generation leaves behind; what hidden states tell
`prefix`                     other questions about a picture that is cached
`gradient`                   an attention map and a score's gradient
===========================  ===================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seesay.engine.method import REGISTRY, AnyMethod, Method, Stack
from seesay.engine.spec import parse

if TYPE_CHECKING:
    from seesay.engine.readout import Record
    from seesay.engine.session import Session

__all__ = ["REGISTRY", "AnyMethod", "Method", "Record", "Session", "Stack", "parse"]


def __getattr__(name: str) -> Any:
    # These two need torch, which a command line that only lists methods should not wait for.
    if name == "Session":
        from seesay.engine.session import Session

        return Session
    if name == "Record":
        from seesay.engine.readout import Record

        return Record
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
