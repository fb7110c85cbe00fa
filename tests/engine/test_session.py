"""What holds whatever the method: the same answers in every decoding mode, and no trace left."""

from __future__ import annotations

import pytest
import torch
from transformers import LlamaForCausalLM, TextStreamer
from transformers.masking_utils import AttentionMaskInterface
from transformers.modeling_utils import AttentionInterface

import families
import oracles
from families import CACHE, one_by_one
from seesay.engine import Method
from seesay.errors import EngineError, InputError, MethodError, ModelError
from seesay.methods import AGLA, AttentionLens, FarSight
from seesay.models.view import ModelView

METHODS = [
    AttentionLens(alpha=0.6, layers=(0, 3)),
    FarSight(sigma=0.1),
    AGLA(),
    AGLA(alpha=0.5, beta=0.1) + AttentionLens(layers=(1, 2)) + FarSight(sigma=0.2),
]
METHOD = pytest.mark.parametrize("method", METHODS, ids=repr)
FAMILY = pytest.mark.parametrize("name", families.FAMILIES)
# What a Q-former makes of a picture lies nowhere on it, so AGLA has nothing to mask.
CASE = pytest.mark.parametrize(
    ("name", "method"),
    [
        pytest.param(name, method, id=f"{name}-{method}")
        for name in families.ALL
        for method in METHODS
        if name in families.FAMILIES or "agla" not in repr(method)
    ],
)
STEPS = 4


def generate(model, batch, **kwargs):
    given = {"max_new_tokens": STEPS, "do_sample": False, **kwargs}
    torch.manual_seed(0)
    return model.generate(**batch, **given)


@CASE
@pytest.mark.parametrize("beams", [1, 3])
def test_a_padded_batch_answers_as_one_by_one(name, method, beams):
    model, processor, batch = oracles.built(name)
    start = batch["input_ids"].shape[1]
    with method(model):
        together = generate(model, batch, num_beams=beams)[:, start:]
        alone = [
            generate(model, single, num_beams=beams)[:, single["input_ids"].shape[1] :]
            for single in one_by_one(name, model, processor)
        ]
    assert torch.equal(together, torch.cat(alone))


@CASE
def test_modes_agree_with_the_dynamic_cache(name, method):
    model, _, batch = oracles.built(name)
    with method(model):
        greedy = generate(model, batch)
        assert torch.equal(generate(model, batch, cache_implementation="static"), greedy)
        assert torch.equal(generate(model, batch, num_beams=1), greedy)
        sampled = generate(model, batch, do_sample=True)
        assert torch.equal(generate(model, batch, do_sample=True), sampled)
        several = generate(model, batch, do_sample=True, num_return_sequences=2)
        assert len(several) == 2 * len(greedy)


@FAMILY
def test_prefill_in_chunks_is_prefill_in_one(name):
    model, _, batch = oracles.built(name)
    method = AttentionLens(layers=(0, 3)) + FarSight(sigma=0.1, registers="square", per_head=True)
    with method(model, readout=True) as session:
        whole = generate(model, batch)
        record = session.record
        chunked = generate(model, batch, prefill_chunk_size=7)
        assert torch.allclose(session.record.var, record.var, atol=1e-5, equal_nan=True)
    assert torch.equal(whole, chunked)
    with AGLA()(model), pytest.raises(EngineError, match="prefill_chunk_size"):
        generate(model, batch, prefill_chunk_size=7)


@METHOD
def test_a_streamer_hears_the_same_text(method, capsys):
    model, processor, _ = oracles.built("llava")
    single = next(one_by_one("llava", model, processor))
    with method(model):
        expected = generate(model, single)
        streamed = generate(model, single, streamer=TextStreamer(processor.tokenizer))
    assert torch.equal(expected, streamed)
    assert len(capsys.readouterr().out.split()) > 3


@CASE
def test_nothing_is_left_behind(name, method):
    model, _, batch = oracles.built(name)
    before = model(**batch).logits
    tables = [dict(t._global_mapping) for t in (AttentionInterface, AttentionMaskInterface)]
    with method(model):
        changed = model(**batch).logits
        generate(model, batch)
    assert not torch.equal(changed, before)

    class StopHereError(Exception):
        pass

    def interrupted():
        with method(model):
            generate(model, batch)
            raise StopHereError

    with pytest.raises(StopHereError):
        interrupted()
    assert torch.equal(model(**batch).logits, before)
    assert [dict(t._global_mapping) for t in (AttentionInterface, AttentionMaskInterface)] == tables
    assert "generate" not in vars(model)
    for part in (model, ModelView.of(model).language_model):
        assert not part._forward_hooks
        assert not part._forward_pre_hooks
    assert all(not p.requires_grad for p in model.parameters())


def test_an_error_inside_the_forward_restores_too():
    model, _, batch = oracles.built("llava")
    before = model(**batch).logits

    class Broken(Method):
        def score_bias(self, call, scores):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), Broken()(model):
        model(**batch)
    assert torch.equal(model(**batch).logits, before)


@METHOD
def test_no_state_leaks_from_one_generation_to_the_next(method):
    model, processor, _ = oracles.built("llava-gqa")
    singles = list(one_by_one("llava-gqa", model, processor))
    fresh = []
    for single in singles:
        with method(model):
            fresh.append(generate(model, single))
    with method(model):
        for single, expected in zip(singles, fresh, strict=True):
            assert torch.equal(generate(model, single), expected)


@CASE
def test_a_second_question_on_the_same_cache(name, method):
    """Turn two on the first turn's cache says what one prompt with both turns would say."""
    model, _, batch = oracles.built(name)
    single = {k: v[:0] if k == "none" else v for k, v in batch.items()}
    with method(model):
        first = generate(model, single, return_dict_in_generate=True)
        more = torch.randint(100, 150, (3, 4), generator=torch.Generator().manual_seed(1))
        ids = torch.cat([first.sequences, more], 1)
        mask = torch.ones_like(ids)
        mask[:, : batch["input_ids"].shape[1]] = batch["attention_mask"]
        turn = {"input_ids": ids, "attention_mask": mask}
        if name in families.Q_FORMERS:  # their generate cannot do without
            turn["pixel_values"] = batch["pixel_values"]
            turn |= {key: value for key, value in batch.items() if key.startswith("qformer")}
        second = generate(
            model,
            turn,
            **{CACHE: first[CACHE]},
            return_dict_in_generate=True,
            output_logits=True,
        )
    assert second.sequences.shape[1] == ids.shape[1] + STEPS
    if method == METHODS[1]:  # every row is treated alike, so one long prompt is a fair reference
        extra = (
            {
                "mm_token_type_ids": torch.nn.functional.pad(
                    batch["mm_token_type_ids"], (0, ids.shape[1] - batch["input_ids"].shape[1])
                )
            }
            if "mm_token_type_ids" in batch
            else {}
        )
        with method(model):
            whole = generate(
                model, {**batch, **turn, **extra}, return_dict_in_generate=True, output_logits=True
            )
        for ours, theirs in zip(second.logits, whole.logits, strict=True):
            assert (ours - theirs).abs().max() < 1e-3


def test_one_session_a_model():
    model, _, _ = oracles.built("llava")
    with AttentionLens()(model), pytest.raises(EngineError, match="already in a session"):  # noqa: SIM117
        with FarSight()(model):
            pass
    with FarSight()(model):
        pass


def test_a_cache_from_outside_is_refused():
    model, _, batch = oracles.built("llava")
    cache = model(**batch)[CACHE]
    step = {"input_ids": torch.tensor([[7], [7], [7]]), CACHE: cache}
    with AttentionLens()(model), pytest.raises(EngineError, match="outside this session"):
        model(**step)
    with AttentionLens()(model), pytest.raises(EngineError, match="outside this session"):
        model.generate(**step)


def test_ways_of_decoding_that_cannot_be_right_are_refused():
    model, _, batch = oracles.built("llava")
    single = {name: value[:1] for name, value in batch.items()}
    with AttentionLens()(model), pytest.raises(EngineError, match="works on one new token"):
        generate(model, single, prompt_lookup_num_tokens=3)
    with FarSight()(model, readout=True), pytest.raises(EngineError, match="use_cache"):
        generate(model, single, use_cache=False)


def test_assisted_decoding_is_right_where_every_row_is_treated_alike():
    model, processor, _ = oracles.built("llava")
    single = next(one_by_one("llava", model, processor))
    with FarSight(sigma=0.1)(model):
        expected = generate(model, single)
        assert torch.equal(generate(model, single, prompt_lookup_num_tokens=2), expected)


def test_a_family_that_the_hooks_do_not_reach_is_not_silently_plain():
    model, _ = families.build("llava")
    batch = oracles.built("llava")[2]

    def elsewhere(**kwargs):
        return kwargs["input_ids"]

    model.generate = elsewhere
    with AttentionLens()(model), pytest.raises(EngineError, match="no effect"):
        model.generate(**batch)
    assert model.generate is elsewhere


def test_a_text_only_decoder_takes_its_image_columns_from_the_caller():
    """The same decoder, driven by embeddings, says what it says inside its VLM."""
    model, _, batch = oracles.built("llava")
    method = AttentionLens(alpha=0.55, layers=(3, 3)) + FarSight(sigma=0.3)
    with method(model):
        expected = model(**batch).logits[:, -1]
    text = LlamaForCausalLM(model.config.text_config).eval()
    text.model.load_state_dict(model.model.language_model.state_dict())
    text.lm_head.load_state_dict(model.lm_head.state_dict())
    columns = batch["input_ids"] == model.config.image_token_id
    embeds = model.get_input_embeddings()(batch["input_ids"])
    embeds[columns] = torch.cat(list(ModelView.of(model).encode_images(**batch).pooler_output))
    inputs = {"inputs_embeds": embeds, "attention_mask": batch["attention_mask"]}
    with method(text, image_columns=columns):
        assert (text(**inputs).logits[:, -1] - expected).abs().max() < 1e-4
        assert text.generate(**inputs, max_new_tokens=3, pad_token_id=0).shape == (3, 3)
    with method(text, image_columns=columns[:, 1:]), pytest.raises(InputError, match="shape"):
        text(**inputs)
    with method(text, image_columns=columns & False), pytest.raises(InputError, match="no column"):
        text(**inputs)
    with pytest.raises(ModelError, match="no vision"):
        method(text)


def test_layers_outside_the_model_are_refused_by_name():
    model, _, _ = oracles.built("llava")
    with pytest.raises(MethodError, match=r"layer 9 is outside the model.*0 to 3"):
        AttentionLens(layers=(2, 9))(model)


def test_a_composition_means_the_same_in_any_order():
    assert AttentionLens() + FarSight() == FarSight() + AttentionLens()
    assert repr(FarSight() + AttentionLens(alpha=0.4)) == "attention-lens(alpha=0.4) + farsight"
    with pytest.raises(MethodError, match="twice"):
        AttentionLens() + AttentionLens(alpha=0.3)


# Qwen2.5-VL's bare forward numbers positions by a rule of its own.
@pytest.mark.parametrize("name", [f for f in families.FAMILIES if f != "qwen2.5-vl"])
def test_forwards_by_hand_are_generation(name):
    """Prefill and single steps called by hand say what generate says."""
    model, _, batch = oracles.built(name)
    method = AttentionLens(layers=(0, 3)) + FarSight(sigma=0.1) + AGLA()
    with method(model):
        expected = generate(model, batch)[:, batch["input_ids"].shape[1] :]
        mask = batch["attention_mask"]
        position = (mask.cumsum(-1) - 1).clamp(min=0)
        out = model(**batch, position_ids=position)
        for token in expected.T:
            assert torch.equal(out.logits[:, -1].argmax(-1), token)
            mask = torch.cat([mask, mask.new_ones(3, 1)], 1)
            position = position[:, -1:] + 1
            out = model(
                input_ids=token[:, None],
                attention_mask=mask,
                position_ids=position,
                **{CACHE: out[CACHE]},
            )


@FAMILY
def test_bfloat16_runs_and_stays_near(name):
    model, _, batch = oracles.built(name, torch.bfloat16)
    for method in METHODS:
        with method(model):
            logits = model(**batch).logits[:, -1]
        assert not logits.isnan().any()
