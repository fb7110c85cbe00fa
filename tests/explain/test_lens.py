"""The lens: what it reads inside a model is what the model's own outputs say."""

from __future__ import annotations

import pytest
import torch

import families
from seesay.engine import Stack
from seesay.engine.readout import with_text
from seesay.errors import EngineError, InputError, ModelError
from seesay.explain.lens import lens, look_inside
from seesay.grounding import Vocabulary
from seesay.models import patch_layout
from seesay.models.processors import inputs_for
from seesay.models.view import ModelView
from seesay.vlm import VLM

WORDS = Vocabulary.of({word: [] for word in families._WORDS if word.isalpha()})
PROMPT = "what is in the picture ?"
NEAR = {"rtol": 0, "atol": 1e-5}


def vlm_of(family) -> VLM:
    view = ModelView.of(family.model, family.processor)
    return VLM(family.model, family.processor, view, family.name, vocabulary=WORDS)


def eager(family, inputs):
    """The same forward by transformers alone, with everything it can put out."""
    decoder, before = family.view.decoder, family.view.decoder.config._attn_implementation
    decoder.set_attn_implementation("eager")
    try:
        with torch.no_grad():
            return family.model(**inputs, output_attentions=True, output_hidden_states=True)
    finally:
        decoder.set_attn_implementation(before)


@pytest.fixture
def asked(family):
    """Two pictures in one prompt, four tokens of an answer, and what comes next."""
    shown = families.pictures(2, seed=1)
    inputs = inputs_for(family.model, family.processor, shown, PROMPT, together=True)
    inputs = with_text(family.view, inputs, torch.tensor([[20, 31, 42, 25]]))
    columns = family.view.image_columns(**inputs)[0]
    return inputs, columns, eager(family, inputs)


def test_attention_is_the_models_own(family, asked) -> None:
    inputs, columns, expected = asked
    inside = look_inside(family.view, inputs, 30)
    rows = torch.stack([layer[0, :, -1] for layer in expected.attentions])
    assert torch.allclose(inside.attention, rows[..., columns], **NEAR)
    assert torch.allclose(inside.logits, expected.logits[0, -1], **NEAR)
    assert inside.attention.shape == (families.LAYERS, families.HEADS, int(columns.sum()))


@pytest.mark.parametrize("norm", [True, False])
def test_the_logit_lens_is_hidden_states_under_the_head(family, asked, norm) -> None:
    inputs, columns, expected = asked
    inside = look_inside(family.view, inputs, 30, norm=norm)
    head, final = family.model.get_output_embeddings(), family.view.lens.norm
    for layer in range(families.LAYERS):
        states = expected.hidden_states[layer + 1][0, columns]
        if layer == families.LAYERS - 1:  # transformers puts the last one out behind the norm
            if not norm:
                continue
        elif norm:
            states = final(states)
        shares = head(states).softmax(-1)
        if not norm:  # the published code keeps the 50 likeliest entries
            kept = shares.topk(50)
            shares = torch.zeros_like(shares).scatter(1, kept.indices, kept.values)
            shares = shares / shares.sum(-1, keepdim=True)
        assert torch.allclose(inside.says[layer], shares[:, 30], **NEAR)
        assert torch.allclose(inside.sure[layer], shares.max(-1).values, **NEAR)
        read = shares.gather(1, inside.reads[layer][:, None])[:, 0]
        assert torch.allclose(read, inside.sure[layer], **NEAR)


def test_contributions_are_the_output_projections(family, asked) -> None:
    inputs, _, _ = asked
    taken = {}
    with torch.no_grad():
        hooks = [
            layer.self_attn.o_proj.register_forward_hook(
                lambda module, args, output, k=k: taken.__setitem__(k, output[0, -1])
            )
            for k, layer in enumerate(family.view.layers)
        ]
        family.model(**inputs)
        for hook in hooks:
            hook.remove()
    head = family.model.get_output_embeddings()
    expected = torch.stack([head(taken[k])[30] for k in range(families.LAYERS)])
    assert torch.allclose(look_inside(family.view, inputs, 30).contribution, expected, **NEAR)


def test_everything_is_put_back(llava) -> None:
    inputs = inputs_for(llava.model, llava.processor, families.pictures(1), PROMPT)

    def hooks() -> int:
        return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in llava.model.modules())

    before, kernel = hooks(), llava.view.decoder.config._attn_implementation
    look_inside(llava.view, inputs, 30)
    with pytest.raises(IndexError):
        look_inside(llava.view, inputs, 10**6)
    with Stack()(llava.model), pytest.raises(EngineError, match="already in a session"):
        look_inside(llava.view, inputs, 30)
    assert hooks() == before
    assert llava.view.decoder.config._attn_implementation == kernel


def test_a_text_read_in_one_forward_is_the_text_that_was_written(family) -> None:
    """The lens reads after the fact what the generation itself recorded."""
    vlm, picture = vlm_of(family), families.pictures(1)[0]
    seen = vlm.describe(picture, prompt=PROMPT, max_new_tokens=8)
    for index in (0, 3, 7):
        looked = lens(vlm, picture, token=index, prompt=PROMPT, max_new_tokens=8)
        assert looked.text == seen.text
        assert looked.probability == pytest.approx(
            torch.tensor(seen.tokens[index].logprob).exp().item(), abs=1e-5
        )
    mention = seen.mentions[0]
    looked = lens(vlm, picture, mention.word, prompt=PROMPT, max_new_tokens=8)
    assert looked.index == mention.token
    assert looked.mention == mention
    assert looked.var.mean(-1).tolist() == pytest.approx(mention.layers, abs=1e-5)
    whole = next(crop for crop in looked.pictures[0].crops if crop.whole)
    assert looked.heatmap(whole) == pytest.approx(mention.heatmap, abs=1e-5)


def test_several_pictures_and_tiles(family) -> None:
    vlm, shown = vlm_of(family), families.pictures(2, seed=1)
    looked = lens(vlm, shown, token=5, prompt=PROMPT, max_new_tokens=8)
    assert len(looked.pictures) == 2
    crops = [crop for viewed in looked.pictures for crop in viewed.crops]
    total = sum(crop.attention.sum((2, 3)) for crop in crops)
    if family.name == "llava-next":  # tokens that end a row of cells lie on no cell
        assert (total <= looked.var + 1e-6).all()
    else:
        assert total == pytest.approx(looked.var, abs=1e-5)
    for viewed in looked.pictures:
        for crop in viewed.crops:
            layers, heads, rows, columns = crop.attention.shape
            assert (layers, heads) == looked.var.shape
            assert (rows, columns) == crop.sight.cells.shape
            assert crop.says.shape == crop.sure.shape == (layers, rows, columns)
            assert len(crop.reads) == layers
            assert all(len(row) == columns for layer in crop.reads for row in layer)
            assert (crop.says <= crop.sure + 1e-7).all()


def test_ranges_and_heads(llava) -> None:
    vlm, picture = vlm_of(llava), families.pictures(1)[0]

    def heat(**how):
        looked = lens(vlm, picture, token=4, prompt=PROMPT, max_new_tokens=6, **how)
        (crop,) = looked.pictures[0].crops
        return looked.heatmap(crop), crop.attention

    every, attention = heat(layers=(0, 3))
    assert every == pytest.approx(attention.mean((0, 1)))
    one, attention = heat(layers=(2, 2), head=3)
    assert one == pytest.approx(attention[2, 3])
    middle, attention = heat()
    assert middle == pytest.approx(attention[0:3].mean((0, 1)))


# ---- which word ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bundled() -> VLM:
    import seesay

    return seesay.load()


SCENE = "toy:broken/9"


def test_words_are_found_as_they_are_said(bundled) -> None:
    text = bundled.describe(SCENE).text
    for word in ("cow", "COW", " cow ", "farm scene", "placed"):
        looked = lens(bundled, SCENE, word)
        assert looked.word == word.strip().lower()
        assert looked.text == text
        assert looked.span[0] == text.index(word.strip().lower())
    assert lens(bundled, SCENE, "placed").mention is None
    riskiest = max(bundled.describe(SCENE).mentions, key=lambda mention: mention.risk)
    assert lens(bundled, SCENE).span == riskiest.span


def test_a_class_finds_its_word(bundled) -> None:
    words = Vocabulary.of({"animal": ["cow"]})
    assert lens(bundled, SCENE, "animal", vocabulary=words).word == "cow"


def test_a_word_that_was_not_said(bundled) -> None:
    with pytest.raises(InputError) as refused:
        lens(bundled, SCENE, "fork")
    assert str(refused.value).startswith("'fork' was not said; the words that were: the, image")
    assert "vase" in str(refused.value)
    for word in ("ow", "", "  "):  # no part of a word, and no word at all
        with pytest.raises(InputError, match="was not said"):
            lens(bundled, SCENE, word)
    with pytest.raises(InputError, match="names no object; choose one of its words: the, image"):
        lens(bundled, SCENE, vocabulary=Vocabulary.of({"fork": []}))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"layers": (2, 6)}, "layers 2 to 6 are no range of this model's layers, 0 to 5"),
        ({"layers": (3, 2)}, "layers 3 to 2 are no range"),
        ({"head": 4}, "no head 4: this model's heads are 0 to 3"),
        ({"token": 400}, "no token 400: the text has"),
        ({"token": 1, "word": "cow"}, "give one of them"),
        ({"picture": []}, "no picture to look at"),
    ],
)
def test_what_is_not_there_is_refused(bundled, asked, message) -> None:
    with pytest.raises(InputError, match=message):
        lens(bundled, **({"picture": SCENE} | asked))


def test_an_unknown_family_is_refused_before_the_long_part(llava, monkeypatch) -> None:
    vlm = vlm_of(llava)
    monkeypatch.setattr("seesay.explain.lens.say", None)  # whoever generates would call it
    monkeypatch.setattr(llava.model.config, "model_type", "another")
    monkeypatch.setattr(patch_layout, "probed_layout", lambda view, size: None)
    with pytest.raises(ModelError, match=r"another model lie on a picture is not known"):
        lens(vlm, families.pictures(1)[0], prompt=PROMPT)
