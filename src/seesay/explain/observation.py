"""A model at work under a method, made to say a given text, with notes taken.

`say` generates; a watched method is a variant of its own class whose verbs write down what they
are given and give back, so it does exactly what the method does, and any method can be watched.
`Look` is one more method that changes nothing and sees every layer's newest row of attention. Notes
are of the batch's first row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList

from seesay import options
from seesay.engine import AnyMethod, Method, Record, Stack
from seesay.engine.attention import Call, block_mask, masked, scores_of
from seesay.engine.kv_cache import CompactedLayer
from seesay.engine.state import GenerationState, Prompt
from seesay.errors import EngineError
from seesay.options import GenerationOptions
from seesay.render.method_trace import CacheContents
from seesay.vlm import VLM


@dataclass(frozen=True, eq=False)
class Generation:
    """One generation: its record, the logits (vocabulary,) that each token was chosen from, and
    what its cache held at the end."""

    record: Record
    logits: Sequence[Tensor]
    cache: CacheContents


def say(
    vlm: VLM,
    method: AnyMethod,
    inputs: Mapping[str, Any],
    asked: GenerationOptions,
    tokens: Tensor | None = None,
) -> Generation:
    """Generate under `method`, or make it say `tokens`."""
    how = asked.arguments()
    if tokens is not None:
        forcing = _Say(inputs["input_ids"].shape[1], tokens)
        how |= {"max_new_tokens": len(tokens), "logits_processor": LogitsProcessorList([forcing])}
    session = method(vlm.model, processor=vlm.processor, readout=True)
    with options.explained(), session:
        output = session.generate(**inputs, **how, return_dict_in_generate=True, output_logits=True)
        if session.record is None or session.run is None:
            raise EngineError(f"{method}: the session recorded nothing; please report this")
        cache = _held(session.run.cache, session.run.prompt.mask[0].tolist())
    return Generation(session.record, [step[0].float().cpu() for step in output.logits], cache)


class _Say(LogitsProcessor):  # type: ignore[misc]  # transformers is untyped here
    """Leaves no choice but `tokens`, one after the other, behind a prompt of `length` columns."""

    def __init__(self, length: int, tokens: Tensor) -> None:
        self.length, self.tokens = length, tokens

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        only = torch.full_like(scores, -torch.inf)
        only[:, self.tokens[input_ids.shape[1] - self.length]] = 0
        return only


@dataclass(eq=False)
class Notes:
    """What was written down; steps count the tokens of the answer from 0.

    Attributes:
        gaze: by step and layer, (columns,) attention of the row that predicts, mean over heads;
            columns are logical, 0 for those that the cache no longer holds.
        mass: by step and layer, what that row's weights sum to; 1 without a sink.
        rows: by layer, (prompt columns,) the same of the prompt's rows, where a sink was set.
        shared: by layer, the head whose map all heads took over, and (columns,) the attention each
            column received from the rows below it before, mean over heads, and after.
        factors: by step, (layers that scale, columns) factors on keys, mean over heads.
        streams: by method, the inputs of its second stream, None where it brought none.
        first, own: by step (and by method), (vocabulary,) the logits that went into a fold.
    """

    gaze: dict[int, dict[int, Tensor]] = field(default_factory=dict)
    mass: dict[int, dict[int, float]] = field(default_factory=dict)
    rows: dict[int, Tensor] = field(default_factory=dict)
    shared: dict[int, tuple[int, Tensor, Tensor]] = field(default_factory=dict)
    factors: dict[int, list[Tensor]] = field(default_factory=dict)
    streams: dict[str, Mapping[str, Tensor] | None] = field(default_factory=dict)
    first: dict[int, Tensor] = field(default_factory=dict)
    own: dict[str, dict[int, Tensor]] = field(default_factory=dict)


def watched(method: AnyMethod, notes: Notes) -> Stack:
    """`method` doing what it does, and writing it into `notes`."""
    return Stack((Look(notes), *(_watched(part, notes) for part in method.methods)))


@dataclass(frozen=True, repr=False, eq=False)
class Look(Method):
    """Changes nothing; writes down every layer's newest row of attention."""

    notes: Notes

    def prune_cache(self, layer: int, run: GenerationState) -> None:
        weights = run.last_rows[layer].weights[0]  # (heads, entries)
        step = run.seen - run.length
        self.notes.gaze.setdefault(step, {})[layer] = _logical(weights, layer, run).mean(0)
        self.notes.mass.setdefault(step, {})[layer] = float(weights.sum(-1).mean())


def _watched(method: Method, notes: Notes) -> Method:
    kind = type(method)
    verbs = {verb: take for verb, take in _TAKERS.items() if method.overrides(verb)}
    members = {verb: _noting(kind, verb, take, notes) for verb, take in verbs.items()}
    # Without a name of its own the variant is no new entry of the registry.
    variant: type[Method] = type(kind.__name__, (kind,), members)
    given = {f.name: getattr(method, f.name) for f in fields(kind) if f.init}  # type: ignore[arg-type]
    return variant(**given)


def _noting(kind: type[Method], verb: str, take: Callable[..., None], notes: Notes) -> Any:
    original = getattr(kind, verb)

    def noted(self: Method, *arguments: Any) -> Any:
        outcome = original(self, *arguments)
        take(notes, self.name, outcome, *arguments)
        return outcome

    return noted


def _take_stream(notes: Notes, name: str, outcome: Any, prompt: Prompt) -> None:
    notes.streams[name] = outcome


def _take_fold(
    notes: Notes, name: str, outcome: Any, plain: Tensor, own: Tensor | None, run: GenerationState
) -> None:
    step = run.seen - run.length
    notes.first[step] = plain[0, -1].float().cpu()
    if own is not None:
        notes.own.setdefault(name, {})[step] = own[0, -1].float().cpu()


def _take_sink(notes: Notes, name: str, outcome: Any, call: Call) -> None:
    if outcome is None or not call.is_prefill:
        return
    sink = torch.as_tensor(outcome, device=call.query.device)
    kept = []
    for start in range(0, call.n_queries, 256):
        block = range(start, min(start + 256, call.n_queries))
        scores = scores_of(call.query[:1, :, block.start : block.stop], call.key[:1], call.scaling)
        mask = block_mask(call.mask, block, call.rows_at.start, call.key)[:1]
        placed = masked(scores, mask).logsumexp(-1)  # (1, heads, rows)
        here = sink[..., block.start : block.stop] if sink.dim() and sink.shape[-1] > 1 else sink
        kept.append((placed - (here[:1] if here.dim() else here)).sigmoid()[0].mean(0))
    notes.rows.setdefault(call.layer, torch.cat(kept).cpu())


def _take_shared(notes: Notes, name: str, outcome: Any, call: Call) -> None:
    if outcome is None or int(outcome[0]) < 0 or call.layer in notes.shared:
        return
    head = int(outcome[0])
    columns = call.key.shape[2]
    received = torch.zeros(call.n_heads, columns, device=call.key.device)
    at = torch.arange(columns, device=call.key.device)
    for block, weights in call.row_blocks():
        below = torch.arange(block.start, block.stop, device=at.device)[:, None] > at
        received += (weights[0] * below).sum(1)
    received /= (columns - 1 - at).clamp(min=1)
    notes.shared[call.layer] = head, received.mean(0).cpu(), received[head].cpu()


def _take_factors(notes: Notes, name: str, outcome: Any, call: Call) -> None:
    if outcome is None:
        return
    factors = outcome[:1].expand(1, call.key.shape[1], call.key.shape[2])[0]
    placed = _logical(factors, call.layer, call.run, missing=float("nan")).nanmean(0)
    notes.factors.setdefault(call.run.seen - call.run.length, []).append(placed)


_TAKERS: dict[str, Callable[..., None]] = {
    "second_input": _take_stream,
    "logits_term": _take_fold,
    "sink_logit": _take_sink,
    "shared_head": _take_shared,
    "key_scale": _take_factors,
}


def _held(cache: Any, image: list[bool]) -> CacheContents:
    """What is left in each layer of a cache.

    Args:
        image: (prompt columns,) which of them are image tokens.
    """
    kept, merged = [], []
    columns = int(cache.get_seq_length())
    for layer in cache.layers:
        share = torch.ones(columns)
        entries = 0.0
        if isinstance(layer, CompactedLayer):
            origin = layer.origin[0].cpu()  # (kv heads, entries)
            share = (origin[..., None] == torch.arange(columns)).any(1).float().mean(0)
            entries = float((origin < 0).sum(-1).float().mean())
        kept.append(share.double().numpy())
        merged.append(entries)
    prompt = ["image" if one else "prompt" for one in image]
    kinds = (prompt + ["generated"] * columns)[:columns]
    return CacheContents(tuple(kinds), np.stack(kept), np.array(merged))


def _logical(values: Tensor, layer: int, run: GenerationState, missing: float = 0.0) -> Tensor:
    """Values of a cache layer's entries, laid on the columns of the text so far.

    Args:
        values: (heads, entries).

    Returns (heads, columns) on the CPU; `missing` where no entry stands for a column alone.
    """
    layers = getattr(run.cache, "layers", ())
    held = layers[layer] if layer < len(layers) else None
    if not isinstance(held, CompactedLayer):
        return values.float().cpu()
    origin = held.origin[0].repeat_interleave(len(values) // held.origin.shape[1], 0)
    # One column more, where merged entries fall; it is cut off again.
    placed = values.new_full((len(values), held.logical + 1), missing)
    placed.scatter_(1, torch.where(origin < 0, held.logical, origin), values)
    return placed[:, :-1].float().cpu()
