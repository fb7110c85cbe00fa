"""An untrained model of the bundled kind: tokenizer, processor, LLaVA architecture."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from random import Random
from typing import TYPE_CHECKING, Any, Final

from experiments.toy_model.captions import caption, describe_turn, object_turn
from seesay.errors import ModelError
from seesay.toy.backgrounds import IMAGE_SIZE
from seesay.toy.scenes import PATCH_SIZE, draw_scene
from seesay.toy.world import COLORS, CONTEXTS, SURFACES

if TYPE_CHECKING:
    from transformers import LlavaForConditionalGeneration, LlavaProcessor, PreTrainedTokenizerFast

IMAGE_TOKENS: Final = (IMAGE_SIZE // PATCH_SIZE) ** 2
VISION_WIDTH: Final = 144
_VISION_LAYERS, _VISION_HEADS = 4, 6
_TEXT_WIDTH, _TEXT_FEED_FORWARD, _TEXT_LAYERS, _TEXT_HEADS = 128, 320, 6, 4

_SPECIAL: Final = ("<unk>", "<s>", "</s>", "<pad>", "<image>")
_CHAT: Final = (
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}USER: "
    "{% for part in message['content'] if part['type'] == 'image' %}<image>\n{% endfor %}"
    "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] }}{% endfor %}"
    "{% else %} ASSISTANT: "
    "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] }}{% endfor %}"
    "</s>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %} ASSISTANT:{% endif %}"
)


def build_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer fitted on the world's texts; every object form is one token.

    Raises:
        ModelError: if the fit left an object or colour in pieces.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    fitted = Tokenizer(models.BPE(unk_token=None))
    fitted.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    fitted.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1024,
        min_frequency=4,
        show_progress=False,
        special_tokens=list(_SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    fitted.train_from_iterator(_corpus(), trainer)
    fitted.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", _SPECIAL.index("<s>"))]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=fitted,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        padding_side="left",
        model_max_length=1024,
        extra_special_tokens={"image_token": "<image>"},
    )
    for word in (*SURFACES, *COLORS, *CONTEXTS, "Yes", "No"):
        word_token(tokenizer, word)
    return tokenizer


def word_token(tokenizer: Any, word: str) -> int:
    """The one token of a word inside a sentence.

    Raises:
        ModelError: if the tokenizer needs several.
    """
    ids: list[int] = tokenizer(word, add_special_tokens=False)["input_ids"]
    if len(ids) != 1:
        raise ModelError(f"the tokenizer splits {word!r} into {len(ids)}: add it to the corpus")
    return ids[0]


def build_processor(tokenizer: PreTrainedTokenizerFast) -> LlavaProcessor:
    """Images to 96 x 96 pixels, texts to tokens, messages to `USER: … ASSISTANT:`."""
    from transformers import LlavaProcessor
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    size = {"height": IMAGE_SIZE, "width": IMAGE_SIZE}
    images = CLIPImageProcessorPil(
        size=size,
        crop_size=size,
        do_center_crop=False,
        image_mean=[0.5] * 3,
        image_std=[0.25] * 3,
    )
    return LlavaProcessor(
        image_processor=images,
        tokenizer=tokenizer,
        patch_size=PATCH_SIZE,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=_CHAT,
    )


def build_model(tokenizer: PreTrainedTokenizerFast) -> LlavaForConditionalGeneration:
    """A random model of 2.4 M parameters: CLIP tower, projector, Llama."""
    import torch
    from transformers import (
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
    )

    special = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    vision = CLIPVisionConfig(
        hidden_size=VISION_WIDTH,
        intermediate_size=4 * VISION_WIDTH,
        projection_dim=VISION_WIDTH,
        num_hidden_layers=_VISION_LAYERS,
        num_attention_heads=_VISION_HEADS,
        image_size=IMAGE_SIZE,
        patch_size=PATCH_SIZE,
    )
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=_TEXT_WIDTH,
        intermediate_size=_TEXT_FEED_FORWARD,
        num_hidden_layers=_TEXT_LAYERS,
        num_attention_heads=_TEXT_HEADS,
        max_position_embeddings=1024,
        tie_word_embeddings=False,
        **special,
    )
    model = LlavaForConditionalGeneration(
        LlavaConfig(
            vision_config=vision,
            text_config=text,
            image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
            image_seq_length=IMAGE_TOKENS,
            vision_feature_layer=-1,
            vision_feature_select_strategy="default",
            tie_word_embeddings=False,
        )
    )
    model.generation_config.update(**special)
    # The default starts patches so small that the position drowns the picture.
    with torch.no_grad():
        patches = model.model.vision_tower.embeddings.patch_embedding.weight
        patches.normal_(0, 1 / math.sqrt(3 * PATCH_SIZE**2))
    return model


def image_features(tower: Any, pixels: Any) -> Any:
    """What the projector sees of images: (batch, 3, 96, 96) -> (batch, 64, width)."""
    return tower(pixels).last_hidden_state[:, 1:]


def pixel_values(images: Any) -> Any:
    """(batch, 96, 96, 3) uint8 array -> (batch, 3, 96, 96) floats as the processor makes them."""
    import numpy as np
    import torch

    channels_first = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2)
    return (channels_first.float() / 255 - 0.5) / 0.25


def _corpus() -> Iterator[str]:
    rng = Random("corpus")
    for seed in range(1200):
        scene = draw_scene("training", "kept", seed)
        for prompt, answer in (describe_turn(scene, rng), object_turn(scene, rng)):
            yield f"USER: \n{prompt} ASSISTANT: {answer}"
        yield caption(scene, rng)
    # Rare words often enough that each becomes a token.
    yield from _spoken([*SURFACES, *COLORS, *CONTEXTS, "Yes", "No"])


def _spoken(words: Iterable[str]) -> Iterator[str]:
    for word in words:
        for _ in range(12):
            yield f"a {word} {word}. the {word}, {word}"
