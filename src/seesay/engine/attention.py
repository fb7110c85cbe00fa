"""The attention function: what a layer computes while methods act in it.

Layers that no method touches go to the original kernel untouched. At decode the single row is
computed in plain torch: scores, bias, sink and readout come from that one row. At prefill the
original kernel runs and only the last row is done again. Shapes and masks are those of `kernel`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from seesay.compat import Kernel
from seesay.engine.compaction import CompactedLayer, LastRow
from seesay.engine.kernel import attend_with_sink, block_mask, masked, mix, precise, scores_of
from seesay.engine.plan import LayerPlan
from seesay.engine.run import ImageColumns, Run

# A sink this low holds no mass, and still is a finite number in half precision.
_NO_SINK = -1e3


@dataclass(frozen=True)
class Call:
    """One attention call of one layer, as the verbs see it.

    Attributes:
        layer: 0-based.
        query, key, value: after the rotary embedding; keys include the cache.
        mask: as the module docstring says.
        scaling: factor on q·k, usually head_dim^−½.
        image: the image columns of the rows at hand.
        run: the generation's state.
        factor: (batch, heads, columns) on the scores of a single row, from `key_scale`; while the
            prompt is read it is in the keys.
    """

    layer: int
    query: Tensor
    key: Tensor
    value: Tensor
    mask: Tensor | None
    scaling: float
    image: ImageColumns
    run: Run
    factor: Tensor | None = None

    @property
    def n_queries(self) -> int:
        return self.query.shape[2]

    @property
    def n_heads(self) -> int:
        return self.query.shape[1]

    @property
    def is_prefill(self) -> bool:
        return self.n_queries > 1

    @property
    def predicts(self) -> bool:
        """Whether the last row predicts a token: false while a prompt in chunks is being read."""
        return self.run.seen >= self.run.length

    @property
    def rows_at(self) -> range:
        """The logical columns at which the queries stand, whatever the cache holds."""
        return range(self.run.seen - self.n_queries, self.run.seen)

    def row_blocks(self, rows: int = 256, first: int = 0) -> Iterator[tuple[range, Tensor]]:
        """The softmax map in blocks of rows, so that no n×n map of all heads is ever held.

        Args:
            first: the query to begin with.

        Yields (query indices, (batch, heads, rows, columns) float32).
        """
        for start in range(first, self.n_queries, rows):
            block = range(start, min(start + rows, self.n_queries))
            scores = scores_of(self.query[:, :, block.start : block.stop], self.key, self.scaling)
            mask = block_mask(self.mask, block, self.rows_at.start, self.key)
            yield block, masked(scores, mask).softmax(-1)


def attend(
    plan: LayerPlan,
    original: Kernel,
    module: nn.Module,
    call: Call,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """One layer's attention under `plan`.

    Returns ((batch, queries, heads, head_dim), None), as transformers' attention functions do.
    """
    compacted = _compacted(call)
    if compacted is not None:
        call = replace(call, mask=compacted.mask(call.n_queries, call.n_heads))
        call = replace(call, image=compacted.image_columns(call.image, call.n_heads))
    own_query = call.query[:, :, -1]  # cached keys stay each head's own, whatever a layer rewrites
    call = _prepared(plan, call)
    sink = _sink(plan, call)
    readout = call.run.readout if plan.readout else None
    wants_row = bool(plan.score_bias or plan.compact or plan.readout)
    # A decoded row is one row either way, so where it is read out it is computed here, once.
    changes_row = not call.is_prefill and (plan.changes_row or plan.readout)
    if not changes_row:
        if sink is None:
            out = original(
                module, call.query, call.key, call.value, call.mask, scaling=call.scaling, **kwargs
            )[0]
        else:
            out = attend_with_sink(call.query, call.key, call.value, call.mask, call.scaling, sink)
    if readout is not None and readout.rows > 1:  # a text that is read, by the plain model
        blocks = call.row_blocks(64, call.n_queries - readout.rows)
        readout.take_text(call.layer, blocks, call.image)
    elif wants_row or changes_row:
        weights = _last_weights(plan, call, sink)
        if changes_row:
            out = mix(weights, call.value)
        elif plan.score_bias and call.predicts:
            out[:, -1:] = mix(weights, call.value)
        if readout is not None:
            readout.take_attention(call.layer, weights, call.image)
        if plan.compact:
            call.run.last_rows[call.layer] = LastRow(own_query, weights, call.image)
    return out, None


def _prepared(plan: LayerPlan, call: Call) -> Call:
    """The call after `rewrite_qk` and `key_scale`, and without the unused end of a static cache."""
    if call.mask is None and call.is_prefill and call.key.shape[2] > call.n_queries:
        # An empty static cache at prefill comes at its full length and without a mask.
        n = call.n_queries
        call = replace(call, key=call.key[:, :, :n], value=call.value[:, :, :n])
    if call.image.stop > call.key.shape[2]:  # a prompt read in chunks: not all of it is there yet
        call = replace(call, image=call.image.within(call.key.shape[2]))
    if call.is_prefill:
        for method in plan.rewrite_qk:
            head = method.rewrite_qk(call)
            if head is not None:
                call = _broadcast_head(call, head)
    for method in plan.key_scale:
        factor = method.key_scale(call)
        if factor is None:
            continue
        if call.is_prefill:
            call = replace(call, key=call.key * factor[..., None].to(call.key.dtype))
        else:  # on the scores of one row it costs far less than on all keys
            if factor.shape[1] < call.n_heads:
                factor = factor.repeat_interleave(call.n_heads // factor.shape[1], dim=1)
            call = replace(call, factor=factor if call.factor is None else call.factor * factor)
    return call


def _sink(plan: LayerPlan, call: Call) -> Tensor | None:
    """The sink's logit, (1 or batch, 1 or heads, 1 or queries) float32, or None without a sink."""
    dtype = precise(call.query[:0]).dtype
    for method in plan.sink_logmass:
        value = method.sink_logmass(call)
        if value is not None:
            return torch.as_tensor(value, device=call.query.device, dtype=dtype).clamp(min=_NO_SINK)
    return None


def _last_weights(plan: LayerPlan, call: Call, sink: Tensor | None) -> Tensor:
    """The last row's weights under all verbs, (batch, heads, columns) float32 or better.

    With a sink they sum to less than 1.
    """
    row = call.query[:, :, -1:]
    scores = scores_of(row, call.key, call.scaling)[:, :, 0]  # (batch, heads, columns)
    if call.factor is not None:
        scores = scores * call.factor
    if plan.score_bias and call.predicts and call.image.stop:
        span = slice(call.image.start, call.image.stop)
        seen = scores[..., span]
        # All biases are taken from the same scores, so their order cannot matter.
        biases = [method.score_bias(call, seen) for method in plan.score_bias]
        total = sum((bias for bias in biases if bias is not None), start=torch.zeros(()))
        weight = call.image.weight
        seen += total if weight is None else total * weight
    if call.mask is not None:
        scores = masked(scores, call.mask[:, :, -1])
    if sink is None:
        return scores.softmax(-1)
    last = sink.expand(*sink.shape[:-1], call.n_queries)[..., -1:] if sink.dim() else sink
    column = last.expand(*scores.shape[:2], 1)
    return torch.cat([scores, column], -1).softmax(-1)[..., :-1]


def _broadcast_head(call: Call, head: Tensor) -> Call:
    """Every head of a row uses the queries and keys of `head` (batch,); −1 leaves a row alone."""
    kv_heads = call.key.shape[1]
    rows = torch.arange(len(head), device=head.device)[:, None]

    def pick(count: int, chosen: Tensor) -> Tensor:  # (batch, count)
        own = torch.arange(count, device=head.device)
        return torch.where(head[:, None] < 0, own, chosen[:, None])

    query = call.query[rows, pick(call.n_heads, head)]
    key = call.key[rows, pick(kv_heads, head // (call.n_heads // kv_heads))]
    return replace(call, query=query, key=key)


def _compacted(call: Call) -> CompactedLayer | None:
    layers = getattr(call.run.cache, "layers", ())
    layer = layers[call.layer] if call.layer < len(layers) else None
    return layer if isinstance(layer, CompactedLayer) else None
