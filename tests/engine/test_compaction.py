"""A shorter cache answers like the full one whose dropped entries are masked."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

import families
import oracles
from families import CACHE
from seesay.engine import Method
from seesay.engine.kv_cache import CompactedLayer, KeptEntries
from seesay.errors import EngineError
from seesay.methods import AGLA, PAI, AttentionLens
from seesay.models.view import ModelView

FAMILY = pytest.mark.parametrize("name", families.ALL)
RECORD = {
    "return_dict_in_generate": True,
    "output_logits": True,
    "do_sample": False,
    "max_new_tokens": 5,
}


@dataclass(frozen=True, repr=False)
class EveryOther(Method):
    """After the prompt, drop every second image column of each row, the same number everywhere."""

    merge: bool = False

    def prune_cache(self, layer, run):
        if run.seen > run.length:
            return None
        keys = run.cache.layers[layer].keys
        dropped = self.dropped(run.image.mask)  # (rows, columns)
        rows, kv_heads = keys.shape[:2]
        kept = torch.stack([(~row).nonzero()[:, 0] for row in dropped])
        entries = kept[:, None].expand(rows, kv_heads, -1)
        if not self.merge:
            return KeptEntries(entries)
        gone = torch.stack([row.nonzero()[:, 0] for row in dropped])
        index = gone[:, None, :, None].expand(rows, kv_heads, -1, keys.shape[-1])
        means = [
            part.gather(2, index).mean(2, keepdim=True)
            for part in (keys, run.cache.layers[layer].values)
        ]
        return KeptEntries(entries, *means)

    @staticmethod
    def dropped(image):
        count = int(image.sum(1).min()) // 2
        order = image.cumsum(1)
        return image & (order % 2 == 0) & (order <= 2 * count)


class All(EveryOther):
    @staticmethod
    def dropped(image):
        return torch.zeros_like(image)


def masked_reference(model, batch, steps):
    """Greedy generation on the full cache, rows after the prompt blind to the dropped columns."""
    out = model.generate(**batch, **RECORD)
    image = ModelView.of(model).image_columns(batch["input_ids"])
    dropped = EveryOther.dropped(image)
    prompt = batch["input_ids"].shape[1]

    def attention(scores, open_, value):
        n = scores.shape[-1]
        wide = torch.nn.functional.pad(dropped, (0, n - prompt))
        later = torch.arange(n) >= prompt
        open_ = open_ & ~(later[None, None, :, None] & wide[:, None, None])
        return oracles.plain(scores, open_, value)

    sequences, logits = batch["input_ids"], []
    for _ in range(steps):
        last = oracles.naive_logits(model, batch, sequences, attention)[:, -1]
        logits.append(last)
        sequences = torch.cat([sequences, last.argmax(-1, keepdim=True)], 1)
    assert out.sequences.shape == sequences.shape
    return sequences, torch.stack(logits, 1)


@FAMILY
def test_keeping_all_changes_nothing(name):
    model, _, batch = oracles.built(name)
    plain = model.generate(**batch, **RECORD)
    with All()(model):
        out = model.generate(**batch, **RECORD)
        assert all(isinstance(layer, CompactedLayer) for layer in out[CACHE].layers)
    for ours, theirs in zip(out.logits, plain.logits, strict=True):
        assert (ours - theirs).abs().max() < 1e-4


@FAMILY
def test_dropping_is_masking(name):
    model, _, batch = oracles.built(name, torch.float64)
    with EveryOther()(model):
        out = model.generate(**batch, **RECORD)
    sequences, logits = masked_reference(model, batch, steps=5)
    assert torch.equal(out.sequences, sequences)
    assert (torch.stack(out.logits, 1) - logits).abs().max() < 1e-5
    layer = out[CACHE].layers[0]
    dropped = int(EveryOther.dropped(ModelView.of(model).image_columns(**batch))[0].sum())
    assert dropped > 3
    assert layer.get_seq_length() - layer.keys.shape[2] == dropped


@FAMILY
def test_beams_and_methods_follow(name):
    """A batch of beams equals its prompts one by one, with a boost and a second stream on top."""
    model, processor, _ = oracles.built(name)
    pictures = families.pictures(1)
    second = PAI(alpha=0, gamma=1.5) if name in families.Q_FORMERS else AGLA(beta=0.1)
    method = EveryOther(merge=True) + AttentionLens(alpha=0.4, layers=(0, 3)) + second
    texts = ["a dog", "what is in the picture ?"]
    batch = families.inputs(name, model, processor, texts, [pictures] * 2)
    options = {"max_new_tokens": 5, "num_beams": 3, "do_sample": False}
    with method(model):
        together = model.generate(**batch, **options)[:, -5:]
        alone = []
        for text in texts:
            single = families.inputs(name, model, processor, [text], [pictures])
            alone.append(model.generate(**single, **options)[:, -5:])
    assert torch.equal(together, torch.cat(alone))


def test_static_and_cut_back_caches_are_refused():
    model, _, batch = oracles.built("llava")
    with EveryOther()(model), pytest.raises(EngineError, match="dynamic cache"):
        model.generate(**batch, **RECORD, cache_implementation="static")
    with EveryOther()(model), pytest.raises(EngineError, match="cut back"):
        model.generate(**batch, **RECORD)[CACHE].layers[0].crop(-1)
