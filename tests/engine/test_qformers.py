"""What is particular to Q-former families: a model around a language model that generates."""

from __future__ import annotations

import pytest
import torch
from transformers import InstructBlipConfig, T5Config

import families
import oracles
from families import CACHE, one_by_one
from seesay import load
from seesay.engine import parse
from seesay.engine.prefix import CachedPrefix
from seesay.errors import EngineError, InputError, ModelError
from seesay.models.processors import chat_prompt
from seesay.models.view import ModelView, refuse_unsupported

FAMILY = pytest.mark.parametrize("name", families.Q_FORMERS)
GREEDY = {"max_new_tokens": 6, "do_sample": False}
METHODS = [
    "eah(threshold=0.03)",
    "pai(alpha=0.3, gamma=1.5)",
    "vasparse(keep=0.5, every=3, candidates='all')",
    "attention-lens(layers=(0, 3)) + farsight(sigma=0.2) + pai(gamma=1.5) + vasparse",
]


@FAMILY
def test_columns_are_those_of_the_language_models_input(name):
    """In generation as in a bare forward, the query tokens stand where the columns say."""
    model, _, batch = oracles.built(name)
    view = ModelView.of(model)
    assert view.language_model is model.language_model
    features = view.encode_images(**batch).pooler_output  # (images, queries, hidden)
    found = []
    hook = view.decoder.register_forward_pre_hook(
        lambda _m, _args, kwargs: found.append(kwargs["inputs_embeds"]), with_kwargs=True
    )
    try:
        model.generate(**batch, max_new_tokens=1)
        model(**batch)
    finally:
        hook.remove()
    columns = view.image_columns(**batch)
    assert columns.sum(1).tolist() == [model.config.num_query_tokens] * 3
    assert len(found) == 2
    for embedded in found:
        assert torch.equal(embedded[columns], features.flatten(0, 1))
        rest = model.get_input_embeddings()(batch["input_ids"])[~columns]
        assert torch.equal(embedded[~columns], rest)


@FAMILY
@pytest.mark.parametrize("text", METHODS)
@pytest.mark.parametrize("beams", [1, 3])
def test_a_padded_batch_answers_as_one_by_one(name, text, beams):
    model, processor, batch = oracles.built(name)
    options = {**GREEDY, "num_beams": beams}
    with parse(text)(model):
        together = model.generate(**batch, **options)[:, -6:]
        alone = [model.generate(**one, **options) for one in one_by_one(name, model, processor)]
    assert torch.equal(together, torch.cat([row[:, -6:] for row in alone]))
    plain = model.generate(**batch, **options)[:, -6:]
    assert not torch.equal(together, plain)


@FAMILY
def test_steps_by_hand_are_generation(name):
    """The prompt through the whole model, and each new token through its language model."""
    model, _, batch = oracles.built(name)
    with parse(METHODS[-1])(model):
        expected = model.generate(**batch, **GREEDY)[:, batch["input_ids"].shape[1] :]
        mask = batch["attention_mask"]
        position = (mask.cumsum(-1) - 1).clamp(min=0)
        out = model(**batch, position_ids=position)
        cache = out.language_model_outputs[CACHE]
        for token in expected.T:
            assert torch.equal(out.logits[:, -1].argmax(-1), token)
            mask = torch.cat([mask, mask.new_ones(3, 1)], 1)
            position = position[:, -1:] + 1
            given = {"attention_mask": mask, "position_ids": position, CACHE: cache}
            out = model.language_model(input_ids=token[:, None], **given)


@FAMILY
def test_a_language_model_by_itself_is_not_silently_plain(name):
    model, _, batch = oracles.built(name)
    embeds = model.get_input_embeddings()(batch["input_ids"])
    method, columns = parse("attention-lens(layers=(0, 3))"), batch["input_ids"] == 4
    part = model.language_model
    with method(model):
        with pytest.raises(EngineError, match="was called by itself"):
            part(inputs_embeds=embeds)
        model.generate(**batch, **GREEDY)
        with pytest.raises(EngineError, match="was called by itself"):
            part.generate(inputs_embeds=embeds, **GREEDY)
    with method(part, image_columns=columns):
        said = part.generate(inputs_embeds=embeds, **GREEDY)
    assert not torch.equal(said, part.generate(inputs_embeds=embeds, **GREEDY))


@FAMILY
def test_what_cannot_be_is_refused_by_name(name):
    model, processor, batch = oracles.built(name)
    shown = [picture for its in families.three(name)[1] for picture in its]
    session = parse("agla")(model, processor=processor, images=shown)
    with session, pytest.raises(ModelError, match="no part of a picture moves one image token"):
        model.generate(**batch, **GREEDY)
    with parse("eah")(model), pytest.raises(EngineError, match="without prefill_chunk_size"):
        model.generate(**batch, **GREEDY, prefill_chunk_size=7)
    with pytest.raises(InputError, match="one picture before a prompt, not 2"):
        chat_prompt(processor, "a dog", 2)


def test_a_stream_that_hides_columns_keeps_learned_positions():
    """OPT counts positions by the mask unless it is told them, and then a hidden picture moves
    the text."""
    model, _, batch = oracles.built("blip-2")
    with parse("pai")(model), pytest.raises(EngineError, match="position_ids"):
        model(**batch)


def test_a_picture_read_with_the_prompt_in_view_serves_no_other_question():
    model, processor, batch = oracles.built("instructblip")
    fork = CachedPrefix.fresh(
        ModelView.of(model, processor), batch, families.three("instructblip")[0]
    )
    with pytest.raises(ModelError, match="read with the prompt in view"):
        fork.logits([["is there a dog ?"], [], []])


def test_an_encoder_decoder_inside_is_refused():
    config = InstructBlipConfig(text_config=T5Config(), image_token_index=4)
    with pytest.raises(ModelError, match=r"instructblip.*encoder-decoder"):
        refuse_unsupported(config)


@FAMILY
def test_a_saved_model_describes_and_answers(name, checkpoints):
    vlm = load(checkpoints(name), device="cpu")
    picture = families.pictures(1)[0]
    prompt, options = "a dog ?", {"max_new_tokens": 6}
    inputs = families.inputs(name, vlm.model, vlm.processor, [prompt], [[picture]])
    plain = vlm.ask(picture, prompt, **options)
    ids = vlm.model.generate(**inputs, **GREEDY)[0, inputs["input_ids"].shape[1] :]
    assert [token.id for token in plain.tokens] == ids.tolist()
    moved = vlm.describe(
        picture, prompt=prompt, method="attention-lens(layers=(0, 3)) + pai", deep=True, **options
    )
    assert moved.text != plain.text
    beams = vlm.describe(picture, prompt=prompt, method="vasparse", num_beams=3, **options)
    assert beams.tokens
    assert {"agla", "look-again"} == vlm.misfits().keys()
    with pytest.raises(ModelError, match="leave out self-check"):
        vlm.describe(picture, prompt=prompt, self_check=True, **options)
    drawn = vlm.describe(picture, prompt=prompt, do_sample=True, seed=1, **options)
    again = vlm.describe(picture, prompt=prompt, do_sample=True, seed=1, **options)
    assert drawn.text == again.text
