"""Without a method, or at strength 0, the model is bit for bit the untouched one; a readout moves
it by no more than rounding."""

from __future__ import annotations

from functools import cache

import pytest
import torch

import families
import oracles
from seesay.engine import Stack
from seesay.methods import AGLA, AttentionLens, FarSight

NOTHING = [
    Stack(),
    AttentionLens().at_zero() + FarSight().at_zero() + AGLA().at_zero(),
]
DECODING = {
    "greedy": {"do_sample": False},
    "sampling": {"do_sample": True, "top_p": 0.9, "temperature": 0.8},
    "beams": {"num_beams": 4, "do_sample": False},
    "static": {"do_sample": False, "cache_implementation": "static"},
    "sequences": {"do_sample": True, "num_return_sequences": 2},
}
STEPS = 4


def generate(model, batch, **kwargs):
    torch.manual_seed(0)
    return model.generate(
        **batch,
        max_new_tokens=STEPS,
        return_dict_in_generate=True,
        output_logits=True,
        **kwargs,
    )


@cache
def untouched_by(decoding, name):
    model, _, batch = oracles.built(name)
    return generate(model, batch, **DECODING[decoding])


@pytest.mark.parametrize("decoding", DECODING)
@pytest.mark.parametrize("name", families.ALL)
def test_generation_is_bit_equal(name, decoding):
    model, _, batch = oracles.built(name)
    untouched = untouched_by(decoding, name)
    for method in NOTHING:
        with method(model):
            ours = generate(model, batch, **DECODING[decoding])
        assert torch.equal(ours.sequences, untouched.sequences)
        for mine, theirs in zip(ours.logits, untouched.logits, strict=True):
            assert torch.equal(mine, theirs)


@pytest.mark.parametrize("decoding", DECODING)
@pytest.mark.parametrize("name", families.ALL)
def test_a_readout_changes_no_more_than_rounding(name, decoding):
    """A decoded row that is read out is computed in plain torch, not by the fused kernel."""
    model, _, batch = oracles.built(name)
    untouched = untouched_by(decoding, name)
    with Stack()(model, readout=True):
        ours = generate(model, batch, **DECODING[decoding])
    assert torch.equal(ours.sequences, untouched.sequences)
    assert torch.equal(ours.logits[0], untouched.logits[0])
    for mine, theirs in zip(ours.logits, untouched.logits, strict=True):
        assert (mine - theirs).abs().max() < 1e-4


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", families.ALL)
def test_a_forward_is_bit_equal(name, dtype):
    model, _, batch = oracles.built(name, dtype)
    untouched = model(**batch).logits
    for method in NOTHING:
        with method(model, readout=True):
            assert torch.equal(model(**batch).logits, untouched)
        assert torch.equal(model(**batch).logits, untouched)


@pytest.mark.parametrize("name", families.ALL)
def test_eager_models_stay_eager(name):
    model, _, batch = oracles.built(name)
    decoder = model.get_decoder()
    decoder.set_attn_implementation("eager")
    try:
        untouched = model(**batch).logits
        with Stack()(model, readout=True):
            assert torch.equal(model(**batch).logits, untouched)
        assert decoder.config._attn_implementation == "eager"
        with AttentionLens()(model):
            eager = model(**batch).logits[:, -1]  # rows of padding differ freely
    finally:
        decoder.set_attn_implementation("sdpa")
    with AttentionLens()(model):
        assert (model(**batch).logits[:, -1] - eager).abs().max() < 1e-4
