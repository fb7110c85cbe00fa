"""How a run starts: image columns found, second images prepared and encoded; later turns."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from seesay.compat import encodes_ahead
from seesay.engine.method import AnyMethod, Method, Stack
from seesay.engine.run import ImageColumns, Prompt, Run
from seesay.errors import EngineError, InputError
from seesay.models import ModelView

# Verbs whose row is the newest one; the others treat every row alike.
_NEWEST_ROW_VERBS = ("score_bias", "compact", "fold")
# Verbs whose effect on the prompt lasts through the cache, or which act on the cache itself.
_CACHE_VERBS = ("rewrite_qk", "compact")


# Verbs that mean nothing without image columns.
_IMAGE_VERBS = ("score_bias", "rewrite_qk")


def new_run(
    view: ModelView,
    stack: Stack,
    inputs: Mapping[str, Any],
    images: list[Any] | None = None,
    image_columns: Tensor | None = None,
) -> Run:
    """A run for these inputs of generate or forward.

    Args:
        images: the original pictures, if they are at hand.
        image_columns: (batch, columns) bool; None reads them from the input ids.

    Raises:
        EngineError: no input ids; or a prefill in chunks with a second stream, or of a Q-former
            model.
        InputError: `image_columns` of another shape than the prompt, or without any column that a
            method could act on; pixels to a prompt without an image token.
    """
    mask = _image_columns(view, inputs) if image_columns is None else image_columns.bool()
    if image_columns is not None:
        _check_given(mask, inputs, stack)
    elif inputs.get("pixel_values") is not None and not bool(mask.any()):
        raise InputError(
            "pixel_values are given, but the prompt holds no image token, so the model does not "
            "see them; make both with the processor, from a prompt in its chat template"
        )
    if inputs.get("prefill_chunk_size") and view.language_model is not view.model:
        raise EngineError(
            f"{type(view.model).__name__} hands its language model embeddings, which transformers "
            "cannot read in chunks; generate without prefill_chunk_size"
        )
    run = Run(view, ImageColumns.of(mask), mask.shape[1])
    prompt = Prompt(view, inputs, mask, images)
    for method in stack.parts:
        given = method.prepare(prompt) if brings_stream(method) else None
        if given is None:
            continue
        if inputs.get("prefill_chunk_size"):
            raise EngineError(
                f"{method.name} brings a second stream, which a prefill in chunks cannot carry; "
                "generate without prefill_chunk_size"
            )
        run.overrides[method] = given
        if "pixel_values" in given and encodes_ahead(view.model):
            with torch.no_grad():
                features = view.encode_images(**{**inputs, **given})
            if view.language_model is view.model:
                run.features[method] = features
            else:  # each step takes embeddings, not pictures
                shown = _embedded(view, inputs, mask, features)
                run.overrides[method] = {**given, "inputs_embeds": shown}
    run.streams += len(run.overrides)
    return run


def next_turn(run: Run, stack: Stack, inputs: Mapping[str, Any], past: int) -> Run:
    """The run of an earlier turn, ready for more: its cache, streams and image columns go on.

    Args:
        inputs: of the new turn, with all tokens so far or with the new ones alone.
        past: tokens in the cache.
    """
    if run.streams > 1 and inputs.get("pixel_values") is not None:
        raise EngineError(
            f"{stack} has a second stream, and a later turn brings a new image; start a new "
            "generation with all images"
        )
    mask = _image_columns(run.view, inputs)
    if mask.shape[1] <= past:  # only the new tokens were passed
        gap = mask.new_zeros(len(mask), past - run.prompt.mask.shape[1])
        mask = torch.cat([run.prompt.mask, gap, mask], dim=1)
    run.prompt, run.length, run.image = ImageColumns.of(mask), mask.shape[1], None
    return run


def refuse_unfit(stack: Stack, inputs: Mapping[str, Any], readout: bool) -> None:
    """Refuse ways of decoding that would give wrong results without a word.

    Raises:
        EngineError: assisted decoding, which scores several rows in one forward, under a method
            that acts on the newest row alone; no cache under a readout or under a method whose
            doings live in it; a method that acts on texts.
    """
    for method in stack.parts:
        if method.active and method.acts_on == "texts":
            raise EngineError(
                f"{method} acts on words about a picture, and generate returns tokens; call "
                f"seesay.VLM.describe(picture, method={method.name!r}), which reads them"
            )
    assisted = inputs.get("assistant_model") or inputs.get("prompt_lookup_num_tokens")
    by_row = [m for m in stack.parts if m.active and any(map(m.overrides, _NEWEST_ROW_VERBS))]
    if assisted and (by_row or readout):
        what = " + ".join(map(repr, by_row)) or "a readout"
        raise EngineError(
            f"{what} works on one new token at a time, and assisted decoding checks several at "
            "once; generate without an assistant"
        )
    if inputs.get("use_cache") is False:
        cached = [m for m in stack.parts if m.active and any(map(m.overrides, _CACHE_VERBS))]
        if cached or readout:
            what = " + ".join(map(repr, cached)) or "a readout"
            raise EngineError(f"{what} follows the cache; generate with use_cache=True")


def one_by_one(method: AnyMethod) -> bool:
    """Whether a batch would be answered otherwise than its pictures singly."""
    return any("batch" in part.refuses or "batch" in part.stands_aside for part in method.methods)


def called_alone(view: ModelView) -> EngineError:
    """What to say where a Q-former's language model was called, and not the model around it."""
    whole, part = type(view.model).__name__, type(view.language_model).__name__
    return EngineError(
        f"{part} was called by itself, with embeddings that do not say which columns are image; "
        f"call {whole} with input_ids, or open a session on {part} with image_columns="
    )


def named(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call of `module`, all by name."""
    names = list(inspect.signature(module.forward).parameters) if args else []
    return {**dict(zip(names, args, strict=False)), **kwargs}


def brings_stream(method: Method) -> bool:
    """Whether `method` may ask for a second stream."""
    return method.active and method.overrides("prepare")


def _image_columns(view: ModelView, inputs: Mapping[str, Any]) -> Tensor:
    if inputs.get("input_ids") is None:
        raise EngineError("a session needs input_ids: image columns are read from them")
    return view.image_columns(**inputs)


def _embedded(view: ModelView, inputs: Mapping[str, Any], columns: Tensor, features: Any) -> Tensor:
    """A prompt's embeddings (batch, columns, hidden) with another image's features in it."""
    found: Tensor = view.model.get_input_embeddings()(inputs["input_ids"])
    image = features.pooler_output.to(found).flatten(0, -2)  # (image tokens, hidden)
    return found.masked_scatter(columns[..., None].to(found.device), image)


def _check_given(mask: Tensor, inputs: Mapping[str, Any], stack: Stack) -> None:
    ids = inputs.get("input_ids")
    prompt = inputs["inputs_embeds"] if ids is None else ids
    if mask.shape != prompt.shape[:2]:
        raise InputError(
            f"image_columns has shape {tuple(mask.shape)}, the prompt {tuple(prompt.shape[:2])} "
            "(batch, columns); give one bool for every column of the prompt"
        )
    lookers = [m for m in stack.parts if m.active and any(map(m.overrides, _IMAGE_VERBS))]
    if lookers and not bool(mask.any()):
        raise InputError(
            f"image_columns marks no column, so {' + '.join(map(repr, lookers))} has no image to "
            "act on; mark the image's columns, or run the model without it"
        )
