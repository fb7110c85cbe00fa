"""Methods that users compare with, held to naive versions of their equations."""

from __future__ import annotations

import math

import pytest
import torch

import families
import oracles
from families import CACHE
from seesay.engine import parse
from seesay.errors import EngineError, MethodError
from seesay.methods import AGLA, PAI, VCD
from seesay.methods.vcd import kept_signal, noised
from seesay.models import patch_layout
from seesay.models.view import ModelView

FAMILY = pytest.mark.parametrize("name", families.FAMILIES)
RECORD = {"return_dict_in_generate": True, "output_logits": True, "do_sample": False}
NEW = 5


def generated(model, batch, method, **kwargs):
    """The output of a generation, and the inputs that differed in each second stream."""
    with method(model) as session:
        out = model.generate(**batch, max_new_tokens=NEW, **RECORD, **kwargs)
        return out, dict(session.run.overrides)


def cut(fused, plain, beta):
    floor = plain.max(-1, keepdim=True).values + math.log(beta)
    return fused.masked_fill(plain < floor, -math.inf)


def assert_same(ours, expected):
    ours = torch.stack(ours, 1).double()
    assert torch.equal(ours.isfinite(), expected.isfinite())
    kept = expected.isfinite()
    assert (ours - expected)[kept].abs().max() < 1e-5


# ---- VCD -----------------------------------------------------------------------------------


@FAMILY
def test_vcd_is_two_runs_folded(name):
    """(1 + α)·l − α·l', each stream a run of its own without a cache."""
    model, _, batch = oracles.built(name, torch.float64)
    method = VCD(alpha=1.5, beta=0.05, noise_step=700)
    out, given = generated(model, batch, method)
    seen = out.sequences[:, :-1]
    plain = oracles.naive_logits(model, batch, seen, oracles.plain)[:, -NEW:]
    noisy = oracles.naive_logits(model, {**batch, **given[method]}, seen, oracles.plain)[:, -NEW:]
    assert_same(out.logits, cut(2.5 * plain - 1.5 * noisy, plain, 0.05))
    assert (plain - noisy).abs().max() > 1e-2, "the noise must matter here"


def test_the_noise_schedule_is_the_published_one():
    rates = [1e-5 + (5e-3 - 1e-5) / (1 + math.exp(-(-6 + 12 * t / 999))) for t in range(1000)]
    for step in (0, 1, 500, 1000):
        assert kept_signal(step) == pytest.approx(math.prod(1 - r for r in rates[:step]), rel=1e-9)
    assert kept_signal(0) == 1
    assert kept_signal(500) == pytest.approx(0.75, abs=0.01)
    pixels, noise = torch.full((2, 3), 2.0), torch.full((2, 3), -1.0)
    half = kept_signal(600)
    expected = 2 * math.sqrt(half) - math.sqrt(1 - half)
    assert torch.allclose(noised(pixels, noise, 600), torch.full((2, 3), expected))


@FAMILY
def test_noise_has_its_size_and_leaves_padding_alone(name):
    model, processor, batch = oracles.built(name)
    view = ModelView.of(model, processor)
    _, given = generated(model, batch, VCD(noise_step=1000))
    changed = {**batch, **given[VCD(noise_step=1000)]}
    signal = kept_signal(1000)
    noise = []
    for before, after in zip(
        patch_layout.split(view, batch), patch_layout.split(view, changed), strict=True
    ):
        for tile, other in zip(before, after, strict=True):
            top, left, bottom, right = tile.box
            rest = other.pixels - signal**0.5 * tile.pixels
            noise.append(rest[:, top:bottom, left:right].flatten() / (1 - signal) ** 0.5)
            untouched = (tile.pixels == other.pixels).all(0)
            untouched[top:bottom, left:right] = True
            assert untouched.all()
    noise = torch.cat(noise)
    assert abs(noise.mean()) < 0.1
    assert abs(noise.std() - 1) < 0.1


def test_noise_comes_from_the_seed_alone():
    model, _, batch = oracles.built("llava")
    torch.manual_seed(1)
    _, first = generated(model, batch, VCD())
    torch.manual_seed(2)
    before = torch.get_rng_state()
    _, second = generated(model, batch, VCD())
    assert torch.equal(torch.get_rng_state(), before)
    pixels, again = (next(iter(g.values()))["pixel_values"] for g in (first, second))
    assert torch.equal(pixels, again)
    _, third = generated(model, batch, VCD(seed=1))
    assert not torch.equal(pixels, third[VCD(seed=1)]["pixel_values"])
    rest = (pixels - kept_signal(500) ** 0.5 * batch["pixel_values"]).flatten(1)
    assert torch.allclose(rest[0], rest[3], atol=1e-6), "alone or in a batch, the same noise"
    assert torch.allclose(rest[0], rest[1], atol=1e-6)
    assert not torch.allclose(rest[1], rest[2], atol=1e-2), "two pictures of one prompt differ"


# ---- PAI -----------------------------------------------------------------------------------


def pai_attention(alpha, image, first_row, start_layer, layers):
    """S += α·|S| on image columns of the rows that predict, from `start_layer` on."""
    layer = iter(range(layers))

    def attention(scores, open_, value):
        if next(layer) >= start_layer:
            rows = torch.arange(scores.shape[2]) >= first_row
            where = rows[None, None, :, None] & image[:, None, None, :]
            scores = scores + alpha * scores.abs() * where
        return oracles.plain(scores, open_, value)

    return attention


def closed_attention(image):
    """Image columns cannot be attended to, by any row of any layer."""

    def attention(scores, open_, value):
        return oracles.plain(scores, open_ & ~image[:, None, None, :], value)

    return attention


@pytest.mark.parametrize("name", families.ALL)
@pytest.mark.parametrize("static", [False, True])
def test_pai_is_a_boosted_run_against_one_without_image(name, static):
    model, processor, batch = oracles.built(name, torch.float64)
    kwargs = {"cache_implementation": "static"} if static else {}
    method = PAI(alpha=0.4, gamma=1.7, beta=0.05, start_layer=1)
    out, _ = generated(model, batch, method, **kwargs)
    seen = out.sequences[:, :-1]
    columns = ModelView.of(model, processor).image_columns(**batch)
    image = torch.nn.functional.pad(columns, (0, NEW - 1))
    boost = pai_attention(0.4, image, columns.shape[1] - 1, 1, families.LAYERS)
    seeing = oracles.naive_logits(model, batch, seen, boost)[:, -NEW:]
    blind = oracles.naive_logits(model, batch, seen, closed_attention(image))[:, -NEW:]
    assert_same(out.logits, cut(1.7 * seeing - 0.7 * blind, seeing, 0.05))
    assert (seeing - blind).abs().max() > 1e-2


def test_either_half_of_pai_can_be_off():
    model, _, batch = oracles.built("llava")
    boost, given = generated(model, batch, PAI(gamma=1.0))
    assert not given, "without the contrast there is no second stream"
    chunked, _ = generated(model, batch, PAI(gamma=1.0), prefill_chunk_size=7)
    assert torch.equal(boost.sequences, chunked.sequences)
    contrast, given = generated(model, batch, PAI(alpha=0.0, gamma=1.5))
    assert len(given) == 1
    assert not torch.equal(boost.logits[0], contrast.logits[0])
    plain = model.generate(**batch, max_new_tokens=NEW, **RECORD)
    off, given = generated(model, batch, PAI().at_zero())
    assert not given
    assert all(torch.equal(a, b) for a, b in zip(off.logits, plain.logits, strict=True))


def test_pai_by_hand_without_a_mask():
    model, processor, _ = oracles.built("llava")
    single = families.inputs("llava", model, processor, ["a dog"], [families.pictures(1)])
    method = PAI(gamma=2.0, beta=0.0)
    with method(model):
        expected = model(**single).logits
        del single["attention_mask"]
        assert torch.equal(model(**single).logits, expected)


def test_a_family_whose_positions_follow_the_mask_wants_them_given():
    model, _, batch = oracles.built("qwen2.5-vl")
    with PAI()(model), pytest.raises(EngineError, match="position_ids"):
        model(**batch)


def test_pai_layers_outside_the_model():
    model, _, _ = oracles.built("llava")
    with pytest.raises(MethodError, match="layer 9 is outside the model"):
        PAI(start_layer=9)(model)


# ---- together ------------------------------------------------------------------------------


@FAMILY
def test_three_second_streams_are_four_runs_and_one_cut(name):
    model, processor, batch = oracles.built(name, torch.float64)
    agla, pai = AGLA(alpha=0.5, beta=0.02), PAI(alpha=0, gamma=1.4, beta=0)
    vcd = VCD(alpha=0.7, beta=0.01, noise_step=900)
    out, given = generated(model, batch, agla + vcd + pai)
    seen = out.sequences[:, :-1]
    columns = ModelView.of(model, processor).image_columns(**batch)
    image = torch.nn.functional.pad(columns, (0, NEW - 1))
    runs = {
        "plain": (batch, oracles.plain),
        "agla": ({**batch, **given[agla]}, oracles.plain),
        "vcd": ({**batch, **given[vcd]}, oracles.plain),
        "pai": (batch, closed_attention(image)),
    }
    logits = {
        key: oracles.naive_logits(model, inputs, seen, attention)[:, -NEW:]
        for key, (inputs, attention) in runs.items()
    }
    plain = logits["plain"]
    fused = plain + 0.5 * logits["agla"]
    fused = fused + 0.7 * (plain - logits["vcd"]) + 0.4 * (plain - logits["pai"])
    assert_same(out.logits, cut(fused, plain, 0.02))


PEERS = ["vcd(noise_step=900)", "pai(gamma=1.5)", "agla(beta=0.1) + vcd(noise_step=900)"]


@FAMILY
@pytest.mark.parametrize("text", [*PEERS, "agla(beta=0.1) + pai(gamma=1.5) + vcd"])
@pytest.mark.parametrize("beams", [1, 2])
def test_batches_beams_and_static_caches(name, text, beams):
    """A padded batch of several pictures answers as its prompts alone, under any cache."""
    model, processor, batch = oracles.built(name)
    texts = ["what is in the picture ?", "how many people are in this and that image ?", "a dog"]
    images = [families.pictures(1), families.pictures(2, seed=1), families.pictures(1, seed=3)]
    settings = {"max_new_tokens": 4, "num_beams": beams, "do_sample": False}
    prompt = batch["input_ids"].shape[1]
    with parse(text)(model):
        together = model.generate(**batch, **settings)
        static = model.generate(**batch, **settings, cache_implementation="static")
        alone = []
        for words, pictures in zip(texts, images, strict=True):
            single = families.inputs(name, model, processor, [words], [pictures])
            out = model.generate(**single, **settings)
            alone.append(out[:, single["input_ids"].shape[1] :])
    assert torch.equal(together, static)
    assert torch.equal(together[:, prompt:], torch.cat(alone))


@pytest.mark.parametrize("text", ["vcd", "pai", "agla + pai + vcd"])
def test_a_prompt_without_a_picture_is_the_plain_model(text):
    model, processor, _ = oracles.built("llava")
    batch = families.inputs("llava", model, processor, ["a dog"], [[]])
    plain = model.generate(**batch, max_new_tokens=4, do_sample=False)
    with parse(text)(model):
        assert torch.equal(model.generate(**batch, max_new_tokens=4, do_sample=False), plain)


@pytest.mark.parametrize("text", ["vcd(beta=0)", "pai(alpha=0, beta=0, gamma=2)"])
def test_a_second_question_keeps_the_streams(text):
    model, _, batch = oracles.built("llava", torch.float64)
    method = parse(text)
    with method(model) as session:
        first = model.generate(**batch, max_new_tokens=3, **RECORD)
        ids = torch.cat([first.sequences, torch.full((3, 2), 110)], 1)
        mask = torch.ones_like(ids)
        mask[:, : batch["input_ids"].shape[1]] = batch["attention_mask"]
        turn = {"input_ids": ids, "attention_mask": mask}
        second = model.generate(**turn, **{CACHE: first[CACHE]}, max_new_tokens=2, **RECORD)
        given = session.run.overrides[method]
    seen = second.sequences[:, :-1]
    plain = oracles.naive_logits(model, batch, seen, oracles.plain)[:, -2:]
    if text.startswith("vcd"):
        other = oracles.naive_logits(model, {**batch, **given}, seen, oracles.plain)[:, -2:]
    else:
        columns = ModelView.of(model).image_columns(**batch)
        image = torch.nn.functional.pad(columns, (0, seen.shape[1] - columns.shape[1]))
        other = oracles.naive_logits(model, batch, seen, closed_attention(image))[:, -2:]
    assert_same(second.logits, 2 * plain - other)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("vcd(alpha=-1)", "alpha=-1 must be a finite number from 0"),
        ("vcd(noise_step=1001)", "noise_step=1001 must be a finite number from 0 to 1000"),
        ("vcd(noise_step=0.5)", "noise_step=0.5 must be a whole number"),
        ("vcd(seed=-1)", "seed=-1"),
        ("pai(gamma=0.9)", "gamma=0.9 must be a finite number from 1"),
        ("pai(start_layer=-1)", "start_layer=-1"),
        ("pai(beta=2)", "beta=2"),
    ],
)
def test_values_that_mean_nothing_are_refused(text, reason):
    with pytest.raises(MethodError, match=reason.replace(".", r"\.")):
        parse(text)
