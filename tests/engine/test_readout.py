"""What is recorded equals what transformers itself reports for the same text."""

from __future__ import annotations

import pytest
import torch

import families
import oracles
from seesay.engine import Stack
from seesay.methods import AGLA, AttentionLens, FarSight
from seesay.models.view import ModelView

FAMILY = pytest.mark.parametrize("name", families.ALL)


def teacher_forced(model, batch, sequences):
    """Eager attention maps and logits of the whole text, (rows, layers, heads, n, n)."""
    decoder = model.get_decoder()
    decoder.set_attn_implementation("eager")
    try:
        copies = len(sequences) // len(batch["input_ids"])
        mask = batch["attention_mask"].repeat_interleave(copies, 0)
        new = sequences.shape[1] - mask.shape[1]
        mask = torch.cat([mask, mask.new_ones(len(mask), new)], 1)
        whole = {**batch, "input_ids": sequences, "attention_mask": mask}
        if "mm_token_type_ids" in batch:
            types = batch["mm_token_type_ids"].repeat_interleave(copies, 0)
            whole["mm_token_type_ids"] = torch.nn.functional.pad(types, (0, new))
        if not hasattr(model.base_model, "get_rope_index"):
            whole["position_ids"] = (mask.cumsum(-1) - 1).clamp(min=0)
        output = model(**whole, output_attentions=True, use_cache=False)
        return output.get("language_model_outputs", output)
    finally:
        decoder.set_attn_implementation("sdpa")


@FAMILY
@pytest.mark.parametrize("beams", [1, 3])
def test_a_record_is_the_teacher_forced_truth(name, beams):
    model, _, batch = oracles.built(name)
    start = batch["input_ids"].shape[1]
    with Stack()(model, readout=True) as session:
        sequences = model.generate(**batch, max_new_tokens=6, num_beams=beams, do_sample=False)
        record = session.record
    truth = teacher_forced(model, batch, sequences)
    image = ModelView.of(model).image_columns(sequences)
    rows = slice(start - 1, sequences.shape[1] - 1)
    maps = torch.stack(truth.attentions, 1)  # (rows, layers, heads, n, n)
    var = (maps * image[:, None, None, None]).sum(-1)[..., rows].permute(0, 3, 1, 2)
    logprob = truth.logits[:, rows].log_softmax(-1)
    chosen = logprob.gather(-1, record.tokens[..., None])[..., 0]
    assert torch.equal(record.tokens, sequences[:, start:])
    assert (record.var - var).abs().max() < 1e-5
    middle = maps[:, 0:3].mean((1, 2))[:, rows]  # layers 5 to 18 of 32 are 0 to 2 of 4
    for row, columns in enumerate(image):
        seen = middle[row][:, columns]
        count = int(columns.sum())
        assert (record.image_attention[row, :, :count] - seen).abs().max() < 1e-5
        assert record.image_attention[row, :, count:].isnan().all()
    assert (record.plain_logprob - chosen).abs().max() < 1e-4
    assert torch.equal(record.plain_logprob, record.logprob)
    entropy = -(logprob.exp() * logprob).sum(-1)
    assert (record.entropy - entropy).abs().max() < 1e-4


@pytest.mark.parametrize("name", ["llava", "qwen2.5-vl"])
def test_both_distributions_of_a_fold_are_kept(name):
    model, _, batch = oracles.built(name)
    options = {"max_new_tokens": 5, "do_sample": False, "return_dict_in_generate": True}
    with AGLA(beta=0.1)(model, readout=True) as session:
        out = model.generate(**batch, **options, output_logits=True)
        record = session.record
    folded = torch.stack(out.logits, 1).log_softmax(-1)
    chosen = folded.gather(-1, record.tokens[..., None])[..., 0]
    assert (record.logprob - chosen).abs().max() < 1e-5
    truth = teacher_forced(model, batch, out.sequences)
    start = batch["input_ids"].shape[1]
    plain = truth.logits[:, start - 1 : -1].log_softmax(-1)
    own = plain.gather(-1, record.tokens[..., None])[..., 0]
    assert (record.plain_logprob - own).abs().max() < 1e-4


def test_attention_under_methods_is_what_the_row_paid():
    """With the lens the image gains; with a sink rows pay less than one in all."""
    model, _, batch = oracles.built("llava-gqa")
    options = {"max_new_tokens": 1, "do_sample": False}
    var = {}
    for method in (Stack(), AttentionLens(alpha=2.0, layers=(0, 0)), FarSight(sigma=0.01)):
        with method(model, readout=True) as session:
            model.generate(**batch, **options)
            var[repr(method)] = session.record.var[:, 0, 0]
    assert (var["attention-lens(alpha=2.0, layers=(0, 0))"] > var["plain"]).all()
    assert (var["farsight(sigma=0.01)"] < var["plain"]).all()


def test_texts_that_end_early_are_nan_after_their_end():
    model, processor = families.build("llava")
    batch = families.batch_of_three("llava", model, processor)
    with torch.no_grad():
        plain = model.generate(**batch, max_new_tokens=6, do_sample=False)
    end = int(plain[0, batch["input_ids"].shape[1] + 2])  # what row 0 says third ends texts now
    for beams in (1, 3):
        with Stack()(model, readout=True) as session:
            model.generate(
                **batch, max_new_tokens=6, do_sample=False, eos_token_id=end, num_beams=beams
            )
            record = session.record
        for tokens, logprob in zip(record.tokens.tolist(), record.plain_logprob, strict=True):
            length = tokens.index(end) + 1 if end in tokens else len(tokens)
            assert not logprob[:length].isnan().any()
            assert logprob[length:].isnan().all()
    with Stack()(model, readout=True) as session:
        model.generate(**batch, max_new_tokens=6, do_sample=False, eos_token_id=end)
        assert session.record.var[0, 3:].isnan().all()
        assert not session.record.var[0, :3].isnan().any()
