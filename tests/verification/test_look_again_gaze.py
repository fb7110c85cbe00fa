"""Where the model looked again goes with each word that was asked after, said or withheld."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

import seesay
from seesay import pipeline, toy
from seesay.models.image_geometry import patch_grids
from seesay.models.processors import inputs_for
from seesay.pictures import open_picture

PICTURES = [f"toy:broken/{seed}" for seed in range(12)]
SURE = "look-again(threshold=0.5, evidence=self-check)"


@pytest.fixture(scope="module")
def vlm():
    return seesay.load()


def words(seen):
    return [*seen.mentions, *(one.mention for one in seen.withheld)]


@cache
def eager():
    model = seesay.load().model
    model.set_attn_implementation("eager")
    return model


def oracle(vlm, picture, name):
    """The question as a prompt of its own: one row of its eager maps, laid on the patch grid."""
    image = open_picture(picture).image
    inputs = inputs_for(vlm.model, vlm.processor, [image], toy.question(name))
    with torch.no_grad():
        maps = eager()(**inputs, output_attentions=True).attentions
    middle = range(5 * len(maps) // 32, 18 * len(maps) // 32 + 1)
    ids = inputs["input_ids"][0].tolist()
    place = ids.index(vlm.processor.tokenizer.convert_tokens_to_ids(f"Ġ{name}"))
    row = torch.stack([maps[layer][0, :, place].mean(0) for layer in middle]).mean(0)
    seen = row[vlm.view.image_columns(**inputs)[0]]
    return seen[patch_grids(vlm.view, inputs, [image])[0].cells].numpy()


@pytest.mark.parametrize("how", [{"method": SURE}, {"self_check": True}], ids=["looked", "checked"])
def test_it_is_the_objects_row_in_the_question_asked_afresh(vlm, how):
    told = vlm.describe(PICTURES, **how)
    withheld = 0
    for picture, seen in zip(PICTURES, told, strict=True):
        withheld += len(seen.withheld)
        for mention in words(seen):
            wanted = oracle(vlm, picture, mention.name)
            assert mention.heatmap_again.shape == mention.heatmap.shape
            assert mention.heatmap_again == pytest.approx(wanted, abs=1e-5)
            assert not np.allclose(mention.heatmap_again, mention.heatmap, atol=1e-3)
    assert bool(withheld) == ("method" in how)


def test_streaming_and_writing_anew_keep_it(vlm):
    parts, some = 0, [PICTURES[k] for k in (0, 4, 8)]
    for picture in some:
        shown = []
        seen = vlm.describe(picture, method=SURE, on_text=lambda _, its, to=shown: to.append(its))
        whole = {m.name: m.heatmap_again for m in words(vlm.describe(picture, method=SURE))}
        for mention in [*words(seen), *(m for its in shown for m in its)]:
            assert mention.heatmap_again == pytest.approx(whole[mention.name], abs=1e-5)
        parts += len(shown) - 1
    assert parts, "some sentence must be shown before the end"
    some.append("toy:broken/9000000")
    again = vlm.describe(some, method="look-again(mode=rewrite, evidence=self-check)")
    assert any(one.forbidden for seen in again for one in seen.withheld)
    assert all(m.heatmap_again is not None for seen in again for m in words(seen))


def test_a_given_text_has_it_too(vlm):
    seen = vlm.audit(PICTURES[0], "A boat next to a ball.", self_check=True)
    assert [m.name for m in seen.mentions] == ["boat", "ball"]
    for mention in seen.mentions:
        wanted = oracle(vlm, PICTURES[0], mention.name)
        assert mention.heatmap_again == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("method", ["plain", "look-again(evidence=risk)"])
def test_where_nothing_is_asked_there_is_none(vlm, method):
    for seen in vlm.describe(PICTURES, method=method):
        assert all(m.heatmap_again is None and m.heatmap is not None for m in words(seen))


def test_where_the_patch_order_is_unknown_there_is_none_and_nothing_is_spent(vlm, monkeypatch):
    from seesay.engine import prefix

    def refuse(*_):
        raise AssertionError("a gaze that nobody can draw was taken")

    monkeypatch.setattr(pipeline, "patch_grids", lambda view, inputs, images: [None] * len(images))
    monkeypatch.setattr(prefix, "Gaze", refuse)
    seen = vlm.describe(PICTURES[0], self_check=True)
    assert all("self_check" in m.scores and m.heatmap_again is None for m in seen.mentions)


def test_json_holds_no_heat_maps(vlm):
    seen = vlm.describe(PICTURES[0], self_check=True)
    assert not any("heatmap" in key for key in seen.mentions[0].to_dict())
