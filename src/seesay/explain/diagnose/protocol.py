"""How a diagnosis measures: its settings, and what its pages say of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seesay.explain.diagnose.described import FIRST_SEED, TOY
from seesay.explain.diagnose.figures import RESAMPLES
from seesay.explain.diagnose.measurements import finite
from seesay.explain.diagnose.types import Evidence
from seesay.grounding import Vocabulary
from seesay.models.compat import versions
from seesay.vlm import BUNDLED, PROMPT, VLM

PICTURES, ASKED_PICTURES = 200, 128


@dataclass(frozen=True)
class DiagnosisSettings:
    """How a diagnosis measures.

    Attributes:
        images: see `pictures.pictures_of`.
        count: pictures.
        asked: of them, the first that are described anew under methods; the costly part.
        batch_size: pictures at once.
        max_new_tokens: a text is cut there.
        prompt: what is asked for.
        vocabulary: the object words to look for; None is the model's, and that of drawn scenes.
    """

    images: str = TOY
    count: int = PICTURES
    asked: int = ASKED_PICTURES
    batch_size: int = 32
    max_new_tokens: int = 128
    prompt: str = PROMPT
    vocabulary: Vocabulary | None = None


def named(images: str) -> str:
    """What the pictures are, in a few words."""
    if images == TOY:
        return f"drawn scenes of both splits, seeds from {FIRST_SEED:,} on"
    return Path(images).name or images


def protocol(vlm: VLM, settings: DiagnosisSettings) -> dict[str, Any]:
    """What measurements of one file have in common."""
    words = settings.vocabulary or (Vocabulary.toy() if settings.images == TOY else vlm.vocabulary)
    found: dict[str, Any] = finite(
        {
            "model": vlm.id,
            "revision": vlm.revision,
            "images": settings.images,
            "prompt": settings.prompt,
            "decoding": f"greedy, at most {settings.max_new_tokens} tokens",
            "vocabulary": words.name,
            "dtype": str(vlm.model.dtype).removeprefix("torch."),
            "versions": versions(),
        }
    )
    return found


def full_protocol(vlm: VLM, settings: DiagnosisSettings, evidence: Evidence) -> Mapping[str, Any]:
    """What stands at the foot of a page."""
    view = vlm.view
    asked = max((len(found) for found in evidence.asked.values()), default=0)
    return {
        **protocol(vlm, settings),
        "device": str(vlm.model.device),
        "layers and heads": f"{view.n_layers} layers of {view.n_heads} heads",
        "pictures": f"{len(evidence.told)}, of which {asked} described anew under methods",
        "words": "the first mention of each object in a text, by its first token",
        "reading": "prompt and text in one forward; no n×n map is kept",
        "intervals": f"95 %, percentiles of {RESAMPLES:,} draws of pictures with return",
    }


def remarks(vlm: VLM, settings: DiagnosisSettings, evidence: Evidence) -> tuple[str, ...]:
    """What a reader of the figures must know."""
    found = []
    if settings.images == TOY and vlm.id != BUNDLED:
        found.append(
            "The pictures are drawn scenes, which this model was not made for: give it photos."
        )
    if vlm.id == BUNDLED:
        found.append(
            "The model is tiny and its pictures are drawn. What holds here says nothing about "
            "large models; run the same command on yours."
        )
    if not any(word for one in evidence.told for word in one.words):
        found.append("The texts name no object that the vocabulary knows; see --words.")
    return tuple(found)
