"""VASparse against loops over its equations, against golden cases, and in whole models."""

from __future__ import annotations

import math

import pytest
import torch
from golden_cases import load
from transformers import LlamaConfig, LlamaForCausalLM

import families
import oracles
from families import CACHE, one_by_one
from seesay.engine import parse
from seesay.engine.contrastive import plausible
from seesay.engine.kv_cache import CompactedLayer
from seesay.errors import EngineError, MethodError
from seesay.methods import AGLA, EAH, AttentionLens, FarSight, VASparse
from seesay.methods.vasparse import (
    chosen_entries,
    density_peaks,
    kept_tokens,
    merged,
    penalty_weights,
    selection_score,
)
from seesay.methods.vasparse.scores import published_contrast
from seesay.methods.vasparse.selection import peak_score
from seesay.models.view import ModelView
from seesay.testing import check_method

STEPS = 7
GREEDY = {"max_new_tokens": STEPS, "min_new_tokens": STEPS, "do_sample": False}
RECORD = {**GREEDY, "return_dict_in_generate": True, "output_logits": True}


# ---- what the published code gave, and our reading of the equations ------------------------------


def test_golden_selection():
    t, p = load("vasparse_selection")
    start, stop = p["v_token_start"], p["v_token_start"] + p["v_token_num"]
    products = (t["paper_K"] @ t["paper_q"][..., None])[..., 0]
    looked = t["attn"][0, -1][:, start:stop].sum(-1).expand(4, -1)
    score = selection_score(products, looked, p["paper_lambda"])
    assert torch.allclose(score, t["paper_delta"], rtol=1e-5)
    everything = torch.ones_like(score, dtype=torch.bool)[None]
    entries, _ = chosen_entries(score[None], everything, everything, torch.tensor([8]))
    assert torch.equal(entries[0], t["paper_top8_idx_sorted"])


@pytest.mark.parametrize("case", ["a", "b", "c"])
def test_golden_clusters(case):
    t, p = load("vasparse_cluster")
    x, k = t[f"{case}_x"], p[case]["cluster_num_and_k"]
    distance = torch.cdist(x, x) / math.sqrt(x.shape[-1])
    # The published density carries noise of 1e-6.
    assert (peak_score(distance, k).exp() - t[f"{case}_score"]).abs().max() < 1e-5
    centres, cluster_of = density_peaks(x, k)
    assert torch.equal(centres, t[f"{case}_centers"])
    assert torch.equal(cluster_of, t[f"{case}_cluster_of_token"])
    assert (merged(x, cluster_of, k) - t[f"{case}_merged_mean"]).abs().max() < 1e-5
    total = merged(x, cluster_of, k, summed=True)
    assert (total - t[f"{case}_merged_sum"]).abs().max() < 1e-5


@pytest.mark.parametrize(
    ("tag", "alpha", "beta"),
    [
        ("default", 0.1, 0.1),
        ("dola_cr0", 0.0, 0.1),
        ("rt0.5_cr0.5", 0.5, 0.5),
        ("dola_rt0", 0.1, 0),
    ],
)
def test_golden_contrast(tag, alpha, beta):
    t, _ = load("vasparse_logits")
    plain = t["final_logits"]
    fused = plain + published_contrast(t["base_logits"], t["contrast_logits"], alpha)
    ours = plausible(fused, plain, torch.full_like(plain[:, :1], beta)).log_softmax(-1)
    expected = t[f"{tag}_logprobs"]
    kept = expected.isfinite()
    assert torch.equal(ours.isfinite(), kept)
    assert (ours - expected)[kept].abs().max() < 1e-5
    assert torch.equal(ours.argmax(-1), t[f"{tag}_tokens"])


@pytest.mark.parametrize("beta", [0.0, 0.1, 0.5])
def test_golden_penalty(beta):
    t, _ = load("vasparse_sink_paper")
    weights = penalty_weights(t["attn"].sum(1))
    assert (weights - t["w"]).abs().max() < 1e-6
    penalised = (1 + beta - beta * weights)[:, None] * t["qk"]
    assert (penalised - t[f"pen_logits_beta{beta}"]).abs().max() < 1e-5
    attention = (penalised / math.sqrt(t["q"].shape[-1])).softmax(-1)
    assert (attention - t[f"pen_attn_beta{beta}"]).abs().max() < 1e-6


def test_golden_generation():
    """Every step: log-probabilities, what is cut, lengths; at the end every layer's cache."""
    t, p = load("vasparse_e2e_tiny")
    config = LlamaConfig(
        vocab_size=p["vocab"],
        hidden_size=p["hidden"],
        intermediate_size=p["intermediate"],
        num_hidden_layers=p["layers"],
        num_attention_heads=p["heads"],
        rms_norm_eps=p["rms_eps"],
        rope_theta=p["rope_theta"],
        tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(config).eval()
    model.load_state_dict({k[2:]: v for k, v in t.items() if k.startswith("w.")})
    every, keep = p["max_sentence_lenght"], p["sparse_kv_cache_rate"]
    method = VASparse(preset="published", every=every, keep=keep)
    prompt, expected = t["prompt_ids"], t["logprobs"]
    nowhere = torch.zeros_like(prompt, dtype=torch.bool)
    before = [p["prompt_len"]] * p["layers"]
    with torch.no_grad(), method(model, image_columns=nowhere):
        out = model(prompt)
        for step in range(len(expected)):
            ours = out.logits[0, -1].log_softmax(-1)
            kept = expected[step].isfinite()
            assert torch.equal(ours.isfinite(), kept)
            assert (ours - expected[step])[kept].abs().max() < 1e-5
            # Ours are shortened behind a step, theirs in front of the next one.
            lengths = [length + (step > 0) for length in before]
            assert lengths == t["kv_len_after_step"][step].tolist()
            before = [layer.keys.shape[2] for layer in out[CACHE].layers]
            if step + 1 < len(expected):
                layers = list(out[CACHE].layers)  # as they are before they are shortened
                out = model(t["tokens"][step].view(1, 1), **{CACHE: out[CACHE]})
    for index, layer in enumerate(layers):
        found = torch.cat([layer.keys, layer.values], -1)[0]
        theirs = torch.cat([t[f"final_k{index}"], t[f"final_v{index}"]], -1)[0]
        apart = (found[:, :, None] - theirs[:, None]).abs().amax(-1)  # (heads, ours, theirs)
        # Merged entries stand elsewhere: what counts is that each has its one counterpart.
        assert torch.equal(
            apart.argmin(2).sort(-1).values, torch.arange(theirs.shape[1]).expand(4, -1)
        )
        assert apart.amin(2).max() < 1e-5


# ---- loops over the equations --------------------------------------------------------------------


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("normalise", [None, "rank", "zscore"])
def test_selection_equals_its_equation(normalise):
    products, looked = random(2, 3, 9), random(2, 3, 9, seed=1).sigmoid()
    candidate = torch.ones(2, 3, 9, dtype=torch.bool)
    candidate[0, :, :2], candidate[1, :, 7:] = False, False
    score = selection_score(products, looked, 0.7, candidate, normalise)
    for row in range(2):
        for head in range(3):
            at = candidate[row, head].nonzero()[:, 0].tolist()
            parts = [
                [products[row, head, i].item() ** 2 for i in at],
                torch.tensor([looked[row, head, i].item() for i in at]).softmax(0).tolist(),
            ]
            if normalise == "rank":
                parts = [[sorted(part).index(v) / (len(at) - 1) for v in part] for part in parts]
            if normalise == "zscore":
                values = [torch.tensor(part) for part in parts]
                parts = [((v - v.mean()) / v.std(correction=0)).tolist() for v in values]
            expected = torch.tensor(parts[0]) + 0.7 * torch.tensor(parts[1])
            assert (score[row, head, at] - expected).abs().max() < 1e-5


def test_clusters_equal_their_definition():
    for seed, (heads, tokens, k) in enumerate([(2, 7, 3), (3, 12, 1), (1, 5, 5)]):
        x = random(heads, tokens, 4, seed=seed)
        centres, cluster_of = density_peaks(x, k)
        means = merged(x, cluster_of, k)
        for h in range(heads):
            d = [[(a - b).norm().item() / 2 for b in x[h]] for a in x[h]]
            rho = [math.exp(-sum(v * v for v in sorted(row)[:k]) / k) for row in d]
            order = sorted(range(tokens), key=lambda i: (-rho[i], i))
            delta = [0.0] * tokens
            for place, i in enumerate(order):
                denser = [d[i][j] for j in order[:place]]
                delta[i] = min(denser) if denser else max(map(max, d))
            best = sorted(range(tokens), key=lambda i: -rho[i] * delta[i])[:k]
            assert centres[h].tolist() == best
            of = [best.index(i) if i in best else None for i in range(tokens)]
            near = [min(range(k), key=lambda c: d[best[c]][i]) for i in range(tokens)]
            of = [n if o is None else o for o, n in zip(of, near, strict=True)]
            assert cluster_of[h].tolist() == of
            for c in range(k):
                members = [i for i in range(tokens) if of[i] == c]
                assert (means[h, c] - x[h, members].mean(0)).abs().max() < 1e-5


def test_rows_that_keep_fewer_are_filled_up_with_padding():
    valid = torch.ones(2, 1, 6, dtype=torch.bool)
    valid[1, :, :2] = False
    candidate = valid.clone()
    candidate[..., -1] = False
    score = torch.tensor([5.0, 1, 4, 2, 3, 0]).expand(2, 1, 6)
    entries, dropped = chosen_entries(score, candidate, valid, torch.tensor([3, 2]))
    assert entries[0].tolist() == [[0, 2, 4, 5]]
    assert entries[1, 0, 1:].tolist() == [2, 4, 5]
    assert not valid[1, 0, entries[1, 0, 0]]
    assert dropped.nonzero()[:, [0, 2]].tolist() == [[0, 1], [0, 3], [1, 3]]


def naive_attention(method, prompt, image, real, groups):
    """Rows one after the other: what the newest row decides, later rows obey."""

    def attention(scores, open_, value):
        batch, heads, n, _ = scores.shape
        weights = scores.masked_fill(~open_, -1e30).softmax(-1)
        out = weights @ value
        looked = (weights * image[:, None, None]).sum(-1)
        dropped = torch.zeros(batch, heads, n, dtype=torch.bool)
        received = torch.zeros(batch, heads, n, dtype=scores.dtype)
        for r in range(prompt - 1, n):
            allowed, row = open_[:, :, r] & ~dropped, scores[:, :, r]
            if r >= prompt and method.penalises:
                w = received.masked_fill(~allowed, -1e30).softmax(-1)
                row = (1 + method.penalty) * row - method.penalty * w * row
            newest = row.masked_fill(~allowed, -1e30).softmax(-1)
            out[:, :, r] = (newest[:, :, None] @ value)[:, :, 0]
            received += newest
            looked[:, :, r] = (newest * image[:, None]).sum(-1)
            answered = r + 1 - prompt
            everything = method.candidates == "all"
            due = answered % method.every == 0 and (answered or everything)
            if not (method.selects and due):
                continue
            for b in range(batch):
                start = 0 if everything else prompt
                whole = int(real[b].sum()) if everything else 0
                stay = whole + answered
                stay -= int((1 - method.keep) * whole + 1e-6)
                stay -= int((1 - method.keep) * answered + 1e-6)
                for g in range(0, heads, groups):
                    at = [c for c in range(start, r + 1) if allowed[b, g, c]]
                    delta = torch.zeros(len(at), dtype=scores.dtype)
                    for h in range(g, g + groups):
                        whose = -1 if method.saliency_head == "last" else h
                        share = looked[b, whose, at].softmax(0)
                        squares = scores[b, h, r, at] ** 2 * value.shape[-1]  # not divided by √d
                        delta += (squares + method.lam * share) / groups
                    gone = delta.argsort(descending=True)[stay:].tolist()
                    dropped[b, g : g + groups, [at[i] for i in gone]] = True
        return out

    return attention


def naive_model(model, batch, sequences, method):
    prompt, n = batch["input_ids"].shape[1], sequences.shape[1]
    image = ModelView.of(model).image_columns(sequences).double()
    view = ModelView.of(model)
    attention = naive_attention(
        method, prompt, image, batch["attention_mask"], view.n_heads // view.n_kv_heads
    )
    return oracles.naive_logits(model, batch, sequences, attention)[:, prompt - 1 : n]


ORACLE = {
    "generated": VASparse(contrast=False, aggregate=False, keep=0.4, every=2, penalise=False),
    "all": VASparse(
        contrast=False, aggregate=False, keep=0.5, every=3, candidates="all", lam=50.0, penalty=0.6
    ),
    "penalty": VASparse(select=False, contrast=False, penalty=0.8),
}


@pytest.mark.parametrize("case", ORACLE)
@pytest.mark.parametrize("name", ["llava", "llava-gqa", "qwen2.5-vl"])
def test_a_whole_model_equals_the_equations(name, case):
    model, _, batch = oracles.built(name, torch.float64)
    with ORACLE[case](model):
        out = model.generate(**batch, **RECORD)
    seen = out.sequences[:, :-1]
    naive = naive_model(model, batch, seen, ORACLE[case])
    assert (torch.stack(out.logits, 1) - naive).abs().max() < 1e-5
    plain = oracles.naive_logits(model, batch, seen, oracles.plain)[:, -STEPS:]
    assert (naive - plain).abs().max() > 1e-2


def test_notes_follow_the_winning_beam():
    model, processor, _ = oracles.built("llava-gqa", torch.float64)
    batch = next(one_by_one("llava-gqa", model, processor))
    batch["pixel_values"] = batch["pixel_values"].double()
    options = {**GREEDY, "num_beams": 4, "return_dict_in_generate": True, "output_scores": True}
    for method in ORACLE.values():
        with method(model):
            out = model.generate(**batch, **options)
        new = out.sequences[:, -STEPS:]
        naive = naive_model(model, batch, out.sequences[:, :-1], method).log_softmax(-1)
        total = naive.gather(-1, new[..., None]).sum() / STEPS
        assert abs(total - out.sequences_scores[0]) < 1e-4
        assert len(set(out.beam_indices[0].tolist())) > 1, "beams must have moved"


def test_merged_entries_are_the_means_of_their_clusters():
    model, _, batch = oracles.built("llava-gqa")
    method = VASparse(contrast=False, penalise=False, candidates="all", keep=0.5, clusters=0.3)
    with torch.no_grad(), method(model):
        layers = model(**batch)[CACHE].layers
    with torch.no_grad():
        whole = model(**batch)[CACHE].layers
    real = batch["attention_mask"].bool()
    for layer, full in zip(layers[:1], whole[:1], strict=True):  # later layers saw other states
        for row in range(3):
            number = int(real[row].sum())
            gone = int(0.5 * number)
            merged_here = layer.valid[row] & (layer.origin[row] < 0)
            assert (merged_here.sum(-1) == max(1, int(0.3 * gone))).all()
            for head in range(2):
                kept = layer.origin[row, head][layer.valid[row, head] & ~merged_here[head]]
                assert len(kept) == number - gone
                left = [c for c in real[row].nonzero()[:, 0].tolist() if c not in kept.tolist()]
                keys, values = (part[row, head, left] for part in (full.keys, full.values))
                of = density_peaks(keys[None], int(0.3 * gone))[1]
                for ours, tokens in ((layer.keys, keys), (layer.values, values)):
                    expected = merged(tokens[None], of, int(0.3 * gone))[0]
                    got = ours[row, head][merged_here[head]]
                    assert (got - expected).abs().max() < 1e-5


@pytest.mark.parametrize("name", families.ALL)
def test_the_contrast_is_with_the_pictures_own_tokens(name):
    model, _, batch = oracles.built(name, torch.float64)
    method = VASparse(select=False, penalise=False, alpha=0.5, beta=0.0, masked=0.25, seed=3)
    with method(model):
        out = model.generate(**batch, **RECORD)
        if name in families.FAMILIES:  # transformers cannot read embeddings in chunks
            chunked = model.generate(**batch, **RECORD, prefill_chunk_size=7)
            assert torch.equal(chunked.sequences, out.sequences)
    view = ModelView.of(model)
    image = view.image_columns(batch["input_ids"])
    found = view.encode_images(**batch).pooler_output
    tokens = torch.cat(list(found)) if not isinstance(found, torch.Tensor) else found.flatten(0, 1)
    kept = kept_tokens(image, 0.25, 3)
    assert kept.sum(1).tolist() == [n - int(0.25 * n) for n in image.sum(1).tolist()]
    raw = torch.stack(
        [
            torch.stack([view.head(token) for token in row[chosen[columns]]]).mean(0)
            for row, chosen, columns in zip(
                tokens.split(image.sum(1).tolist()), kept, image, strict=True
            )
        ]
    )
    plain = oracles.naive_logits(model, batch, out.sequences[:, :-1], oracles.plain)[:, -STEPS:]
    expected = 1.5 * plain - 0.5 * raw[:, None]
    assert (torch.stack(out.logits, 1) - expected).abs().max() < 1e-5


# ---- whole models --------------------------------------------------------------------------------

ACTS = [
    "vasparse(keep=0.5, every=3, clusters=0.5, alpha=0.5, penalty=0.5)",
    "vasparse(keep=0.5, every=3, candidates='all', normalise='rank', beta=0.0)",
    "vasparse(select=False, penalty=0.9, layers=(1, 2))",
    "vasparse(preset='published', keep=0.3, every=3)",
]


@pytest.mark.parametrize("text", ACTS)
def test_the_contract_of_every_method(text):
    model, processor, _ = oracles.built("llava-gqa")
    method = parse(text)
    outcomes = {c.name: c.outcome for c in check_method(method, model, processor)}
    if method.selects:
        assert outcomes.pop("static cache").startswith("refused")
    assert outcomes.pop("every verb under a gate").endswith("which a gate could not take back")
    assert set(outcomes.values()) == {"held"}


@pytest.mark.parametrize("beams", [1, 3])
def test_a_padded_batch_answers_as_one_by_one_under_a_sum(beams):
    model, processor, batch = oracles.built("llava-next")
    others = EAH(threshold=0.03) + AttentionLens(layers=(1, 2)) + FarSight(sigma=0.2) + AGLA(beta=0)
    for text in ACTS[:2]:
        method = parse(text) + others
        with method(model):
            together = model.generate(**batch, **GREEDY, num_beams=beams)[:, -STEPS:]
            alone = [
                model.generate(**single, **GREEDY, num_beams=beams)[:, -STEPS:]
                for single in one_by_one("llava-next", model, processor)
            ]
        assert torch.equal(together, torch.cat(alone))


def test_a_cache_keeps_its_share_and_goes_on_in_a_second_turn():
    model, _, batch = oracles.built("llava")
    prompt = batch["input_ids"].shape[1]
    method = VASparse(candidates="all", keep=0.25, every=4, clusters=0.1)
    with method(model, readout=True) as session:
        first = model.generate(**batch, **RECORD)
        layers = first[CACHE].layers
        assert all(isinstance(layer, CompactedLayer) for layer in layers)
        assert layers[0].get_seq_length() == prompt + STEPS - 1
        assert layers[0].keys.shape[2] < 0.5 * prompt
        assert session.record.var.isfinite().all()
        ids = torch.cat([first.sequences, first.sequences[:, -3:]], 1)
        mask = torch.ones_like(ids)
        mask[:, :prompt] = batch["attention_mask"]
        cache = first[CACHE]
        turn = {"input_ids": ids, "attention_mask": mask, CACHE: cache}
        second = model.generate(**turn, **RECORD)
    assert torch.stack(second.logits).exp().isfinite().all()
    assert second[CACHE].layers[0].keys.shape[2] < 0.7 * prompt


def test_a_prompt_without_a_picture_has_no_contrast_and_strength_0_is_plain():
    model, processor, batch = oracles.built("llava")
    text = families.inputs("llava", model, processor, ["a dog"], [[]])
    contrast = VASparse(select=False, penalise=False)
    inert = VASparse(keep=1.0, alpha=0.0, penalty=0.0)
    assert not inert.active
    for method, given in ((contrast, text), (VASparse().at_zero(), batch), (inert, batch)):
        plain = model.generate(**given, **RECORD)
        with method(model):
            ours = model.generate(**given, **RECORD)
        assert torch.equal(ours.sequences, plain.sequences)
        assert torch.equal(torch.stack(ours.logits), torch.stack(plain.logits))


def test_settings_are_read_written_and_checked():
    for text in ["vasparse", *ACTS]:
        assert repr(parse(text)) == text
        assert parse(repr(parse(text).at_zero())) == parse(text).at_zero()
    for wrong in (
        "preset='x'",
        "candidates='some'",
        "normalise='log'",
        "merge='max'",
        "select=1",
        "keep=0",
        "keep=1.5",
        "every=0",
        "lam=-1",
        "alpha='a'",
        "beta=2",
        "masked=-0.1",
        "clusters=0.0",
        "penalty=-1",
        "seed=0.5",
        "layers=(3, 1)",
    ):
        with pytest.raises(MethodError, match=f"vasparse: {wrong.partition('=')[0]}="):
            parse(f"vasparse({wrong})")
    model, _, batch = oracles.built("llava")
    with pytest.raises(MethodError, match="layer 9 is outside the model"):
        VASparse(select=False, layers=(0, 9))(model)
    with VASparse()(model), pytest.raises(EngineError, match="dynamic cache"):
        model.generate(**batch, **GREEDY, cache_implementation="static")
    with VASparse()(model), pytest.raises(EngineError, match="one new token at a time"):
        model.generate(**batch, **GREEDY, prompt_lookup_num_tokens=2)
