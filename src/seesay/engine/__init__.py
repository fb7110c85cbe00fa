"""How a method reaches a running model: the only place that knows transformers' hooks.

`method` what a method is, its verbs and ``+`` · `parse` methods from text · `plan` which methods
act in which layer · `session` on, off and each forward · `run` one generation's state · `switch`
which attention function runs · `attention` what a layer computes · `kernel` the arithmetic ·
`streams` second images · `compaction` shorter caches · `readout` what is recorded · `gradient` an
attention map and a score's gradient by it
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seesay.engine.method import REGISTRY, AnyMethod, Method, Stack
from seesay.engine.parse import parse

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
