"""How a method reaches a running model: the only place that knows transformers' hooks.

======================  ========================================================================
`method` `parsing`      what a method is, its verbs and ``+``; methods from text
`session` `start`       on, off and each forward; how a run begins and how a later turn goes on
`run` `plan`            one generation's state; which methods act in which layer
`attention` `kernel`    what a layer computes under methods; the arithmetic of rows and sinks
`switch`                which attention function the decoder runs on
`streams`               second images: doubled batches, caches that follow beams, folded logits
`compaction`            cache entries kept, merged and dropped
`positions`             positions that follow from what a layer's cache still holds
`embeddings`            the decoder's input, handed to methods that read it
`record` `readout`      what a generation leaves behind; how it is taken, step by step
`step` `deep`           one step of it; what hidden states and the places of patches tell
`recording`             generations and readings with a readout
`fork` `layout`         other questions about a picture that is cached; one forward's tensors
`gradient`              an attention map and a score's gradient
======================  ========================================================================
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
