"""A gated method acts in the steps and rows that are in doubt, and nowhere else."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

import pytest
import torch

import families
import oracles
from families import CACHE
from seesay.engine import Method, parse
from seesay.engine.method import VERBS
from seesay.errors import EngineError, MethodError
from seesay.methods import AGLA, AttentionLens, FarSight, Gate

FAMILY = pytest.mark.parametrize("name", ["llava", "llava-gqa", "qwen2.5-vl"])
INNER = pytest.mark.parametrize(
    "inner", [AttentionLens(alpha=1.0, layers=(0, 3)), FarSight(sigma=0.05), AGLA()], ids=repr
)
STEPS = 4
RECORD = {
    "max_new_tokens": STEPS,
    "do_sample": False,
    "return_dict_in_generate": True,
    "output_logits": True,
}


@FAMILY
@INNER
def test_always_in_doubt_is_the_method_and_never_is_plain(name, inner):
    model, _, batch = oracles.built(name)
    plain = model.generate(**batch, **RECORD)
    with inner(model):
        ungated = model.generate(**batch, **RECORD)
    with Gate(inner, below=1.0)(model, readout=True) as session:
        always = model.generate(**batch, **RECORD)
        assert (session.record.acted == 1).all()
    with Gate(inner, below=0.0)(model):
        never = model.generate(**batch, **RECORD)
    assert torch.equal(always.sequences, ungated.sequences)
    for ours, theirs in zip(always.logits, ungated.logits, strict=True):
        assert torch.equal(ours.isfinite(), theirs.isfinite())
        assert (ours - theirs)[ours.isfinite()].abs().max() < 1e-3
    for ours, theirs in zip(never.logits, plain.logits, strict=True):
        assert torch.equal(ours, theirs)


@FAMILY
@INNER
@pytest.mark.parametrize("beams", [1, 3])
def test_rows_of_a_batch_are_gated_each_on_its_own(name, inner, beams):
    model, processor, batch = oracles.built(name)
    first = torch.stack(model.generate(**batch, **RECORD).logits)
    sure = first.softmax(-1).amax(-1).flatten().sort().values
    # Between two values that occur, so that rounding cannot move a step across the threshold.
    method = Gate(inner, below=float(sure[len(sure) // 2 - 1 : len(sure) // 2 + 1].mean()))
    texts = ["what is in the picture ?", "how many people are in this and that image ?", "a dog"]
    pictures = [families.pictures(1), families.pictures(2, seed=1), families.pictures(1, seed=3)]
    options = {"max_new_tokens": STEPS, "do_sample": False, "num_beams": beams}
    with method(model, readout=True) as session:
        together = model.generate(**batch, **options)[:, batch["input_ids"].shape[1] :]
        acted, var = session.record.acted, session.record.var
        for row, (text, picture) in enumerate(zip(texts, pictures, strict=True)):
            single = families.inputs(name, model, processor, [text], [picture])
            alone = model.generate(**single, **options)[:, single["input_ids"].shape[1] :]
            assert torch.equal(alone[0], together[row])
            assert torch.equal(session.record.acted[0], acted[row])
            assert (session.record.var[0] - var[row]).abs().max() < 1e-4
    if beams == 1:
        assert 0 < acted.mean() < 1, "both kinds of step must occur here"


def test_a_sure_step_keeps_the_plain_cache():
    """After a generation in which the gate was open at no step, the cache is the plain one."""
    model, _, batch = oracles.built("llava")
    single = {key: value[2:] for key, value in batch.items() if key != "pixel_values"}
    single["pixel_values"] = batch["pixel_values"][3:]
    plain = model(**single)
    sure = float(plain.logits[0, -1].softmax(-1).max())
    for below, moved in ((sure - 1e-4, False), (sure + 1e-4, True)):
        with Gate(AttentionLens(alpha=1.0, layers=(0, 3)), below=below)(model):
            out = model(**single)
        same = torch.equal(out.logits[:, -1], plain.logits[:, -1])
        assert same is not moved
        keys = out[CACHE].layers[3].keys
        assert keys.shape == plain[CACHE].layers[3].keys.shape
        assert torch.equal(keys, plain[CACHE].layers[3].keys) is not moved


def test_gates_are_written_like_any_method():
    method = Gate(AGLA(alpha=1.0), below=0.8)
    assert repr(method) == "gate(method=agla(alpha=1.0), below=0.8)"
    assert parse(repr(method)) == method
    assert parse("gate(agla(alpha=1.0), below=0.8) + farsight") == method + FarSight()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("gate", "method is missing"),
        ("gate(below=0.5)", "method is missing"),
        ("gate(agla, below=2)", "from 0 to 1"),
        ("gate(gate(agla))", "one method"),
        ("gate(agla, farsight)", "fields go by name"),
        ("gate(agal)", "did you mean agla"),
        ("farsight(agla)", "unknown field"),
    ],
)
def test_gates_that_cannot_be(text, reason):
    with pytest.raises(MethodError, match=reason):
        parse(text)


def test_a_step_that_cannot_be_taken_back_is_refused():
    model, _, batch = oracles.built("llava")
    with Gate(FarSight(), below=1.0)(model), pytest.raises(EngineError, match="dynamic cache"):
        model.generate(**batch, **RECORD, cache_implementation="static")
    with Gate(AGLA(), below=0.5)(model):
        greedy = model.generate(**batch, **RECORD)
        static = model.generate(**batch, **RECORD, cache_implementation="static")
    assert torch.equal(greedy.sequences, static.sequences)


@pytest.mark.parametrize("verb", VERBS)
def test_a_wrapper_passes_every_verb_on(verb):
    """Those that come later too: each is called on the inner method, with what it was given."""
    called = []

    @dataclass(frozen=True, repr=False)
    class Inner(Method):
        pass

    setattr(Inner, verb, lambda self, *given: called.append(given) or "found")
    wrapped = Gate(Inner())
    count = len(inspect.signature(getattr(Method, verb)).parameters) - 1
    assert getattr(wrapped, verb)(*range(count)) == "found"
    assert called == [tuple(range(count))]
    assert wrapped.overrides(verb)
