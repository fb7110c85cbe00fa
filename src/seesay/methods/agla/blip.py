"""The published matcher of AGLA: BLIP's image–text matching, with GradCAM on its cross-attention.

    cor(j) = mean_i mean_h max(0, ∂score/∂C[h, i, j]) · C[h, i, j]

C is the text encoder's cross-attention in its middle layer (6 of 12, counted from 0), score the
logit of "this text belongs to this picture", j the picture's patches without the class token, and
i the question's tokens without the first and [SEP]. The similarity is the cosine of BLIP's
contrastive embeddings. Where the picture and the question come from: `originals`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import (
    get_hf_file_metadata,
    hf_hub_url,
    snapshot_download,
    try_to_load_from_cache,
)
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor
from torch.nn import functional
from transformers import AutoConfig, BlipForImageTextRetrieval, BlipProcessor

from seesay.errors import ModelError
from seesay.models.loading import FOREIGN_ERRORS, quiet

_ENC = 30523  # [ENC] stands in the place of [CLS] where BLIP matches
_TOKENS, _WORDS = 35, 50
# These repositories hold pickle weights; the same weights as safetensors stand in a pull request.
_SAFE_REVISIONS = {
    "Salesforce/blip-itm-large-coco": "c0273606af96037e7a3b2fb0ff4ae9620b517be6",
    "Salesforce/blip-itm-base-coco": "refs/pr/5",
}


@dataclass(frozen=True)
class Matcher:
    """A BLIP retrieval model, float32 in `eval()` without gradients, and its processor."""

    model: Any
    processor: Any


def gradcam(attention: Tensor, gradient: Tensor, mask: Tensor) -> Tensor:
    """How relevant each patch is to the text.

    Args:
        attention, gradient: (batch, heads, tokens, 1 + patches), a cross-attention map and what a
            score changes with it; the first key is the picture's class token.
        mask: (batch, tokens), 1 on tokens, the first and [SEP] included, and 0 on padding behind.

    Returns (batch, rows, columns) of a square grid; zeros for a text without a word.
    """
    paid = (gradient[..., 1:].clamp(min=0) * attention[..., 1:]).mean(1)  # (batch, tokens, patches)
    words = functional.pad(mask[:, 2:], (1, 1))  # drops the first token and the last one
    summed = (paid * words[..., None]).sum(1) / words.sum(1, keepdim=True).clamp(min=1)
    side = round(summed.shape[1] ** 0.5)
    return summed.view(-1, side, side)


def normalised(text: str) -> str:
    """A question as BLIP was trained on text: lower case, some marks blank, at most 50 words."""
    words = re.sub(r"[.!\"()*#:;~]", " ", text.lower()).split()
    return " ".join(words[:_WORDS])


def match(matcher: Matcher, picture: Image.Image, question: str) -> tuple[Tensor, float]:
    """The relevance (rows, columns) of the picture's patches to the question; the similarity.

    A question longer than the matcher's 35 tokens is cut there.
    """
    model = matcher.model
    text = normalised(question)
    tokens = matcher.processor.tokenizer(
        text, truncation=True, max_length=_TOKENS, return_tensors="pt"
    )["input_ids"]
    pixels = matcher.processor.image_processor(picture, return_tensors="pt")["pixel_values"]
    layers = model.text_encoder.encoder.layer
    maps: list[Tensor] = []
    hook = layers[len(layers) // 2].crossattention.self.register_forward_hook(
        lambda module, args, output: maps.append(output[1])
    )
    try:
        # The caller may be under inference_mode, in which nothing can be differentiated; what was
        # made there is copied.
        with torch.inference_mode(mode=False), torch.enable_grad():
            ids, pixels = (given.clone().to(model.device) for given in (tokens, pixels))
            seen = model.vision_model(pixels).last_hidden_state
            told = model.text_encoder(input_ids=ids).last_hidden_state
            similarity = functional.cosine_similarity(
                model.vision_proj(seen[:, 0]), model.text_proj(told[:, 0])
            )
            ids[:, 0] = _ENC
            both = model.text_encoder(
                input_ids=ids, encoder_hidden_states=seen.detach().requires_grad_()
            ).last_hidden_state
            positive = model.itm_head(both[:, 0])[:, 1]
            (gradient,) = torch.autograd.grad(positive.sum(), maps[-1])
    finally:
        hook.remove()
    return gradcam(maps[-1].detach(), gradient, torch.ones_like(ids))[0], float(similarity)


@lru_cache(maxsize=2)
def load_matcher(checkpoint: str) -> Matcher:
    """The matcher of an id or folder; loaded once and kept.

    Raises:
        ModelError: not found, no network, no BLIP retrieval model, or weights that are missing.
    """
    bars = not Path(checkpoint).is_dir()  # a download may take minutes
    with quiet(bars), _explained(checkpoint), torch.inference_mode(mode=False):
        folder = checkpoint if Path(checkpoint).is_dir() else _downloaded(checkpoint)
        family = AutoConfig.from_pretrained(folder).model_type
        if family != "blip":
            raise ValueError(f"it is a {family} model")
        model, report = BlipForImageTextRetrieval.from_pretrained(
            folder,
            dtype=torch.float32,
            use_safetensors=True,
            attn_implementation="eager",
            output_loading_info=True,
        )
        if report["missing_keys"]:
            raise ValueError(f"it lacks {min(report['missing_keys'])} and other weights")
        if model.config.text_config.vocab_size <= _ENC:
            raise ValueError(f"its vocabulary has no [ENC] token {_ENC}")
        processor = BlipProcessor.from_pretrained(folder)
    return Matcher(model.eval().requires_grad_(False), processor)


def _downloaded(checkpoint: str) -> str:
    """The folder of an id on the Hugging Face Hub; nothing is asked of the Hub if it is here."""
    revision = _SAFE_REVISIONS.get(checkpoint)
    needed = ("config.json", "model.safetensors")
    cached = [try_to_load_from_cache(checkpoint, name, revision=revision) for name in needed]
    here = all(isinstance(path, str) for path in cached)
    if not here:  # asked once, where a download would try for half a minute without a network
        get_hf_file_metadata(hf_hub_url(checkpoint, needed[0], revision=revision))
    kinds = ["*.json", "*.txt", "*.safetensors"]  # no pickle is ever downloaded
    return snapshot_download(
        checkpoint, revision=revision, allow_patterns=kinds, local_files_only=here
    )


@contextmanager
def _explained(checkpoint: str) -> Iterator[None]:
    """Whatever goes wrong while loading as one line with the remedy."""
    try:
        yield
    except (SafetensorError, *FOREIGN_ERRORS) as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(
            f"agla: the matcher {checkpoint!r} cannot be loaded ({reason}); give the id or folder "
            "of a BlipForImageTextRetrieval with safetensors weights as checkpoint, or use "
            "matcher='self', which needs no further weights"
        ) from error
