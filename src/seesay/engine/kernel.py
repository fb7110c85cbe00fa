"""The arithmetic of attention in plain torch: one row, blocks of rows, and a sink for all rows.

Shapes, throughout: (batch, heads, queries, head_dim) for queries, (batch, kv_heads, columns,
head_dim) for keys and values; heads are a multiple of kv_heads and stay packed in groups, never
repeated, in everything that runs once a token. Masks are None, boolean (True = may attend) or
additive, and broadcast to (batch, heads, queries, columns).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def scores_of(query: Tensor, key: Tensor, scaling: float) -> Tensor:
    """q·k·scaling, (batch, heads, queries, columns) in float32 or better; groups stay packed."""
    batch, heads, queries, dim = query.shape
    packed = query.reshape(batch, key.shape[1], -1, dim)  # (batch, kv_heads, group × queries, dim)
    scores = precise(torch.matmul(packed, key.transpose(-1, -2))) * scaling
    return scores.view(batch, heads, queries, -1)


def block_mask(mask: Tensor | None, block: range, start: int, key: Tensor) -> Tensor:
    """The mask of some query rows; the causal one where `mask` is None.

    Args:
        block: query indices; query 0 stands at column `start`.
    """
    if mask is not None:
        return mask[:, :, block.start : block.stop]
    columns = torch.arange(key.shape[2], device=key.device)
    at = torch.arange(block.start, block.stop, device=key.device) + start
    return (columns <= at[:, None])[None, None]


def precise(values: Tensor) -> Tensor:
    """`values` in float32, or as they are if they are float64."""
    return values if values.dtype == torch.float64 else values.float()


def mix(weights: Tensor, value: Tensor) -> Tensor:
    """weights (batch, heads, columns) · value → (batch, 1, heads, head_dim)."""
    batch, heads, columns = weights.shape
    packed = weights.to(value.dtype).view(batch, value.shape[1], -1, columns)
    return torch.matmul(packed, value).view(batch, 1, heads, -1)


def masked(scores: Tensor, mask: Tensor) -> Tensor:
    if mask.dtype == torch.bool:
        return scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return scores + mask


def attend_with_sink(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scaling: float, sink: Tensor
) -> Tensor:
    """All rows with one more softmax entry of value zero; (batch, queries, heads, head_dim).

    The sink is a key at column 0 that is zero but for one spare feature dimension, in which each
    query carries its own sink logit: the usual fused kernel runs and no n×n mask is made. Without
    a mask a dummy first query keeps the causal triangle aligned.
    """
    batch, heads, queries, dim = query.shape
    causal = mask is None
    logits = sink.expand(batch, heads, queries).to(query.dtype)
    # Eight spare dimensions, not one: fused kernels want head sizes that are multiples of eight.
    query = functional.pad(query, (0, 8))
    query[..., dim] = logits / scaling
    key = functional.pad(key, (0, 8, 1, 0))
    key[:, :, 0, dim] = 1
    value = functional.pad(value, (0, 8, 1, 0))
    if causal:
        query = functional.pad(query, (0, 0, 1, 0))
    groups = heads // key.shape[1]
    if groups > 1 and not causal:
        key, value = (t.repeat_interleave(groups, dim=1) for t in (key, value))
    out = functional.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=None if mask is None else _with_open_column(mask),
        scale=scaling,
        is_causal=causal,
        enable_gqa=groups > 1 and causal,
    )
    return out[:, :, int(causal) :, :dim].transpose(1, 2).contiguous()


def mass_on(
    columns: Tensor, query: Tensor, key: Tensor, mask: Tensor | None, scaling: float
) -> Tensor:
    """The attention that each row pays to some columns, (batch, heads, queries) float32.

    The usual fused kernel runs with these columns as values, so no n×n map is made.

    Args:
        columns: (1 or batch, 1 or kv_heads, columns), 1 on these columns and 0 elsewhere.
    """
    groups = query.shape[1] // key.shape[1]
    value = torch.zeros_like(key)
    value[..., 0] = columns.to(key.dtype)
    if groups > 1 and mask is not None:
        key, value = (t.repeat_interleave(groups, dim=1) for t in (key, value))
    out = functional.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=mask,
        scale=scaling,
        is_causal=mask is None,
        enable_gqa=groups > 1 and mask is None,
    )
    return precise(out[..., 0]).nan_to_num(0.0)  # rows of padding may attend to nothing


def _with_open_column(mask: Tensor) -> Tensor:
    """`mask` with a first column that every row may attend to."""
    return functional.pad(mask, (1, 0), value=True if mask.dtype == torch.bool else 0.0)
