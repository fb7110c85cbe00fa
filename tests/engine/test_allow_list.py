"""What the engine does not understand is refused by name, and what it understands is exact."""

import pytest
import torch
from torch import nn
from transformers import LlamaModel
from transformers.models.llama import modeling_llama
from transformers.models.llama.modeling_llama import LlamaAttention

import families
from family_table.builders import BUILDERS
from family_table.check import Check
from seesay.engine import Stack, parse
from seesay.errors import EngineError, ModelError
from seesay.models.layers import attention_of
from seesay.models.view import ModelView

CELLS = (
    "load",
    "plain",
    "identity",
    "read",
    "lens",
    "farsight",
    "pai",
    "var",
    "static",
    "deep",
    "head",
)
ROWS = (
    "gemma3 (grows across its window)",
    "llava-mistral (window crossed)",
    "llava-gemma2 (soft caps)",
    "llava-gpt_oss (sinks of its own)",
    "paligemma",
    "gemma4 (shared kv)",
    "kimi_k25",
    "qwen3_5",
    "aya_vision (window crossed)",
)


@pytest.mark.filterwarnings("default::DeprecationWarning")  # a processor's own
@pytest.mark.parametrize("name", ROWS)
def test_a_family_is_exact(name):
    """Each row is a kind that was silently wrong or refused once; `make test-families` runs all."""
    check = Check(name, BUILDERS[name](), list(BUILDERS).index(name))
    row = check.run(only=CELLS)
    assert not row.bad(), row.errors
    wrong = {
        cell: said for cell, said in row.cells.items() if said[0] not in "ok-" and said != "hand"
    }
    assert not wrong, row.errors


def text_only(attention: type[nn.Module]) -> ModelView:
    """LLaVA whose decoder's layers attend by another class."""
    model, processor = families.build("llava")
    for layer in model.get_decoder().layers:
        layer.self_attn.__class__ = attention
    return model, processor


class Biased(LlamaAttention):
    """Attends with something that nobody knows here."""

    def forward(self, hidden_states, position_embeddings, attention_mask=None, **kwargs):
        attention_interface = modeling_llama.ALL_ATTENTION_FUNCTIONS.get_interface("sdpa", None)
        return attention_interface(self, hidden_states, None, None, None, secret_bias=1.0)


class Sparse(LlamaAttention):
    def forward(self, hidden_states, position_embeddings, attention_mask=None, **kwargs):
        if self.config._attn_implementation in ("eager", "sdpa"):
            attention_mask = attention_mask.tril()
        interface = modeling_llama.ALL_ATTENTION_FUNCTIONS
        return interface, attention_mask


@pytest.mark.parametrize(
    ("attention", "says"),
    [(Biased, "attends with secret_bias"), (Sparse, "masks columns by itself")],
)
def test_an_unknown_attention_is_refused_when_the_model_is_looked_at(attention, says):
    model, _ = text_only(attention)
    with pytest.raises(ModelError, match=says):
        Stack()(model)
    assert model.get_decoder().config._attn_implementation == "sdpa"


def test_an_unknown_keyword_is_refused_before_anything_is_computed(monkeypatch):
    """Where the code cannot be read, the first call says so."""
    model, processor = families.build("llava")
    inputs = families.inputs("llava", model, processor, ["a dog"], [families.pictures(1)])
    before = model(**inputs).logits
    refused = pytest.raises(EngineError, match="layer 0 of LlamaModel attends with secret_bias")
    with refused, parse("attention-lens")(model):
        model(**inputs, secret_bias=torch.ones(1))
    assert torch.equal(model(**inputs).logits, before)


def test_an_unknown_cache_layer_is_refused():
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer

    class Forgetful(DynamicLayer):
        pass

    model, processor = families.build("llava")
    inputs = families.inputs("llava", model, processor, ["a dog"], [families.pictures(1)])
    cache = DynamicCache()
    cache.layers = [Forgetful() for _ in range(model.config.text_config.num_hidden_layers)]
    with parse("attention-lens")(model), pytest.raises(EngineError, match="Forgetful"):
        model.generate(**inputs, **{families.CACHE: cache}, max_new_tokens=2)


def test_attention_maps_are_refused_by_name_in_a_session():
    model, processor = families.build("llava")
    inputs = families.inputs("llava", model, processor, ["a dog"], [families.pictures(1)])
    with parse("attention-lens")(model), pytest.raises(EngineError, match="output_attentions"):
        model.generate(**inputs, max_new_tokens=2, output_attentions=True)


def test_a_row_without_a_picture_keeps_the_plain_logits():
    """A second stream and its cut leave it alone, in a batch with pictures."""
    model, processor = families.build("llava")
    pictures = families.pictures(1)
    both = families.inputs("llava", model, processor, ["a dog", "a cat sits"], [pictures, pictures])
    image = int(model.config.image_token_id)
    first = both["input_ids"][0]
    both["input_ids"][0] = torch.where(first == image, 5, first)
    both["pixel_values"] = both["pixel_values"][1:]
    how = {"max_new_tokens": 3, "output_logits": True, "return_dict_in_generate": True}
    plain = model.generate(**both, **how, do_sample=False)
    with parse("pai(alpha=0.0, gamma=2.0, start_layer=0)")(model, processor=processor):
        changed = model.generate(**both, **how, do_sample=False)
    for mine, theirs in zip(changed.logits, plain.logits, strict=True):
        assert torch.allclose(mine[0], theirs[0], atol=1e-5)
    assert not torch.allclose(changed.logits[0][1], plain.logits[0][1], atol=1e-3)


def test_attention_is_found_by_what_its_code_does():
    model, _ = families.build("llava")
    assert isinstance(attention_of(model.get_decoder().layers[0]), LlamaAttention)
    assert attention_of(model.get_decoder().norm) is None
    assert isinstance(model.get_decoder(), LlamaModel)
