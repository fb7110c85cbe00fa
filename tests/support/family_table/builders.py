"""One builder a family: a tiny model from its config, and its processor or inputs made by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers as tf
from PIL import Image
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers import decoders as token_decoders
from tokenizers import models as token_models
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from seesay.models.processors import chat_prompt

METHODS = {
    "lens": "attention-lens(alpha=1.0)",
    "farsight": "farsight(sigma=0.3)",
    "eah": "eah(threshold=0.001)",
    "vasparse": "vasparse(keep=0.5, every=2, candidates='all', beta=0.0)",
    "agla": "agla(beta=0.0)",
    "vcd": "vcd(beta=0.0)",
    "pai": "pai(alpha=0.5, gamma=2.0, beta=0.0, start_layer=0)",
}


@dataclass
class Family:
    """A tiny model, and either a processor or a function that makes inputs by hand."""

    model: Any
    processor: Any = None
    make: Callable[[list[str], list[list[Any]]], dict[str, Any]] | None = None
    several: int = 2  # pictures of the second prompt of the batch
    std: float = 0.2
    refused: bool = False  # ought to be refused by name
    note: str = ""
    marks: int = 0  # first vocabulary rows whose logits are silenced
    image_token: str = ""
    methods: tuple[str, ...] = tuple(METHODS)
    extra_tokens: tuple[int, ...] = ()  # embedded by the tower, but no part of the picture
    loose: float = 0.0  # how far a batch may be off its prompts by the family's own rounding
    eager_maps: bool = True  # whether the family can return attention maps at all


def randomise(family: Family, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    model = family.model
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1 and parameter.is_floating_point():
                parameter.normal_(0, family.std, generator=generator)
        head = model.get_output_embeddings()
        if head is not None and family.marks and getattr(head, "weight", None) is not None:
            head.weight[: family.marks] = 0
    for part in (model, getattr(model, "language_model", None)):
        config = getattr(part, "generation_config", None)
        if config is not None:
            config.update(pad_token_id=0, bos_token_id=1, eos_token_id=2)
            for name in (
                "suppress_tokens",
                "begin_suppress_tokens",
                "forced_eos_token_id",
                "forced_bos_token_id",
            ):
                setattr(config, name, None)
    model.eval().requires_grad_(False)


# ---- words, pictures, inputs --------------------------------------------------------------------

MARKS = [
    "<pad>",
    "<s>",
    "</s>",
    "<unk>",
    "<image>",
    "<video>",
    "<audio>",
    "<|image_pad|>",
    "<|video_pad|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<img>",
    "</img>",
    "<IMG_CONTEXT>",
    "<|image|>",
    "<|video|>",
    "<|begin_of_image|>",
    "<|end_of_image|>",
    "<|begin_of_video|>",
    "<|end_of_video|>",
    "[IMG]",
    "[IMG_BREAK]",
    "[IMG_END]",
    "<fake_token_around_image>",
    "<end_of_utterance>",
    "<global-img>",
    "<start_of_image>",
    "<end_of_image>",
    "<image_soft_token>",
    "<|START_OF_IMG|>",
    "<|END_OF_IMG|>",
    "<|IMG_PATCH|>",
    "<|IMG_LINE_BREAK|>",
    "TILE_GLOBAL",
    "<|audio|>",
    "<|eoi|>",
    "<|boi|>",
    "<|image_start|>",
    "<|image_end|>",
    "<|patch|>",
    "<|tile_x_separator|>",
    "<|tile_y_separator|>",
    "<image_placeholder>",
    "<|audio_pad|>",
    "<|audio_start|>",
    "<|audio_end|>",
    "<|image_eos|>",
    "<boi>",
    "<eoi>",
    "<boa>",
    "<eoa>",
    "<audio_soft_token>",
    "<|img_thumbnail|>",
    "<grounding>",
    "<phrase>",
    "</phrase>",
    "<object>",
    "</object>",
    "</delimiter_of_multi_objects/>",
    "<image_patch>",
    "<im_start>",
    "<im_end>",
    "<im_col>",
    "<low_res_im_start>",
    "<|image_1|>",
    "<imgpad>",
]
MARKS += [f"<row_{r}_col_{c}>" for r in range(1, 7) for c in range(1, 7)] + [
    f"TILE_{i}" for i in range(1, 10)
]
WORDS = [
    "a",
    "an",
    "the",
    "is",
    "are",
    "there",
    "in",
    "on",
    "of",
    "at",
    "and",
    "with",
    "what",
    "where",
    "how",
    "many",
    "this",
    "that",
    "it",
    "one",
    "two",
    "three",
    "four",
    "five",
    "yes",
    "no",
    "not",
    "near",
    "under",
    "above",
    "behind",
    "left",
    "right",
    "picture",
    "image",
    "scene",
    "describe",
    "please",
    "answer",
    "user",
    "assistant",
    "dog",
    "cat",
    "fork",
    "knife",
    "spoon",
    "plate",
    "cup",
    "table",
    "chair",
    "sofa",
    "couch",
    "bed",
    "lamp",
    "book",
    "pen",
    "clock",
    "car",
    "bus",
    "tree",
    "bird",
    "horse",
    "sheep",
    "cow",
    "boat",
    "train",
    "kite",
    "ball",
    "bat",
    "glove",
    "shoe",
    "hat",
    "bag",
    "apple",
    "people",
    "person",
    "banana",
    "orange",
    "pizza",
    "cake",
    "bowl",
    "bottle",
    "phone",
    "laptop",
    "mouse",
    "keyboard",
    "screen",
    "sink",
    "oven",
    "fridge",
    "umbrella",
    "truck",
    "bicycle",
    "bench",
    "elephant",
    "bear",
    "zebra",
    "giraffe",
    "sits",
    "holds",
    "stands",
    "eats",
    "sees",
    "looks",
    "red",
    "green",
    "blue",
    "yellow",
    "white",
    "black",
    "small",
    "large",
    "Yes",
    "No",
    "Is",
    "Are",
    "There",
    ",",
    ".",
    "?",
    "!",
    ":",
]
VOCABULARY = 640
_BACKEND: Any = None


def tid(token: str) -> int:
    return MARKS.index(token)


def backend() -> Any:
    """A byte-level BPE of whole words, trained at once: it can spell anything."""
    from tokenizers import trainers

    global _BACKEND
    if _BACKEND is None:
        made = Tokenizer(token_models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = token_decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=VOCABULARY,
            special_tokens=MARKS,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        made.train_from_iterator(
            [" ".join(WORDS)] * 3 + [f" {w}" for w in WORDS for _ in range(3)], trainer
        )
        made.add_tokens([f"word{i}" for i in range(VOCABULARY - made.get_vocab_size())])
        assert made.get_vocab_size() == VOCABULARY, made.get_vocab_size()
        _BACKEND = made.to_str()
    return Tokenizer.from_str(_BACKEND)


def tokenizer(**named: str) -> Any:
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=backend(),
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        padding_side="left",
        extra_special_tokens=named,
    )


def video_capable() -> bool:
    from transformers.utils import is_torchvision_available

    return is_torchvision_available()


def whole(cls: Any, video: str, **parts: Any) -> Any:
    """A family's processor with its video part where torchvision is there, as its owner saved it;
    otherwise a bag of parts with that processor's config, which is what a user's folder holds."""
    if video_capable():
        return cls(video_processor=getattr(tf, video)(), **parts)
    return Folder(cls, video, parts)


class Folder:
    """A processor of which only the files exist: its own class needs what is not installed."""

    def __init__(self, cls: Any, video: str, parts: dict[str, Any]) -> None:
        self.cls, self.video, self.parts = cls, video, parts

    def save_pretrained(self, folder: Path) -> None:
        plain = {}
        for name, part in self.parts.items():
            if hasattr(part, "save_pretrained"):
                part.save_pretrained(folder)
            elif name == "chat_template":
                (Path(folder) / "chat_template.jinja").write_text(part)
            else:
                plain[name] = part
        plain["processor_class"] = self.cls.__name__
        image = self.parts.get("image_processor")
        if image is not None:
            plain["image_processor"] = image.to_dict()
        if self.video:
            plain["video_processor"] = {"video_processor_type": self.video}
            (Path(folder) / "video_preprocessor_config.json").write_text(
                json.dumps(plain["video_processor"])
            )
        (Path(folder) / "processor_config.json").write_text(json.dumps(plain, indent=1))


def chat(image: str) -> str:
    return (
        "{% for m in messages %}{{ m['role'] }}: "
        "{% if m['content'] is string %}{{ m['content'] }} {% else %}{% for c in m['content'] %}"
        "{% if c['type'] == 'image' %}" + image + " {% else %}{{ c['text'] }} {% endif %}"
        "{% endfor %}{% endif %}{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"
    )


SIZES = ((64, 64), (96, 48), (40, 88), (120, 72), (50, 50))


def pictures(n: int, seed: int = 0) -> list[Image.Image]:
    rng = np.random.default_rng(seed)
    made = []
    for index in range(n):
        size = SIZES[(seed + index) % len(SIZES)]
        blocks = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        made.append(blocks.resize(size, Image.Resampling.NEAREST))
    return made


def three(several: int) -> tuple[list[str], list[list[Image.Image]]]:
    """Prompts of different lengths about different pictures, the second about several."""
    texts = ["what is in the picture ?", "how many people are in this and that image ?", "a dog"]
    return texts, [pictures(1), pictures(several, seed=1), pictures(1, seed=3)]


def processed(
    model: Any, processor: Any, texts: list[str], images: list[list[Image.Image]]
) -> dict[str, Any]:
    """A left-padded batch in the processor's own template."""
    pairs = [chat_prompt(processor, t, len(p)) for t, p in zip(texts, images, strict=True)]
    batch = processor(
        images=images,
        text=[p for p, _ in pairs],
        padding=True,
        padding_side="left",
        add_special_tokens=pairs[0][1],
        return_tensors="pt",
    )
    if "qformer_input_ids" in batch:
        asked = processor.qformer_tokenizer(
            [p for p, _ in pairs], padding=True, padding_side="right", return_tensors="pt"
        )
        batch.update({f"qformer_{k}": asked[k] for k in ("input_ids", "attention_mask")})
    kind = next(model.parameters()).dtype
    return {
        k: v.to(kind) if torch.is_tensor(v) and v.is_floating_point() else v
        for k, v in batch.items()
    }


def by_hand(
    runs: Any,
    pixels: Any,
    token: int,
    extra: Any = None,
    after: tuple[int, ...] = (),
    before: tuple[int, ...] = (),
) -> Any:
    """Inputs without a processor.

    runs: picture index -> image tokens; pixels: pictures (flat) -> dict of inputs.
    """

    def make(texts, images):
        rows, flat = [], []
        for text, its in zip(texts, images, strict=True):
            ids = [1]
            for picture in its:
                ids += [*before, *[token] * runs(picture), *after]
                flat.append(picture)
            ids += tokenizer()(" " + text, add_special_tokens=False)["input_ids"]
            rows.append(ids)
        n = max(map(len, rows))
        ids = torch.tensor([[0] * (n - len(r)) + r for r in rows])
        mask = torch.tensor([[0] * (n - len(r)) + [1] * len(r) for r in rows])
        batch = {"input_ids": ids, "attention_mask": mask, **pixels(flat)}
        if extra is not None:
            batch |= extra(batch)
        return batch

    return make


def seeded(picture: Image.Image, *shape: int) -> torch.Tensor:
    """Pixel values that depend on the picture alone."""
    generator = torch.Generator().manual_seed(
        int(np.asarray(picture).astype(np.int64).sum()) % 2**31
    )
    return torch.randn(*shape, generator=generator)


# ---- sizes --------------------------------------------------------------------------------------

LAYERS = 4
TEXT = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "tie_word_embeddings": False,
}
MOE = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 48}
VISION = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 8,
}
SIGLIP = {"model_type": "siglip_vision_model", **VISION, "vision_use_head": False}
CLIP = {"model_type": "clip_vision_model", **VISION}
SQUARE = {"height": 32, "width": 32}
PINPOINTS = [[32, 64], [64, 32], [64, 64], [96, 32], [32, 96]]
MROPE = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0}

BUILDERS: dict[str, Any] = {}


def family(name: str | None = None, **facts: Any) -> Any:
    def add(fn: Any) -> Any:
        def build() -> Family:
            made = fn()
            if not isinstance(made, Family):
                made = Family(*made) if isinstance(made, tuple) else Family(made)
            made.marks = made.marks or len(MARKS)
            for key, value in facts.items():
                setattr(made, key, value)
            return made

        BUILDERS[name or fn.__name__.strip("_")] = build
        return fn

    return add


# ---- LLaVA and its kin --------------------------------------------------------------------------


def llava_model(text: dict[str, Any]) -> Any:
    return tf.LlavaForConditionalGeneration(
        tf.LlavaConfig(
            vision_config=CLIP,
            text_config=text,
            image_token_index=tid("<image>"),
            vision_feature_layer=-2,
            vision_feature_select_strategy="default",
            image_seq_length=16,
        )
    )


LLAVA = {
    "patch_size": 8,
    "vision_feature_select_strategy": "default",
    "num_additional_image_tokens": 1,
    "chat_template": chat("<image>"),
}


def clip_processor() -> Any:
    return tf.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=SQUARE)


def llava_processor() -> Any:
    return tf.LlavaProcessor(
        image_processor=clip_processor(), tokenizer=tokenizer(image_token="<image>"), **LLAVA
    )


@family()
def llava():
    return llava_model({"model_type": "llama", **TEXT}), llava_processor()


@family("llava-mistral (window crossed)")
def llava_mistral():
    return llava_model({"model_type": "mistral", **TEXT, "sliding_window": 24}), llava_processor()


@family("llava-gpt_oss (sinks of its own)")
def llava_gpt_oss():
    text = {**TEXT, "model_type": "gpt_oss", "head_dim": 16, "sliding_window": 24}
    text |= {"num_local_experts": 2, "num_experts_per_tok": 1}
    text |= {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}}
    model = llava_model(text)
    for layer in model.get_decoder().layers:
        torch.nn.init.normal_(layer.self_attn.sinks)
    return model, llava_processor()


@family("llava-gemma2 (soft caps)")
def llava_gemma2():
    return llava_model(
        {
            "model_type": "gemma2",
            **TEXT,
            "head_dim": 16,
            "sliding_window": 32,
            "query_pre_attn_scalar": 16,
        }
    ), llava_processor()


def pixtral_processor(images: Any, **facts: Any) -> Any:
    parts = {
        "image_processor": images,
        "tokenizer": tokenizer(),
        "chat_template": chat("[IMG]"),
        **facts,
    }
    return (
        tf.PixtralProcessor(**parts) if video_capable() else Folder(tf.PixtralProcessor, "", parts)
    )


@family("llava-pixtral")
def llava_pixtral():
    config = tf.LlavaConfig(
        vision_config={"model_type": "pixtral", **VISION, "image_size": 64},
        text_config={"model_type": "mistral", **TEXT},
        image_token_index=tid("[IMG]"),
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
    )
    images = tf.PixtralImageProcessor(
        size={"longest_edge": 64}, patch_size={"height": 8, "width": 8}
    )
    processor = pixtral_processor(images, patch_size=8)
    return tf.LlavaForConditionalGeneration(config), processor


def next_images() -> Any:
    return tf.LlavaNextImageProcessor(
        size={"shortest_edge": 32}, crop_size=SQUARE, image_grid_pinpoints=PINPOINTS
    )


def llava_next_model(
    text: dict[str, Any], layer: Any = -2, vision: Any = CLIP, strategy: str = "default"
) -> Any:
    return tf.LlavaNextForConditionalGeneration(
        tf.LlavaNextConfig(
            vision_config=vision,
            text_config=text,
            image_token_index=tid("<image>"),
            image_grid_pinpoints=PINPOINTS,
            vision_feature_layer=layer,
            vision_feature_select_strategy=strategy,
        )
    )


@family()
def llava_next():
    processor = tf.LlavaNextProcessor(
        image_processor=next_images(), tokenizer=tokenizer(image_token="<image>"), **LLAVA
    )
    return llava_next_model({"model_type": "llama", **TEXT}), processor


@family("granite-vision (llava_next)")
def granite_vision():
    text = {
        "model_type": "granite",
        **TEXT,
        "attention_multiplier": 0.3,
        "residual_multiplier": 0.5,
        "embedding_multiplier": 2.0,
        "logits_scaling": 4.0,
    }
    processor = tf.LlavaNextProcessor(
        image_processor=next_images(),
        tokenizer=tokenizer(image_token="<image>"),
        **{**LLAVA, "vision_feature_select_strategy": "full", "num_additional_image_tokens": 0},
    )
    return llava_next_model(text, [-2, -1], SIGLIP, "full"), processor


@family()
def vipllava():
    config = tf.VipLlavaConfig(
        vision_config=CLIP,
        text_config={"model_type": "llama", **TEXT},
        image_token_index=tid("<image>"),
        vision_feature_layer=[-1, -2],
        image_seq_length=16,
    )
    return tf.VipLlavaForConditionalGeneration(config), llava_processor()


@family()
def llava_onevision():
    config = tf.LlavaOnevisionConfig(
        vision_config=SIGLIP,
        text_config={"model_type": "qwen2", **TEXT},
        image_token_index=tid("<image>"),
        video_token_index=tid("<video>"),
        image_grid_pinpoints=PINPOINTS,
        vision_feature_layer=-1,
    )
    images = tf.LlavaOnevisionImageProcessor(size=SQUARE, image_grid_pinpoints=PINPOINTS)
    processor = whole(
        tf.LlavaOnevisionProcessor,
        "LlavaOnevisionVideoProcessor",
        image_processor=images,
        tokenizer=tokenizer(image_token="<image>", video_token="<video>"),
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        chat_template=chat("<image>"),
    )
    return tf.LlavaOnevisionForConditionalGeneration(config), processor


@family()
def video_llava():
    config = tf.VideoLlavaConfig(
        vision_config=CLIP,
        text_config={"model_type": "llama", **TEXT},
        image_token_index=tid("<image>"),
        video_token_index=tid("<video>"),
        image_seq_length=17,
        vision_feature_select_strategy="default",
    )
    images = tf.VideoLlavaImageProcessor(size={"shortest_edge": 32}, crop_size=SQUARE)
    processor = whole(
        tf.VideoLlavaProcessor,
        "VideoLlavaVideoProcessor",
        image_processor=images,
        tokenizer=tokenizer(image_token="<image>", video_token="<video>"),
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=chat("<image>"),
    )
    return tf.VideoLlavaForConditionalGeneration(config), processor


@family()
def llava_next_video():
    config = tf.LlavaNextVideoConfig(
        vision_config=CLIP,
        text_config={"model_type": "llama", **TEXT},
        image_token_index=tid("<image>"),
        video_token_index=tid("<video>"),
        image_grid_pinpoints=PINPOINTS,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    )
    processor = whole(
        tf.LlavaNextVideoProcessor,
        "LlavaNextVideoVideoProcessor",
        image_processor=next_images(),
        tokenizer=tokenizer(image_token="<image>", video_token="<video>"),
        **LLAVA,
    )
    return tf.LlavaNextVideoForConditionalGeneration(config), processor


# ---- Q-formers ----------------------------------------------------------------------------------

QFORMER = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "cross_attention_frequency": 1,
}


@family(several=1)
def instructblip():
    config = tf.InstructBlipConfig(
        vision_config=VISION,
        qformer_config=QFORMER,
        text_config={"model_type": "llama", **TEXT},
        num_query_tokens=12,
        image_token_index=tid("<image>"),
    )
    processor = tf.InstructBlipProcessor(
        image_processor=tf.BlipImageProcessor(size=SQUARE),
        tokenizer=tokenizer(),
        qformer_tokenizer=tokenizer(),
        num_query_tokens=12,
    )
    return tf.InstructBlipForConditionalGeneration(config), processor


@family("instructblip-t5", refused=True)
def instructblip_t5():
    config = tf.InstructBlipConfig(
        vision_config=VISION,
        qformer_config=QFORMER,
        num_query_tokens=12,
        image_token_index=tid("<image>"),
        text_config={
            "model_type": "t5",
            "vocab_size": VOCABULARY,
            "d_model": 32,
            "d_ff": 48,
            "num_layers": 2,
            "num_heads": 2,
            "d_kv": 16,
        },
    )
    processor = tf.InstructBlipProcessor(
        image_processor=tf.BlipImageProcessor(size=SQUARE),
        tokenizer=tokenizer(),
        qformer_tokenizer=tokenizer(),
        num_query_tokens=12,
    )
    return tf.InstructBlipForConditionalGeneration(config), processor


@family("blip-2", several=1)
def blip_2():
    config = tf.Blip2Config(
        vision_config=VISION,
        qformer_config=QFORMER,
        num_query_tokens=12,
        image_token_index=tid("<image>"),
        text_config={
            "model_type": "opt",
            "vocab_size": VOCABULARY,
            "hidden_size": 64,
            "word_embed_proj_dim": 64,
            "ffn_dim": 96,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": 4,
            "max_position_embeddings": 1024,
            "tie_word_embeddings": False,
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": 2,
        },
    )
    processor = tf.Blip2Processor(
        image_processor=tf.BlipImageProcessor(size=SQUARE),
        tokenizer=tokenizer(),
        num_query_tokens=12,
    )
    return tf.Blip2ForConditionalGeneration(config), processor


@family()
def instructblipvideo():
    config = tf.InstructBlipVideoConfig(
        vision_config=VISION,
        qformer_config=QFORMER,
        text_config={"model_type": "llama", **TEXT},
        num_query_tokens=4,
        video_token_index=tid("<video>"),
    )

    def pixels(flat):
        return {"pixel_values": torch.stack([seeded(p, 4, 3, 32, 32) for p in flat])}

    def extra(batch):
        asked = [[400, 401]] * len(batch["input_ids"])
        return {
            "qformer_input_ids": torch.tensor(asked),
            "qformer_attention_mask": torch.ones(len(asked), 2, dtype=torch.long),
        }

    make = by_hand(lambda p: 16, pixels, tid("<video>"), extra)
    return Family(tf.InstructBlipVideoForConditionalGeneration(config), None, make, several=1)


# ---- Qwen ---------------------------------------------------------------------------------------

QWEN_IDS = {
    "image_token_id": tid("<|image_pad|>"),
    "video_token_id": tid("<|video_pad|>"),
    "vision_start_token_id": tid("<|vision_start|>"),
    "vision_end_token_id": tid("<|vision_end|>"),
}
QWEN_CHAT = chat("<|vision_start|> <|image_pad|> <|vision_end|>")


def qwen_images(cls: Any = None) -> Any:
    return (cls or tf.Qwen2VLImageProcessor)(
        patch_size=8,
        merge_size=2,
        temporal_patch_size=2,
        size={"shortest_edge": 32 * 32, "longest_edge": 80 * 80},
    )


QWEN_VISION = {
    "depth": 2,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_heads": 2,
    "patch_size": 8,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
    "out_hidden_size": 64,
}
QWEN3_VISION = {**QWEN_VISION, "num_position_embeddings": 64, "deepstack_visual_indexes": [0, 1]}


@family()
def qwen2_vl():
    vision = {
        "depth": 2,
        "embed_dim": 32,
        "hidden_size": 64,
        "num_heads": 2,
        "mlp_ratio": 2,
        "patch_size": 8,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
    }
    config = tf.Qwen2VLConfig(
        vision_config=vision, text_config={**TEXT, "rope_parameters": MROPE}, **QWEN_IDS
    )
    processor = whole(
        tf.Qwen2VLProcessor,
        "Qwen2VLVideoProcessor",
        image_processor=qwen_images(),
        tokenizer=tokenizer(),
        chat_template=QWEN_CHAT,
    )
    return tf.Qwen2VLForConditionalGeneration(config), processor


@family()
def qwen2_5_vl():
    vision = {**QWEN_VISION, "window_size": 32, "fullatt_block_indexes": [1]}
    config = tf.Qwen2_5_VLConfig(
        vision_config=vision, text_config={**TEXT, "rope_parameters": MROPE}, **QWEN_IDS
    )
    processor = whole(
        tf.Qwen2_5_VLProcessor,
        "Qwen2VLVideoProcessor",
        image_processor=qwen_images(),
        tokenizer=tokenizer(),
        chat_template=QWEN_CHAT,
    )
    return tf.Qwen2_5_VLForConditionalGeneration(config), processor


def qwen3_processor(cls: Any = None) -> Any:
    return whole(
        tf.Qwen3VLProcessor,
        "Qwen3VLVideoProcessor",
        image_processor=qwen_images(),
        tokenizer=tokenizer(),
        chat_template=QWEN_CHAT,
    )


QWEN3_TEXT = {**TEXT, "head_dim": 16, "rope_parameters": {**MROPE, "mrope_interleaved": True}}


@family()
def qwen3_vl():
    config = tf.Qwen3VLConfig(vision_config=QWEN3_VISION, text_config=QWEN3_TEXT, **QWEN_IDS)
    return tf.Qwen3VLForConditionalGeneration(config), qwen3_processor()


@family()
def qwen3_vl_moe():
    config = tf.Qwen3VLMoeConfig(
        vision_config=QWEN3_VISION, text_config={**QWEN3_TEXT, **MOE}, **QWEN_IDS
    )
    return tf.Qwen3VLMoeForConditionalGeneration(config), qwen3_processor()


LINEAR = {
    "linear_conv_kernel_dim": 4,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "layer_types": ["linear_attention", "full_attention", "linear_attention", "full_attention"],
}
Q35_ROPE = {
    "rope_type": "default",
    "mrope_section": [1, 1, 2],
    "mrope_interleaved": True,
    "rope_theta": 10000.0,
    "partial_rotary_factor": 0.5,
}


@family()
def qwen3_5():
    vision = {k: v for k, v in QWEN3_VISION.items() if k != "deepstack_visual_indexes"}
    config = tf.Qwen3_5Config(
        vision_config=vision,
        text_config={**TEXT, "head_dim": 16, **LINEAR, "rope_parameters": Q35_ROPE},
        **QWEN_IDS,
    )
    return tf.Qwen3_5ForConditionalGeneration(config), qwen3_processor()


@family()
def qwen3_5_moe():
    vision = {k: v for k, v in QWEN3_VISION.items() if k != "deepstack_visual_indexes"}
    text = {
        **TEXT,
        "head_dim": 16,
        **LINEAR,
        **MOE,
        "shared_expert_intermediate_size": 32,
        "rope_parameters": Q35_ROPE,
    }
    config = tf.Qwen3_5MoeConfig(vision_config=vision, text_config=text, **QWEN_IDS)
    return tf.Qwen3_5MoeForConditionalGeneration(config), qwen3_processor()


@family()
def internvl():
    config = tf.InternVLConfig(
        vision_config=tf.InternVLVisionConfig(**{**VISION, "patch_size": 4}),
        text_config={"model_type": "qwen2", **TEXT},
        image_token_id=tid("<IMG_CONTEXT>"),
        image_seq_length=16,
        tie_word_embeddings=False,
    )
    return tf.InternVLForConditionalGeneration(config), internvl_processor(tf.InternVLProcessor)


def internvl_processor(cls: Any) -> Any:
    from transformers.models.got_ocr2 import GotOcr2ImageProcessor

    images = GotOcr2ImageProcessor(size=SQUARE, crop_to_patches=True, min_patches=1, max_patches=4)
    tok = tokenizer(
        start_image_token="<img>",
        end_image_token="</img>",
        context_image_token="<IMG_CONTEXT>",
        video_token="<video>",
    )
    return whole(
        cls,
        "InternVLVideoProcessor",
        image_processor=images,
        tokenizer=tok,
        image_seq_length=16,
        chat_template=chat("<IMG_CONTEXT>"),
    )


# ---- Idefics ------------------------------------------------------------------------------------


@family()
def idefics2():
    config = tf.Idefics2Config(
        vision_config=VISION,
        text_config={"model_type": "mistral", **TEXT},
        image_token_id=tid("<image>"),
        tie_word_embeddings=False,
        perceiver_config={
            "resampler_n_latents": 6,
            "resampler_depth": 1,
            "resampler_n_heads": 2,
            "resampler_head_dim": 16,
            "num_key_value_heads": 1,
        },
    )
    images = tf.Idefics2ImageProcessor(
        size={"shortest_edge": 16, "longest_edge": 32}, do_image_splitting=False
    )
    processor = tf.Idefics2Processor(
        image_processor=images,
        tokenizer=tokenizer(
            image_token="<image>",
            image_boundary_token="<fake_token_around_image>",
            fake_image_token="<fake_token_around_image>",
            end_of_utterance_token="<end_of_utterance>",
        ),
        image_seq_len=6,
        chat_template=chat("<image>"),
    )
    return tf.Idefics2ForConditionalGeneration(config), processor


def idefics3_model(config_class: Any, model_class: Any) -> Any:
    config = config_class(
        vision_config=VISION,
        text_config={"model_type": "llama", **TEXT},
        image_token_id=tid("<image>"),
        scale_factor=2,
        tie_word_embeddings=False,
    )
    return model_class(config)


@family()
def idefics3():
    images = tf.Idefics3ImageProcessor(
        size={"longest_edge": 64}, max_image_size={"longest_edge": 32}
    )
    processor = tf.Idefics3Processor(
        image_processor=images,
        tokenizer=tokenizer(image_token="<image>"),
        image_seq_len=4,
        chat_template=chat("<image>"),
    )
    return idefics3_model(tf.Idefics3Config, tf.Idefics3ForConditionalGeneration), processor


@family()
def smolvlm():
    images = tf.SmolVLMImageProcessor(
        size={"longest_edge": 64}, max_image_size={"longest_edge": 32}
    )
    named = {
        "image_token": "<image>",
        "fake_image_token": "<fake_token_around_image>",
        "global_image_token": "<global-img>",
        "end_of_utterance_token": "<end_of_utterance>",
    }
    processor = whole(
        tf.SmolVLMProcessor,
        "SmolVLMVideoProcessor",
        image_processor=images,
        tokenizer=tokenizer(**named),
        image_seq_len=4,
        chat_template=chat("<image>"),
    )

    def make(texts, images):
        most = max(map(len, images))
        rows = [
            torch.stack(
                [seeded(p, 3, 32, 32) for p in its] + [torch.zeros(3, 32, 32)] * (most - len(its))
            )
            for its in images
        ]
        return {
            **by_hand(lambda p: 4, lambda flat: {}, tid("<image>"))(texts, images),
            "pixel_values": torch.stack(rows),
        }

    return Family(
        idefics3_model(tf.SmolVLMConfig, tf.SmolVLMForConditionalGeneration), processor, make
    )


# ---- Google -------------------------------------------------------------------------------------


def paligemma_model(text: dict[str, Any]) -> Any:
    return tf.PaliGemmaForConditionalGeneration(
        tf.PaliGemmaConfig(
            vision_config=SIGLIP,
            text_config=text,
            image_token_index=tid("<image>"),
            projection_dim=64,
            hidden_size=64,
        )
    )


def paligemma_processor() -> Any:
    images = tf.SiglipImageProcessor(size=SQUARE)
    images.image_seq_length = 16
    return tf.PaliGemmaProcessor(
        image_processor=images,
        tokenizer=tokenizer(image_token="<image>"),
        chat_template=chat("<image>"),
    )


@family()
def paligemma():
    return paligemma_model({"model_type": "gemma", **TEXT, "head_dim": 16}), paligemma_processor()


@family("paligemma2 (gemma2, soft caps)")
def paligemma2():
    return paligemma_model(
        {
            "model_type": "gemma2",
            **TEXT,
            "head_dim": 16,
            "sliding_window": 32,
            "query_pre_attn_scalar": 16,
        }
    ), paligemma_processor()


GEMMA3 = {
    **TEXT,
    "head_dim": 16,
    "sliding_window": 24,
    "query_pre_attn_scalar": 16,
    "layer_types": [
        "sliding_attention",
        "sliding_attention",
        "sliding_attention",
        "full_attention",
    ],
}


def gemma3_processor() -> Any:
    images = tf.Gemma3ImageProcessor(size=SQUARE)
    tok = tokenizer(
        image_token="<image_soft_token>", boi_token="<start_of_image>", eoi_token="<end_of_image>"
    )
    return tf.Gemma3Processor(
        image_processor=images,
        tokenizer=tok,
        image_seq_length=4,
        chat_template=chat("<start_of_image>"),
    )


def gemma3_config(text: dict[str, Any]) -> Any:
    return tf.Gemma3Config(
        vision_config=SIGLIP,
        text_config=text,
        mm_tokens_per_image=4,
        image_token_index=tid("<image_soft_token>"),
        boi_token_index=tid("<start_of_image>"),
        eoi_token_index=tid("<end_of_image>"),
    )


@family("gemma3 (window crossed)")
def gemma3():
    return tf.Gemma3ForConditionalGeneration(gemma3_config(GEMMA3)), gemma3_processor()


@family("gemma3 (grows across its window)")
def gemma3_grows():
    """The prompt fits the window, the answer does not: real models cross it in long answers."""
    processor = gemma3_processor()
    texts, shown = three(2)
    width = processed(llava_model({"model_type": "llama", **TEXT}), processor, texts, shown)[
        "input_ids"
    ].shape[1]
    return tf.Gemma3ForConditionalGeneration(
        gemma3_config({**GEMMA3, "sliding_window": width + 2})
    ), processor


@family("gemma3")
def gemma3_wide():
    return tf.Gemma3ForConditionalGeneration(
        gemma3_config({**GEMMA3, "sliding_window": 512})
    ), gemma3_processor()


# ---- Mistral, Cohere, GLM, Aria ------------------------------------------------------------------


@family()
def mistral3():
    config = tf.Mistral3Config(
        vision_config={"model_type": "pixtral", **VISION, "image_size": 64},
        text_config={"model_type": "mistral", **TEXT, "head_dim": 16, "sliding_window": None},
        image_token_index=tid("[IMG]"),
        spatial_merge_size=2,
        tie_word_embeddings=False,
    )
    images = tf.PixtralImageProcessor(
        size={"longest_edge": 64}, patch_size={"height": 8, "width": 8}
    )
    processor = pixtral_processor(images, patch_size=8, spatial_merge_size=2)
    return tf.Mistral3ForConditionalGeneration(config), processor


COHERE2 = {
    "model_type": "cohere2",
    **TEXT,
    "sliding_window": 24,
    "logit_scale": 0.25,
    "layer_types": [
        "sliding_attention",
        "sliding_attention",
        "sliding_attention",
        "full_attention",
    ],
}


def aya(window: int) -> Any:
    config = tf.AyaVisionConfig(
        vision_config=SIGLIP,
        text_config={**COHERE2, "sliding_window": window},
        image_token_index=tid("<|IMG_PATCH|>"),
        downsample_factor=2,
        tie_word_embeddings=False,
    )
    from transformers.models.got_ocr2 import GotOcr2ImageProcessor

    images = GotOcr2ImageProcessor(size=SQUARE, crop_to_patches=True, min_patches=1, max_patches=4)
    processor = tf.AyaVisionProcessor(
        image_processor=images,
        tokenizer=tokenizer(),
        patch_size=8,
        img_size=32,
        downsample_factor=2,
        chat_template=chat("<image>"),
    )
    return tf.AyaVisionForConditionalGeneration(config), processor


@family()
def aya_vision():
    return aya(512)


@family("aya_vision (window crossed)")
def aya_vision_crossed():
    return aya(24)


GLM_IDS = {
    "image_token_id": tid("<|image|>"),
    "video_token_id": tid("<|video|>"),
    "image_start_token_id": tid("<|begin_of_image|>"),
    "image_end_token_id": tid("<|end_of_image|>"),
    "video_start_token_id": tid("<|begin_of_video|>"),
    "video_end_token_id": tid("<|end_of_video|>"),
}
GLM_VISION = {**QWEN_VISION, "image_size": 64}
GLM_TEXT = {
    **TEXT,
    "head_dim": 16,
    "rope_parameters": {
        "rope_type": "default",
        "rope_theta": 10000.0,
        "mrope_section": [2, 3, 3],
        "partial_rotary_factor": 1.0,
    },
}


def glm_processor(cls: Any, image_class: Any) -> Any:
    return whole(
        cls,
        "Glm4vVideoProcessor" if "Glm4v" in cls.__name__ else "Glm46VVideoProcessor",
        image_processor=qwen_images(image_class),
        tokenizer=tokenizer(),
        chat_template=chat("<|begin_of_image|> <|image|> <|end_of_image|>"),
    )


@family()
def glm4v():
    config = tf.Glm4vConfig(vision_config=GLM_VISION, text_config=GLM_TEXT, **GLM_IDS)
    return tf.Glm4vForConditionalGeneration(config), glm_processor(
        tf.Glm4vProcessor, tf.Glm4vImageProcessor
    )


@family()
def glm46v():
    config = tf.Glm46VConfig(
        vision_config={"model_type": "glm4v_vision", **GLM_VISION},
        text_config={"model_type": "glm4v_text", **GLM_TEXT},
        **GLM_IDS,
    )
    return tf.Glm46VForConditionalGeneration(config), glm_processor(
        tf.Glm46VProcessor, tf.Glm46VImageProcessor
    )


@family()
def glm4v_moe():
    text = {
        **GLM_TEXT,
        "moe_intermediate_size": 48,
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "n_shared_experts": 1,
        "first_k_dense_replace": 1,
        "n_group": 1,
        "topk_group": 1,
    }
    config = tf.Glm4vMoeConfig(vision_config=GLM_VISION, text_config=text, **GLM_IDS)
    return tf.Glm4vMoeForConditionalGeneration(config), glm_processor(
        tf.Glm4vProcessor, tf.Glm4vImageProcessor
    )


@family()
def aria():
    config = tf.AriaConfig(
        vision_config={"model_type": "idefics3_vision", **VISION},
        text_config={**TEXT, "moe_num_experts": 4, "moe_topk": 2, "moe_num_shared_experts": 1},
        image_token_index=tid("<image>"),
        projector_patch_to_query_dict={16: 6},
    )

    def pixels(flat):
        return {
            "pixel_values": torch.stack([seeded(p, 3, 32, 32) for p in flat]),
            "pixel_mask": torch.ones(len(flat), 32, 32, dtype=torch.bool),
        }

    make = by_hand(lambda p: 6, pixels, tid("<image>"))
    return Family(tf.AriaForConditionalGeneration(config), None, make)


# ---- the other families, mostly with inputs made by hand ------------------------------------------


def fields(cls: Any) -> set[str]:
    names = set(getattr(cls, "__dataclass_fields__", {})) | set(getattr(cls, "attribute_map", {}))
    for base in cls.__mro__:
        names |= set(vars(base).get("__annotations__", {}))
    return names


def fit(model_type: str, *values: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Those of `values` that a config of this type has, and `more` as it is."""
    cls = CONFIG_MAPPING[model_type]
    known = fields(cls)
    merged: dict[str, Any] = {}
    for part in values:
        merged |= {k: v for k, v in part.items() if k in known}
    return {"model_type": model_type, **merged, **more}


def model_class(name: str) -> Any:
    return getattr(tf, MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES[name])


def square_pixels(*shape: int, name: str = "pixel_values") -> Any:
    return lambda flat: {name: torch.stack([seeded(p, *shape) for p in flat])} if flat else {}


def typed(token: int) -> Any:
    return lambda batch: {"mm_token_type_ids": (batch["input_ids"] == token).long()}


def grid_of(picture: Any, step: int = 2) -> tuple[int, int]:
    w, h = picture.size
    return (4, 6) if w > h else (6, 4) if h > w else (4, 4)


def qwen_hand(
    token: int,
    width: int,
    *,
    types: bool = True,
    merge: int = 2,
    grid: str = "image_grid_thw",
    extra: Any = None,
) -> Any:
    """Rows of patches and a grid, as Qwen2-VL and its kin take them."""

    def pixels(flat):
        grids = [(1, *grid_of(p)) for p in flat]
        rows = [seeded(p, g[1] * g[2], width) for p, g in zip(flat, grids, strict=True)]
        made = {"pixel_values": torch.cat(rows), grid: torch.tensor(grids)}
        return made | (extra(flat, grids) if extra else {})

    def runs(p):
        h, w = grid_of(p)
        return h * w // merge**2

    return by_hand(
        runs,
        pixels,
        token,
        typed(token) if types else None,
        after=(tid("<|vision_end|>"),),
        before=(tid("<|vision_start|>"),),
    )


def features_hand(
    token: int,
    hidden: int = 64,
    runs: int = 5,
    *,
    types: bool = False,
    stacked: bool = False,
    more: Any = None,
) -> Any:
    """Image features themselves, through the public argument mm_encoder_outputs; no tower runs."""

    def pixels(flat):
        made = [seeded(p, runs, hidden) * 0.5 for p in flat]
        output = BaseModelOutputWithPooling(pooler_output=torch.stack(made) if stacked else made)
        if more:
            more(output, flat)
        return {"mm_encoder_outputs": {"image": output}}

    return by_hand(lambda p: runs, pixels, token, typed(token) if types else None)


TINY = {
    **TEXT,
    "num_hidden_layers": 4,
    "head_dim": 16,
    "moe_intermediate_size": 48,
    "n_routed_experts": 4,
    "num_experts": 4,
    "num_local_experts": 4,
    "num_experts_per_tok": 2,
    "n_shared_experts": 1,
    "n_group": 1,
    "topk_group": 1,
    "first_k_dense_replace": 1,
    "sliding_window": 512,
}
EYE = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 1,
    "depth": 1,
    "num_attention_heads": 2,
    "num_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "out_hidden_size": 64,
    "text_hidden_size": 64,
    "image_size": 32,
    "patch_size": 8,
}
MLA = {
    "kv_lora_rank": 16,
    "q_lora_rank": 24,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 16,
    "v_head_dim": 12,
    "num_key_value_heads": 4,
}

# ---- DeepSeek, Janus, Ovis, Emu, Chameleon ---------------------------------------------------------


@family()
def deepseek_vl():
    config = tf.DeepseekVLConfig(
        vision_config=SIGLIP,
        text_config={"model_type": "llama", **TEXT},
        image_token_id=tid("<image_placeholder>"),
        tie_word_embeddings=False,
    )
    images = tf.DeepseekVLImageProcessor(size=SQUARE, min_size=8)
    processor = tf.DeepseekVLProcessor(
        images,
        tokenizer(image_token="<image_placeholder>"),
        chat_template=chat("<image_placeholder>"),
        num_image_tokens=16,
    )
    return tf.DeepseekVLForConditionalGeneration(config), processor


@family()
def deepseek_vl_hybrid():
    sam = {
        "model_type": "sam_vision_model",
        "hidden_size": 32,
        "output_channels": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 128,
        "patch_size": 2,
        "window_size": 4,
        "global_attn_indexes": [0, 1],
        "mlp_dim": 48,
        "num_pos_feats": 16,
    }
    config = tf.DeepseekVLHybridConfig(
        vision_config=SIGLIP,
        high_res_vision_config=sam,
        text_config={"model_type": "llama", **TEXT},
        image_token_id=tid("<image_placeholder>"),
        tie_word_embeddings=False,
    )
    make = features_hand(tid("<image_placeholder>"), runs=6, stacked=True)
    return Family(tf.DeepseekVLHybridForConditionalGeneration(config), None, make)


@family()
def janus():
    vision = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 8,
        "projection_dim": 64,
        "num_image_tokens": 16,
        "mlp_ratio": 2,
    }
    vq = {
        "embed_dim": 8,
        "num_embeddings": 32,
        "latent_channels": 32,
        "base_channels": 32,
        "channel_multiplier": [1, 1],
        "num_res_blocks": 1,
        "projection_dim": 64,
        "image_token_embed_dim": 64,
    }
    config = tf.JanusConfig(
        vision_config=vision,
        vq_config=vq,
        text_config={"model_type": "llama", **TEXT},
        image_token_id=tid("<image_placeholder>"),
        tie_word_embeddings=False,
    )
    images = tf.JanusImageProcessor(size=SQUARE, min_size=8)
    processor = tf.JanusProcessor(
        images,
        tokenizer(image_token="<image_placeholder>", boi_token="<|boi|>", eoi_token="<|eoi|>"),
        chat_template=chat("<image_placeholder>"),
        num_image_tokens=16,
    )
    return tf.JanusForConditionalGeneration(config), processor


@family()
def ovis2():
    vision = {**VISION, "vocab_size": 40, "hidden_stride": 1, "num_visual_indicator_tokens": 5}
    config = tf.Ovis2Config(
        vision_config=vision,
        text_config={"model_type": "qwen2", **TEXT},
        image_token_id=tid("<image>"),
        visual_indicator_token_ids=[tid(f"<row_1_col_{i}>") for i in range(1, 6)],
        vocab_size=VOCABULARY,
        hidden_size=64,
        tie_word_embeddings=False,
    )
    make = by_hand(
        lambda p: 16,
        square_pixels(3, 32, 32),
        tid("<image>"),
        before=(tid("<row_1_col_1>"),),
        after=(tid("<row_1_col_2>"), tid("<row_1_col_5>")),
    )
    return Family(
        tf.Ovis2ForConditionalGeneration(config),
        None,
        make,
        extra_tokens=(tid("<row_1_col_1>"), tid("<row_1_col_2>"), tid("<row_1_col_5>")),
    )


@family()
def chameleon():
    words = {
        f"IMGIMG{a}{b}Z": 500 + i
        for i, (a, b) in enumerate((a, b) for a in "ABCDEFGH" for b in "ABCD")
    }
    vq = {
        "embed_dim": 16,
        "num_embeddings": 32,
        "latent_channels": 16,
        "resolution": 32,
        "base_channels": 32,
        "channel_multiplier": [1, 1, 1],
        "num_res_blocks": 1,
    }
    config = tf.ChameleonConfig(
        **{**TEXT, "num_key_value_heads": 2},
        vq_config=vq,
        vocabulary_map={"<image>": tid("<image>"), **words},
    )
    images = tf.ChameleonImageProcessor(size={"shortest_edge": 32}, crop_size=SQUARE)
    processor = tf.ChameleonProcessor(
        images,
        tokenizer(image_token="<image>", boi_token="<|boi|>", eoi_token="<|eoi|>"),
        image_seq_length=64,
    )
    processor.chat_template = chat("<image>")
    return tf.ChameleonForConditionalGeneration(config), processor


@family()
def emu3():
    words = {f"<|visual token {i:06d}|>": 500 + i for i in range(32)}
    vq = {
        "codebook_size": 32,
        "embed_dim": 4,
        "latent_channels": 4,
        "base_channels": 32,
        "channel_multiplier": [1, 1],
        "num_res_blocks": 1,
        "hidden_size": 32,
        "attn_resolutions": [],
        "temporal_downsample_factor": 1,
        "num_attention_heads": 1,
    }
    config = tf.Emu3Config(
        vq_config=vq,
        text_config=TEXT,
        vocabulary_map={
            "<image>": tid("<image>"),
            "<|extra_200|>": tid("<image_eos>") if "<image_eos>" in MARKS else tid("<|image_eos|>"),
            **words,
        },
    )
    make = by_hand(
        lambda p: 16 * 17,
        lambda flat: {
            "pixel_values": torch.stack([seeded(p, 3, 32, 32) for p in flat]),
            "image_sizes": torch.tensor([[32, 32]] * len(flat)),
        },
        tid("<image>"),
    )
    return Family(tf.Emu3ForConditionalGeneration(config), None, make)


# ---- Cohere, Liquid, Meta -------------------------------------------------------------------------


@family("cohere2_vision (Command-A)")
def cohere2_vision():
    text = {**COHERE2, "sliding_window": 512}
    config = tf.Cohere2VisionConfig(
        vision_config=SIGLIP,
        text_config=text,
        image_token_id=tid("<image>"),
        downsample_factor=2,
        alignment_intermediate_size=64,
        tie_word_embeddings=False,
    )
    model = tf.Cohere2VisionForConditionalGeneration(config)
    make = by_hand(lambda p: 4, square_pixels(3, 32, 32), tid("<image>"))
    if not video_capable():
        return Family(model, None, make)
    images = tf.Cohere2VisionImageProcessor(size=SQUARE, min_patches=1, max_patches=4, patch_size=8)
    tok = tokenizer(
        image_token="<image>",
        boi_token="<|boi|>",
        eoi_token="<|eoi|>",
        img_line_break_token="<|IMG_LINE_BREAK|>",
    )
    images.patch_size = 2  # the processor squares it: tokens a tile
    return Family(
        model, tf.Cohere2VisionProcessor(images, tok, chat_template=chat("<image>")), make
    )


@family()
def lfm2_vl():
    vision = {
        "model_type": "siglip2_vision_model",
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "patch_size": 8,
        "num_patches": 16,
        "vision_use_head": False,
    }
    text = fit(
        "lfm2",
        TEXT,
        layer_types=["conv", "full_attention", "conv", "full_attention"],
        block_auto_adjust_ff_dim=False,
    )
    config = tf.Lfm2VlConfig(
        vision_config=vision,
        text_config=text,
        image_token_id=tid("<image>"),
        projector_hidden_size=48,
        downsample_factor=2,
        tie_word_embeddings=False,
    )

    def pixels(flat):
        grids = [grid_of(p) for p in flat]
        most = max(h * w for h, w in grids)
        rows, mask = (
            torch.zeros(len(flat), most, 192),
            torch.zeros(len(flat), most, dtype=torch.long),
        )
        for i, (p, (h, w)) in enumerate(zip(flat, grids, strict=True)):
            rows[i, : h * w], mask[i, : h * w] = seeded(p, h * w, 192), 1
        return {
            "pixel_values": rows,
            "pixel_attention_mask": mask,
            "spatial_shapes": torch.tensor(grids),
        }

    make = by_hand(lambda p: grid_of(p)[0] * grid_of(p)[1] // 4, pixels, tid("<image>"))
    processor = None
    if video_capable():
        images = tf.Lfm2VlImageProcessor(
            encoder_patch_size=8,
            downsample_factor=2,
            tile_size=32,
            min_image_tokens=4,
            max_image_tokens=16,
            do_image_splitting=False,
        )
        processor = tf.Lfm2VlProcessor(
            images,
            tokenizer(
                image_token="<image>",
                image_start_token="<|image_start|>",
                image_end_token="<|image_end|>",
                image_thumbnail_token="<|img_thumbnail|>",
            ),
            chat_template=chat("<image>"),
        )
    return Family(tf.Lfm2VlForConditionalGeneration(config), processor, make)


@family("lfm2_vl (layer 1 a convolution)")
def lfm2_vl_conv():
    made = lfm2_vl()
    config = made.model.config
    config.text_config.layer_types = ["conv", "conv", "full_attention", "full_attention"]
    return Family(tf.Lfm2VlForConditionalGeneration(config), made.processor, made.make)


@family()
def llama4():
    vision = {
        **VISION,
        "pixel_shuffle_ratio": 0.5,
        "projector_input_dim": 48,
        "projector_output_dim": 48,
        "vision_output_dim": 48,
        "intermediate_size": 128,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
    }
    text = {
        **TEXT,
        "head_dim": 16,
        "intermediate_size_mlp": 96,
        "num_local_experts": 2,
        "num_experts_per_tok": 1,
        "attention_chunk_size": 512,
    }
    config = tf.Llama4Config(
        vision_config=vision,
        text_config=text,
        image_token_index=tid("<|patch|>"),
        boi_token_index=tid("<|image_start|>"),
        eoi_token_index=tid("<|image_end|>"),
    )
    make = by_hand(lambda p: 4, square_pixels(3, 32, 32), tid("<|patch|>"))
    processor = None
    if video_capable():
        images = tf.Llama4ImageProcessor(size=SQUARE, max_patches=4)
        processor = tf.Llama4Processor(
            images,
            tokenizer(image_token="<|image|>"),
            patch_size=8,
            pixel_shuffle_ratio=0.5,
            chat_template=chat("<|image|>"),
        )
    return Family(tf.Llama4ForConditionalGeneration(config), processor, make)


@family("llama4 (chunk crossed)")
def llama4_chunk():
    made = llama4()
    config = made.model.config
    config.text_config.attention_chunk_size = 8
    return Family(tf.Llama4ForConditionalGeneration(config), None, made.make)


@family("mllama", refused=True)
def mllama():
    vision = {
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_global_layers": 1,
        "attention_heads": 2,
        "intermediate_size": 48,
        "image_size": 32,
        "patch_size": 8,
        "max_num_tiles": 4,
        "vision_output_dim": 64,
        "intermediate_layers_indices": [0],
    }
    text = {
        **TEXT,
        "cross_attention_layers": [1],
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
    }
    return Family(
        tf.MllamaForConditionalGeneration(
            tf.MllamaConfig(
                vision_config=vision, text_config=text, image_token_index=tid("<image>")
            )
        )
    )


@family("florence2", refused=True)
def florence2():
    text = {
        "model_type": "bart",
        "vocab_size": VOCABULARY,
        "d_model": 32,
        "encoder_layers": 1,
        "decoder_layers": 1,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
        "encoder_ffn_dim": 32,
        "decoder_ffn_dim": 32,
    }
    vision = {
        "embed_dim": [16, 16],
        "num_heads": [2, 2],
        "num_groups": [2, 2],
        "depths": [1, 1],
        "patch_size": [7, 3],
        "patch_stride": [4, 2],
        "patch_padding": [3, 1],
        "patch_prenorm": [False, True],
        "projection_dim": 32,
        "window_size": 4,
    }
    return Family(
        tf.Florence2ForConditionalGeneration(
            tf.Florence2Config(
                text_config=text, vision_config=vision, image_token_id=tid("<image>")
            )
        )
    )


@family("git", refused=True)
def git():
    return Family(
        tf.GitForCausalLM(
            tf.GitConfig(
                vision_config={
                    "hidden_size": 32,
                    "intermediate_size": 48,
                    "num_hidden_layers": 1,
                    "num_attention_heads": 2,
                    "image_size": 32,
                    "patch_size": 8,
                },
                vocab_size=VOCABULARY,
                hidden_size=32,
                num_hidden_layers=1,
                num_attention_heads=2,
                intermediate_size=48,
            )
        )
    )


@family("idefics", refused=True)
def idefics():
    config = tf.IdeficsConfig(
        vocab_size=VOCABULARY,
        additional_vocab_size=2,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        vision_config={
            "embed_dim": 32,
            "image_size": 32,
            "patch_size": 8,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 48,
        },
        use_resampler=False,
        cross_layer_interval=1,
    )
    return Family(tf.IdeficsForVisionText2Text(config))


@family("blip", refused=True)
def blip():
    text = {
        "vocab_size": VOCABULARY,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "encoder_hidden_size": 32,
        "projection_dim": 32,
    }
    return Family(
        tf.BlipForConditionalGeneration(
            tf.BlipConfig(text_config=text, vision_config=VISION, projection_dim=32)
        )
    )


@family("pix2struct", refused=True)
def pix2struct():
    text = {
        "vocab_size": VOCABULARY,
        "hidden_size": 32,
        "d_kv": 16,
        "d_ff": 48,
        "num_layers": 1,
        "num_heads": 2,
    }
    vision = {
        "hidden_size": 32,
        "patch_embed_hidden_size": 48,
        "d_ff": 48,
        "d_kv": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    return Family(
        tf.Pix2StructForConditionalGeneration(
            tf.Pix2StructConfig(text_config=text, vision_config=vision)
        )
    )


@family("udop", refused=True)
def udop():
    return Family(
        tf.UdopForConditionalGeneration(
            tf.UdopConfig(
                vocab_size=VOCABULARY,
                d_model=32,
                d_kv=16,
                d_ff=48,
                num_layers=1,
                num_heads=2,
                image_size=32,
                patch_size=8,
            )
        )
    )


@family("t5gemma2", refused=True)
def t5gemma2():
    from transformers.models.t5gemma2 import configuration_t5gemma2 as c

    return Family(
        model_class("t5gemma2")(
            c.T5Gemma2Config(
                encoder={
                    "text_config": {
                        **TEXT,
                        "head_dim": 16,
                        "sliding_window": 16,
                        "query_pre_attn_scalar": 16,
                    },
                    "vision_config": SIGLIP,
                    "mm_tokens_per_image": 4,
                    "image_token_index": tid("<image>"),
                },
                decoder={**TEXT, "head_dim": 16, "sliding_window": 16, "query_pre_attn_scalar": 16},
            )
        )
    )


# ---- Google ---------------------------------------------------------------------------------------

GEMMA4_TEXT = {
    **TEXT,
    "head_dim": 16,
    "global_head_dim": 24,
    "sliding_window": 512,
    "vocab_size_per_layer_input": VOCABULARY,
    "hidden_size_per_layer_input": 8,
    "layer_types": ["sliding_attention", "full_attention", "sliding_attention", "full_attention"],
}
GEMMA4_VISION = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "patch_size": 8,
    "pooling_kernel_size": 2,
    "position_embedding_size": 64,
}
GEMMA4_IDS = {
    "boi_token_id": tid("<boi>"),
    "eoi_token_id": tid("<eoi>"),
    "image_token_id": tid("<image_soft_token>"),
    "video_token_id": tid("<|video|>"),
    "audio_token_id": tid("<audio_soft_token>"),
    "boa_token_id": tid("<boa>"),
    "eoa_token_index": tid("<eoa>"),
}


def gemma4_model(vision: dict[str, Any] = GEMMA4_VISION, **text: Any) -> Any:
    config = tf.Gemma4Config(
        text_config={**GEMMA4_TEXT, **text},
        vision_config=vision,
        audio_config=None,
        **GEMMA4_IDS,
        tie_word_embeddings=False,
    )
    return tf.Gemma4ForConditionalGeneration(config)


def gemma4_make() -> Any:
    return features_hand(tid("<image_soft_token>"), runs=6, types=True)


SMALL_PATCHES = {**GEMMA4_VISION, "patch_size": 4, "pooling_kernel_size": 2}


def gemma4_processor() -> Any:
    named = {
        "image_token": "<image_soft_token>",
        "boi_token": "<boi>",
        "eoi_token": "<eoi>",
        "audio_token": "<audio_soft_token>",
        "boa_token": "<boa>",
        "eoa_token": "<eoa>",
    }
    images = tf.Gemma4ImageProcessor(patch_size=4, pooling_kernel_size=2, max_soft_tokens=70)
    return tf.Gemma4Processor(
        tf.Gemma4AudioFeatureExtractor(),
        images,
        tokenizer(**named),
        tf.Gemma4VideoProcessor(),
        chat_template=chat("<image_soft_token>"),
        image_seq_length=70,
    )


@family()
def gemma4():
    return Family(gemma4_model(), None, gemma4_make())


@family("gemma4 (processor)")
def gemma4_whole():
    return Family(gemma4_model(SMALL_PATCHES), gemma4_processor())


@family("gemma4 (processor, shared kv)")
def gemma4_whole_shared():
    return Family(gemma4_model(SMALL_PATCHES, num_kv_shared_layers=2), gemma4_processor())


@family("gemma4 (vision bidirectional)")
def gemma4_vision():
    return Family(
        gemma4_model(use_bidirectional_attention="vision", hidden_size_per_layer_input=0),
        None,
        gemma4_make(),
    )


@family("gemma4 (shared kv)")
def gemma4_shared():
    return Family(gemma4_model(num_kv_shared_layers=2), None, gemma4_make())


@family("gemma4 (k = v, other kv heads)")
def gemma4_kv():
    return Family(
        gemma4_model(attention_k_eq_v=True, num_global_key_value_heads=1), None, gemma4_make()
    )


@family("gemma4 (window crossed)")
def gemma4_window():
    return Family(gemma4_model(sliding_window=12), None, gemma4_make())


@family()
def gemma4_unified():
    from transformers.models.gemma4_unified import configuration_gemma4_unified as c

    text = {k: v for k, v in GEMMA4_TEXT.items() if "per_layer" not in k}
    config = c.Gemma4UnifiedConfig(
        text_config=text,
        vision_config={
            "patch_size": 8,
            "pooling_kernel_size": 2,
            "mm_embed_dim": 32,
            "mm_posemb_size": 16,
            "output_proj_dims": 32,
        },
        audio_config=None,
        **GEMMA4_IDS,
        tie_word_embeddings=False,
    )
    return Family(model_class("gemma4_unified")(config), None, gemma4_make())


@family()
def gemma3n():
    text = {
        **TEXT,
        "head_dim": 16,
        "sliding_window": 512,
        "vocab_size_per_layer_input": VOCABULARY,
        "hidden_size_per_layer_input": 8,
        "num_kv_shared_layers": 2,
        "layer_types": [
            "sliding_attention",
            "full_attention",
            "sliding_attention",
            "full_attention",
        ],
        "laurel_rank": 8,
        "altup_num_inputs": 2,
    }
    audio = {
        "hidden_size": 32,
        "conf_num_attention_heads": 2,
        "conf_num_hidden_layers": 1,
        "sscp_conv_channel_size": (8, 4),
        "vocab_size": 8,
        "vocab_offset": VOCABULARY + 8,
        "input_feat_size": 16,
    }
    vision = {
        "architecture": "resnet18",
        "hidden_size": 512,
        "vocab_size": 8,
        "vocab_offset": VOCABULARY,
    }
    config = tf.Gemma3nConfig(
        text_config=text,
        audio_config=audio,
        vision_config=vision,
        vision_soft_tokens_per_image=4,
        boi_token_id=tid("<boi>"),
        eoi_token_id=tid("<eoi>"),
        image_token_id=tid("<image_soft_token>"),
        boa_token_id=tid("<boa>"),
        eoa_token_id=tid("<eoa>"),
        audio_token_id=tid("<audio_soft_token>"),
        tie_word_embeddings=False,
    )
    return Family(
        tf.Gemma3nForConditionalGeneration(config),
        None,
        features_hand(tid("<image_soft_token>"), runs=4, stacked=True),
    )


@family(refused=True)  # a classifier; transformers cannot load what it saves of it
def shieldgemma2():

    config = tf.ShieldGemma2Config(
        vision_config=SIGLIP,
        text_config={**GEMMA3, "sliding_window": 512},
        mm_tokens_per_image=4,
        image_token_index=tid("<image_soft_token>"),
        boi_token_index=tid("<start_of_image>"),
        eoi_token_index=tid("<end_of_image>"),
    )
    return model_class("shieldgemma2")(config), gemma3_processor()


# ---- Microsoft ------------------------------------------------------------------------------------


def kosmos_make(latents: int, **named: Any) -> Any:
    def make(texts, images):
        whole_ = by_hand(lambda p: latents, named["pixels"], tid("<image>"))(texts, images)
        ids = whole_["input_ids"]
        where = ids == tid("<image>")
        return {**whole_, "image_embeds_position_mask": where.long()}

    return make


@family("kosmos-2", several=1)
def kosmos2():
    text = {
        "vocab_size": VOCABULARY,
        "embed_dim": 64,
        "layers": 4,
        "ffn_dim": 96,
        "attention_heads": 4,
        "max_position_embeddings": 1024,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "dropout": 0.0,
        "attention_dropout": 0.0,
        "tie_word_embeddings": False,
    }
    config = tf.Kosmos2Config(
        text_config=text, vision_config=VISION, latent_query_num=6, tie_word_embeddings=False
    )
    return Family(
        tf.Kosmos2ForConditionalGeneration(config),
        None,
        kosmos_make(6, pixels=square_pixels(3, 32, 32)),
        several=1,
    )


@family("kosmos-2.5", several=1)
def kosmos25():
    text = {
        "vocab_size": VOCABULARY,
        "embed_dim": 64,
        "layers": 4,
        "ffn_dim": 96,
        "attention_heads": 4,
        "max_position_embeddings": 1024,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "dropout": 0.0,
        "tie_word_embeddings": False,
    }
    vision = {
        "hidden_size": 32,
        "patch_embed_hidden_size": 48,
        "intermediate_size": 48,
        "head_dim": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "max_num_patches": 64,
    }
    config = tf.Kosmos2_5Config(
        text_config=text, vision_config=vision, latent_query_num=6, tie_word_embeddings=False
    )

    def pixels(flat):
        rows = []
        for p in flat:
            at = torch.tensor([[r + 1, c + 1] for r in range(4) for c in range(4)]).float()
            rows.append(torch.cat([at, seeded(p, 16, 48)], -1))
        return {
            "flattened_patches": torch.stack(rows),
            "height": torch.full((len(flat),), 4),
            "width": torch.full((len(flat),), 4),
        }

    return Family(
        tf.Kosmos2_5ForConditionalGeneration(config), None, kosmos_make(6, pixels=pixels), several=1
    )


@family()
def phi4_multimodal():
    vision = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 8,
        "crop_size": 32,
        "image_token_id": tid("<|image_1|>"),
    }
    audio = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_blocks": 1,
        "num_attention_heads": 2,
        "input_size": 16,
        "nemo_conv_channels": 16,
        "ext_pw_out_channel": 16,
        "depthwise_separable_out_channel": 32,
        "audio_token_id": tid("<|audio|>"),
        "time_reduction": 4,
    }
    config = tf.Phi4MultimodalConfig(
        **{**TEXT, "eos_token_id": [2]},
        vision_config=vision,
        audio_config=audio,
        rope_parameters={
            "rope_type": "default",
            "rope_theta": 10000.0,
            "partial_rotary_factor": 1.0,
        },
    )

    def pixels(flat):
        return {
            "image_pixel_values": torch.stack([seeded(p, 2, 3, 32, 32) for p in flat]),
            "image_sizes": torch.tensor([[32, 32]] * len(flat)),
            "image_attention_mask": torch.ones(len(flat), 2, 4, 4, dtype=torch.bool),
        }

    # one crop and the whole: rows of 2 with a newline each, plus one between
    make = by_hand(lambda p: 13, pixels, tid("<|image_1|>"))
    return Family(
        tf.Phi4MultimodalForCausalLM(config), None, make, eager_maps=False
    )  # its tower cannot give maps


# ---- GLM, Qwen's kin ------------------------------------------------------------------------------


@family()
def glm_ocr():
    config = tf.GlmOcrConfig(vision_config=GLM_VISION, text_config=GLM_TEXT, **GLM_IDS)
    return Family(
        model_class("glm_ocr")(config), glm_processor(tf.Glm46VProcessor, tf.Glm46VImageProcessor)
    )


@family()
def glmga():
    from transformers.models.glmga import configuration_glmga as c

    config = c.GlmgaConfig(
        vision_config={"model_type": "glm4v_vision", **GLM_VISION},
        text_config={"model_type": "glm4v_text", **GLM_TEXT},
        **GLM_IDS,
    )
    return Family(
        model_class("glmga")(config), glm_processor(tf.Glm46VProcessor, tf.Glm46VImageProcessor)
    )


def kin(
    name: str,
    text_type: str | None,
    *,
    text: dict[str, Any] | None = None,
    vision: dict[str, Any] | None = None,
    token: str = "<image>",
    make: Any = None,
    **config: Any,
) -> Any:
    """An exotic family: config from what its classes take, features given."""
    cls = CONFIG_MAPPING[name]
    spec = cls.sub_configs_defaults if hasattr(cls, "sub_configs_defaults") else {}

    def type_of(part: str) -> str | None:
        found = spec.get(part)
        found_type = getattr(found, "model_type", None)
        inner = getattr(found, "config_class", None)
        return found_type if isinstance(found_type, str) else getattr(inner, "model_type", None)

    def sized(part: str, sizes: dict[str, Any], more: dict[str, Any] | None) -> dict[str, Any]:
        found = spec.get(part)
        inner = found if isinstance(found, type) else getattr(found, "config_class", None)
        if inner is None or inner.__name__ == "AutoConfig":
            return fit(type_of(part), sizes, **(more or {}))
        known = fields(inner)
        return {**{k: v for k, v in sizes.items() if k in known}, **(more or {})}

    ids = {k: tid(token) for k in ("image_token_id", "image_token_index") if k in fields(cls)}
    ids |= {"video_token_id": tid("<video>")} if "video_token_id" in fields(cls) else {}
    ids = {**ids, **config}
    parts = {}
    if "text_config" in spec:
        parts["text_config"] = sized("text_config", TINY, text)
    if "vision_config" in spec:
        parts["vision_config"] = sized("vision_config", EYE, vision)
    made = cls(**parts, **ids)
    return Family(
        model_class(name)(made),
        None,
        make or features_hand(tid(token), types="get_rope_index" in dir(model_class(name)) or True),
    )


TYPES = features_hand(tid("<image>"), types=True)
STACKED = features_hand(tid("<image>"), stacked=True)
NOTYPES = features_hand(tid("<image>"))


@family()
def got_ocr2():
    return kin(
        "got_ocr2",
        "qwen2",
        vision={
            "mlp_dim": 48,
            "output_channels": 16,
            "image_size": 64,
            "patch_size": 4,
            "window_size": 4,
            "global_attn_indexes": [0],
        },
        make=STACKED,
        tie_word_embeddings=False,
    )


@family()
def pp_chart2table():
    return kin(
        "pp_chart2table",
        "qwen2",
        vision={
            "mlp_dim": 48,
            "output_channels": 16,
            "image_size": 64,
            "patch_size": 4,
            "window_size": 4,
            "global_attn_indexes": [0],
        },
        make=STACKED,
        tie_word_embeddings=False,
    )


@family()
def video_llama_3():
    return kin("video_llama_3", "qwen2", make=NOTYPES)


@family()
def lighton_ocr():
    return kin(
        "lighton_ocr",
        "qwen3",
        text={"sliding_window": None},
        make=NOTYPES,
        tie_word_embeddings=False,
    )


@family()
def qianfan_ocr():
    return kin("qianfan_ocr", "qwen3", text={"sliding_window": None}, make=STACKED)


@family()
def hyperclovax_vision_v2():
    return kin(
        "hyperclovax_vision_v2",
        "hyperclovax",
        vision={"fullatt_block_indexes": [0], "window_size": 32},
        make=NOTYPES,
        tie_word_embeddings=False,
    )


@family()
def exaone4_5():
    return kin(
        "exaone4_5",
        "exaone4",
        text={
            "sliding_window": 512,
            "layer_types": [
                "sliding_attention",
                "sliding_attention",
                "sliding_attention",
                "full_attention",
            ],
        },
        vision={"fullatt_block_indexes": [0], "window_size": 32},
        make=NOTYPES,
    )


@family()
def ernie4_5_vl_moe():
    return kin(
        "ernie4_5_vl_moe",
        None,
        text={
            "moe_intermediate_size": [48, 32],
            "moe_k": 2,
            "moe_num_experts": 4,
            "moe_num_shared_experts": 1,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [3, 3, 2],
            },
        },
        make=qwen_hand(tid("<image>"), 3 * 64),
        tie_word_embeddings=False,
    )


@family()
def paddleocr_vl():
    return kin(
        "paddleocr_vl", None, text={"rope_parameters": MROPE}, make=TYPES, tie_word_embeddings=False
    )


@family()
def hunyuan_vl():
    return kin(
        "hunyuan_vl",
        None,
        text={
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [2, 2, 2, 2],
            }
        },
        make=TYPES,
        tie_word_embeddings=False,
    )


@family()
def granite4_vision():
    config = tf.Granite4VisionConfig(
        text_config={**TEXT, "attention_multiplier": 0.3},
        vision_config={**CLIP, "hidden_size": 64, "num_attention_heads": 2},
        image_token_index=tid("<image>"),
        image_grid_pinpoints=PINPOINTS,
        downsample_rate="1/2",
        deepstack_layer_map=[[-1, 1], [-2, 2]],
        spatial_target_layers=[3, 3, 3, 3],
        qformer_config={
            "model_type": "blip_2_qformer",
            "num_hidden_layers": 1,
            "intermediate_size": 48,
            "cross_attention_frequency": 1,
            "max_position_embeddings": 64,
            "use_qformer_text_input": False,
        },
    )
    model = tf.Granite4VisionForConditionalGeneration(config)
    parts = {**LLAVA, "downsample_rate": "1/2"}
    parts.pop("num_additional_image_tokens")
    return Family(
        model,
        tf.Granite4VisionProcessor(
            next_images(), tokenizer(image_token="<image>"), num_additional_image_tokens=1, **parts
        ),
    )


@family()
def granite_docling():
    def more(output, flat):
        output.router_logits = None
        output.deepstack_features = [[seeded(p, 5, 64) for p in flat]]

    return kin(
        "granite_docling",
        None,
        vision={"scale_factor": 2, "deepstack_visual_indexes": [0]},
        make=features_hand(tid("<image>"), more=more),
        tie_word_embeddings=False,
    )


@family()
def qwen2_5_omni_thinker():
    text = {**TEXT, "rope_parameters": MROPE}
    vision = {**QWEN_VISION, "window_size": 32, "fullatt_block_indexes": [1], "in_channels": 3}
    audio = {
        "num_mel_bins": 16,
        "encoder_layers": 1,
        "encoder_attention_heads": 2,
        "encoder_ffn_dim": 32,
        "d_model": 32,
        "output_dim": 64,
        "n_window": 8,
        "max_source_positions": 64,
    }
    ids = {
        "image_token_id": tid("<|image_pad|>"),
        "video_token_id": tid("<|video_pad|>"),
        "audio_token_id": tid("<|audio_pad|>"),
        "vision_start_token_id": tid("<|vision_start|>"),
        "audio_start_token_id": tid("<|audio_start|>"),
        "audio_end_token_id": tid("<|audio_end|>"),
    }
    config = CONFIG_MAPPING["qwen2_5_omni_thinker"](
        text_config=text, vision_config=vision, audio_config=audio, **ids
    )
    return Family(
        model_class("qwen2_5_omni_thinker")(config),
        None,
        qwen_hand(tid("<|image_pad|>"), 384, types=False),
    )


@family()
def qwen3_omni_moe_thinker():
    text = {**QWEN3_TEXT, **MOE}
    audio = {
        "num_mel_bins": 16,
        "encoder_layers": 1,
        "encoder_attention_heads": 2,
        "encoder_ffn_dim": 32,
        "d_model": 32,
        "output_dim": 64,
        "n_window": 8,
        "max_source_positions": 64,
        "downsample_hidden_size": 16,
        "num_hidden_layers": 1,
    }
    ids = {
        "image_token_id": tid("<|image_pad|>"),
        "video_token_id": tid("<|video_pad|>"),
        "audio_token_id": tid("<|audio_pad|>"),
        "vision_start_token_id": tid("<|vision_start|>"),
        "audio_start_token_id": tid("<|audio_start|>"),
    }
    config = CONFIG_MAPPING["qwen3_omni_moe_thinker"](
        text_config=text, vision_config=QWEN3_VISION, audio_config=audio, **ids
    )
    return Family(
        model_class("qwen3_omni_moe_thinker")(config),
        None,
        qwen_hand(tid("<|image_pad|>"), 384, types=False),
    )


@family()
def qwen4_exp():
    vision = {k: v for k, v in QWEN3_VISION.items() if k != "deepstack_visual_indexes"}
    text = {
        **LINEAR,
        **MOE,
        "rope_parameters": Q35_ROPE,
        "indexer_n_heads": 2,
        "indexer_kv_heads": 1,
        "indexer_head_dim": 16,
        "indexer_budget": 8,
        "indexer_compress_ratio": 2,
    }
    return kin("qwen4_exp", None, text=text, vision=vision, make=qwen_hand(tid("<image>"), 384))


@family()
def minicpmv4_6():
    return kin(
        "minicpmv4_6",
        "qwen3_5_text",
        text={**LINEAR, "rope_parameters": Q35_ROPE},
        vision={"insert_layer_id": 0},
        insert_layer_id=0,
        make=NOTYPES,
        video_token_id=tid("<video>"),
    )


@family()
def minicpmv4_7():
    return kin(
        "minicpmv4_7",
        "qwen3_5_text",
        text={**LINEAR, "rope_parameters": Q35_ROPE},
        vision={"insert_layer_id": 0},
        insert_layer_id=0,
        make=NOTYPES,
        video_token_id=tid("<video>"),
    )


@family()
def minicpm_ocr():
    return kin(
        "minicpm_ocr", "qwen3_5_text", text={**LINEAR, "rope_parameters": Q35_ROPE}, make=NOTYPES
    )


@family()
def kimi_k25():
    return kin(
        "kimi_k25",
        "deepseek_v3",
        text={**MLA, "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}},
        make=NOTYPES,
        vision={"pos_emb_height": 8, "pos_emb_width": 8},
        tie_word_embeddings=False,
        projection_hidden_size=32,
    )


@family()
def mistral_large4():
    return kin(
        "mistral_large4",
        None,
        text={
            **MLA,
            "index_topk": 8,
            "index_head_dim": 16,
            "index_n_heads": 2,
            "head_dim": 8,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
        },
        make=NOTYPES,
    )


@family()
def lfm3_vl():
    return kin(
        "lfm3_vl",
        "lfm3",
        text={"layer_types": ["conv", "full_attention", "sliding_attention", "full_attention"]},
        make=NOTYPES,
        vision={"layer_types": ["full_attention"]},
        tie_word_embeddings=False,
    )


@family()
def step3p7():
    return kin(
        "step3p7",
        None,
        text={
            "num_sliding_attention_heads": 8,
            "num_key_value_heads": 2,
            "layer_types": [
                "full_attention",
                "sliding_attention",
                "full_attention",
                "sliding_attention",
            ],
            "share_expert_dim": 32,
            "mlp_layer_types": ["dense", "dense", "sparse", "sparse"],
        },
        make=NOTYPES,
    )


@family()
def minimax_m3_vl():
    return kin(
        "minimax_m3_vl",
        None,
        text={
            "rotary_dim": 8,
            "dense_intermediate_size": 96,
            "shared_intermediate_size": 32,
            "index_n_heads": 2,
            "index_head_dim": 16,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "partial_rotary_factor": 0.5,
            },
        },
        make=NOTYPES,
    )


@family("minimax_m3_vl (sparse layers)")
def minimax_m3_sparse():
    return kin(
        "minimax_m3_vl",
        None,
        text={
            "rotary_dim": 8,
            "dense_intermediate_size": 96,
            "shared_intermediate_size": 32,
            "index_n_heads": 2,
            "index_head_dim": 16,
            "index_block_size": 4,
            "index_topk_blocks": 2,
            "layer_types": [
                "full_attention",
                "minimax_m3_sparse",
                "minimax_m3_sparse",
                "full_attention",
            ],
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "partial_rotary_factor": 0.5,
            },
        },
        make=NOTYPES,
    )


@family()
def muse_glimmer():
    return kin(
        "muse_glimmer",
        None,
        make=NOTYPES,
        text={
            "layer_types": [
                "full_attention",
                "sliding_attention",
                "sliding_attention",
                "full_attention",
            ]
        },
        vision={
            "pos_emb_height": 8,
            "pos_emb_width": 8,
            "max_position_embeddings": 64,
            "patch_size": 8,
        },
        out_hidden_size=64,
        projector_hidden_size=32,
    )


@family()
def muse_spark():
    audio = {
        "patch_sizes": [2],
        "hidden_sizes": [16],
        "depths": [1],
        "num_hidden_layers": 1,
        "out_hidden_size": 64,
    }
    return kin(
        "muse_spark",
        None,
        make=NOTYPES,
        text={"moe_hidden_size": 32},
        vision={"pos_emb_height": 8, "pos_emb_width": 8, "patch_size": 8},
        out_hidden_size=64,
        projector_hidden_size=32,
        audio_config=audio,
    )


@family()
def nemotron_h_omni():
    return kin(
        "nemotron_h_omni",
        "nemotron_h",
        make=NOTYPES,
        vision={"video_temporal_patch_size": 2},
        projector_hidden_size=32,
        vision_hidden_size=32,
        text={"layers_block_type": ["mamba", "attention", "moe", "attention"]},
        image_token_id=tid("<image>"),
    )


@family()
def dots3_note():
    config = {
        "swa_num_attention_heads": 4,
        "swa_num_key_value_heads": 4,
        "swa_q_lora_rank": 24,
        "swa_kv_lora_rank": 16,
        "swa_head_dim": 24,
        "swa_qk_nope_head_dim": 16,
        "swa_v_head_dim": 12,
    }
    text = {
        **MLA,
        **config,
        "head_dim": 24,
        "index_topk": 8,
        "index_head_dim": 16,
        "index_n_heads": 2,
        "shared_experts_intermediate_size": 32,
        "layer_types": [
            "indexed_attention",
            "indexed_attention",
            "sliding_attention",
            "indexed_attention",
        ],
    }
    audio = {
        k: v
        for k, v in {
            "adapter_out_dim": 64,
            "adapter_input_size": 32,
            "adapter_in_dim": 32,
            "d_model": 32,
            "encoder_layers": 1,
            "encoder_attention_heads": 2,
            "encoder_ffn_dim": 48,
            "hidden_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 48,
        }.items()
        if k
        in fields(CONFIG_MAPPING["dots3_note"].sub_configs_defaults["audio_config"].config_class)
    }
    return kin(
        "dots3_note",
        None,
        make=NOTYPES,
        text=text,
        vision={"adapter_in_dim": 32, "adapter_out_dim": 64, "mlp_layer_types": ["dense"]},
        audio_config=audio,
    )


@family()
def cosmos3_edge():
    return kin(
        "cosmos3_edge",
        None,
        make=qwen_hand(tid("<image>"), 192),
        text={
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [3, 3, 2],
            }
        },
    )


@family()
def cosmos3_omni():
    return kin(
        "cosmos3_omni",
        "qwen3_vl_text",
        text={"rope_parameters": {**MROPE, "mrope_interleaved": True}},
        vision={"deepstack_visual_indexes": [0], "num_position_embeddings": 64},
        make=qwen_hand(tid("<image>"), 384),
    )


@family()
def cohere_compass():
    rope = {
        "full_attention": {
            "rope_type": "default",
            "rope_theta": 10000.0,
            "mrope_section": [3, 3, 2],
        }
    }
    return kin(
        "cohere_compass",
        None,
        make=qwen_hand(tid("<image>"), 384),
        text={"rope_parameters": rope},
        vision={"deepstack_visual_indexes": [0], "num_position_embeddings": 64},
    )


@family()
def deepseek_ocr2():
    sam = {
        "hidden_size": 32,
        "output_channels": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 64,
        "patch_size": 8,
        "window_size": 4,
        "global_attn_indexes": [0],
        "mlp_dim": 48,
        "downsample_channels": [16, 32],
    }
    inner = {
        "vocab_size": 16,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
    }
    return kin(
        "deepseek_ocr2",
        None,
        make=NOTYPES,
        vision={"sam_config": sam, "encoder_config": inner},
        text={
            "n_group": 1,
            "topk_group": 1,
            "n_shared_experts": 1,
            "mlp_layer_types": ["dense", "dense", "sparse", "sparse"],
        },
    )


@family()
def unlimited_ocr():
    sam = {
        "hidden_size": 32,
        "output_channels": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 64,
        "patch_size": 8,
        "window_size": 4,
        "global_attn_indexes": [0],
        "mlp_dim": 48,
        "downsample_channels": [16, 32],
    }
    inner = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 8,
    }
    return kin(
        "unlimited_ocr",
        None,
        make=NOTYPES,
        vision={"sam_config": sam, "encoder_config": inner},
        text={"sliding_window": 512, "num_key_value_heads": 4},
    )


@family(loose=0.3)  # its recurrent layers round by the length of a chunk
def glm5_next():
    return kin(
        "glm5_next",
        None,
        text={
            **MLA,
            "qk_rope_head_dim": 0,
            "head_dim": 0,
            "index_topk": 16,
            "index_kpool": 1,
            "index_head_dim": 16,
            "index_n_heads": 2,
            "linear_head_dim": 16,
            "linear_num_heads": 4,
            "layer_types": [
                "linear_attention",
                "indexed_attention",
                "linear_attention",
                "indexed_attention",
            ],
            "mlp_layer_types": ["dense"] * 4,
        },
        make=TYPES,
    )


@family()
def inkling_mm_model():
    return kin(
        "inkling_mm_model",
        None,
        make=NOTYPES,
        text={"swa_num_attention_heads": 4, "swa_num_key_value_heads": 2, "swa_head_dim": 16},
    )


@family()
def inkling2():
    return kin("inkling2", None, make=NOTYPES)


@family()
def diffusion_gemma():
    return kin(
        "diffusion_gemma",
        None,
        make=features_hand(tid("<image>"), types=True, stacked=True),
        text={"top_k_experts": 2, "enable_moe_block": False},
    )


@family()
def fuyu():
    config = tf.FuyuConfig(
        **{
            **TEXT,
            "patch_size": 8,
            "num_channels": 3,
            "image_token_id": tid("<image>"),
            "text_config": {
                "model_type": "persimmon",
                **{k: v for k, v in TEXT.items() if k != "num_key_value_heads"},
            },
        }
    )

    def make(texts, images):
        batch = by_hand(lambda p: 16, lambda flat: {}, tid("<image>"))(texts, images)
        return {
            **batch,
            "image_patches": torch.stack([seeded(p, 16, 192) for its in images for p in its]),
        }

    return Family(tf.FuyuForCausalLM(config), None, make)


@family()
def perception_lm():
    vision = {
        "model_type": "timm_wrapper",
        "architecture": "vit_tiny_patch16_224",
        "num_classes": 0,
        "model_args": {
            "img_size": [32, 32],
            "embed_dim": 64,
            "depth": 1,
            "num_heads": 2,
            "global_pool": "",
        },
    }
    config = tf.PerceptionLMConfig(
        vision_config=vision,
        text_config={"model_type": "llama", **TEXT},
        image_token_id=tid("<image>"),
        video_token_id=tid("<video>"),
        vision_use_cls_token=True,
        projector_pooling_ratio=1,
    )
    return Family(
        tf.PerceptionLMForConditionalGeneration(config),
        None,
        features_hand(tid("<image>"), stacked=True),
    )


@family()
def fast_vlm():
    vision = {
        "model_type": "timm_wrapper",
        "architecture": "resnet18",
        "hidden_size": 512,
        "do_pooling": True,
        "global_pool": "avg",
        "initializer_range": 0.02,
    }
    config = tf.FastVlmConfig(
        vision_config=vision,
        text_config={"model_type": "qwen2", **TEXT},
        image_token_index=tid("<image>"),
    )
    return Family(
        tf.FastVlmForConditionalGeneration(config),
        None,
        features_hand(tid("<image>"), stacked=True),
    )


@family()
def molmo2():
    from transformers.models.molmo2 import configuration_molmo2 as c

    config = c.Molmo2Config(
        text_config={
            **dict(TEXT.items()),
            "head_dim": 16,
            "additional_vocab_size": 8,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
        },
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "image_size": [32, 32],
            "patch_size": 8,
            "num_position_embeddings": 16,
        },
        adapter_config={
            "vision_feature_layer": [-1, -2],
            "hidden_size": 32,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "intermediate_size": 48,
            "text_hidden_size": 64,
        },
        image_patch_id=tid("<image_patch>"),
        image_start_token_id=tid("<im_start>"),
        image_end_token_id=tid("<im_end>"),
        low_res_image_start_token_id=tid("<low_res_im_start>"),
    )
    return Family(
        model_class("molmo2")(config), None, features_hand(tid("<image_patch>"), types=True)
    )
