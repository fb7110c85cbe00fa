"""What a fork refuses, by name."""

from __future__ import annotations

import pytest

import families
from families import CACHE
from forks import GREEDY, QUESTIONS, TEXTS, batch_of, off, precise
from seesay.engine.prefix import CachedPrefix
from seesay.errors import EngineError, InputError
from seesay.methods import FarSight
from seesay.models.view import ModelView


def fork_of(texts=TEXTS, **kwargs):
    view = precise("llava")
    batch = batch_of(view, "llava")
    cache = view.model.generate(**batch, **GREEDY)[CACHE]
    return CachedPrefix.of(view, batch, cache, texts, **kwargs)


def test_another_prompt_than_the_cached_one():
    with pytest.raises(InputError, match=r"row 0 is not 'a cat'"):
        fork_of("a cat").logits(QUESTIONS)


def test_text_before_the_picture():
    view = precise("llava")
    turn = [{"role": "user", "content": [{"type": "text", "text": "a dog"}, {"type": "image"}]}]
    text = view.processor.apply_chat_template(turn, add_generation_prompt=True)
    batch = view.processor(images=families.pictures(1), text=[text], return_tensors="pt")
    batch["pixel_values"] = batch["pixel_values"].double()
    with pytest.raises(InputError, match="with the picture before the text"):
        CachedPrefix.fresh(view, batch, "a dog").logits([["a cat"]])


def test_an_image_token_in_a_question():
    with pytest.raises(InputError, match="holds an image token"):
        fork_of().logits([["is there <image> ?"], [], []])


def test_numbers_that_do_not_match():
    with pytest.raises(InputError, match="2 lists of questions for 3 prompts"):
        fork_of().logits([["a dog"], []])
    with pytest.raises(InputError, match="2 prompts for 3 rows"):
        fork_of(TEXTS[:2])


def test_no_processor():
    view = precise("llava")
    bare = ModelView.of(view.model)
    fork = CachedPrefix.fresh(bare, batch_of(view, "llava"), TEXTS)
    with pytest.raises(EngineError, match="with the model's processor"):
        fork.logits(QUESTIONS)


def test_no_cache_and_a_short_one():
    view = precise("llava")
    batch = batch_of(view, "llava")
    with pytest.raises(EngineError, match="kept no cache"):
        CachedPrefix.of(view, batch, None, TEXTS)
    cache = view.model(**{**batch, "use_cache": True})[CACHE]
    for layer in cache.layers:
        layer.keys, layer.values = layer.keys[:, :, :9], layer.values[:, :, :9]
    with pytest.raises(EngineError, match="entry by entry"):
        CachedPrefix.of(view, batch, cache, TEXTS)


def test_an_open_session():
    view = precise("llava")
    batch = batch_of(view, "llava")
    with FarSight()(view.model, processor=view.processor) as session:
        session.generate(**batch, **GREEDY)
        fork = CachedPrefix.after(session, batch, TEXTS)
        with pytest.raises(EngineError, match=r"in a session \(farsight\).*after its block"):
            fork.logits(QUESTIONS)
    assert off(view, "llava", fork.logits(QUESTIONS)) < 1e-9
