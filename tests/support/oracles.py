"""Naive versions of the papers' equations: whole n×n maps, no cache, no cleverness.

Each is written from the equation and shares no code with `seesay.engine`; the tests run whole
models on them and compare with what the engine computes.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from transformers.masking_utils import AttentionMaskInterface, eager_mask
from transformers.modeling_utils import AttentionInterface

import families


@functools.cache
def built(name: str, dtype: torch.dtype = torch.float32) -> tuple[Any, Any, dict[str, Tensor]]:
    """A family's tiny model, its processor, and a left-padded batch of three different prompts."""
    model, processor = families.build(name)
    batch = families.batch_of_three(name, model, processor)
    model = model.to(dtype)
    return (
        model,
        processor,
        {k: v.to(dtype) if v.is_floating_point() else v for k, v in batch.items()},
    )


def naive_logits(
    model: Any,
    batch: dict[str, Tensor],
    sequences: Tensor,
    attention: Callable[[Tensor, Tensor, Tensor], Tensor],
) -> Tensor:
    """Logits of all columns of `sequences`, computed at once, without a cache.

    Args:
        attention: (scores (batch, heads, n, n) unmasked, open (batch, 1, n, n) bool,
            value (batch, heads, n, dim)) -> (batch, heads, n, dim).
    """
    decoder = model.get_decoder()

    def attend(
        module: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor,
        scaling: float,
        **_: Any,
    ) -> tuple[Tensor, None]:
        groups = query.shape[1] // key.shape[1]
        key, value = (t.repeat_interleave(groups, dim=1) for t in (key, value))
        scores = query @ key.transpose(-1, -2) * scaling
        return attention(scores, mask == 0, value).transpose(1, 2).contiguous(), None

    AttentionInterface.register("naive", attend)
    AttentionMaskInterface.register("naive", eager_mask)
    before = decoder.config._attn_implementation
    decoder.set_attn_implementation("naive")
    try:
        new = sequences.shape[1] - batch["input_ids"].shape[1]
        mask = batch.get("attention_mask", torch.ones_like(batch["input_ids"]))
        whole = {
            **batch,
            "input_ids": sequences,
            "attention_mask": torch.cat([mask, mask.new_ones(len(mask), new)], 1),
        }
        if "mm_token_type_ids" in batch:
            types = batch["mm_token_type_ids"]
            whole["mm_token_type_ids"] = torch.cat([types, types.new_zeros(len(types), new)], 1)
        # generate numbers positions by the mask; a bare forward of some families does not.
        if not hasattr(model.base_model, "get_rope_index"):
            whole["position_ids"] = (whole["attention_mask"].cumsum(-1) - 1).clamp(min=0)
        return model(**whole, use_cache=False).logits
    finally:
        decoder.set_attn_implementation(before)


def plain(scores: Tensor, open_: Tensor, value: Tensor) -> Tensor:
    return scores.masked_fill(~open_, -1e30).softmax(-1) @ value


def attention_lens(alpha: float, image: Tensor, first_row: int) -> Callable[..., Tensor]:
    """S[h, i, c] += α · mean_h' |S[h', i, c]| for image columns c, in every row that predicts.

    Args:
        image: (batch, n) bool.
        first_row: the last prompt column; it and all later rows are last rows of some forward.
    """

    def attention(scores: Tensor, open_: Tensor, value: Tensor) -> Tensor:
        boost = alpha * scores.abs().mean(1, keepdim=True)
        rows = torch.arange(scores.shape[2]) >= first_row
        where = rows[None, None, :, None] & image[:, None, None, :]
        return plain(scores + boost * where, open_, value)

    return attention


def farsight(sigma: float, registers: int) -> Callable[..., Tensor]:
    """W = ω∘C + P with `registers` future columns to each row, softmax, the future dropped.

    A large number of columns stands for infinitely many.
    """

    def attention(scores: Tensor, open_: Tensor, value: Tensor) -> Tensor:
        distance = torch.arange(1, registers + 1, dtype=scores.dtype)
        future = (-distance * sigma).expand(*scores.shape[:3], registers)
        present = scores.masked_fill(~open_, -1e30)
        weights = torch.cat([present, future], -1).softmax(-1)
        return weights[..., : scores.shape[-1]] @ value

    return attention


def farsight_square(sigma: float, prompt: int) -> Callable[..., Tensor]:
    """The square form: row i of a prompt of n columns has n − 1 − i registers, later rows none."""

    def attention(scores: Tensor, open_: Tensor, value: Tensor) -> Tensor:
        out = plain(scores, open_, value)
        for row in range(prompt - 1):
            count = prompt - 1 - row
            future = -torch.arange(1, count + 1, dtype=scores.dtype) * sigma
            present = scores[:, :, row].masked_fill(~open_[:, :, row], -1e30)
            both = torch.cat([present, future.expand(*present.shape[:2], count)], -1).softmax(-1)
            out[:, :, row] = (both[..., None, : scores.shape[-1]] @ value)[:, :, 0]
        return out

    return attention


def agla_fold(plain_logits: Tensor, masked_logits: Tensor, alpha: float, beta: float) -> Tensor:
    """logit(v) + α·logit(v_aug); −inf where logit(v) < max logit(v) + ln β."""
    fused = plain_logits + alpha * masked_logits
    floor = plain_logits.max(-1, keepdim=True).values + math.log(beta)
    return fused.masked_fill(plain_logits < floor, -math.inf)
