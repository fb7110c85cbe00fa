"""A model at work under a method, made to say a given text, with notes taken.

`say` generates. A probe notes what every layer's rows become, and a wrapper around each method what
its verbs give; so any method can be observed, and does what it does. Notes are of the batch's first
row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList

from seesay import options
from seesay.engine import AnyMethod, Method, Record, Stack
from seesay.engine.attention import Call
from seesay.engine.kv_cache import CompactedLayer
from seesay.engine.method import Wrapper
from seesay.engine.probes import Probe
from seesay.engine.state import GenerationState, ImageColumns, Prompt
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
    notes: Notes | None = None,
) -> Generation:
    """Generate under `method`, or make it say `tokens`, and note what it does."""
    how = asked.arguments()
    if tokens is not None:
        forcing = _Say(inputs["input_ids"].shape[1], tokens)
        how |= {"max_new_tokens": len(tokens), "logits_processor": LogitsProcessorList([forcing])}
    probes = () if notes is None else (Look(notes),)
    if notes is not None:
        method = Stack(tuple(Noted(part, notes) for part in method.methods))
    session = method(vlm.model, processor=vlm.processor, readout=True, probes=probes)
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


class Look(Probe):
    """Notes each layer's rows."""

    def __init__(self, notes: Notes) -> None:
        self.notes = notes

    def take_row(
        self, layer: int, weights: Tensor, image: ImageColumns, run: GenerationState
    ) -> None:
        step = run.seen - run.length
        placed = _logical(weights[0], layer, run)
        self.notes.gaze.setdefault(step, {})[layer] = placed.mean(0)
        self.notes.mass.setdefault(step, {})[layer] = float(weights[0].sum(-1).mean())

    def take_rows(self, call: Call) -> None:
        if call.is_prefill and call.sink is not None:
            kept = [weights[0].sum(-1).mean(0) for _, weights in call.row_blocks()]
            self.notes.rows.setdefault(call.layer, torch.cat(kept).cpu())


@dataclass(frozen=True, repr=False, eq=False)
class Noted(Wrapper):
    """A method, with what its verbs give written into `notes`."""

    method: Method
    notes: Notes

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.method.name)

    def __repr__(self) -> str:
        return repr(self.method)

    def second_input(self, prompt: Prompt) -> dict[str, Tensor] | None:
        given = self.notes.streams[self.name] = self.method.second_input(prompt)
        return given

    def logits_term(self, plain: Tensor, own: Tensor | None, run: GenerationState) -> Tensor | None:
        step = run.seen - run.length
        self.notes.first[step] = plain[0, -1].float().cpu()
        if own is not None:
            self.notes.own.setdefault(self.name, {})[step] = own[0, -1].float().cpu()
        return self.method.logits_term(plain, own, run)

    def shared_head(self, call: Call) -> Tensor | None:
        chosen = self.method.shared_head(call)
        if chosen is None or int(chosen[0]) < 0 or call.layer in self.notes.shared:
            return chosen
        head, columns = int(chosen[0]), call.key.shape[2]
        received = torch.zeros(call.n_heads, columns, device=call.key.device)
        at = torch.arange(columns, device=call.key.device)
        for block, weights in call.row_blocks():
            below = torch.arange(block.start, block.stop, device=at.device)[:, None] > at
            received += (weights[0] * below).sum(1)
        received /= (columns - 1 - at).clamp(min=1)
        self.notes.shared[call.layer] = head, received.mean(0).cpu(), received[head].cpu()
        return chosen

    def key_scale(self, call: Call) -> Tensor | None:
        found = self.method.key_scale(call)
        if found is not None:
            factors = found[:1].expand(1, call.key.shape[1], call.key.shape[2])[0]
            placed = _logical(factors, call.layer, call.run, missing=float("nan")).nanmean(0)
            self.notes.factors.setdefault(call.run.seen - call.run.length, []).append(placed)
        return found


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
