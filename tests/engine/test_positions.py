"""Positions counted by each layer's shortened cache, against a loop with explicit positions."""

from __future__ import annotations

import math

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, OPTConfig, OPTForCausalLM

import oracles
from families import CACHE, one_by_one
from seesay.engine import parse
from seesay.errors import EngineError
from seesay.methods import VASparse

STEPS = 11
GREEDY = {"max_new_tokens": STEPS, "min_new_tokens": STEPS, "do_sample": False}
PUBLISHED = VASparse(preset="published", keep=0.5, every=2, contrast=False)
EVERYTHING = VASparse(positions="cache", candidates="all", keep=0.5, every=3, beta=0.0)


def random_llama():
    config = LlamaConfig(
        vocab_size=50,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        rope_theta=100.0,
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(config).double().eval().requires_grad_(False)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.normal_(0, 0.3)
    return model


def rotated(x, position, theta):
    """(heads, dim) at a position: the pair (i, i + dim/2) turns by position / theta^(2i/dim)."""
    half, out = x.shape[-1] // 2, x.clone()
    for i in range(half):
        angle = position / theta ** (i / half)
        out[:, i] = x[:, i] * math.cos(angle) - x[:, i + half] * math.sin(angle)
        out[:, i + half] = x[:, i + half] * math.cos(angle) + x[:, i] * math.sin(angle)
    return out


def naive_logits(model, chunks, method):
    """The newest token's logits after each chunk, token by token, on caches that are lists."""
    config, heads, kv_heads = model.config, 4, 2
    caches = [[] for _ in model.model.layers]
    seen, events, prompt = 0, 0, len(chunks[0])
    for chunk in chunks:
        for token in chunk:
            x = model.model.embed_tokens.weight[token]
            for layer, cache in zip(model.model.layers, caches, strict=True):
                attention, normed = layer.self_attn, layer.input_layernorm(x)
                q, k = attention.q_proj(normed), attention.k_proj(normed)
                v = attention.v_proj(normed).view(kv_heads, -1)
                position = len(cache) if method.reindexes_positions else seen
                theta = config.rope_parameters["rope_theta"]
                q = rotated(q.view(heads, -1), position, theta)
                cache.append((rotated(k.view(kv_heads, -1), position, theta), v))
                out = []
                for head in range(heads):
                    group = head // (heads // kv_heads)
                    scores = torch.stack([q[head] @ key[group] for key, _ in cache])
                    weights = (scores / math.sqrt(q.shape[-1])).softmax(0)
                    parts = zip(weights, cache, strict=True)
                    out.append(sum(weight * value[group] for weight, (_, value) in parts))
                x = x + attention.o_proj(torch.cat(out))
                x = x + layer.mlp(layer.post_attention_layernorm(x))
            seen += 1
        yield model.lm_head(model.model.norm(x))
        for cache in caches:
            generated = cache[prompt:]
            if len(generated) < method.every * (events + 1):
                continue
            events += 1
            gone = int((1 - method.keep) * len(generated))
            means = (torch.stack(part).mean(0) for part in zip(*generated[:gone], strict=True))
            cache[prompt:] = [*([tuple(means)] if gone else []), *generated[gone:]]


@pytest.mark.parametrize("positions", ["cache", "true"])
def test_each_layer_counts_on_from_what_it_holds(positions):
    model = random_llama()
    method = VASparse(preset="published", keep=0.5, every=2, contrast=False, positions=positions)
    tokens = torch.randint(50, (21,), generator=torch.Generator().manual_seed(1)).tolist()
    # The last chunk is a later turn: several tokens behind a cache that is already shortened.
    chunks = [tokens[:5], *([token] for token in tokens[5:17]), tokens[17:]]
    nowhere = torch.zeros(1, 5, dtype=torch.bool)
    cache, ours = None, []
    with method(model, image_columns=nowhere):
        for chunk in chunks:
            out = model(torch.tensor([chunk]), **{CACHE: cache})
            cache = out[CACHE]
            ours.append(out.logits[0, -1])
    lengths = {layer.keys.shape[2] for layer in cache.layers}
    assert len(lengths) > 1, "layers must differ in what they hold"
    apart = torch.stack(ours) - torch.stack(list(naive_logits(model, chunks, method)))
    assert apart.abs().max() < 1e-5  # the model's rotations are float32
    if positions == "cache":
        true = VASparse(preset="published", keep=0.5, every=2, contrast=False, positions="true")
        other = torch.stack(list(naive_logits(model, chunks, true)))
        assert (torch.stack(ours) - other).abs().max() > 1e-2


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("method", [PUBLISHED, EVERYTHING], ids=repr)
@pytest.mark.parametrize("name", ["llava-gqa", "qwen2.5-vl"])
def test_a_padded_batch_counts_as_one_by_one(name, method, beams):
    model, processor, batch = oracles.built(name)
    with method(model):
        together = model.generate(**batch, **GREEDY, num_beams=beams)[:, -STEPS:]
        alone = [
            model.generate(**single, **GREEDY, num_beams=beams)[:, -STEPS:]
            for single in one_by_one(name, model, processor)
        ]
    assert torch.equal(together, torch.cat(alone))


@pytest.mark.parametrize("method", [PUBLISHED, EVERYTHING], ids=repr)
def test_a_beam_ends_as_its_own_text_read_step_by_step(method):
    model, processor, _ = oracles.built("llava-gqa", torch.float64)
    batch = next(one_by_one("llava-gqa", model, processor))
    batch["pixel_values"] = batch["pixel_values"].double()
    options = {**GREEDY, "num_beams": 2, "return_dict_in_generate": True, "output_scores": True}
    with method(model):
        out = model.generate(**batch, **options)
    assert len(set(out.beam_indices[0].tolist())) > 1, "beams must have moved"
    path = model.compute_transition_scores(out.sequences, out.scores, out.beam_indices)[0]
    answer = out.sequences[0, -STEPS:]
    with torch.no_grad(), method(model):
        step = model(**batch)
        for index, token in enumerate(answer):
            expected = step.logits[0, -1].log_softmax(-1)[token]
            assert abs(path[index] - expected) < 1e-4
            step = model(token.view(1, 1), **{CACHE: step[CACHE]})


def hooks(model):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


def test_only_methods_that_ask_for_it_hook_layers_and_nothing_stays():
    model, _, batch = oracles.built("llava")
    asked, other = VASparse(preset="published"), VASparse(preset="published", positions="true")
    assert asked.reindexes_positions
    assert not other.reindexes_positions
    assert VASparse(positions="cache").reindexes_positions
    assert not VASparse(positions="cache").at_zero().reindexes_positions
    model.generate(**batch, **GREEDY)  # transformers leaves some of its own
    before = hooks(model)
    with other(model):
        usual = hooks(model)
    with asked(model):
        assert hooks(model) > usual
        model.generate(**batch, **GREEDY)
    assert hooks(model) == before
    with pytest.raises(ValueError, match="max_new_tokens"), asked(model):
        model.generate(**batch, max_new_tokens=-1)
    assert hooks(model) == before


def test_decoders_that_make_positions_otherwise_are_refused_by_name():
    config = OPTConfig(
        vocab_size=20,
        hidden_size=16,
        ffn_dim=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        word_embed_proj_dim=16,
        max_position_embeddings=40,
    )
    opt, ids = OPTForCausalLM(config).eval(), torch.arange(4)[None]
    nowhere = torch.zeros_like(ids, dtype=torch.bool)
    method = parse("vasparse(preset='published')")
    with (
        pytest.raises(EngineError, match=r"OPTDecoder.*choose positions='true'"),
        method(opt, image_columns=nowhere),
    ):
        pass
    with parse("vasparse(preset='published', positions='true')")(opt, image_columns=nowhere):
        opt(ids)

    llama, layer = random_llama(), "model.layers.1"

    def own_rotations(module, args, kwargs):
        cos, sin = kwargs["position_embeddings"]
        return args, {**kwargs, "position_embeddings": (cos.clone(), sin.clone())}

    llama.get_submodule(layer).register_forward_pre_hook(own_rotations, with_kwargs=True)
    with (
        pytest.raises(EngineError, match=r"LlamaModel.*rotary_emb.*choose positions='true'"),
        method(llama, image_columns=nowhere),
    ):
        llama(ids)
    assert hooks(llama) == 1
