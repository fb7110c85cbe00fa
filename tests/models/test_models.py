"""ModelView finds the same few parts in every family, and refuses what it cannot serve by name."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from transformers import (
    BertConfig,
    BertForMaskedLM,
    Kosmos2Config,
    LlamaConfig,
    LlamaForCausalLM,
    MllamaConfig,
    PreTrainedConfig,
    T5Config,
)

from families import HEADS, HIDDEN, LAYERS, VOCABULARY
from seesay.errors import InputError, ModelError
from seesay.models import view as view_module
from seesay.models.view import ModelView, _image_token_ids, refuse_unsupported


def test_parts(any_family: Any) -> None:
    view = any_family.view
    assert (view.n_layers, view.n_heads) == (LAYERS, HEADS)
    assert view.n_kv_heads == (HEADS if any_family.name in ("llava", "blip-2") else 2)
    assert all(hasattr(layer, "self_attn") for layer in view.layers)
    assert view.head.weight.shape == (VOCABULARY, HIDDEN)
    assert view.lens.norm.weight.shape == (HIDDEN,)


def test_norm_and_head_read_the_last_hidden_state(any_family: Any) -> None:
    """They are the right ones if they turn the last layer's output into the model's own logits."""
    view, batch = any_family.view, any_family.batch()
    seen = []
    hook = view.layers[-1].register_forward_hook(lambda _m, _i, out: seen.append(out))
    try:
        logits = any_family.model(**batch).logits
    finally:
        hook.remove()
    hidden = seen[0] if isinstance(seen[0], torch.Tensor) else seen[0][0]
    assert torch.allclose(view.head(view.lens.norm(hidden)), logits, atol=1e-4)


def test_image_columns_hold_the_image_features(any_family: Any) -> None:
    """Where the columns say: the model puts its features exactly there."""
    view, batch = any_family.view, any_family.batch()
    columns = view.image_columns(**batch)
    assert (columns.dtype, columns.shape) == (torch.bool, batch["input_ids"].shape)
    features = torch.cat([*view.encode_images(**batch).pooler_output])
    assert int(columns.sum()) == len(features)
    embedded = []
    hook = view.decoder.register_forward_pre_hook(
        lambda _m, _args, kwargs: embedded.append(kwargs["inputs_embeds"]), with_kwargs=True
    )
    try:
        any_family.model(**batch)
    finally:
        hook.remove()
    assert torch.allclose(embedded[0][columns], features, atol=1e-5)


def test_encoded_images_stand_for_pixels(any_family: Any) -> None:
    batch = any_family.batch()
    encoded = any_family.view.encode_images(**batch)
    given = {**batch, "pixel_values": None}
    given.pop("image_sizes", None)
    logits = any_family.model(**given, mm_encoder_outputs={"image": encoded}).logits
    assert torch.allclose(logits, any_family.model(**batch).logits, atol=1e-5)


def test_a_prompt_without_a_picture_has_no_columns(any_family: Any) -> None:
    assert not any_family.view.image_columns(torch.tensor([[1, 20, 21]])).any()


def test_kosmos_marks_its_columns_by_a_mask() -> None:
    config = SimpleNamespace(model_type="kosmos-2")
    parts: Any = {"decoder": None, "layers": nn.ModuleList(), "head": None}
    view = ModelView(SimpleNamespace(config=config), image_token_ids=frozenset(), **parts)
    ids = torch.tensor([[5, 6, 7]])
    mask = torch.tensor([[0, 1, 1]])
    assert view.image_columns(ids, image_embeds_position_mask=mask).tolist() == [
        [False, True, True]
    ]
    assert not view.image_columns(ids).any()
    with pytest.raises(InputError, match=r"shape \(1, 2\)"):
        view.image_columns(ids, image_embeds_position_mask=mask[:, :2])
    with pytest.raises(ModelError, match="get_image_features"):
        ModelView(
            SimpleNamespace(config=Kosmos2Config(), base_model=object()),
            image_token_ids=frozenset(),
            **parts,
        ).encode_images(pixel_values=None)


class _PhiLike(PreTrainedConfig):  # type: ignore[misc]
    model_type = "phi4_multimodal"


def test_phi_keeps_its_image_token_in_its_vision_config() -> None:
    config = _PhiLike()
    config.vision_config = SimpleNamespace(image_token_id=7)
    refuse_unsupported(config)
    assert _image_token_ids(config) == {7}


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (MllamaConfig(), r"mllama.*cross-attention"),
        (T5Config(), r"t5.*encoder-decoder"),
        (LlamaConfig(), r"llama.*no vision"),
        (BertConfig(), r"bert.*no vision"),
    ],
    ids=["mllama", "t5", "llama", "bert"],
)
def test_unsupported_families_are_refused_by_name(config: Any, reason: str) -> None:
    with pytest.raises(ModelError, match=reason) as caught:
        refuse_unsupported(config)
    assert "LLaVA" in str(caught.value)  # the remedy


def test_a_text_only_model_is_refused() -> None:
    tiny = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 9}
    for model in (
        LlamaForCausalLM(LlamaConfig(**tiny, intermediate_size=8)),
        BertForMaskedLM(BertConfig(**tiny, intermediate_size=8)),
    ):
        with pytest.raises(ModelError, match="no vision"):
            ModelView.of(model)


def test_attention_out_of_reach_is_refused(llava: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view_module, "layers_of", lambda decoder: None)
    with pytest.raises(ModelError, match="AttentionInterface"):
        ModelView.of(llava.model)
