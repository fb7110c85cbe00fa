"""Say only what you see: vision-language models that name fewer things that are not there.

    import seesay

    vlm = seesay.load()                                      # the bundled model
    response = vlm.describe("photo.jpg", method="attention-lens(alpha=0.4) + agla")
    response.text, response.doubtful

    with (seesay.AttentionLens(alpha=0.4) + seesay.FarSight())(model):     # any generate call
        model.generate(**inputs)

Importing seesay changes nothing in transformers and does not import torch; names are loaded when
they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seesay.engine import Method, Record, Session, Stack
    from seesay.errors import (
        EngineError,
        InputError,
        MethodError,
        ModelError,
        SeesayError,
        UntestedVersionWarning,
    )
    from seesay.grounding import Calibration, Mention, Vocabulary
    from seesay.methods import (
        AGLA,
        EAH,
        PAI,
        VCD,
        AttentionLens,
        FarSight,
        Gate,
        LookAgain,
        VASparse,
        parse,
    )
    from seesay.models.view import ModelView
    from seesay.response import Response
    from seesay.vlm import VLM, load

__version__ = "0.1.0"

__all__ = [
    "AGLA",
    "EAH",
    "PAI",
    "VCD",
    "VLM",
    "AttentionLens",
    "Calibration",
    "EngineError",
    "FarSight",
    "Gate",
    "InputError",
    "LookAgain",
    "Mention",
    "Method",
    "MethodError",
    "ModelError",
    "ModelView",
    "Record",
    "Response",
    "SeesayError",
    "Session",
    "Stack",
    "UntestedVersionWarning",
    "VASparse",
    "Vocabulary",
    "load",
    "parse",
]

# Where each name lives. `parse` comes from the methods, since those fill the registry.
_HOME = {
    "AGLA": "methods",
    "AttentionLens": "methods",
    "Calibration": "grounding",
    "EAH": "methods",
    "EngineError": "errors",
    "FarSight": "methods",
    "Gate": "methods",
    "InputError": "errors",
    "LookAgain": "methods",
    "Mention": "grounding",
    "Method": "engine",
    "MethodError": "errors",
    "ModelError": "errors",
    "ModelView": "models.view",
    "PAI": "methods",
    "Record": "engine",
    "Response": "response",
    "SeesayError": "errors",
    "Session": "engine",
    "Stack": "engine",
    "UntestedVersionWarning": "errors",
    "VASparse": "methods",
    "VCD": "methods",
    "VLM": "vlm",
    "Vocabulary": "grounding",
    "load": "vlm",
    "parse": "methods",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'seesay' has no attribute {name!r}")
    value = getattr(import_module(f"seesay.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
