"""Facts about a vision-language model: where its parts are and which columns hold its image.

Nothing here changes a model. Nearly every family answers the same few questions (`get_decoder`,
`get_output_embeddings`, `config.image_token_id`); the families that do not are in the short tables
below `ModelView`.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from seesay.errors import InputError, ModelError
from seesay.models import compat


@dataclass(frozen=True, eq=False)
class ModelView:
    """The parts of a running vision-language model that seesay talks to.

    Attributes:
        model: the whole model, as `from_pretrained` returned it.
        decoder: its text decoder, the module whose attention a method may change.
        layers: the decoder's layers, first to last.
        head: the language-model head, hidden state to logits.
        norm: the norm between last layer and head; `head(norm(hidden))` reads a hidden state.
        image_token_ids: ids that stand for image (or video) features in `input_ids`; empty for a
            family that marks its image columns by an input of their own.
        processor: the model's processor if the caller gave it, for pixel statistics.
    """

    model: Any
    decoder: Any
    layers: nn.ModuleList
    head: nn.Module
    norm: nn.Module
    image_token_ids: frozenset[int]
    processor: Any | None = None

    @classmethod
    def of(cls, model: Any, processor: Any | None = None, *, vision: bool = True) -> ModelView:
        """Find the parts of `model`.

        Args:
            vision: False takes a text-only decoder too; who asks knows its image columns.

        Raises:
            ModelError: no vision, image by cross-attention, encoder-decoder, or attention that
                cannot be replaced; the message names the family and the remedy.
        """
        if vision:
            refuse_unsupported(model.config)
        decoder = _language_model(model).get_decoder()
        parent, layers = _layers(model, decoder)
        if not decoder.is_backend_compatible():
            raise ModelError(
                f"{_name(model.config)}: its decoder {type(decoder).__name__} does not use the "
                f"AttentionInterface of transformers, so no method can reach it; {_REMEDY}"
            )
        return cls(
            model=model,
            decoder=decoder,
            layers=layers,
            head=model.get_output_embeddings(),
            norm=_final_norm(model, parent),
            image_token_ids=_image_token_ids(model.config),
            processor=processor,
        )

    @property
    def language_model(self) -> Any:
        """The module whose forward each step of a generation calls: the model itself, or the part
        to whose `generate` a Q-former family hands the prompt."""
        return _language_model(self.model)

    @cached_property
    def cache_name(self) -> str:
        """What each step of a generation calls its key-value cache, among arguments and outputs.

        Raises:
            EngineError: a name that this seesay does not know.
        """
        return compat.cache_name(self.language_model)

    @property
    def generation_config(self) -> Any:
        """The settings under which the model generates unless it is told others."""
        return self.language_model.generation_config

    @property
    def reads_prompt(self) -> bool:
        """Whether what the model makes of a picture depends on the prompt behind it."""
        return self.model.config.model_type in _PROMPT_READERS

    @property
    def n_layers(self) -> int:
        """Layers of the text decoder."""
        return len(self.layers)

    @property
    def n_heads(self) -> int:
        """Query heads a layer."""
        return int(self.decoder.config.num_attention_heads)

    @property
    def n_kv_heads(self) -> int:
        """Key and value heads a layer; a divisor of `n_heads`."""
        return int(getattr(self.decoder.config, "num_key_value_heads", None) or self.n_heads)

    @property
    def vocabulary(self) -> int:
        """Entries of the language-model head."""
        return int(self.head.weight.shape[0])  # type: ignore[index]

    def read_hidden(self, hidden: Tensor, *, norm: bool = True) -> Tensor:
        """What the language-model head makes of a hidden state: the logit lens.

        Args:
            hidden: (..., hidden) a layer's output.
            norm: whether the model's final norm comes before the head; the code published with
                arXiv 2411.16724 leaves it out.

        Returns logits (..., vocabulary), scaled and capped as the family scales and caps its own.
        """
        logits: Tensor = self.head(self.norm(hidden) if norm else hidden)
        config = self.decoder.config
        scale, cap = (
            getattr(config, name, None) for name in ("logit_scale", "final_logit_softcapping")
        )
        if scale is not None:
            logits = logits * scale
        return logits if cap is None else (logits / cap).tanh() * cap

    def image_columns(self, input_ids: Tensor, **inputs: Any) -> Tensor:
        """Which columns of a prompt hold image tokens.

        Args:
            input_ids: (batch, columns), as the processor gives them: each image already expanded.
            inputs: the processor's other outputs; only kosmos-2's are looked at.

        Returns:
            bool (batch, columns), on the device of `input_ids`.
        """
        mask_name = _MASK_INPUT.get(self.model.config.model_type)
        if mask_name is None:
            ids = torch.tensor(sorted(self.image_token_ids), device=input_ids.device)
            return torch.isin(input_ids, ids)  # (batch, columns)
        mask = inputs.get(mask_name)
        if mask is None:
            return torch.zeros_like(input_ids, dtype=torch.bool)
        if mask.shape != input_ids.shape:
            raise InputError(
                f"{mask_name} has shape {tuple(mask.shape)} but input_ids has "
                f"{tuple(input_ids.shape)}; pass both as the processor returned them"
            )
        columns: Tensor = mask.to(device=input_ids.device, dtype=torch.bool)
        return columns

    def encode_images(self, **inputs: Any) -> Any:
        """The model's own image features for the processor's outputs.

        Args:
            inputs: a processor's outputs; those that the family's `get_image_features` does not
                take (text, masks) are left out.

        Returns:
            The family's own output object; its `pooler_output` is a list with a Tensor
            (tokens, hidden) an image, or a Tensor (images, tokens, hidden). It can be given back to
            the model as `mm_encoder_outputs={"image": ...}`.

        Raises:
            ModelError: the family has no `get_image_features`.
        """
        encode = getattr(self.model.base_model, "get_image_features", None)
        if encode is None:
            raise ModelError(
                f"{_name(self.model.config)} has no get_image_features, so its image cannot be "
                "encoded apart from its text; use a method without a second image"
            )
        taken = inspect.signature(encode).parameters.keys() & inputs.keys()
        return encode(**{name: inputs[name] for name in taken if inputs[name] is not None})


# Families that mark image columns by an input instead of a token id: model_type -> input name.
_MASK_INPUT = {"kosmos-2": "image_embeds_position_mask"}

# Families whose generate calls the generate of a part: model_type -> the part.
_HANDS_OVER = dict.fromkeys(("instructblip", "blip-2"), "language_model")

# Families whose Q-former looks at a picture with the prompt in view.
_PROMPT_READERS = {"instructblip"}

# Where a config keeps the ids; phi-4-multimodal's are nested in its vision part.
_ID_NAMES = ("image_token_id", "image_token_index", "video_token_id", "video_token_index")

# Families whose image never becomes columns of the decoder.
_CROSS_ATTENTION = {"mllama", "idefics", "blip"}

_REMEDY = (
    "use a family whose image tokens stand in the prompt (LLaVA, LLaVA-NeXT, Qwen2.5-VL, InternVL, "
    "Gemma 3, ...)"
)


def refuse_unsupported(config: Any) -> None:
    """Raise ModelError if no model of this config can work; needs no weights.

    Args:
        config: a model's config, as `AutoConfig.from_pretrained` gives it.
    """
    family, name = config.model_type, _name(config)
    if family in _CROSS_ATTENTION:
        raise ModelError(f"{name} reads its image by cross-attention, not as columns; {_REMEDY}")
    text = getattr(config, "text_config", None)
    if any(getattr(part, "is_encoder_decoder", False) for part in (config, text)):
        raise ModelError(f"{name} is an encoder-decoder; {_REMEDY}")
    if _image_token_ids(config) or family in _MASK_INPUT:
        return
    if getattr(config, "vision_config", None) is None:
        raise ModelError(f"{name} has no vision; {_REMEDY}")
    raise ModelError(f"{name} has no image token, so its prompts hold no image columns; {_REMEDY}")


def _name(config: Any) -> str:
    """The model as its owner knows it: where it was loaded from and its family."""
    return f"{config.name_or_path or 'this model'} ({config.model_type})"


def _image_token_ids(config: Any) -> frozenset[int]:
    holders = (config, getattr(config, "vision_config", None))
    for holder in holders:
        found = {getattr(holder, name, None) for name in _ID_NAMES}
        if ids := frozenset(i for i in found if isinstance(i, int)):
            return ids
    return frozenset()


def _language_model(model: Any) -> Any:
    part = _HANDS_OVER.get(model.config.model_type)
    return model if part is None else getattr(model, part)


def _layers(model: Any, decoder: nn.Module) -> tuple[nn.Module, nn.ModuleList]:
    """The first list of layers with attention in `decoder`, and the module that holds it."""
    for parent in decoder.modules():
        for child in parent.children():
            if isinstance(child, nn.ModuleList) and any(map(_has_attention, child)):
                return parent, child
    raise ModelError(
        f"{_name(model.config)}: no list of attention layers in its decoder; {_REMEDY}"
    )


def _has_attention(layer: nn.Module) -> bool:
    return any("attn" in name or "attention" in name for name, _ in layer.named_children())


def _final_norm(model: Any, parent: nn.Module) -> nn.Module:
    """The norm beside the layers; an input norm comes before them, so the last one counts."""
    norms = list(_norms(parent))
    if not norms:
        raise ModelError(
            f"{_name(model.config)}: no norm after the decoder's last layer; {_REMEDY}"
        )
    return norms[-1]


def _norms(parent: nn.Module) -> Iterator[nn.Module]:
    for name, child in parent.named_children():
        if "norm" in name or name == "ln_f":
            yield child
