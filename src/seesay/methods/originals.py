"""AGLA's mask on the original pictures: painted there, and read by the model's processor once more.

Whatever the processor crops, pads or tiles, both streams so keep one geometry, in every family that
has a processor. The unpainted pictures are read again too, as a proof that they are those of the
prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from seesay.engine.state import Prompt
from seesay.errors import EngineError, MethodError
from seesay.methods.agla.blip import load_matcher, match
from seesay.methods.agla.matching import keep_mask, relevance_map
from seesay.models.images import open_image

_TEXT_INPUTS = {
    "input_ids",
    "attention_mask",
    "token_type_ids",
    "mm_token_type_ids",
    "qformer_input_ids",
    "qformer_attention_mask",
}


def masked_inputs(prompt: Prompt, checkpoint: str, geometry: str) -> dict[str, Tensor]:
    """The prompt's pixel inputs with the irrelevant part of every picture painted black.

    Args:
        checkpoint: id or folder of the matcher.
        geometry: "original", or "squashed" for the published second stream: the picture at the
            matcher's square size.

    Raises:
        EngineError: no pictures or processor in the session, or not those of the inputs; a prompt
            without input ids, whose question is unknown.
        MethodError: "squashed" where the model's geometry depends on the picture's shape.
        ModelError: the matcher cannot be loaded.
    """
    if prompt.images is None or prompt.view.processor is None:
        raise EngineError(
            "agla(matcher='blip') looks at the original pictures; open the session with "
            "images=[...] and processor=..., or use matcher='self'"
        )
    if prompt.inputs.get("input_ids") is None:
        raise EngineError(
            "agla(matcher='blip') reads the question from input_ids, which were not given; pass "
            "them, or use matcher='self'"
        )
    pictures = [open_image(one) for one in prompt.images]
    _require_same(prompt, pictures)
    matcher = load_matcher(checkpoint)
    matcher.model.to(prompt.columns.device)
    side = matcher.model.config.vision_config.image_size
    painted = []
    for picture, row in zip(pictures, _rows(prompt, len(pictures)), strict=True):
        cells, similarity = match(matcher, picture, question(prompt, row))
        keep = keep_mask(relevance_map(cells, side, side, fade=True), 1 - similarity / 2)
        painted.append(painted_black(picture, keep, squash=geometry == "squashed"))
    try:
        return _read(prompt, painted)
    except _ShapeError as error:
        raise MethodError(
            f"agla: geometry='squashed' shows the second stream a {side} x {side} picture, and "
            f"this model lays a picture out by its shape ({error}); use geometry='original'"
        ) from error


def painted_black(picture: Image.Image, keep: Tensor, *, squash: bool = False) -> Image.Image:
    """`picture` with what `keep` (rows, columns) bool does not keep painted black.

    Without `squash` the mask takes the picture's size, with it the picture takes the mask's.
    """
    mask = Image.fromarray(keep.cpu().numpy())
    if squash:
        picture = picture.resize(mask.size, Image.Resampling.BICUBIC)
    black = Image.new("RGB", picture.size)
    return Image.composite(picture, black, mask.resize(picture.size, Image.Resampling.NEAREST))


def question(prompt: Prompt, row: int) -> str:
    """What a prompt asks, in words: its text without special tokens and chat template."""
    processor: Any = prompt.view.processor
    ids = prompt.inputs["input_ids"][row].tolist()

    def words(tokens: list[int]) -> str:
        plain = [token for token in tokens if token not in prompt.view.image_token_ids]
        return " ".join(processor.tokenizer.decode(plain, skip_special_tokens=True).split())

    asked = words(ids)
    if getattr(processor, "chat_template", None) is None:
        return asked
    mark = "\N{OBJECT REPLACEMENT CHARACTER}"
    content = [{"type": "image"}, {"type": "text", "text": mark}]
    turn = [{"role": "user", "content": content}]
    template = processor.apply_chat_template(turn, add_generation_prompt=True)
    before, _, after = template.partition(mark)
    before, after = (words(processor.tokenizer(part)["input_ids"]) for part in (before, after))
    return asked.removeprefix(before).removesuffix(after).strip()


class _ShapeError(Exception):
    """Pictures that the model would lay out otherwise than those of the prompt."""


def _require_same(prompt: Prompt, pictures: list[Image.Image]) -> None:
    """Raise EngineError unless the prompt's pixel inputs were read from these pictures."""
    try:
        read = _read(prompt, pictures)
    except _ShapeError as error:
        differ = str(error)
    else:
        names = [n for n, v in read.items() if not torch.allclose(v, prompt.inputs[n], atol=1e-2)]
        if not names:
            return
        differ = f"{names[0]} of other values"
    raise EngineError(
        f"agla(matcher='blip'): the session's images, {len(pictures)} of them, do not give the "
        f"pixels of the prompt: {differ}; open the session with the images of this generation, in "
        "order of appearance, and with the processor that read them"
    )


def _rows(prompt: Prompt, pictures: int) -> Sequence[int]:
    """The prompt that each picture belongs to."""
    if pictures == len(prompt.columns) and bool(prompt.columns.any(1).all()):
        return range(pictures)  # one each; needs no knowledge of the family
    return [picture.row for picture in prompt.pictures()]


def _read(prompt: Prompt, pictures: list[Image.Image]) -> dict[str, Tensor]:
    """Pictures as the session's processor reads them: the pixel inputs, like the prompt's own."""
    processor: Any = prompt.view.processor
    batch = processor(
        images=[[picture] for picture in pictures],
        text=[str(processor.image_token)] * len(pictures),
        padding=True,
        return_tensors="pt",
    )
    pixels = {}
    for name in batch.keys() & (prompt.inputs.keys() - _TEXT_INPUTS):
        given = prompt.inputs[name]
        ours = batch[name].to(given)
        same_layout = given.shape == ours.shape and (given.is_floating_point() or given.equal(ours))
        if not same_layout:
            raise _ShapeError(
                f"{name} of shape {tuple(ours.shape)} in the place of {tuple(given.shape)}"
            )
        pixels[name] = ours
    return pixels
