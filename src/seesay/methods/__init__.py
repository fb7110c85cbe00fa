"""One paper, one file. Adding a method is its file and one line here."""

from __future__ import annotations

from seesay.engine import REGISTRY, parse
from seesay.methods.agla import AGLA
from seesay.methods.attention_lens import AttentionLens
from seesay.methods.farsight import FarSight
from seesay.methods.gate import Gate

__all__ = ["AGLA", "REGISTRY", "AttentionLens", "FarSight", "Gate", "parse"]
