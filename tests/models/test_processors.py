"""Without torchvision: the family's own tokens and grids for images, and a clear no to video."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from transformers import InternVLProcessor, Qwen2_5_VLProcessor
from transformers.utils import is_torchvision_available

from families import inputs, pictures
from seesay.errors import InputError

FULL = {"qwen2.5-vl": Qwen2_5_VLProcessor, "internvl": InternVLProcessor}

pytestmark = pytest.mark.skipif(is_torchvision_available(), reason="processors are whole here")


@pytest.mark.parametrize("name", FULL)
def test_same_inputs_as_the_full_processor(
    name: str, families_by_name: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The full class, held together by a stand-in for the video part that images never touch."""
    family = families_by_name(name)
    monkeypatch.setattr(FULL[name], "check_argument_for_proper_class", lambda *_: None)
    options = {"image_seq_length": 16} if name == "internvl" else {}
    full = FULL[name](
        image_processor=family.processor.image_processor,
        tokenizer=family.processor.tokenizer,
        video_processor=object(),
        chat_template=family.processor.chat_template,
        **options,
    )
    texts = ["what is in this image ?", "a", "two people"]
    images = [pictures(3), [], pictures(2, seed=3)]
    ours = inputs(name, family.model, family.processor, texts, images)
    theirs = inputs(name, family.model, full, texts, images)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_placeholders_follow_the_grid(families_by_name: Any) -> None:
    family = families_by_name("qwen2.5-vl")
    batch = inputs("qwen2.5-vl", family.model, family.processor, ["a"], [pictures(4)])
    per_image = batch["image_grid_thw"].prod(-1) // 4
    columns = family.view.image_columns(**batch)
    assert int(columns.sum()) == int(per_image.sum())
    assert torch.equal(batch["mm_token_type_ids"].bool(), columns)


@pytest.mark.parametrize("name", FULL)
def test_text_alone_and_decoding(name: str, families_by_name: Any) -> None:
    processor = families_by_name(name).processor
    batch = processor(text=["a dog", "the red table"], padding=True, return_tensors="pt")
    assert processor.batch_decode(batch["input_ids"], skip_special_tokens=True) == [
        "a dog",
        "the red table",
    ]
    assert processor.decode(batch["input_ids"][1]) == "the red table"
    tokenized = processor.apply_chat_template(
        [{"role": "user", "content": [{"type": "image", "image": pictures(1)[0]}]}],
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )
    assert "pixel_values" in tokenized


@pytest.mark.parametrize("name", FULL)
def test_video_asks_for_torchvision(name: str, families_by_name: Any) -> None:
    processor = families_by_name(name).processor
    video = np.zeros((2, 32, 32, 3), np.uint8)
    with pytest.raises(InputError, match="pip install torchvision"):
        processor(text=["a"], videos=[video], return_tensors="pt")
