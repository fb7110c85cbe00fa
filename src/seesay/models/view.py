"""Facts about a vision-language model: where its parts are and which columns hold its image.

Nothing here changes a model. Nearly every family answers the same few questions (`get_decoder`,
`get_output_embeddings`, `config.image_token_id`); the families that do not are in the short tables
below `ModelView`.
"""

from __future__ import annotations

import inspect
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from seesay.errors import InputError, ModelError
from seesay.models import compat
from seesay.models.layers import attention_of, generates_by, layers_of, refuse_unknown


@dataclass(frozen=True, eq=False)
class ModelView:
    """The parts of a running vision-language model that seesay talks to.

    Attributes:
        model: the whole model, as `from_pretrained` returned it.
        decoder: its text decoder, the module whose attention a method may change.
        layers: the decoder's layers, first to last.
        head: the language-model head, hidden state to logits.
        image_token_ids: ids that stand for image (or video) features in `input_ids`; empty for a
            family that marks its image columns by an input of their own.
        processor: the model's processor if the caller gave it, for pixel statistics.
    """

    model: Any
    decoder: Any
    layers: nn.ModuleList
    head: nn.Module
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
        if generates_by(model) not in (None, "language_model"):
            raise ModelError(
                f"{_name(model.config)} generates by its {generates_by(model)}, which is handed "
                f"the picture in a way that is not followed; {_REMEDY}"
            )
        decoder = _language_model(model).get_decoder()
        found = layers_of(decoder)
        if found is None:
            raise ModelError(
                f"{_name(model.config)}: no layer of its decoder {type(decoder).__name__} uses the "
                f"AttentionInterface of transformers, so no method can reach it; {_REMEDY}"
            )
        layers = found[1]
        for layer in layers:
            if (attention := attention_of(layer)) is not None:
                refuse_unknown(attention, _name(model.config))
        return cls(
            model=model,
            decoder=decoder,
            layers=layers,
            head=model.get_output_embeddings(),
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
        """Query heads a layer; the most of any, where layers differ."""
        return max(_each(self.decoder.config, "num_attention_heads"))

    @property
    def n_kv_heads(self) -> int:
        """Key and value heads a layer; a divisor of `n_heads`."""
        return max(_each(self.decoder.config, "num_key_value_heads")) or self.n_heads

    @cached_property
    def attending(self) -> tuple[int, ...]:
        """The layers that attend; in a hybrid decoder others keep states of another kind."""
        return tuple(n for n, layer in enumerate(self.layers) if attention_of(layer) is not None)

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
        reading = self.lens
        logits: Tensor = self.head(reading.norm(hidden) if norm else hidden) * reading.scale
        cap = reading.cap
        return logits if cap is None else (logits / cap).tanh() * cap

    @property
    def lens(self) -> HeadReading:
        """How hidden states become logits; found out once a model, by a forward on a few tokens,
        so ask before a session is open.

        Raises:
            ModelError: logits that are made in a way that is not understood.
        """
        if self.model not in _READINGS:
            _READINGS[self.model] = _reading_of(self)
        return _READINGS[self.model]

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

# Families that look at a picture with the prompt in view: a Q-former, or a prefix read both ways.
_PROMPT_READERS = {"instructblip", "instructblipvideo", "paligemma"}

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
    part = generates_by(model)
    return model if part is None else getattr(model, part)


def _each(config: Any, name: str) -> list[int]:
    """A count by layer, 0 where the config has none; one number where layers agree."""
    try:
        return [int(getattr(config, name, None) or 0)]
    except (AttributeError, ValueError, RuntimeError):  # layers differ
        each = (getattr(layer, name, None) for layer in config.per_layer_config)
        return [int(count or 0) for count in each]


@dataclass(frozen=True, eq=False)
class HeadReading:
    """From a hidden state to logits: cap · tanh(scale · head(norm(hidden)) / cap).

    Attributes:
        norm: the module between the last layer and the head.
        scale: what the family multiplies the head's logits by.
        cap: the family's cap on logits; None without one.
    """

    norm: nn.Module
    scale: float
    cap: float | None


_READINGS: WeakKeyDictionary[Any, HeadReading] = WeakKeyDictionary()


@torch.no_grad()
def _reading_of(view: ModelView) -> HeadReading:
    """Watch some tokens become logits."""
    if view.head is None:
        raise ModelError(
            f"{_name(view.model.config)} names no language-model head, so hidden states cannot be "
            "read; leave the logit lens and the deep scores out"
        )
    language, outputs = view.language_model, dict[str, Tensor]()
    norms = {
        name: module
        for name, module in view.decoder.named_modules()
        if "norm" in type(module).__name__.lower() or name == "ln_f"
    }
    with ExitStack() as undo:
        for name, module in {**norms, "": view.head}.items():

            def note(module: nn.Module, args: Any, output: Any, name: str = name) -> None:
                outputs[name] = output
                if not name:
                    outputs["input"] = args[0]

            undo.callback(module.register_forward_hook(note).remove)
        spread = torch.linspace(1, view.vocabulary - 1, _TOKENS + len(view.image_token_ids)).long()
        ids = [token for token in spread.tolist() if token not in view.image_token_ids]
        given_ids = torch.tensor([ids], device=language.device)
        logits = language(input_ids=given_ids, use_cache=False).logits.double().flatten(0, 1)
    read, raw = (outputs.pop(name).double().flatten(0, 1) for name in ("input", ""))
    given = {n: out[0].double() for n, out in outputs.items() if out[0].shape == read.shape}
    found = next((n for n in reversed(given) if _factor(read, given[n]) is not None), None)
    kept = logits > torch.finfo(view.head.weight.dtype).min / 2  # type: ignore[arg-type]
    raw, logits = raw[..., : logits.shape[-1]][kept], logits[kept]
    before = None if found is None else _factor(read, given[found])
    ways = []
    for cap in {None, getattr(view.decoder.config, "final_logit_softcapping", None)}:
        free = logits if cap is None else (logits / cap).clamp(-1 + 1e-9, 1 - 1e-9).atanh() * cap
        if (scale := _factor(free, raw)) is not None:
            ways.append((float((free - scale * raw).norm() / free.norm()), scale, cap))
    if found is not None and before is not None and ways:
        _, scale, cap = min(ways, key=lambda way: way[0])
        return HeadReading(norms[found], before * scale, cap)
    raise ModelError(
        f"{_name(view.model.config)} makes its logits in a way that is not understood, so hidden "
        "states cannot be read; leave the logit lens and the deep scores out"
    )


def _factor(values: Tensor, of: Tensor) -> float | None:
    """c with values = c · of, None if there is none."""
    if not bool(of.any()):
        return None
    factor = float((values * of).sum() / (of * of).sum())
    off = (values - factor * of).norm() / values.norm()
    if not off < _ROUNDING:
        return None
    return 1.0 if abs(factor - 1) < _ROUNDING else factor


_ROUNDING = 0.02  # of half precision
_TOKENS = 4
