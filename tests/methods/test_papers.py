"""Each method in a whole model against the naive oracle of its equation, to 1e-5 and far below."""

from __future__ import annotations

import pytest
import torch

import families
import oracles
from seesay.engine import Method
from seesay.methods import AttentionLens, FarSight
from seesay.models.view import ModelView

STEPS = 5
GREEDY = {
    "max_new_tokens": STEPS,
    "min_new_tokens": STEPS,
    "do_sample": False,
    "return_dict_in_generate": True,
    "output_logits": True,
}


def _run(name: str, method: Method):
    """In float64, so that agreement means the same formula and not the same rounding."""
    model, _, batch = oracles.built(name, torch.float64)
    with method(model):
        out = model.generate(**batch, **GREEDY)
    return model, batch, out.sequences, torch.stack(out.logits, 1).double()


def _image(model, sequences):
    return ModelView.of(model).image_columns(sequences)


@pytest.mark.parametrize("name", families.ALL)
def test_the_naive_model_is_the_model(name):
    from seesay.engine import Stack

    model, batch, sequences, logits = _run(name, Stack())
    naive = oracles.naive_logits(model, batch, sequences[:, :-1], oracles.plain)
    assert (naive[:, -STEPS:] - logits).abs().max() < 1e-5


@pytest.mark.parametrize("name", families.ALL)
def test_attention_lens_equals_its_equation(name):
    model, batch, sequences, logits = _run(name, AttentionLens(alpha=0.7, layers=(0, 3)))
    sequences = sequences[:, :-1]
    oracle = oracles.attention_lens(0.7, _image(model, sequences), batch["input_ids"].shape[1] - 1)
    naive = oracles.naive_logits(model, batch, sequences, oracle)[:, -STEPS:]
    plain = oracles.naive_logits(model, batch, sequences, oracles.plain)[:, -STEPS:]
    assert (naive - logits).abs().max() < 1e-5
    assert (naive - plain).abs().max() > 1e-2, "the method must have done something here"


@pytest.mark.parametrize("name", families.ALL)
@pytest.mark.parametrize("registers", ["infinite", 3])
def test_farsight_equals_its_equation(name, registers):
    model, batch, sequences, logits = _run(name, FarSight(sigma=0.2, registers=registers))
    # exp(−0.2 · 400) is far below float64's rounding: 400 columns are infinitely many.
    oracle = oracles.farsight(0.2, 400 if registers == "infinite" else registers)
    naive = oracles.naive_logits(model, batch, sequences[:, :-1], oracle)[:, -STEPS:]
    plain = oracles.naive_logits(model, batch, sequences[:, :-1], oracles.plain)[:, -STEPS:]
    assert (naive - logits).abs().max() < 1e-5
    assert (naive - plain).abs().max() > 1e-2


@pytest.mark.parametrize("name", families.ALL)
def test_square_farsight_equals_its_equation(name):
    model, batch, sequences, logits = _run(name, FarSight(sigma=0.1, registers="square"))
    oracle = oracles.farsight_square(0.1, batch["input_ids"].shape[1])
    naive = oracles.naive_logits(model, batch, sequences[:, :-1], oracle)[:, -STEPS:]
    assert (naive - logits).abs().max() < 1e-5


def test_infinite_registers_come_near_the_paper_but_for_the_last_rows():
    from seesay.methods.farsight import sink_logit

    exact = [sink_logit(0.8, float(r)) for r in range(1, 200)]
    infinite = sink_logit(0.8, float("inf"))
    assert all(abs(value - infinite) < 1e-3 for value in exact[9:])
    assert abs(exact[3] - infinite) > 1e-3
