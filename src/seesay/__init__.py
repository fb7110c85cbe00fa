"""Say only what you see: vision-language models that name fewer things that are not there.

    import seesay

    vlm = seesay.load()                                      # the bundled model
    seen = vlm.describe("photo.jpg", method="attention-lens(alpha=0.4) + agla")
    seen.text, seen.doubtful

    with (seesay.AttentionLens(alpha=0.4) + seesay.FarSight())(model):     # any generate call
        model.generate(**inputs)

Importing seesay changes nothing in transformers and does not import torch; names are loaded when
they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seesay.engine import Method, Record, Session, Stack, parse
    from seesay.errors import EngineError, InputError, MethodError, ModelError, SeesayError
    from seesay.grounding import Mention, Vocabulary
    from seesay.methods import AGLA, AttentionLens, FarSight, Gate
    from seesay.models.view import ModelView
    from seesay.response import Response
    from seesay.vlm import VLM, load

__version__ = "0.1.0"

__all__ = [
    "AGLA",
    "VLM",
    "AttentionLens",
    "EngineError",
    "FarSight",
    "Gate",
    "InputError",
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
    "Vocabulary",
    "load",
    "parse",
]

_HOME = {
    "AGLA": "methods",
    "AttentionLens": "methods",
    "EngineError": "errors",
    "FarSight": "methods",
    "Gate": "methods",
    "InputError": "errors",
    "Mention": "grounding",
    "Method": "engine",
    "MethodError": "errors",
    "ModelError": "errors",
    "ModelView": "models",
    "Record": "engine",
    "SeesayError": "errors",
    "Response": "seen",
    "Session": "engine",
    "Stack": "engine",
    "VLM": "vlm",
    "Vocabulary": "grounding",
    "load": "vlm",
    "parse": "methods",  # the registry is filled once the methods are imported
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'seesay' has no attribute {name!r}")
    value = getattr(import_module(f"seesay.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
