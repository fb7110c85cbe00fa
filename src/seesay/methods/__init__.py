"""One paper, one file. Adding a method is its file and one line here."""

from __future__ import annotations

from seesay.engine import REGISTRY, parse
from seesay.methods.agla import AGLA
from seesay.methods.attention_lens import AttentionLens
from seesay.methods.eah import EAH
from seesay.methods.farsight import FarSight
from seesay.methods.gate import Gate
from seesay.methods.look_again import LookAgain
from seesay.methods.pai import PAI
from seesay.methods.vasparse import VASparse
from seesay.methods.vcd import VCD

__all__ = [
    "AGLA",
    "EAH",
    "PAI",
    "REGISTRY",
    "VCD",
    "AttentionLens",
    "FarSight",
    "Gate",
    "LookAgain",
    "VASparse",
    "parse",
]
