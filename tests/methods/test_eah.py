"""EAH against loops over its equation, against what its published code gave, in whole models."""

from __future__ import annotations

import pytest
import torch
from golden_cases import load, run_of, sdpa
from torch import nn

import families
import oracles
from families import one_by_one
from seesay.engine import parse
from seesay.engine.attention import Call, LayerPlan, attend
from seesay.errors import EngineError, MethodError
from seesay.methods import AGLA, EAH, AttentionLens, FarSight
from seesay.methods.eah import column_density, densest_head
from seesay.models.view import ModelView
from seesay.testing import check_method

GREEDY = {"max_new_tokens": 4, "min_new_tokens": 4, "do_sample": False}
# At this threshold the tiny models have sinks, in other numbers in other heads.
ACTS = EAH(threshold=0.03)


def naive_head(attention, image, real, threshold):
    """The densest head of one row of a batch, from its whole map (heads, n, n); −1 without one."""
    heads, n, _ = attention.shape
    counts = []
    for h in range(heads):
        sinks = 0
        for c in range(n):
            below = [attention[h, r, c].item() for r in range(c + 1, n) if real[r]]
            if image[c] and below and sum(below) / len(below) > threshold:
                sinks += 1
        counts.append(sinks)
    return counts.index(max(counts)) if max(counts) else -1


def random_maps(batch=4, heads=6, n=20, seed=0):
    """Causal softmax maps, two spans of image columns, padding left, right and none."""
    generator = torch.Generator().manual_seed(seed)
    scores = 2 * torch.randn(batch, heads, n, n, generator=generator)
    real = torch.ones(batch, n, dtype=torch.bool)
    real[1, :4], real[2, -3:] = False, False
    image = torch.zeros(batch, n, dtype=torch.bool)
    image[:3, 5:11], image[0, 13:16], image[1, 13:16] = True, True, True
    open_ = torch.ones(n, n, dtype=torch.bool).tril() & real[:, None, None]
    attention = scores.masked_fill(~open_, -1e30).softmax(-1)
    return attention, image, real


@pytest.mark.parametrize("rows", [1, 7, 20])
def test_density_and_winner_equal_their_equation(rows):
    attention, image, real = random_maps()
    n = attention.shape[2]
    blocks = [
        (range(a, min(a + rows, n)), attention[:, :, a : a + rows]) for a in range(0, n, rows)
    ]
    density = column_density(blocks, range(5, 16), real)
    for b in range(len(attention)):
        for c in range(5, 16):
            below = [r for r in range(c + 1, n) if real[b, r]]
            expected = attention[b, :, below, c].mean(1)
            assert (density[b, :, c - 5] - expected).abs().max() < 1e-6
    for bound in (0.02, 0.06, 0.1, 0.9):
        threshold = torch.full((len(attention),), bound)
        heads = densest_head(density, image[:, 5:16], threshold)
        expected = [
            naive_head(a, i, r, bound) for a, i, r in zip(attention, image, real, strict=True)
        ]
        assert heads.tolist() == expected
        assert heads[3] == -1, "a row without image has no sink"
    assert (densest_head(density, image[:, 5:16], torch.full((4,), 0.9)) == -1).all()


def test_the_first_of_equal_heads_wins_and_published_head_0_never():
    density = torch.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    image, threshold = torch.ones(1, 3, dtype=torch.bool), torch.tensor([0.5])
    assert densest_head(density[None], image, threshold).tolist() == [0]
    assert densest_head(density[None, 1:], image, threshold).tolist() == [0]
    # The first image column is no sink for the published code: heads 0 and 2 lead, then head 1.
    assert densest_head(density[None], image, threshold, published=True).tolist() == [-1]
    turned = density[[1, 0, 2]]
    assert densest_head(turned[None], image, threshold, published=True).tolist() == [1]


GOLDEN = ["prefill_basic", "prefill_tie", "prefill_batch3", "prefill_no_sink", "decode_q1"]


@pytest.mark.parametrize("case", GOLDEN)
def test_what_the_published_code_gave(case):
    t, meta = load(f"eah_{case}")
    attention = t["attn_in"]
    batch, heads, queries, columns = attention.shape
    span = range(int(meta["image_start"]), int(meta["image_end_exclusive"]))
    if queries > 1:
        density = column_density([(range(queries), attention)], span, published=True)
        assert (density[0] - t["column_score"]).abs().max() < 1e-6
    # Queries and keys whose softmax is the golden map: k = identity, q = its logarithm.
    identity = torch.eye(columns).expand(batch, heads, -1, -1)
    run = run_of(batch, columns, span, columns)
    query = attention.log().clamp(min=-1e4)
    mask = torch.ones(queries, columns, dtype=torch.bool).tril(columns - queries)[None, None]
    call = Call(0, query, identity, identity, mask, 1.0, run.image, run)
    method = EAH(preset="published", threshold=float(meta["threshold"]))
    out, _ = attend(LayerPlan(shared_head=(method,)), sdpa, nn.Module(), call)
    assert (out.transpose(1, 2) - t["attn_out"]).abs().max() < 1e-5
    changed = (t["attn_out"] != attention).flatten(1).any(1).nonzero().flatten().tolist()
    assert str(changed) == meta["batch_elements_changed"]


def naive_model(model, batch, sequences, threshold, layer):
    """Logits of `sequences` with the densest head's map for all heads in the prompt's rows."""
    prompt = batch["input_ids"].shape[1]
    image = ModelView.of(model).image_columns(batch["input_ids"])
    real = batch["attention_mask"].bool()
    layers = iter(range(100))
    winners = []

    def attention(scores, open_, value):
        if next(layers) == layer:
            weights = scores.masked_fill(~open_, -1e30).softmax(-1)[..., :prompt, :prompt]
            scores = scores.clone()
            for row in range(len(scores)):
                bound = threshold or 0.002 * 576 / int(image[row].sum())
                head = naive_head(weights[row], image[row], real[row], bound)
                winners.append(head)
                if head >= 0:
                    scores[row, :, :prompt] = scores[row, head, :prompt].clone()
        return oracles.plain(scores, open_, value)

    return oracles.naive_logits(model, batch, sequences, attention), winners


@pytest.mark.parametrize("name", families.ALL)
def test_a_whole_model_equals_the_equation(name):
    model, _, batch = oracles.built(name, torch.float64)
    options = {**GREEDY, "return_dict_in_generate": True, "output_logits": True}
    for method in (ACTS, EAH(layer=2)):
        with method(model):
            out = model.generate(**batch, **options)
        seen, layer = out.sequences[:, :-1], method.layer or 1
        naive, winners = naive_model(model, batch, seen, method.threshold, layer)
        assert (torch.stack(out.logits, 1) - naive[:, -4:]).abs().max() < 1e-5
        assert max(winners) >= 0, "some head must have won here"
        assert (naive - oracles.naive_logits(model, batch, seen, oracles.plain)).abs().max() > 1e-2


@pytest.mark.parametrize("name", ["llava-gqa", "qwen2.5-vl"])
def test_the_contract_of_every_method(name):
    model, processor, _ = oracles.built(name)
    outcomes = {c.name: c.outcome for c in check_method(ACTS, model, processor)}
    assert outcomes.pop("prefill in chunks").startswith("stands aside")
    assert set(outcomes.values()) == {"held"}


def test_a_padded_batch_answers_as_one_by_one_under_a_sum():
    model, processor, batch = oracles.built("llava-next")
    method = ACTS + AttentionLens(layers=(1, 2)) + FarSight(sigma=0.2) + AGLA(beta=0.1)
    with method(model):
        together = model.generate(**batch, **GREEDY)[:, -4:]
        alone = [
            model.generate(**single, **GREEDY)[:, -4:]
            for single in one_by_one("llava-next", model, processor)
        ]
    assert torch.equal(together, torch.cat(alone))


def test_where_there_is_nothing_to_do_nothing_is_done():
    model, processor, batch = oracles.built("llava")
    text = families.inputs("llava", model, processor, ["a dog"], [[]])
    logits = {"return_dict_in_generate": True, "output_logits": True}
    for method, given in ((ACTS, text), (EAH(threshold=0.999), batch), (ACTS.at_zero(), batch)):
        plain = model.generate(**given, **GREEDY, **logits)
        with method(model):
            ours = model.generate(**given, **GREEDY, **logits)
        assert torch.equal(ours.sequences, plain.sequences)
        assert torch.equal(ours.logits[0], plain.logits[0])
    with ACTS(model):
        chunked = model.generate(**batch, **GREEDY, prefill_chunk_size=7)
    assert torch.equal(chunked, model.generate(**batch, **GREEDY))


def test_published_changes_the_first_row_alone():
    model, _, batch = oracles.built("llava")
    plain = model(**batch).logits[:, -1]
    with EAH(preset="published", threshold=0.05)(model) as session:
        assert session.stack.parts[0].layer == 1  # 15 of 32 layers, carried to 4
        changed = (model(**batch).logits[:, -1] - plain).abs().amax(1) > 1e-3
    assert changed.tolist() == [True, False, False]


def test_settings_are_read_written_and_checked():
    for text in ("eah", "eah(preset='published')", "eah(layer=2, threshold=0.01)"):
        assert repr(parse(text)) == text
        assert parse(repr(parse(text).at_zero())) == parse(text).at_zero()
    for wrong in ("preset='papers'", "layer=-1", "layer=1.5", "threshold=0", "threshold='a'"):
        with pytest.raises(MethodError, match=wrong.partition("=")[0]):
            parse(f"eah({wrong})")
    model, _, batch = oracles.built("llava")
    with pytest.raises(MethodError, match="layer 9 is outside the model"):
        EAH(layer=9)(model)
    with ACTS(model), pytest.raises(EngineError, match="use_cache"):
        model.generate(**batch, use_cache=False)
