"""A model laid over main memory and disk by accelerate says what the whole one says."""

import pytest
import torch

import families
import seesay
from seesay.errors import InputError

LAYERS = range(families.LAYERS)
PARTS = ("model.vision_tower", "model.multi_modal_projector", "model.language_model.embed_tokens",
         "model.language_model.norm", "model.language_model.rotary_emb")  # fmt: skip
SPLIT = {
    **dict.fromkeys(PARTS, "cpu"),
    **{f"model.language_model.layers.{n}": "disk" if n % 2 else "cpu" for n in LAYERS},
    "lm_head": "disk",
}
METHODS = ("plain", "attention-lens(alpha=1.0) + farsight(sigma=0.3)", "agla", "pai", "eah",
           "vasparse(keep=0.5, every=2, candidates='all')")  # fmt: skip


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    folder = families.save("llava", tmp_path_factory.mktemp("split") / "llava")
    return seesay.load(folder, device="cpu"), seesay.load(folder, device_map=SPLIT)


@pytest.mark.parametrize("method", METHODS)
def test_a_split_model_says_the_same(both, method):
    whole, split = both
    how = {"method": method, "prompt": "a dog ?", "max_new_tokens": 6}
    texts = [[seen.text for seen in vlm.describe(families.pictures(2), **how)] for vlm in both]
    assert texts[0] == texts[1]
    assert split.model.get_output_embeddings().weight.is_meta
    assert whole.model.device == split.model.device == torch.device("cpu")


def test_its_deep_scores_and_questions_are_the_same(both):
    seen = [vlm.describe(families.pictures(1)[0], max_new_tokens=8, deep=True) for vlm in both]
    for mine, theirs in zip(seen[0].mentions, seen[1].mentions, strict=True):
        assert mine.scores == pytest.approx(theirs.scores, nan_ok=True)
    assert both[1].identity() == 0.0


def test_a_device_and_a_map_are_refused():
    with pytest.raises(InputError, match="give one of them"):
        seesay.load(device="cpu", device_map="auto")
