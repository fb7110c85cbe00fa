"""Tiny random models as users meet them: what tests of the face share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

import families
from seesay.engine import Record
from seesay.grounding import Calibration, Vocabulary
from seesay.grounding.calibration import Logistic, OperatingPoint, StoredInterval
from seesay.models.view import ModelView
from seesay.vlm import VLM

WORDS = Vocabulary.of({word: [] for word in families._WORDS if word.isalpha()})
SHORT: dict[str, Any] = {"max_new_tokens": 12, "vocabulary": WORDS}


def vlm_of(family, **changes) -> VLM:
    view = ModelView.of(family.model, family.processor)
    return replace(VLM(family.model, family.processor, view, family.name), **changes)


def logistic(features=("logprob", "svar", "svar_own"), weights=(-1.0, -0.5, -0.5), **changes):
    """A risk that falls with probability and attention; its figures are made up."""
    return Logistic(
        **{
            "features": features,
            "mean": (0.0,) * len(features),
            "scale": (2.0,) * len(features),
            "weights": weights,
            "intercept": 0.0,
            "threshold": 0.5,
            "auroc": StoredInterval(value=0.8, low=0.7, high=0.9),
            "error": StoredInterval(value=0.02, low=0.01, high=0.04),
            "curve": ((0.05, 0.04, 90), (0.6, 0.7, 10)),
            "kept": (
                OperatingPoint(threshold=0.5, chair_i=0.05, recall=0.6, f1=0.7),
                OperatingPoint(threshold=1.0, chair_i=0.2, recall=0.7, f1=0.65),
            ),
            **changes,
        }
    )


def calibration(**changes) -> Calibration:
    """A calibration of a model of four layers, with made-up figures."""
    return Calibration(
        **{
            "model": "m",
            "revision": "r1",
            "vocabulary": "coco",
            "prompt": "Please describe this image in detail.",
            "layers": (1, 2),
            "layers_auroc": 0.7,
            "by_layer": (0.5, 0.7, 0.6, 0.5),
            "made_from": "a test",
            "pictures": 50,
            "words": 200,
            "invented": 40,
            "single": logistic(),
            "versions": {},
            **changes,
        }
    )


def record(tokens: list[int], layers: int = 4, heads: int = 2, **fields: Any) -> Record:
    """One text's record with made-up numbers, each of them different."""
    generator = torch.Generator().manual_seed(3)
    shape = (1, len(tokens))

    def drawn(*more: int) -> torch.Tensor:
        return torch.rand(*shape, *more, generator=generator)

    return Record(
        **{
            "tokens": torch.tensor([tokens]),
            "logprob": -drawn(),
            "plain_logprob": -drawn(),
            "entropy": drawn(),
            "first": drawn(8)[:, 0],
            "var": drawn(layers, heads),
            "image_attention": drawn(16),
            "text_attention": drawn(),
            **fields,
        }
    )
