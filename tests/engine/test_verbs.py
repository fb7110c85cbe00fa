"""The verbs that the three methods of today do not use, proved with small methods of their own."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

import families
import oracles
from seesay.engine import Method
from seesay.errors import MethodError
from seesay.methods import FarSight
from seesay.models.view import ModelView

FAMILY = pytest.mark.parametrize("name", families.ALL)
GREEDY = {
    "max_new_tokens": 4,
    "do_sample": False,
    "return_dict_in_generate": True,
    "output_logits": True,
}


@dataclass(frozen=True, repr=False)
class Broadcast(Method):
    """Head 2 gives its map to every head of layer 1 in even rows, while the prompt is read."""

    def acts_in(self, view):
        return [1]

    def shared_head(self, call):
        return torch.tensor([2 if row % 2 == 0 else -1 for row in range(len(call.query))])


@dataclass(frozen=True, repr=False)
class Scale(Method):
    """Keys of image columns count 1.5 times."""

    def key_scale(self, call):
        mask = call.image.mask[:, : call.key.shape[2]]
        wide = torch.nn.functional.pad(mask, (0, call.key.shape[2] - mask.shape[1]))
        return (1 + 0.5 * wide)[:, None].expand(-1, call.key.shape[1], -1)


@FAMILY
def test_a_broadcast_head_is_its_map_on_every_heads_values(name):
    model, _, batch = oracles.built(name, torch.float64)
    with Broadcast()(model):
        out = model.generate(**batch, **GREEDY)
    prompt = batch["input_ids"].shape[1]
    layer = iter(range(100))

    def attention(scores, open_, value):
        if next(layer) != 1:
            return oracles.plain(scores, open_, value)
        given = scores.clone()
        given[::2, :, :prompt] = scores[::2, 2:3, :prompt]
        return oracles.plain(given, open_, value)

    naive = oracles.naive_logits(model, batch, out.sequences[:, :-1], attention)[:, -4:]
    assert (torch.stack(out.logits, 1) - naive).abs().max() < 1e-5


@FAMILY
def test_scaled_keys_scale_scores(name):
    model, _, batch = oracles.built(name, torch.float64)
    with (Scale() + FarSight(sigma=0.3))(model):
        out = model.generate(**batch, **GREEDY)
    image = ModelView.of(model).image_columns(out.sequences[:, :-1])
    sink = oracles.farsight(0.3, 300)

    def attention(scores, open_, value):
        return sink(scores * (1 + 0.5 * image[:, None, None]), open_, value)

    naive = oracles.naive_logits(model, batch, out.sequences[:, :-1], attention)[:, -4:]
    assert (torch.stack(out.logits, 1) - naive).abs().max() < 1e-5


def test_row_blocks_are_the_softmax_map():
    model, _, batch = oracles.built("llava-gqa")
    seen = {}

    @dataclass(frozen=True, repr=False)
    class Look(Method):
        def shared_head(self, call):
            blocks = list(call.row_blocks(rows=5))
            assert [b.start for b, _ in blocks] == list(range(0, call.n_queries, 5))
            seen[call.layer] = torch.cat([weights for _, weights in blocks], dim=2)

    with Look()(model):
        model(**batch)
    decoder = model.get_decoder()
    decoder.set_attn_implementation("eager")
    try:
        maps = model(**batch, output_attentions=True).attentions
    finally:
        decoder.set_attn_implementation("sdpa")
    real = batch["attention_mask"].bool()
    for layer, weights in enumerate(maps):
        for row, keep in enumerate(real):
            assert (seen[layer][row][:, keep] - weights[row][:, keep]).abs().max() < 1e-5


def test_two_claims_on_one_verb_are_refused_by_name():
    @dataclass(frozen=True, repr=False)
    class OtherSink(Method):
        name = "other-sink"

        def sink_logit(self, call):
            return 0.0

    from seesay.engine import REGISTRY

    REGISTRY.pop("other-sink")
    with pytest.raises(MethodError, match=r"farsight.*other-sink.*sink_logit"):
        FarSight() + OtherSink()
