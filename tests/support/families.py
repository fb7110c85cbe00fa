"""Tiny random models of each family, with real processors: what the tests run on, offline.

    model, processor = build("qwen2.5-vl")
    batch = inputs("qwen2.5-vl", model, processor, ["a dog ?", "yes"], [pictures(2), pictures(1)])

The weights are random but large (std 0.2 at width 64), so attention is far from uniform and a
method's effect is far above rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers import decoders as token_decoders
from tokenizers import models as token_models
from transformers import (
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2Processor,
    BlipImageProcessor,
    CLIPImageProcessor,
    CLIPVisionConfig,
    InstructBlipConfig,
    InstructBlipForConditionalGeneration,
    InstructBlipProcessor,
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLProcessor,
    InternVLVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextImageProcessor,
    LlavaNextProcessor,
    LlavaProcessor,
    OPTConfig,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2Config,
    Qwen2VLImageProcessor,
)
from transformers.models.got_ocr2 import GotOcr2ImageProcessor

from seesay.models.compat import cache_name
from seesay.models.processors import chat_prompt, images_only

CACHE = cache_name(LlavaForConditionalGeneration)  # among arguments and outputs of all families
LAYERS, HIDDEN, HEADS = 4, 64, 4
STD = 0.2

_WORDS = """
a an the is are there in on of at and with what where how many this that it one two three
four five yes no not near under above behind left right picture image scene describe please
answer user assistant dog cat fork knife spoon plate cup table chair sofa bed lamp book pen
clock car bus tree bird horse sheep cow boat train kite ball bat glove shoe hat bag apple
banana orange pizza cake bowl bottle phone laptop mouse keyboard screen sink oven fridge red
green blue yellow white black small large old new man woman child people room kitchen street
park beach office sits stands lies holds walks runs eats sees looks . , ? ! : user: assistant:
""".split()  # noqa: SIM905
_MARKS = """
<pad> <s> </s> <unk> <image> <|image_pad|> <|video_pad|> <|vision_start|> <|vision_end|>
<img> </img> <IMG_CONTEXT> <video>
""".split()  # noqa: SIM905
VOCABULARY = 200


def build(name: str) -> tuple[Any, Any]:
    """A seeded tiny model of the family in float32, `eval()`, and its processor."""
    model, processor = _BUILDERS[name]()
    generator = torch.Generator().manual_seed(ALL.index(name))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1 or parameter.std() > 0:  # norms stay at one, biases at zero
                parameter.normal_(0, STD, generator=generator)
        # No text may hold an image token, and a random model should not end its text early.
        model.get_output_embeddings().weight[: len(_MARKS)] = 0
    for part in (model, getattr(model, "language_model", model)):  # a Q-former's has its own
        if part.generation_config is not None:
            part.generation_config.update(pad_token_id=0, bos_token_id=1, eos_token_id=2)
    return model.eval().requires_grad_(False), processor


def inputs(
    name: str,
    model: Any,
    processor: Any,
    texts: Sequence[str],
    images: Sequence[Sequence[Image.Image]],
) -> dict[str, torch.Tensor]:
    """A left-padded batch: `texts[i]` about the pictures `images[i]` (none, one or several)."""
    pairs = zip(texts, images, strict=True)
    prompts = [chat_prompt(processor, text, len(pictures_))[0] for text, pictures_ in pairs]
    flat = [picture for pictures_ in images for picture in pictures_]
    batch = processor(images=flat or None, text=prompts, padding=True, return_tensors="pt")
    if "qformer_input_ids" in batch:
        # Its processor pads for both parts alike, and the Q-former counts padding before a text.
        options = {"padding": True, "padding_side": "right", "return_tensors": "pt"}
        asked = processor.qformer_tokenizer(prompts, **options)
        batch.update({f"qformer_{key}": asked[key] for key in ("input_ids", "attention_mask")})
    return {key: value.to(model.device) for key, value in batch.items()}


def pictures(n: int, seed: int = 0) -> list[Image.Image]:
    """`n` pictures of different sizes and shapes: coarse random blocks, so that cells differ."""
    rng = np.random.default_rng(seed)
    made = []
    for index in range(n):
        width, height = _SIZES[(seed + index) % len(_SIZES)]
        blocks = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        made.append(blocks.resize((width, height), Image.Resampling.NEAREST))
    return made


def batch_of_three(name: str, model: Any, processor: Any) -> dict[str, torch.Tensor]:
    """Three prompts of different lengths about different pictures, the second about two of them
    where a family takes two."""
    texts, images = three(name)
    return inputs(name, model, processor, texts, images)


def one_by_one(name: str, model: Any, processor: Any) -> Iterator[dict[str, torch.Tensor]]:
    """The three prompts of `batch_of_three`, each alone and therefore unpadded."""
    for text, pictures_ in zip(*three(name), strict=True):
        yield inputs(name, model, processor, [text], [pictures_])


def three(name: str) -> tuple[list[str], list[list[Image.Image]]]:
    """The texts and the pictures of `batch_of_three`."""
    texts = ["what is in the picture ?", "how many people are in this and that image ?", "a dog"]
    second = pictures(1 if name in Q_FORMERS else 2, seed=1)
    return texts, [pictures(1), second, pictures(1, seed=3)]


def save(name: str, folder: Path) -> Path:
    """Write the family's model and processor into `folder` as a checkpoint; returns `folder`."""
    model, processor = build(name)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


_SIZES = ((64, 64), (96, 48), (40, 88), (120, 72), (50, 50))


def _tokenizer(**named_tokens: str) -> PreTrainedTokenizerFast:
    words = [*_MARKS, *_WORDS]
    words += [f"word{i}" for i in range(VOCABULARY - len(words))]
    vocabulary = {word: index for index, word in enumerate(words)}
    backend = Tokenizer(token_models.WordLevel(vocabulary, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.add_special_tokens(_MARKS)
    backend.decoder = token_decoders.WordPiece(prefix="##", cleanup=True)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        padding_side="left",
        extra_special_tokens=named_tokens,
    )


def _chat_template(image: str) -> str:
    return (
        "{% for m in messages %}{{ m['role'] }}: "
        "{% if m['content'] is string %}{{ m['content'] }} {% else %}{% for c in m['content'] %}"
        "{% if c['type'] == 'image' %}" + image + " {% else %}{{ c['text'] }} {% endif %}"
        "{% endfor %}{% endif %}{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"
    )


def _id(token: str) -> int:
    return _MARKS.index(token)


_TEXT = {
    "vocab_size": VOCABULARY,
    "hidden_size": HIDDEN,
    "intermediate_size": 96,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "max_position_embeddings": 1024,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_VISION = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 8,
}
_SQUARE = {"height": 32, "width": 32}
_CLIP = {
    "patch_size": 8,
    "vision_feature_select_strategy": "default",
    "num_additional_image_tokens": 1,
    "chat_template": _chat_template("<image>"),
}


def _llava(kv_heads: int = HEADS) -> tuple[Any, Any]:
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**_VISION),
        text_config=LlamaConfig(**_TEXT, num_key_value_heads=kv_heads),
        image_token_index=_id("<image>"),
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
        image_seq_length=16,
    )
    images = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=_SQUARE)
    tokenizer = _tokenizer(image_token="<image>")
    processor = LlavaProcessor(image_processor=images, tokenizer=tokenizer, **_CLIP)
    return LlavaForConditionalGeneration(config), processor


def _llava_gqa() -> tuple[Any, Any]:
    return _llava(kv_heads=2)


def _llava_next() -> tuple[Any, Any]:
    pinpoints = [[32, 64], [64, 32], [64, 64], [96, 32], [32, 96]]
    config = LlavaNextConfig(
        vision_config=CLIPVisionConfig(**_VISION),
        text_config=LlamaConfig(**_TEXT, num_key_value_heads=2),
        image_token_index=_id("<image>"),
        image_grid_pinpoints=pinpoints,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    )
    images = LlavaNextImageProcessor(
        size={"shortest_edge": 32}, crop_size=_SQUARE, image_grid_pinpoints=pinpoints
    )
    tokenizer = _tokenizer(image_token="<image>")
    processor = LlavaNextProcessor(image_processor=images, tokenizer=tokenizer, **_CLIP)
    return LlavaNextForConditionalGeneration(config), processor


def _qwen() -> tuple[Any, Any]:
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0}
    config = Qwen2_5_VLConfig(
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_heads": 2,
            "patch_size": 8,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "window_size": 32,
            "out_hidden_size": HIDDEN,
            "fullatt_block_indexes": [1],
        },
        text_config={**_TEXT, "num_key_value_heads": 2, "rope_parameters": rope},
        image_token_id=_id("<|image_pad|>"),
        video_token_id=_id("<|video_pad|>"),
        vision_start_token_id=_id("<|vision_start|>"),
        vision_end_token_id=_id("<|vision_end|>"),
    )
    images = Qwen2VLImageProcessor(
        patch_size=8,
        merge_size=2,
        temporal_patch_size=2,
        size={"shortest_edge": 32 * 32, "longest_edge": 80 * 80},
    )
    processor = images_only(Qwen2_5_VLProcessor)(
        image_processor=images,
        tokenizer=_tokenizer(),
        chat_template=_chat_template("<|vision_start|> <|image_pad|> <|vision_end|>"),
    )
    return Qwen2_5_VLForConditionalGeneration(config), processor


def _internvl() -> tuple[Any, Any]:
    config = InternVLConfig(
        vision_config=InternVLVisionConfig(**{**_VISION, "patch_size": 4}),
        text_config=Qwen2Config(**_TEXT, num_key_value_heads=2),
        image_token_id=_id("<IMG_CONTEXT>"),
        image_seq_length=16,
        tie_word_embeddings=False,
    )
    images = GotOcr2ImageProcessor(size=_SQUARE, crop_to_patches=True, min_patches=1, max_patches=4)
    tokenizer = _tokenizer(
        start_image_token="<img>",
        end_image_token="</img>",
        context_image_token="<IMG_CONTEXT>",
        video_token="<video>",
    )
    processor = images_only(InternVLProcessor)(
        image_processor=images,
        tokenizer=tokenizer,
        image_seq_length=16,
        chat_template=_chat_template("<IMG_CONTEXT>"),
    )
    return InternVLForConditionalGeneration(config), processor


# Q-former families: a few query tokens stand for the picture, in front of the prompt's padding.
_QFORMER = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "cross_attention_frequency": 1,
}
_QUERIES = 12


def _instructblip() -> tuple[Any, Any]:
    config = InstructBlipConfig(
        vision_config=_VISION,
        qformer_config=_QFORMER,
        text_config=LlamaConfig(**_TEXT, num_key_value_heads=2),
        num_query_tokens=_QUERIES,
        image_token_index=_id("<image>"),
    )
    processor = InstructBlipProcessor(
        image_processor=BlipImageProcessor(size=_SQUARE),
        tokenizer=_tokenizer(),
        qformer_tokenizer=_tokenizer(),
        num_query_tokens=_QUERIES,
    )
    return InstructBlipForConditionalGeneration(config), processor


def _blip2() -> tuple[Any, Any]:
    config = Blip2Config(
        vision_config=_VISION,
        qformer_config=_QFORMER,
        text_config=OPTConfig(
            vocab_size=VOCABULARY,
            hidden_size=HIDDEN,
            word_embed_proj_dim=HIDDEN,
            ffn_dim=96,
            num_hidden_layers=LAYERS,
            num_attention_heads=HEADS,
            max_position_embeddings=1024,
            tie_word_embeddings=False,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
        ),
        num_query_tokens=_QUERIES,
        image_token_index=_id("<image>"),
    )
    processor = Blip2Processor(
        image_processor=BlipImageProcessor(size=_SQUARE),
        tokenizer=_tokenizer(),
        num_query_tokens=_QUERIES,
    )
    return Blip2ForConditionalGeneration(config), processor


_BUILDERS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "llava": _llava,
    "llava-gqa": _llava_gqa,
    "llava-next": _llava_next,
    "qwen2.5-vl": _qwen,
    "internvl": _internvl,
    "instructblip": _instructblip,
    "blip-2": _blip2,
}
ALL = tuple(_BUILDERS)
Q_FORMERS = ("instructblip", "blip-2")
FAMILIES = tuple(name for name in ALL if name not in Q_FORMERS)
"""Those whose tokens each lie somewhere on the picture."""
