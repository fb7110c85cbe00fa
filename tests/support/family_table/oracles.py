"""Naive attention through each family's own eager function: what a method must come to."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import torch
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface
from transformers.modeling_utils import AttentionInterface

from seesay.models.compat import cache_in
from seesay.models.view import ModelView

# ---- oracles: naive attention through the family's own eager function --------------------------


def eager_of(module: Any) -> Callable[..., Any]:
    if getattr(module, "layer_idx", None) is None:  # a vision tower inside the decoder
        return sdpa_attention_forward
    return sys.modules[type(module).__module__].eager_attention_forward


SEEN = {"columns": 0}  # columns of the text after the forward at hand


def counting(decoder: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    given = kwargs.get("inputs_embeds")
    given = kwargs.get("input_ids") if given is None else given
    given = args[0] if given is None and args else given
    cache = cache_in(kwargs)
    past = 0
    for layer in getattr(cache, "layers", ()):
        try:
            past = max(past, int(layer.get_seq_length()))
        except Exception:  # recurrent layers count nothing
            continue
    SEEN["columns"] = past + given.shape[1]


@contextmanager
def attending(view: ModelView, fn: Callable[..., Any]):
    """The decoder on `fn`. It goes by the name of sdpa: some families (those with an indexer) look at
    the name, and leave out their own mask under any other."""
    decoder = view.decoder
    before = decoder.config._attn_implementation
    name = (
        "sdpa" if before == "sdpa" else "oracle"
    )  # Gemma 2 runs eager, whose function has no entry
    inside = {id(module) for module in decoder.modules()}

    def routed(module, q, k, v, *args, **kw):
        if id(module) not in inside or getattr(module, "layer_idx", None) is None:
            return sdpa_attention_forward(module, q, k, v, *args, **kw)
        mask = args[0] if args else kw.pop("attention_mask", None)
        return fn(module, q, k, v, full_mask(mask, q, k), **kw)

    AttentionInterface.register(name, routed)
    if name == "oracle":
        AttentionMaskInterface.register(name, ALL_MASK_ATTENTION_FUNCTIONS["eager"])
        decoder.set_attn_implementation(name)
    hook = decoder.register_forward_pre_hook(counting, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()
        AttentionInterface.register("sdpa", sdpa_attention_forward)
        if name == "oracle":
            decoder.set_attn_implementation(before)


@contextmanager
def eager(view: ModelView):
    decoder = view.decoder
    before = decoder.config._attn_implementation
    decoder.set_attn_implementation("eager")
    try:
        yield
    finally:
        decoder.set_attn_implementation(before)


def full_mask(mask, q, k):
    if mask is None:
        mask = q.new_zeros(1, 1, q.shape[2], k.shape[2])
        if q.shape[2] > 1:
            closed = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool).triu(
                1 + k.shape[2] - q.shape[2]
            )
            mask = mask.masked_fill(closed, torch.finfo(q.dtype).min)
    if mask.dtype == torch.bool:
        mask = q.new_zeros(mask.shape).masked_fill(~mask, torch.finfo(q.dtype).min)
    return mask[..., : k.shape[2]]


def repeated(k, q):
    return k.repeat_interleave(q.shape[1] // k.shape[1], 1)


def wide(columns, k, seen=None):
    """Prompt's image columns (batch, prompt) as the keys at hand have them: with a sliding window a
    cache keeps the newest columns alone."""
    n, seen = k.shape[2], SEEN["columns"] if seen is None else seen
    columns = torch.nn.functional.pad(columns, (0, max(0, seen - columns.shape[1])))
    return columns[:, max(0, seen - n) :][:, :n]


def lens_oracle(columns, layers, alpha, per_head=False, start=0):
    def fn(module, q, k, v, mask, scaling=None, **kw):
        layer = getattr(module, "layer_idx", None)
        if layer is None or layer not in layers:
            return eager_of(module)(module, q, k, v, mask, scaling=scaling, **kw)
        scale = q.shape[-1] ** -0.5 if scaling is None else scaling
        s = q[:, :, -1:] @ repeated(k, q).transpose(-1, -2) * scale
        cap = kw.get("softcap")
        s = (s if cap is None else (s / cap).tanh() * cap).abs()  # (B, H, 1, K)
        if not per_head:
            s = s.mean(1, keepdim=True)
        bias = s * alpha * wide(columns, k)[:, None, None]
        mask = full_mask(mask, q, k).expand(q.shape[0], q.shape[1], q.shape[2], -1).clone()
        mask[:, :, -1:] += bias
        return eager_of(module)(module, q, k, v, mask, scaling=scaling, **kw)

    return fn


def sink_oracle(sigma):
    logit = -sigma - torch.log(-torch.expm1(torch.tensor(-sigma)))

    def fn(module, q, k, v, mask, scaling=None, **kw):
        if getattr(module, "layer_idx", None) is None:
            return eager_of(module)(module, q, k, v, mask, scaling=scaling, **kw)
        mask = full_mask(mask, q, k)
        mask = torch.cat([torch.full_like(mask[..., :1], float(logit)), mask], -1)
        k = torch.nn.functional.pad(k, (0, 0, 1, 0))
        v = torch.nn.functional.pad(v, (0, 0, 1, 0))
        return eager_of(module)(module, q, k, v, mask, scaling=scaling, **kw)

    return fn


def eah_oracle(columns, padding, threshold, at=1):
    def fn(module, q, k, v, mask, scaling=None, **kw):
        own = eager_of(module)
        if getattr(module, "layer_idx", None) != at or q.shape[2] == 1:
            return own(module, q, k, v, mask, scaling=scaling, **kw)
        weights = own(module, q, k, v, mask, scaling=scaling, **kw)[1]  # (B, H, n, n)
        n = q.shape[2]
        q, k = q.clone(), k.clone()
        groups = q.shape[1] // k.shape[1]
        q0, k0 = q.clone(), k.clone()
        for b in range(len(q)):
            best, most = -1, 0
            for h in range(q.shape[1]):
                count = 0
                for c in columns[b].nonzero()[:, 0].tolist():
                    below = [r for r in range(c + 1, n) if padding[b, r]]
                    if below and weights[b, h, below, c].mean() > threshold:
                        count += 1
                if count > most:
                    best, most = h, count
            if best >= 0:
                q[b] = q0[b, best]
                k[b] = k0[b, best // groups]
        return own(module, q, k, v, mask, scaling=scaling, **kw)

    return fn


def blind_oracle(columns):
    """Image columns closed to every row."""

    def fn(module, q, k, v, mask, scaling=None, **kw):
        if getattr(module, "layer_idx", None) is None:
            return eager_of(module)(module, q, k, v, mask, scaling=scaling, **kw)
        mask = full_mask(mask, q, k)
        closed = wide(columns, k)[:, None, None]
        mask = mask.expand(len(q), -1, -1, -1).masked_fill(closed, torch.finfo(q.dtype).min)
        return eager_of(module)(module, q, k, v, mask, scaling=scaling, **kw)

    return fn


class Forced:
    """A prefix_allowed_tokens_fn (Janus drops logits_processor): these tokens and no others."""

    def __init__(self, tokens):
        self.tokens, self.start = tokens, None

    def __call__(self, row, ids):
        if self.start is None:
            self.start = len(ids)
        return [int(self.tokens[row, len(ids) - self.start])]
