"""Generations and readings with a readout: what comes of them is a `Record`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from seesay.engine.deep import Deep, neighbours
from seesay.engine.method import Stack
from seesay.engine.readout import Readout
from seesay.engine.record import Record
from seesay.engine.run import Run
from seesay.errors import EngineError, InputError
from seesay.models import ModelView


def generate(
    run: Run, generate: Callable[..., Any], inputs: Mapping[str, Any], *, deep: bool
) -> tuple[Any, Record]:
    """What `generate(**inputs)` returns, and its record.

    Args:
        deep: whether hidden states are read too.
    """
    config = inputs.get("generation_config") or run.view.generation_config
    wants_dict = inputs.get("return_dict_in_generate", config.return_dict_in_generate)
    run.readout = _new_readout(run, inputs, deep=deep)
    output = generate(**{**inputs, "return_dict_in_generate": True})
    # Without input ids, generate returns the new tokens alone.
    ids = inputs.get("input_ids")
    new_tokens = output.sequences[:, 0 if ids is None else ids.shape[1] :]
    record = run.readout.record(new_tokens, output.get("beam_indices"))
    return output if wants_dict else output.sequences, record


def read(run: Run, stack: Stack, inputs: Mapping[str, Any], tokens: Tensor, deep: bool) -> Record:
    """A given text's record; see `Session.read`."""
    _refuse_unreadable(stack, inputs, tokens, run.view)
    run.readout = _new_readout(run, inputs, deep=deep, rows=len(tokens))
    run.view.model(**with_text(inputs, tokens[:-1]), logits_to_keep=len(tokens))
    return run.readout.record(tokens[None])


def _new_readout(run: Run, inputs: Mapping[str, Any], *, deep: bool, rows: int = 1) -> Readout:
    """An empty readout that knows which tokens end a text under these generation settings.

    Args:
        inputs: of generate.
        deep: whether hidden states are read too.
        rows: how many rows of a forward predict; see `Readout`.
    """
    view = run.view
    config = inputs.get("generation_config") or view.generation_config
    ends = inputs.get("eos_token_id", config.eos_token_id)
    ids = [] if ends is None else torch.as_tensor(ends).flatten().tolist()
    depths = Deep(view, neighbours(view, inputs, run.prompt)) if deep else None
    shape = view.n_layers, view.n_heads
    return Readout(*shape, ids, prompt=run.length, deep=depths, rows=rows)


def _refuse_unreadable(
    stack: Stack, inputs: Mapping[str, Any], tokens: Tensor, view: ModelView
) -> None:
    """Refuse what cannot be read in one forward; see `read`."""
    if any(method.active for method in stack.parts):
        raise EngineError(
            f"{stack} acts on one new token at a time, and a given text is read in one forward; "
            "read it with the plain model"
        )
    rows, prompt = inputs["input_ids"].shape
    if rows != 1:
        raise InputError(f"{rows} prompts, but one text is read behind one prompt at a time")
    room = getattr(view.decoder.config, "max_position_embeddings", None)
    if room is not None and prompt + len(tokens) > room:
        raise InputError(
            f"the text has {len(tokens)} tokens and its prompt {prompt}, the model takes {room} in "
            "all; split the text into parts"
        )


def with_text(inputs: Mapping[str, Any], tokens: Tensor) -> dict[str, Any]:
    """The inputs of one prompt with `tokens` (tokens,) of its answer behind it."""
    ids: Tensor = inputs["input_ids"]
    said = tokens[None].to(ids)
    joined = {}
    for name, value in inputs.items():
        its_own = name.startswith("qformer_")  # another tokenizer's, of equal length by chance
        if isinstance(value, Tensor) and value.shape == ids.shape and not its_own:
            # What marks columns marks open text behind the prompt: nothing but the mask is 1.
            more = torch.full_like(said, int(name == "attention_mask"), dtype=value.dtype)
            value = torch.cat([value, said if name == "input_ids" else more], 1)
        joined[name] = value
    return joined
