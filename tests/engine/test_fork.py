"""A question on a forked cache is answered as the whole prompt about the same picture is."""

from __future__ import annotations

import copy

import pytest
import torch
from transformers import (
    AttentionInterface,
    AttentionMaskInterface,
    CLIPVisionConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    MistralConfig,
)

import families
from families import CACHE
from forks import GREEDY, QUESTIONS, TEXTS, batch_of, images, off, precise
from seesay.engine.kv_cache import CompactedLayer, KeptEntries
from seesay.engine.method import Stack
from seesay.engine.prefix import CachedPrefix
from seesay.errors import EngineError
from seesay.methods import AGLA, EAH, AttentionLens, FarSight, VASparse
from seesay.models.view import ModelView

FAMILY = pytest.mark.parametrize("name", [*families.FAMILIES, "blip-2"])


@FAMILY
def test_a_padded_batch_with_questions_of_every_length(name):
    view = precise(name)
    batch = batch_of(view, name)
    assert int((batch["attention_mask"] == 0).sum()) > 0
    cache = view.model.generate(**batch, **GREEDY)[CACHE]
    fork = CachedPrefix.of(view, batch, cache, TEXTS)
    found = fork.logits(QUESTIONS)
    assert off(view, name, found) < 1e-9
    assert [len(row) for row in found] == [2, 3, 1]
    # The answers differ, so the equality above says something.
    assert float((found[0][0] - found[0][1]).abs().max()) > 0.1
    assert (fork.cost.questions, fork.cost.forwards, fork.cost.image_passes) == (6, 1, 0)


@FAMILY
def test_without_a_cache_the_pictures_are_read_once(name):
    view = precise(name)
    fork = CachedPrefix.fresh(view, batch_of(view, name), TEXTS)
    first = fork.logits(QUESTIONS)
    second = fork.logits(QUESTIONS)
    assert off(view, name, first) < 1e-9
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert (fork.cost.forwards, fork.cost.image_passes) == (3, 1)


@FAMILY
def test_rows_without_questions_cost_nothing(name):
    view = precise(name)
    batch = batch_of(view, name)
    cache = view.model.generate(**batch, **GREEDY)[CACHE]
    fork = CachedPrefix.of(view, batch, cache, TEXTS)
    asked = [[], [], ["is there a fork in the image ?"]]
    found = fork.logits(asked)
    assert off(view, name, found, asked) < 1e-9
    one = families.inputs(name, view.model, view.processor, asked[2], [images(name)[2]])
    assert fork.cost.tokens < one["input_ids"].shape[1]
    before = copy.copy(fork.cost)
    assert [len(row) for row in fork.logits([[], [], []])] == [0, 0, 0]
    assert fork.cost.forwards == before.forwards


def test_the_cache_stays_as_it_was():
    view = precise("llava-gqa")
    batch = batch_of(view, "llava-gqa")
    cache = view.model.generate(**batch, **GREEDY)[CACHE]
    before = [(layer.keys.clone(), layer.values.clone()) for layer in cache.layers]
    CachedPrefix.of(view, batch, cache, TEXTS).logits(QUESTIONS)
    for layer, (keys, values) in zip(cache.layers, before, strict=True):
        assert torch.equal(layer.keys, keys)
        assert torch.equal(layer.values, values)


@pytest.mark.parametrize("name", ["llava-gqa", "qwen2.5-vl"])
@pytest.mark.parametrize(
    "options",
    [
        {"num_beams": 3},
        {"num_beams": 2, "num_return_sequences": 2},
        {"do_sample": True, "num_return_sequences": 3},
        {"cache_implementation": "static"},
    ],
    ids=lambda options: "-".join(options),
)
def test_ways_of_decoding(name, options):
    view = precise(name)
    batch = batch_of(view, name)
    with Stack()(view.model, processor=view.processor, readout=True) as session:
        session.generate(**batch, **GREEDY | options)
        fork = CachedPrefix.after(session, batch, TEXTS)
    assert fork.reason == ""
    assert off(view, name, fork.logits(QUESTIONS)) < 1e-9


@pytest.mark.parametrize("name", ["llava-gqa", "internvl"])
@pytest.mark.parametrize(
    ("method", "passes"),
    [
        (AttentionLens(alpha=3.0, layers=(0, 3)), 0),
        (AGLA(matcher="self"), 0),
        (FarSight(), 1),
        (EAH(threshold=1e-6), 1),
        (VASparse(candidates="all", keep=0.5, every=1), 1),
        (FarSight() + AttentionLens(), 1),
    ],
    ids=repr,
)
@pytest.mark.parametrize("beams", [1, 3])
def test_under_every_method_the_plain_model_answers(name, method, passes, beams):
    view = precise(name)
    batch = batch_of(view, name)
    with method(view.model, processor=view.processor, readout=True) as session:
        session.generate(**batch, **GREEDY, num_beams=beams)
        fork = CachedPrefix.after(session, batch, TEXTS)
    assert off(view, name, fork.logits(QUESTIONS)) < 1e-9
    assert fork.cost.image_passes == passes
    assert bool(fork.reason) == bool(passes)


def test_a_shortened_cache_serves_while_it_holds_the_prompt():
    view = precise("llava-gqa")
    batch = batch_of(view, "llava-gqa")
    prompt = batch["input_ids"].shape[1]

    def cache_without(column):
        cache = view.model.generate(**batch, **GREEDY)[CACHE]
        for index, layer in enumerate(cache.layers):
            entries = torch.tensor([e for e in range(layer.keys.shape[2]) if e != column])
            kept = KeptEntries(entries.expand(3, layer.keys.shape[1], -1))
            cache.layers[index] = CompactedLayer.of(layer, kept, batch["attention_mask"])
        return cache

    fork = CachedPrefix.of(view, batch, cache_without(prompt + 1), TEXTS)
    assert off(view, "llava-gqa", fork.logits(QUESTIONS)) < 1e-9
    with pytest.raises(EngineError, match=r"CompactedLayer.*CachedPrefix\.fresh"):
        CachedPrefix.of(view, batch, cache_without(prompt - 5), TEXTS)


@pytest.mark.parametrize("window", [200, 20])
def test_sliding_windows(window):
    _, processor = families.build("llava")
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**families._VISION),
        text_config=MistralConfig(
            **families._TEXT, num_key_value_heads=2, head_dim=16, sliding_window=window
        ),
        image_token_index=families._id("<image>"),
        image_seq_length=16,
    )
    torch.manual_seed(0)
    model = LlavaForConditionalGeneration(config).double().eval().requires_grad_(False)
    view = ModelView.of(model, processor)
    batch = batch_of(view, "llava")
    cache = model.generate(**batch, **GREEDY, eos_token_id=None)[CACHE]
    assert any(getattr(layer, "is_sliding", False) for layer in cache.layers)
    if window == 20:
        with pytest.raises(EngineError, match="holds the newest 20 columns alone"):
            CachedPrefix.of(view, batch, cache, TEXTS)
        return
    fork = CachedPrefix.of(view, batch, cache, TEXTS)
    assert off(view, "llava", fork.logits(QUESTIONS)) < 1e-9
    with pytest.raises(EngineError, match="sliding window of 200"):
        fork.logits([[" ".join(["dog"] * 200)], [], []])


def test_the_eager_kernel_and_kernels_that_take_no_such_mask():
    view = precise("qwen2.5-vl")
    batch = batch_of(view, "qwen2.5-vl")
    cache = view.model.generate(**batch, **GREEDY)[CACHE]
    fork = CachedPrefix.of(view, batch, cache, TEXTS)

    def picky(*args, **kwargs):
        raise AssertionError("a flash kernel was given a mask of another form")

    AttentionInterface.register("picky", picky)
    AttentionMaskInterface.register("picky", lambda *args, **kwargs: None)
    before = view.decoder.config._attn_implementation
    try:
        for kernel in ("eager", "picky"):
            view.decoder.set_attn_implementation(kernel)
            found = fork.logits(QUESTIONS)
            assert view.decoder.config._attn_implementation == kernel
            view.decoder.set_attn_implementation(before)
            # The eager kernel's softmax is in float32 whatever the model is.
            assert off(view, "qwen2.5-vl", found) < (1e-4 if kernel == "eager" else 1e-9)
    finally:
        view.decoder.set_attn_implementation(before)
        for table in (AttentionInterface, AttentionMaskInterface):
            table._global_mapping.pop("picky")


def test_the_prompts_own_question_again():
    view = precise("llava")
    pictures = [families.pictures(1)]
    batch = batch_of(view, "llava", [TEXTS[0]], pictures)
    cache = view.model.generate(**batch, **GREEDY)[CACHE]
    fork = CachedPrefix.of(view, batch, cache, TEXTS[0])
    found = fork.logits([[TEXTS[0]]])
    assert off(view, "llava", found, [[TEXTS[0]]], pictures) < 1e-9
    assert fork.cost.tokens == 1


def test_bfloat16():
    view = precise("llava")
    half = ModelView.of(copy.deepcopy(view.model).to(torch.bfloat16), view.processor)
    batch = batch_of(view, "llava")
    batch["pixel_values"] = batch["pixel_values"].to(torch.bfloat16)
    found = CachedPrefix.fresh(half, batch, TEXTS).logits(QUESTIONS)
    assert found[0].dtype == torch.float32
    assert off(view, "llava", found) < 0.5  # of logits around 1.5, in a model of large weights
