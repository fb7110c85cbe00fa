"""Golden cases: what the papers' equations and published functions gave on small random inputs."""

from __future__ import annotations

import math

import pytest
import torch
from golden_cases import load, run_of, sdpa
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from families import CACHE
from seesay.engine.attention import Call, LayerPlan, attend, original_kernel, switched
from seesay.engine.contrastive import folded
from seesay.engine.method import Stack
from seesay.engine.readout import Readout
from seesay.engine.state import GenerationState
from seesay.methods import AGLA, AttentionLens, FarSight
from seesay.methods.farsight import sink_logits


@pytest.mark.parametrize("case", [0, 1, 2, 4, 5, 7])
def test_attention_lens_layer(case):
    t, p = load(f"attention_lens_attn_{case}")
    columns = t["key"].shape[2]
    run = run_of(p["B"], columns, range(p["img_start"], p["img_end"]), columns)
    method = AttentionLens(alpha=p["alpha"])
    plan = LayerPlan(score_bias=(method,) if method.active else ())
    mask = None if p["mask"] is None else t["attention_mask"]
    scaling = p["D"] ** -0.5
    call = Call(0, t["query"], t["key"], t["value"], mask, scaling, run.image, run)
    out, _ = attend(plan, sdpa, nn.Module(), call)
    expected = t["attn_output"].unflatten(-1, (p["H"], p["D"]))
    # The half-precision case rounds the boost to half before softmax; ours keeps it in float32.
    tolerance = 2e-3 if p["dtype"] == "torch.float16" else 1e-5
    assert (out.float() - expected.float()).abs().max() < tolerance


def test_attention_lens_model():
    t, p = load("attention_lens_model_0")
    config = LlamaConfig(**p["config"], tie_word_embeddings=False)
    model = LlamaForCausalLM(config).eval()
    missing, unexpected = model.load_state_dict(
        {k[2:]: v for k, v in t.items() if k.startswith("w.")}, strict=False
    )
    assert not missing, unexpected
    assert not unexpected, missing
    method = AttentionLens(alpha=p["alpha"])
    columns = t["inputs_embeds"].shape[1]
    run = run_of(1, columns, range(p["img_start"], p["img_end"]), columns)
    original = original_kernel(model.model)

    def attention(module, query, key, value, mask, scaling=None, **kwargs):
        if module.layer_idx not in p["guided_layers"]:
            return original(module, query, key, value, mask, scaling=scaling, **kwargs)
        call = Call(module.layer_idx, query, key, value, mask, scaling, run.image, run)
        return attend(LayerPlan(score_bias=(method,)), original, module, call, **kwargs)

    with torch.no_grad(), switched(model.model, "golden", attention):
        out = model(inputs_embeds=t["inputs_embeds"], use_cache=True)
        assert (out.logits - t["prefill_logits"]).abs().max() < 1e-4
        steps = [out.logits[:, -1]]
        for token in t["tokens"].T:
            run.seen += 1
            out = model(input_ids=token[:, None], **{CACHE: out[CACHE]})
            steps.append(out.logits[:, -1])
    assert (torch.stack(steps, 1) - t["step_logits"]).abs().max() < 1e-4
    assert (t["step_logits"] - t["step_logits_plain"]).abs().max() > 1e-2


@pytest.mark.parametrize("case", [0, 1])
def test_var_and_svar(case):
    t, p = load(f"attention_lens_var_{case}")
    readout = Readout(p["layers"], p["heads"], ends=[])
    image = range(p["img_start"], p["img_end"])
    logits = torch.zeros(1, 1, 5)
    n_steps = len([name for name in t if name.startswith("attn_step")])
    for step in range(n_steps):
        readout.begin_forward(1, None if step == 0 else torch.zeros(1, 1, dtype=torch.long))
        for layer, weights in enumerate(t[f"attn_step{step}"]):
            run = run_of(1, weights.shape[-1], image, p["prompt_len"])
            readout.take_row(layer, weights[None, :, -1], run.image, run)
        readout.take_logits(logits, logits)
    record = readout.record(torch.zeros(1, n_steps, dtype=torch.long), None)
    var = record.var[0, int(t["token_idx"])]
    assert (var - t["var_matrix_by_layer"]).abs().max() < 1e-5
    first, last = p["svar_layers_inclusive"]
    assert abs(var[first : last + 1].mean(1).sum() - t["svar"][0]) < 1e-5


@pytest.mark.parametrize("case", ["prefill_n12_s0.8", "prefill_n40_s0.05", "decode_q1_square"])
def test_farsight_equation(case):
    t, meta = load(f"farsight_ref_{case}")
    call = farsight_call(t, columns=t["scores"].shape[-1])
    method = FarSight(sigma=float(meta["sigma"]), registers="square")
    logit = method.sink_logit(call)
    if logit is None:
        assert t["sink_logit"].max() == -math.inf
    else:
        at = t["sink_logit"].isfinite()
        assert (logit[0].expand_as(at)[at] - t["sink_logit"][at]).abs().max() < 1e-5
    out, _ = attend(LayerPlan(sink_logit=(method,)), sdpa, nn.Module(), call)
    assert (context(out, t) - t["context"]).abs().max() < 1e-5


@pytest.mark.parametrize("case", ["mha_nomask", "heads6_sigma0.5"])
def test_farsight_published_head_slopes(case):
    t, meta = load(f"farsight_official_B_{case}")
    columns = t["scores"].shape[-1]
    call = farsight_call(t, columns)
    row = torch.arange(columns).float()
    logit = sink_logits(t["register_rate"], columns - 1 - row)
    method = FarSight(sigma=float(meta["sigma"]), registers="square", per_head=True)
    ours = method.sink_logit(call)[0]
    finite = logit.isfinite()
    assert (ours[finite] - logit[finite]).abs().max() < 1e-4
    out, _ = attend(LayerPlan(sink_logit=(method,)), sdpa, nn.Module(), call)
    assert (context(out, t) - t["context"]).abs().max() < 1e-5


def farsight_call(t, columns: int) -> Call:
    """Queries and keys whose products are the golden scores: k = identity, q = scores."""
    batch, heads = t["scores"].shape[:2]
    key = torch.eye(columns).expand(batch, heads, -1, -1)
    value = nn.functional.pad(t["value"], (0, columns - t["value"].shape[-1]))
    run = run_of(batch, columns, range(0), columns)
    return Call(0, t["scores"], key, value, None, 1.0, run.image, run)


def context(out, t):
    """(batch, heads, queries, dim) of `farsight_call`, whose values were padded to its keys."""
    return out.transpose(1, 2)[..., : t["value"].shape[-1]]


@pytest.mark.parametrize("case", [0, 2, 4, 5])
def test_agla_fold(case):
    t, p = load(f"agla_logits_{case}")
    method = AGLA(alpha=p["alpha"], beta=p["beta"])
    run = GenerationState(None, None, 1, streams=2, overrides={method: {}})
    fused = folded(torch.cat([t["logits_orig"], t["logits_aug"]])[:, None], Stack((method,)), run)
    kept = t["kept"].bool()
    assert torch.equal(fused[:, 0].isfinite(), kept)
    assert (fused[:, 0][kept] - t["fused"][kept]).abs().max() < 1e-5
