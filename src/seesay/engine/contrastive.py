"""A second stream: the same model on another image, or on none, in the same forward.

The batch is doubled inside the forward (rows of the second stream stand behind those of the first)
and the logits are folded on the way out, so generate, streamers, sampling and beam search see the
rows they know. Each stream has its own half of the cache; a shared one would show the second
stream the first stream's image from the second token on.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from seesay.engine.attention import precise
from seesay.engine.recompute import doubtful
from seesay.errors import EngineError
from seesay.models.compat import CACHE_NAMES

if TYPE_CHECKING:
    from seesay.engine.method import Stack
    from seesay.engine.state import GenerationState

# Named per token or per row, never per image; everything else that is a tensor is image input.
_POSITIONS = "position_ids"
_MASK = "attention_mask"
_BY_IMAGE = ("pooler_output", "last_hidden_state")
_LEVELS = "deepstack_features"  # a list of the like, one a level
_NOT_BATCHED = (*CACHE_NAMES, "logits_to_keep", "mm_encoder_outputs", "cache_position")


# Tensors that are understood, named by what they hold; what is laid out as the tokens are is too.
_BY_TOKEN = {"input_ids", "inputs_embeds", "attention_mask", "position_ids", "per_layer_inputs"}
_OF_IMAGES = (
    "pixel", "image", "video", "num_local_patches", "num_frames", "second_per_grid", "tile",
    "patches_grid", "flattened_patches", "high_res_pixel", "target_sizes", "batch_num_images",
    "aspect_ratio", "qformer_", "spatial_shapes",
)  # fmt: skip


def doubled(kwargs: Mapping[str, Any], run: GenerationState) -> dict[str, Any]:
    """The forward's inputs with the rows of every further stream behind the first one's.

    Raises:
        EngineError: inputs whose rows cannot be matched with the prompt's.
    """
    if any(_MASK in given for given in run.overrides.values()):
        kwargs = _with_mask(kwargs, run)
    out = dict(kwargs)
    if out.get("labels") is not None:
        raise EngineError("a second stream cannot be trained with; call the model without labels")
    for name, value in kwargs.items():
        if name in _NOT_BATCHED:
            continue
        _refuse_unknown(name, value, run)
        if isinstance(value, dict):  # static caches come with one mask for each kind of layer
            out[name] = {kind: _stacked(name, part, run) for kind, part in value.items()}
        else:
            out[name] = _stacked(name, value, run)
    encoded = kwargs.get("mm_encoder_outputs")
    if encoded and encoded.get("image") is not None:
        first = encoded["image"]
        others = [
            _for_beams(run.features[method], run) if method in run.features else first
            for method in run.overrides
        ]
        out["mm_encoder_outputs"] = {**encoded, "image": _joined([first, *others])}
    return out


def folded(logits: Tensor, stack: Stack, run: GenerationState) -> Tensor:
    """The first stream's rows: its logits plus each method's term, then the plausibility cut.

    Args:
        logits: (streams × rows, positions, vocabulary).

    Returns (rows, positions, vocabulary) float32. The cut is one for all methods, at the largest
    β among them.
    """
    parts = precise(logits).chunk(run.streams)
    plain = parts[0]
    own = dict(zip(run.overrides, parts[1:], strict=True))
    fused = plain
    cut = torch.zeros_like(plain[..., :1])  # a gate may leave some rows uncut
    for method in stack.parts:
        if not (method.active and method.overrides("logits_term")):
            continue
        term = method.logits_term(plain, own.get(method), run)
        if term is None:
            continue
        if method.gate_threshold is not None:
            acts = doubtful(plain, method.gate_threshold)[..., None]  # (rows, positions, 1)
            run.acted = acts[:, -1, 0]
            term = term.masked_fill(~acts, 0.0)
            cut = torch.where(acts, cut.clamp(min=method.plausibility), cut)
        else:
            cut = cut.clamp(min=method.plausibility)
        fused = fused + term
    cut_off = plausible(fused, plain, cut)
    if run.pictured is None:
        return cut_off
    # Among prompts with pictures, one without has the plain model's logits.
    rows = run.pictured.repeat_interleave(len(plain) // len(run.pictured), 0).to(plain.device)
    return torch.where(rows[:, None, None], cut_off, plain)


def plausible(fused: Tensor, plain: Tensor, beta: Tensor) -> Tensor:
    """`fused` with −inf for tokens under ``max(plain) + ln β``; ties stay, β 0 cuts nothing.

    Args:
        fused, plain: (..., vocabulary) logits.
        beta: broadcasts to (..., 1).
    """
    floor = plain.amax(-1, keepdim=True) + beta.log()
    return fused.masked_fill(plain < floor, -math.inf)


def pair_cache(cache: Any, run: GenerationState) -> None:
    """Make `cache` follow beams in every stream: rows of the others move with the first one's.

    Works on any cache class, on this instance alone. The readout and what methods note beside
    cache entries follow here too.
    """
    if cache is None or "reorder_cache" in vars(cache):
        return
    reorder = cache.reorder_cache

    def follow(beams: Tensor) -> None:
        if run.readout is not None:
            run.readout.take_beams(beams)
        rows = torch.cat([beams + stream * len(beams) for stream in range(run.streams)])
        reorder(rows)
        for notes in run.notes.values():
            notes.update({name: note[rows.to(note.device)] for name, note in notes.items()})

    cache.reorder_cache = follow


def narrow(output: Any, rows: int) -> None:
    """Cut what else the forward returned (hidden states, attentions) to the first stream's rows."""
    for name in ("hidden_states", "attentions"):
        values = output.get(name)
        if values:
            output[name] = tuple(value[:rows] for value in values)


def _with_mask(kwargs: Mapping[str, Any], run: GenerationState) -> dict[str, Any]:
    """The inputs with a mask in which a stream can close columns; none given means all are open."""
    view = run.view
    from_mask = hasattr(view.model.base_model, "get_rope_index")
    from_mask |= hasattr(view.decoder, "embed_positions")  # learned ones, as in OPT
    if kwargs.get(_POSITIONS) is None and from_mask:
        raise EngineError(
            "a stream that hides columns keeps the first one's positions, which this family "
            "reads from the mask; use generate, or call the model with position_ids"
        )
    mask = kwargs.get(_MASK)
    if mask is not None and not (isinstance(mask, dict) and None in mask.values()):
        return dict(kwargs)
    device = run.prompt.mask.device
    return {**kwargs, _MASK: torch.ones(run.rows, run.seen, dtype=torch.long, device=device)}


def _refuse_unknown(name: str, value: Any, run: GenerationState) -> None:
    """Raise EngineError for a tensor of which nobody knows what it belongs to."""
    if not isinstance(value, Tensor) or value.dim() == 0 or name in _BY_TOKEN:
        return
    by_token = value.dim() >= 2 and value.shape[0] == run.rows
    if not (name.startswith(_OF_IMAGES) or (by_token and name.endswith("token_type_ids"))):
        raise EngineError(
            f"the model takes {name} {tuple(value.shape)}, and how a second stream's should look "
            "is not known; use a method without a second stream"
        )


def _stacked(name: str, value: Any, run: GenerationState) -> Any:
    """One input for all streams; what is no tensor with rows is the same for all."""
    if not isinstance(value, Tensor) or value.dim() == 0:
        return value
    dim = 1 if name == _POSITIONS and value.dim() == 3 else 0
    others = [_override(name, value, given, run) for given in run.overrides.values()]
    return torch.cat([value, *others], dim=dim)


def _override(
    name: str, value: Tensor, given: Mapping[str, Tensor], run: GenerationState
) -> Tensor:
    if name not in given:
        return value
    if name == _MASK:
        return _closed(value, given[_MASK], run.seen)
    other = given[name]
    if other.shape[0] != value.shape[0] and value.shape[0] % other.shape[0] == 0:
        other = other.repeat_interleave(value.shape[0] // other.shape[0], dim=0)
    if other.shape != value.shape:
        raise EngineError(
            f"the second stream's {name} has shape {tuple(other.shape)}, the first's "
            f"{tuple(value.shape)}; a second stream keeps the geometry of its image"
        )
    return other.to(value.dtype)


def _closed(mask: Tensor, prompt: Tensor, seen: int) -> Tensor:
    """`mask` with the columns closed that the stream's own mask of the prompt does not show.

    Args:
        mask: (rows, columns), or (rows, 1, queries, columns), boolean or additive.
        prompt: (prompts, prompt columns), 0 where hidden; later columns stay as they are.
        seen: columns so far; a window's mask is of the newest of them.
    """
    hidden = (prompt == 0).repeat_interleave(len(mask) // len(prompt), 0).to(mask.device)
    columns = max(mask.shape[-1], seen)
    hidden = functional.pad(hidden, (0, columns - hidden.shape[1]))[:, -mask.shape[-1] :]
    if mask.dim() == 4:
        hidden = hidden[:, None, None]
    lowest = torch.finfo(mask.dtype).min if mask.is_floating_point() else 0
    return mask.masked_fill(hidden, lowest)


def _for_beams(features: Any, run: GenerationState) -> Any:
    """Encoded images of the prompts, repeated so that each beam finds its prompt's images."""
    beams = run.rows // run.prompt.mask.shape[0]
    if beams == 1:
        return features
    per_row = run.prompt.mask.sum(1).tolist()
    sizes = [len(image) for image in _features(features)]
    order: list[int] = []
    image = 0
    for tokens in per_row:
        first, left = image, tokens
        while left > 0:
            left -= sizes[image]
            image += 1
        order += [*range(first, image)] * beams
    return _mapped([features], lambda values: _picked(values[0], order))


def _joined(parts: list[Any]) -> Any:
    """Encoder outputs of several streams as one, images of later streams behind."""
    return _mapped(parts, _chained)


def _mapped(parts: list[Any], change: Callable[[list[Any]], Any]) -> Any:
    """Encoder outputs made of several, what they hold by image given to `change`."""
    new = copy.copy(parts[0])
    held = [name for name in _BY_IMAGE if getattr(new, name, None) is not None]
    levels = getattr(new, _LEVELS, None) is not None
    if not held and not levels:
        raise EngineError(
            f"image features come as a {type(new).__name__} without {' or '.join(_BY_IMAGE)}, so a "
            "second stream cannot bring its own; use a method without a second image"
        )
    for name in held[:1]:  # a tower's own states stand behind what is handed on
        setattr(new, name, change([getattr(part, name) for part in parts]))
    if levels:
        by_level = list(zip(*(getattr(part, _LEVELS) for part in parts), strict=True))
        if any(isinstance(value, tuple) for level in by_level for value in level):
            raise EngineError(
                f"a {type(new).__name__} holds its levels in pairs, so a second stream cannot "
                "bring its own; use a method without a second stream"
            )
        setattr(new, _LEVELS, [change(list(level)) for level in by_level])
    return new


def _features(output: Any) -> Any:
    """An encoder's output by image."""
    found = (getattr(output, name, None) for name in _BY_IMAGE)
    own = next((values for values in found if values is not None), None)
    return getattr(output, _LEVELS)[0] if own is None else own


def _picked(values: Any, order: list[int]) -> Any:
    return values[order] if isinstance(values, Tensor) else [values[i] for i in order]


def _chained(values: list[Any]) -> Any:
    if isinstance(values[0], Tensor):
        return torch.cat(values)
    return [item for value in values for item in value]
