"""What the fork is held against: each family in float64, and whole prompts."""

from __future__ import annotations

import copy
from functools import cache

import torch

import families
from seesay.models.view import ModelView

TEXTS = ["what is in the picture ?", "how many people are in this and that image ?", "a dog"]
QUESTIONS = [
    ["is there a fork in the image ?", "dog"],
    ["is there an apple in this picture ?", "a dog", "how many people are in this image ?"],
    ["yes"],
]
GREEDY = {"do_sample": False, "max_new_tokens": 5, "return_dict_in_generate": True}


def images(name):
    return families.three(name)[1]


@cache
def precise(name):
    """The family's model in float64, so that equality is held far below rounding."""
    model, processor = families.build(name)
    return ModelView.of(copy.deepcopy(model).double(), processor)


def batch_of(view, name, texts=TEXTS, pictures=None):
    batch = families.inputs(name, view.model, view.processor, texts, pictures or images(name))
    return {k: v.double() if v.is_floating_point() else v for k, v in batch.items()}


def whole(view, name, question, pictures):
    """The oracle: the model's own forward over the question's prompt, alone and without padding."""
    return view.model(**batch_of(view, name, [question], [pictures])).logits[0, -1]


def off(view, name, found, questions=QUESTIONS, pictures=None):
    """The largest difference from the oracle, over all rows and questions."""
    differences = [
        (logits - whole(view, name, question, its)).abs().max()
        for row, its, asked in zip(found, pictures or images(name), questions, strict=True)
        for logits, question in zip(row, asked, strict=True)
    ]
    return float(torch.stack(differences).max())
