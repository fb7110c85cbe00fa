"""One layer's attention map of a prompt, and the gradient of a score with respect to it.

Relevance of image patches (AGLA's matcher, saliency) needs both. Only the layers above the map take
part in the backward pass: the map itself is made a leaf, and the weights are frozen meanwhile.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from seesay.engine.attention import Call, block_mask, current_kernel, masked, switched
from seesay.engine.state import GenerationState, ImageColumns
from seesay.models.compat import CACHE_NAMES
from seesay.models.view import ModelView


@dataclass(frozen=True)
class AttentionGradient:
    """What `attention_gradient` found.

    Attributes:
        attention: (batch, heads, columns, columns) float32, the softmax map of the layer.
        gradient: the same shape, ∂score/∂attention.
    """

    attention: Tensor
    gradient: Tensor


def attention_gradient(
    view: ModelView,
    inputs: Mapping[str, Any],
    layer: int,
    score: Callable[[Tensor], Tensor],
) -> AttentionGradient:
    """Run the prompt once and differentiate a score by one layer's attention.

    Args:
        inputs: the model's inputs; generation settings among them are left out.
        layer: decoder layer, 0-based.
        score: from the last row's logits (batch, vocabulary) to a value a row (batch,).
    """
    found: dict[str, Tensor] = {}
    original = current_kernel(view.decoder)
    image = ImageColumns.of(view.image_columns(**inputs))
    run = GenerationState(view, image, image.mask.shape[1])

    def attend(
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        scaling: float | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor | None]:
        if getattr(module, "layer_idx", None) != layer:
            return original(module, query, key, value, attention_mask, scaling=scaling, **kwargs)
        mask = block_mask(attention_mask, range(query.shape[2]), 0, key)
        tensors = query, key, value, mask
        call = Call.of(layer, tensors, scaling, image, run, kwargs, original)
        weights = masked(call.scores(query), mask).softmax(-1)
        leaf = found["attention"] = weights.detach().requires_grad_()
        groups = query.shape[1] // value.shape[1]
        out = leaf.to(value.dtype) @ value.repeat_interleave(groups, dim=1)
        return out.transpose(1, 2), None

    taken = {k: _fresh(v) for k, v in inputs.items() if k in _forward_names(view.model)}
    with (
        torch.inference_mode(mode=False),
        torch.enable_grad(),
        _frozen(view.model),
        switched(view.decoder, f"seesay-gradient-{id(view.model):x}", attend),
    ):
        logits = view.model(**taken, use_cache=False, return_dict=True).logits[:, -1].float()
        gradient = torch.autograd.grad(score(logits).sum(), found["attention"])[0]
    return AttentionGradient(found["attention"].detach(), gradient)


@contextmanager
def _frozen(model: nn.Module) -> Iterator[None]:
    """No parameter of `model` takes part in gradients within this block."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)


def _forward_names(model: nn.Module) -> set[str]:
    names = set(inspect.signature(model.forward).parameters)
    return names - {*CACHE_NAMES, "labels", "logits_to_keep", "use_cache", "return_dict"}


def _fresh(value: Any) -> Any:
    # Tensors made under inference_mode cannot be saved for a backward pass; copies can.
    if isinstance(value, Tensor) and value.is_inference():
        with torch.inference_mode(mode=False):
            return value.clone()
    return value
