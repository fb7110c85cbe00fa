"""A second stream is a second model run: the same logits as two runs without any cache, folded."""

from __future__ import annotations

import pytest
import torch

import families
import oracles
from seesay.engine import Method, Stack
from seesay.engine.state import Prompt
from seesay.errors import EngineError
from seesay.methods import AGLA
from seesay.methods.agla.matching import (
    Match,
    keep_mask,
    masked_pixels,
    match_by_attention,
    relevance_map,
)
from seesay.models import patch_layout
from seesay.models.view import ModelView

FAMILY = pytest.mark.parametrize("name", families.FAMILIES)
RECORD = {"return_dict_in_generate": True, "output_logits": True, "do_sample": False}


@FAMILY
def test_agla_is_two_runs_folded(name):
    model, _, batch = oracles.built(name, torch.float64)
    method = AGLA(alpha=1.5, beta=0.05)
    with method(model) as session:
        out = model.generate(**batch, max_new_tokens=5, **RECORD)
        masked = {**batch, **session.run.overrides[method]}
    seen = out.sequences[:, :-1]
    plain = oracles.naive_logits(model, batch, seen, oracles.plain)[:, -5:]
    other = oracles.naive_logits(model, masked, seen, oracles.plain)[:, -5:]
    expected = oracles.agla_fold(plain, other, 1.5, 0.05)
    ours = torch.stack(out.logits, 1).double()
    assert torch.equal(ours.isfinite(), expected.isfinite())
    kept = expected.isfinite()
    assert (ours - expected)[kept].abs().max() < 1e-5
    assert (plain - other).abs().max() > 1e-2, "the masked picture must matter here"


@pytest.mark.parametrize("name", families.ALL)
def test_each_stream_keeps_its_own_cache(name):
    """The mask that never changes anything gives twice the plain logits, to the last token."""
    model, _, batch = oracles.built(name)

    class Same(Method):
        def second_input(self, prompt):
            return {"pixel_values": prompt.inputs["pixel_values"]}

        def logits_term(self, plain, own, run):
            return own

    plain = model.generate(**batch, max_new_tokens=5, **RECORD)
    with Same()(model):
        out = model.generate(**batch, max_new_tokens=5, **RECORD)
    assert torch.equal(out.sequences, plain.sequences)
    for ours, theirs in zip(out.logits, plain.logits, strict=True):
        assert (ours - 2 * theirs).abs().max() < 1e-3


@FAMILY
def test_masked_pixels_blacken_the_least_relevant_share(name):
    model, processor, batch = oracles.built(name)
    view = ModelView.of(model, processor)
    columns = view.image_columns(**batch)
    relevance = torch.rand(columns.shape, generator=torch.Generator().manual_seed(0)) * columns
    prompt = Prompt(view, batch, columns)
    similarity = torch.tensor([0.6, 1.0, 0.0])
    changed = {**batch, **masked_pixels(prompt, Match(relevance, similarity))}
    black = patch_layout.black(view)
    pictures = zip(patch_layout.split(view, batch), patch_layout.split(view, changed), strict=True)
    for (before, after), share in zip(pictures, (0.3, 0.5, 0.5, 0.0), strict=True):
        total = masked = 0
        for tile, other in zip(before, after, strict=True):
            top, left, bottom, right = tile.box
            differs = (tile.pixels != other.pixels).any(0)
            inside = differs[top:bottom, left:right]
            assert int(differs.sum()) == int(inside.sum()), "padding stays as it was"
            assert torch.allclose(other.pixels[:, differs].T, black.to(other.pixels), atol=1e-6)
            total, masked = total + inside.numel(), masked + int(inside.sum())
        assert abs(masked / total - share) < 0.02


def test_a_constant_map_masks_nothing_and_ties_stay():
    assert keep_mask(torch.ones(4, 4), 0.5).all()
    tied = torch.tensor([3.0, 1.0, 1.0, 1.0, 0.0])
    assert keep_mask(tied, 0.4).tolist() == [True, True, True, True, False]
    assert keep_mask(torch.arange(10.0), 0.5).sum() == 6  # the k-th value, counted from 0, stays


def test_a_relevance_map_stays_in_range_and_in_place():
    cells = torch.zeros(6, 6)
    cells[1, 4] = 1.0
    smooth = relevance_map(cells, 60, 60)
    assert smooth.min() >= 0
    assert smooth.max() <= 1
    top, left = divmod(int(smooth.argmax()), 60)
    assert 10 <= top < 20
    assert 40 <= left < 50


def test_a_prompt_without_a_picture_is_the_plain_model():
    model, processor, _ = oracles.built("llava")
    batch = families.inputs("llava", model, processor, ["a dog"], [[]])
    plain = model.generate(**batch, max_new_tokens=4, do_sample=False)
    with AGLA()(model):
        assert torch.equal(model.generate(**batch, max_new_tokens=4, do_sample=False), plain)


def test_another_geometry_is_refused():
    model, _, batch = oracles.built("llava")

    class Squashed(AGLA):
        def second_input(self, prompt):
            return {"pixel_values": prompt.inputs["pixel_values"][..., :16]}

    with Squashed()(model), pytest.raises((EngineError, ValueError)):
        model.generate(**batch, max_new_tokens=2)


def test_the_matcher_leaves_parameters_as_they_were():
    model, _ = families.build("llava")
    batch = families.batch_of_three("llava", model, oracles.built("llava")[1])
    model.requires_grad_(True)
    with torch.inference_mode(), AGLA()(model):
        model.generate(**{k: v.clone() for k, v in batch.items()}, max_new_tokens=2)
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


def test_training_under_a_second_stream_is_refused():
    model, _, batch = oracles.built("llava")
    with AGLA()(model), pytest.raises(EngineError, match="labels"):
        model(**batch, labels=batch["input_ids"])


def test_hidden_states_are_the_first_streams():
    model, _, batch = oracles.built("llava")
    plain = model(**batch, output_hidden_states=True)
    with (AGLA() + Stack())(model):
        out = model(**batch, output_hidden_states=True)
    for ours, theirs in zip(out.hidden_states, plain.hidden_states, strict=True):
        assert ours.shape == theirs.shape
        assert (ours - theirs)[:, -1].abs().max() < 1e-4


@FAMILY
def test_the_self_matcher_reads_the_middle_layer(name):
    """Its similarity is the text's attention share on the picture, from transformers' own maps."""
    model, processor, batch = oracles.built(name)
    view = ModelView.of(model, processor)
    columns = view.image_columns(**batch)
    found = match_by_attention(Prompt(view, batch, columns))
    decoder = model.get_decoder()
    decoder.set_attn_implementation("eager")
    try:
        middle = model(**batch, output_attentions=True).attentions[view.n_layers // 2]
    finally:
        decoder.set_attn_implementation("sdpa")
    for row, image in enumerate(columns):
        first = int(image.nonzero()[0])
        text = [i for i in range(first, len(image)) if not image[i]]
        share = middle[row][:, text][:, :, image].sum(-1).mean()
        assert abs(float(found.similarity[row]) - float(share)) < 1e-5
        assert 0 < share < 1
        assert (found.relevance[row][~image] == 0).all()
        assert found.relevance[row].max() > 0
