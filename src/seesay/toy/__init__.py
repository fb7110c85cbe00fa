"""The bundled model's world: scenes to draw, words to say, and where its weights lie.

Importing this loads no drawing and no tensor library; `scene` loads Pillow and numpy on first use.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from seesay.toy.questions import DESCRIBE, affirmed_color, affirmed_count, question
from seesay.toy.world import COLORS, CONTEXTS, OBJECTS, SURFACES, plural

if TYPE_CHECKING:
    from seesay.toy.scenes import Placed, Scene, scene

MODEL_DIR: Final = Path(__file__).parent / "model"
"""The bundled model's folder, in Hugging Face format."""

__all__ = [
    "COLORS",
    "CONTEXTS",
    "DESCRIBE",
    "MODEL_DIR",
    "OBJECTS",
    "SURFACES",
    "Placed",
    "Scene",
    "affirmed_color",
    "affirmed_count",
    "plural",
    "question",
    "scene",
]


def __getattr__(name: str) -> Any:
    if name not in ("Placed", "Scene", "scene"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from seesay.toy import scenes

    return getattr(scenes, name)
