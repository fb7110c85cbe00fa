"""Cases of the published code: tensors with what it gave for them."""

from __future__ import annotations

import json

import torch
from safetensors import safe_open
from torch import nn

from paths import GOLDEN
from seesay.engine.state import GenerationState, ImageColumns


def load(name: str):
    with safe_open(GOLDEN / f"{name}.safetensors", "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    return tensors, json.loads(metadata["params"]) if "params" in metadata else metadata


def run_of(batch: int, columns: int, image: range, prompt: int) -> GenerationState:
    mask = torch.zeros(batch, columns, dtype=torch.bool)
    mask[:, image.start : image.stop] = True
    span = ImageColumns.of(mask)
    return GenerationState(None, span, prompt, image=span, rows=batch, seen=columns)


def sdpa(module, query, key, value, mask, scaling=None, **kwargs):
    causal = mask is None and query.shape[2] > 1
    out = nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, scale=scaling, is_causal=causal
    )
    return out.transpose(1, 2).contiguous(), None
