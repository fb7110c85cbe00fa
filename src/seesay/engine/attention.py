"""The attention function: what a layer computes while methods act in it.

Layers that no method touches go to the original kernel untouched. At decode the single row is
computed in plain torch: scores, bias, sink and readout come from that one row. At prefill the
original kernel runs and only the last row is done again. Shapes and masks are those of `kernel`.

The arithmetic of attention in plain torch: one row, blocks of rows, and a sink for all rows.

Shapes, throughout: (batch, heads, queries, head_dim) for queries, (batch, kv_heads, columns,
head_dim) for keys and values; heads are a multiple of kv_heads and stay packed in groups, never
repeated, in everything that runs once a token. Masks are None, boolean (True = may attend) or
additive, and broadcast to (batch, heads, queries, columns).

Which attention function a decoder runs on: switching it, and putting it back.

Which methods act in which layer.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from seesay.engine.kv_cache import CompactedLayer, LastRow
from seesay.engine.method import ATTENTION_VERBS, Method, Stack
from seesay.engine.state import GenerationState, ImageColumns
from seesay.errors import EngineError, MethodError
from seesay.models.compat import Kernel, attention_function, implementation, registered
from seesay.models.layers import PASSED_ON, UNDERSTOOD
from seesay.models.view import ModelView

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
        cap: the family's own cap c on scores, which are c·tanh(s/c); None without one.
        image: the image columns of the rows at hand.
        run: the generation's state.
        factor: (batch, heads, columns) on the scores of a single row, from `key_scale`; while the
            prompt is read it is in the keys.
        sink: the sink's logit, (1 or batch, 1 or heads, 1 or queries); None without a sink, and
            before `key_scale`.
    """

    layer: int
    query: Tensor
    key: Tensor
    value: Tensor
    mask: Tensor | None
    scaling: float
    image: ImageColumns
    run: GenerationState
    factor: Tensor | None = None
    sink: Tensor | None = None
    cap: float | None = None

    @classmethod
    def of(
        cls,
        layer: int,
        tensors: tuple[Tensor, Tensor, Tensor, Tensor | None],
        scaling: float | None,
        image: ImageColumns,
        run: GenerationState,
        keywords: Mapping[str, Any],
        kernel: Kernel,
    ) -> Call:
        """The call that transformers makes of an attention function.

        Args:
            tensors: query, key, value, mask.
            keywords, kernel: see `checked`, whose errors are raised.
        """
        scale = tensors[0].shape[-1] ** -0.5 if scaling is None else scaling
        cap = checked(run.view.decoder, layer, keywords, kernel)
        return cls(layer, *tensors, scale, image, run, cap=cap)

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

    @property
    def first_column(self) -> int:
        """The logical column of the first key: a window's layer holds the newest columns alone."""
        return max(0, self.run.seen - self.key.shape[2])

    def scores(self, query: Tensor) -> Tensor:
        """`scores_of` these queries, capped as the family caps them."""
        found = scores_of(query, self.key, self.scaling)
        return found if self.cap is None else (found / self.cap).tanh() * self.cap

    def row_blocks(
        self, rows: int = 256, first: int = 0, stop: int | None = None
    ) -> Iterator[tuple[range, Tensor]]:
        """The softmax map in blocks of rows, so that no n×n map of all heads is ever held.

        Args:
            first, stop: the query to begin with, and the one behind the last.

        Yields (query indices, (batch, heads, rows, columns) float32); with a sink, whose share is
        dropped, a row sums to less than 1.
        """
        stop = self.n_queries if stop is None else stop
        for start in range(first, stop, rows):
            block = range(start, min(start + rows, stop))
            scores = self.scores(self.query[:, :, block.start : block.stop])
            at = self.rows_at.start - self.first_column
            scores = masked(scores, block_mask(self.mask, block, at, self.key))
            weights = scores.softmax(-1)
            if self.sink is not None:
                per_row = self.sink.dim() and self.sink.shape[-1] > 1
                sink = self.sink[..., block.start : block.stop] if per_row else self.sink
                placed = scores.logsumexp(-1)  # (batch, heads, rows)
                weights = weights * (placed - sink).sigmoid()[..., None]
            yield block, weights

    def rows(self, which: Tensor) -> Tensor:
        """The softmax map of some rows of a forward that brings a mask of four dimensions.

        Args:
            which: (batch, rows) long, the queries.

        Returns (batch, heads, rows, columns) float32 or better.
        """
        if self.mask is None:
            raise EngineError("single rows are read of a forward that brings its mask")
        at = which.to(self.query.device)[:, None, :, None]
        own, open_to = (
            x.gather(2, at.expand(-1, x.shape[1], -1, x.shape[3])) for x in (self.query, self.mask)
        )
        return masked(self.scores(own), open_to).softmax(-1)


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
    else:
        call = replace(call, image=call.image.behind(call.first_column))
    own_sink = _own_sink(call, kwargs.get("s_aux"))
    sink = _sink(plan, call, own_sink)
    own_query = call.query[:, :, -1]  # cached keys stay each head's own, whatever a layer rewrites
    call = _prepared(plan, call, sink)
    probes = call.run.probes if plan.probed else ()
    by_row = [probe for probe in probes if probe.sees(call.layer, "take_row")]
    # A decoded row is one row either way, so where it is seen it is computed here, once.
    changes_row = not call.is_prefill and bool(plan.changes_row or by_row)
    if not changes_row:
        if sink is None or sink is own_sink:
            out = original(
                module, call.query, call.key, call.value, call.mask, scaling=call.scaling, **kwargs
            )[0]
        elif call.cap is not None:
            out = attend_in_blocks(replace(call, sink=sink))
        else:
            out = attend_with_sink(call.query, call.key, call.value, call.mask, call.scaling, sink)
    for probe in probes:
        if probe.sees(call.layer, "take_rows"):
            probe.take_rows(replace(call, sink=sink))
    if plan.score_bias or plan.prune_cache or by_row or changes_row:
        weights = _last_weights(plan, call, sink)
        if changes_row:
            out = mix(weights, call.value)
        elif plan.score_bias and call.predicts:
            out[:, -1:] = mix(weights, call.value)
        for probe in by_row:
            probe.take_row(call.layer, weights, call.image, call.run)
        if plan.prune_cache:
            call.run.last_rows[call.layer] = LastRow(own_query, weights, call.image)
    return out, None


def _prepared(plan: LayerPlan, call: Call, sink: Tensor | None) -> Call:
    """The call after `shared_head` and `key_scale`."""
    if call.image.stop > call.key.shape[2]:  # a prompt read in chunks: not all of it is there yet
        call = replace(call, image=call.image.within(call.key.shape[2]))
    if call.is_prefill:
        for method in plan.shared_head:
            head = method.shared_head(call)
            if head is not None:
                call = _broadcast_head(call, head)
    for method in plan.key_scale:
        factor = method.key_scale(replace(call, sink=sink))
        if factor is None:
            continue
        if call.is_prefill:
            call = replace(call, key=call.key * factor[..., None].to(call.key.dtype))
        else:  # on the scores of one row it costs far less than on all keys
            if factor.shape[1] < call.n_heads:
                factor = factor.repeat_interleave(call.n_heads // factor.shape[1], dim=1)
            call = replace(call, factor=factor if call.factor is None else call.factor * factor)
    return call


def _own_sink(call: Call, logits: Tensor | None) -> Tensor | None:
    """The sink that the family itself gives each head, (1, heads, 1); None without one."""
    return None if logits is None else precise(logits).view(1, -1, 1)


def _sink(plan: LayerPlan, call: Call, own: Tensor | None) -> Tensor | None:
    """The sink's logit, (1 or batch, 1 or heads, 1 or queries) float32, or None without a sink.

    Two sinks are one, whose logit is the logarithm of the sum of both exponentials.
    """
    dtype = precise(call.query[:0]).dtype
    for method in plan.sink_logit:
        value = method.sink_logit(call)
        if value is not None:
            sink = torch.as_tensor(value, device=call.query.device, dtype=dtype)
            sink = sink.clamp(min=_NO_SINK)
            return sink if own is None else torch.logaddexp(sink, own.to(dtype))
    return own


def _last_weights(plan: LayerPlan, call: Call, sink: Tensor | None) -> Tensor:
    """The last row's weights under all verbs, (batch, heads, columns) float32 or better.

    With a sink they sum to less than 1.
    """
    row = call.query[:, :, -1:]
    scores = call.scores(row)[:, :, 0]  # (batch, heads, columns)
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


def attend_in_blocks(call: Call) -> Tensor:
    """All rows in plain torch, a block at a time, where no fused kernel knows what the family does
    to its scores; (batch, queries, heads, head_dim)."""
    parts = []
    for _, weights in call.row_blocks():
        batch, heads, rows, columns = weights.shape
        packed = weights.to(call.value.dtype).view(batch, call.value.shape[1], -1, columns)
        parts.append(torch.matmul(packed, call.value).view(batch, heads, rows, -1))
    return torch.cat(parts, 2).transpose(1, 2).contiguous()


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
    return out[:, :, int(causal) :, :-8].transpose(1, 2).contiguous()


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


@contextmanager
def switched(decoder: Any, name: str, attend: Kernel) -> Iterator[None]:
    """Run `decoder` on the attention function `attend`, and put everything back on the way out."""
    before = implementation(decoder)
    with registered(name, attend, masks="eager" if before == "eager" else "sdpa"):
        try:
            decoder.set_attn_implementation(name)
            yield
        finally:
            decoder.set_attn_implementation(before)


@contextmanager
def shadowed(owner: Any, name: str, value: Any) -> Iterator[None]:
    """`owner.name` is `value` inside the block, on this one instance."""
    own, before = name in vars(owner), vars(owner).get(name)
    vars(owner)[name] = value
    try:
        yield
    finally:
        if own:
            vars(owner)[name] = before
        else:
            vars(owner).pop(name, None)


def original_kernel(decoder: Any) -> Kernel:
    """The kernel that `decoder` uses now, for layers that nothing touches.

    Flash kernels take masks of another form; under a session their place is taken by torch's
    scaled_dot_product_attention, which picks a flash kernel itself where it can.
    """
    if implementation(decoder) != "eager":
        return attention_function("sdpa")

    def eager(module: nn.Module, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor | None]:
        home = sys.modules[type(module).__module__]
        return home.eager_attention_forward(module, *args, **kwargs)  # type: ignore[no-any-return]

    return eager


def current_kernel(decoder: Any) -> Kernel:
    """As `original_kernel`, but a session's own function in a session, which may stand aside."""
    name = implementation(decoder)
    return attention_function(name) if name.startswith("seesay-") else original_kernel(decoder)


def aligned(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, seen: int
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Keys, values and mask of a call such that no mask means a triangle that ends at the last key.

    An empty static cache comes at its full length while the prompt is read; and some decoders drop
    queries whose rows nobody needs, whose triangle then begins in the middle.

    Args:
        seen: columns so far; 0 if it is not known.
    """
    if mask is None and 0 < seen < key.shape[2]:
        key, value = key[:, :, :seen], value[:, :, :seen]
    queries, columns = query.shape[2], key.shape[2]
    if mask is None and 1 < queries < columns:
        whole = torch.ones(queries, columns, dtype=torch.bool, device=query.device)
        mask = whole.tril(columns - queries)[None, None]
    return key, value, mask


def checked(decoder: Any, layer: int, keywords: Mapping[str, Any], kernel: Kernel) -> float | None:
    """The cap on a layer's scores, None without one; by allow-list, so that a family whose
    attention does something that is not known here is refused before anything comes of it.

    Raises:
        EngineError: a keyword that is not understood; or a cap or a sink of the family's own under
            a kernel that leaves them out.
    """
    given = {name for name, value in keywords.items() if value is not None}
    unknown = sorted(given - PASSED_ON - UNDERSTOOD)
    if unknown:
        raise EngineError(
            f"layer {layer} of {type(decoder).__name__} attends with {', '.join(unknown)}, "
            "which is not understood here, so nothing was computed; run this model without a "
            "session"
        )
    if given & {"softcap", "s_aux"} and kernel is attention_function("sdpa"):
        raise EngineError(
            f"layer {layer} of {type(decoder).__name__} caps its scores or has sinks of its "
            "own, which this attention function leaves out; load the model with "
            "attn_implementation='eager'"
        )
    cap: float | None = keywords.get("softcap")
    return cap


@dataclass(frozen=True)
class LayerPlan:
    """The methods that act in one layer, by verb, and whether a probe may see the layer."""

    shared_head: tuple[Method, ...] = ()
    key_scale: tuple[Method, ...] = ()
    score_bias: tuple[Method, ...] = ()
    sink_logit: tuple[Method, ...] = ()
    prune_cache: tuple[Method, ...] = ()
    probed: bool = False

    @property
    def changes_row(self) -> bool:
        """Whether any verb changes a single row; `shared_head` acts while the prompt is read."""
        return bool(self.key_scale or self.score_bias or self.sink_logit)


def plan_layers(
    view: ModelView, stack: Stack, probed: Collection[int] = ()
) -> dict[int, LayerPlan]:
    """Which methods act in which layer; layers that stand in no plan are left alone.

    Args:
        probed: the layers whose attention probes see.
    """
    plans: dict[int, dict[str, list[Method]]] = {}
    for method in stack.parts:
        verbs = [v for v in (*ATTENTION_VERBS, "prune_cache") if method.overrides(v)]
        if not method.active or not verbs:
            continue
        layers = method.acts_in(view)
        outside = sorted(layer for layer in layers if not 0 <= layer < view.n_layers)
        if outside:
            raise MethodError(
                f"{method}: layer {outside[-1]} is outside the model, whose decoder has layers 0 "
                f"to {view.n_layers - 1}"
            )
        for layer in layers:
            for verb in verbs:
                plans.setdefault(layer, {}).setdefault(verb, []).append(method)
    for layer in probed:
        plans.setdefault(layer, {})
    return {
        layer: LayerPlan(**{v: tuple(ms) for v, ms in verbs.items()}, probed=layer in probed)
        for layer, verbs in sorted(plans.items())
    }
