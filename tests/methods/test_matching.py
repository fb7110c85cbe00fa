"""AGLA's matchers: the published maps and masks, and BLIP on a tiny model of random weights."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BlipConfig,
    BlipForImageTextRetrieval,
    BlipImageProcessor,
    BlipProcessor,
    PreTrainedTokenizerFast,
)

import families
import oracles
from families import CACHE
from paths import GOLDEN
from seesay.engine import parse
from seesay.engine.state import Prompt
from seesay.errors import EngineError, MethodError, ModelError
from seesay.methods import AGLA
from seesay.methods.agla import fused
from seesay.methods.agla.blip import gradcam, load_matcher, match, normalised
from seesay.methods.agla.matching import keep_mask, relevance_map, smoothed
from seesay.methods.originals import painted_black, question
from seesay.models.view import ModelView

FAMILY = pytest.mark.parametrize("name", families.FAMILIES)
RECORD = {"return_dict_in_generate": True, "output_logits": True, "do_sample": False}
TEXTS = ["what is in the picture ?", "how many people are in this and that image ?", "a dog"]
ASKED = [text.replace(" ?", "?") for text in TEXTS]  # as the tokenizer writes them
PICTURES = [*families.pictures(1), *families.pictures(2, seed=1), *families.pictures(1, seed=3)]
TURNS = [PICTURES[:1], PICTURES[1:3], PICTURES[3:]]  # as in families.batch_of_three


def load(name: str):
    with safe_open(GOLDEN / f"{name}.safetensors", "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    return tensors, json.loads(metadata["params"]), metadata


# ---- golden cases --------------------------------------------------------------------------


@pytest.mark.parametrize("case", [0, 2, 5])
def test_published_map_and_mask(case):
    t, p, _ = load(f"agla_mask_{case}")
    relevance = relevance_map(t["cor"], 384, 384, fade=True)
    keep = keep_mask(relevance, 1 - p["sim_itc"] / 2)
    assert torch.equal(keep, t["mask"].bool())
    if case != 5:  # a constant map is no number there
        assert (relevance - t["cam"]).abs().max() < 1e-5
        assert relevance[keep].min() == pytest.approx(float(t["threshold"]), abs=1e-5)
        picture = Image.fromarray(t["raw_image"].numpy())
        squashed = painted_black(picture, keep, squash=True)
        assert np.array_equal(np.asarray(squashed), t["augmented_image"].numpy())


def test_published_gradcam():
    t, _, _ = load("agla_gradcam_0")
    cor = gradcam(t["attn"], t["attn_grad"], t["attention_mask"])
    assert (cor - t["cor"]).abs().max() < 1e-7


def test_published_text():
    for case in json.loads((GOLDEN / "agla_text_cases.json").read_text()):
        assert normalised(case["in"]) == case["out"]


def test_published_cache_trace():
    t, p, metadata = load("agla_cache_trace")
    ours = fused(t["orig"], t["aug"], p["alpha"], p["beta"])
    assert torch.equal(ours.isfinite(), t["fused"].isfinite())
    kept = ours.isfinite()
    assert (ours - t["fused"])[kept].abs().max() < 1e-5
    for call in json.loads(metadata["calls"]):
        given = None if call["step"] == 0 else f"orig{call['step'] - 1}"
        assert call["past_key_values"] == given, "what test_shared_cache... runs"


# ---- pure functions ------------------------------------------------------------------------


def test_gradcam_of_a_padded_batch_is_that_of_each_text():
    generator = torch.Generator().manual_seed(0)
    attention, gradient = torch.randn(2, 3, 4, 6, 10, generator=generator)
    mask = torch.tensor([[1] * 6, [1, 1, 1, 1, 0, 0], [1, 1, 1, 0, 0, 0], [1, 1, 0, 0, 0, 0]])
    mask, attention, gradient = mask[:3], attention[:3], gradient[:3]
    cor = gradcam(attention, gradient, mask)
    for row, length in enumerate((6, 4, 3)):
        expected = torch.zeros(9)
        for token in range(1, length - 1):
            for head in range(4):
                for patch in range(9):
                    weight = max(0.0, float(gradient[row, head, token, patch + 1]))
                    expected[patch] += weight * attention[row, head, token, patch + 1] / 4
        expected /= length - 2
        assert torch.allclose(cor[row].flatten(), expected, atol=1e-6)
    wordless = gradcam(attention[:1], gradient[:1], torch.tensor([[1, 1, 0, 0, 0, 0]]))
    assert not wordless.any()


def test_a_smooth_map_without_fading_keeps_a_flat_border():
    flat = torch.full((5, 7), 0.3)
    assert torch.allclose(smoothed(flat, 50, 91), torch.full((50, 91), 0.3), atol=1e-6)
    faded = smoothed(flat - 0.3 + 1, 50, 91, fade=True)
    assert faded[0, 0] <= faded[25, 45] <= 1 + 1e-6


def test_a_picture_is_painted_at_its_own_size():
    picture = Image.new("RGB", (40, 20), (200, 100, 50))
    keep = torch.zeros(4, 4, dtype=torch.bool)
    keep[:, 2:] = True  # the right half
    painted = np.asarray(painted_black(picture, keep))
    assert painted.shape == (20, 40, 3)
    assert not painted[:, :20].any()
    assert (painted[:, 20:] == (200, 100, 50)).all()
    assert painted_black(picture, keep, squash=True).size == (4, 4)


# ---- BLIP on a tiny model ------------------------------------------------------------------


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> str:
    """A folder with a random BLIP retrieval model: 4 × 4 patches, 4 text layers."""
    folder = tmp_path_factory.mktemp("blip")
    part = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
    }
    text = {**part, "encoder_hidden_size": 32, "max_position_embeddings": 40}
    config = BlipConfig(
        text_config={**text, "vocab_size": 30524, "is_decoder": True},
        vision_config={**part, "image_size": 32, "patch_size": 8},
        image_text_hidden_size=16,
        projection_dim=16,
    )
    model = BlipForImageTextRetrieval(config)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.2, generator=generator)
        for projection in (model.vision_proj, model.text_proj):
            projection.bias.fill_(1.0)  # so that text and picture are alike, and much is masked
    model.save_pretrained(folder)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *families._WORDS]
    backend = Tokenizer(
        models.WordLevel({w: i for i, w in enumerate(dict.fromkeys(words))}, unk_token="[UNK]")
    )
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
    )
    images = BlipImageProcessor(size={"height": 32, "width": 32})
    BlipProcessor(images, tokenizer).save_pretrained(folder)
    return str(folder)


def blip(checkpoint: str, **fields) -> AGLA:
    return AGLA(**{"matcher": "blip", "checkpoint": checkpoint, "beta": 0.05, **fields})


def test_a_match_is_what_the_whole_model_says(checkpoint):
    """Similarity from BLIP's own forward; relevance from a backward through all parameters."""
    matcher = load_matcher(checkpoint)
    picture = PICTURES[1]
    cells, similarity = match(matcher, picture, "Is there a DOG in the picture ?")
    model = copy.deepcopy(matcher.model).requires_grad_(True)
    inputs = matcher.processor(picture, "is there a dog in the picture ?", return_tensors="pt")
    inputs = {k: v for k, v in inputs.items() if k != "token_type_ids"}
    itc = model(**inputs, use_itm_head=False).itm_score
    assert similarity == pytest.approx(itc.item(), abs=1e-5)
    maps = []
    layer = model.text_encoder.encoder.layer[2].crossattention.self

    def keep(module, args, output):
        output[1].retain_grad()
        maps.append(output[1])

    layer.register_forward_hook(keep)
    inputs["input_ids"][:, 0] = 30523
    model(**inputs).itm_score[0, 1].backward()
    paid = (maps[0].grad.clamp(min=0) * maps[0]).mean(1)[0, 1:-1, 1:].mean(0)
    assert cells.shape == (4, 4)
    assert torch.allclose(cells.flatten(), paid, atol=1e-7)
    assert cells.max() > 0
    with torch.inference_mode():
        again, _ = match(matcher, picture, "Is there a DOG in the picture ?")
    assert torch.equal(again, cells)


def test_a_long_question_is_cut_and_an_empty_one_masks_nothing(checkpoint):
    matcher = load_matcher(checkpoint)
    long, _ = match(matcher, PICTURES[0], "dog " * 200)
    cut, _ = match(matcher, PICTURES[0], "dog " * 33)
    assert torch.equal(long, cut)
    cells, _ = match(matcher, PICTURES[0], " . ")
    assert keep_mask(relevance_map(cells, 32, 32, fade=True), 0.5).all()


def test_the_matcher_is_loaded_once(checkpoint):
    load_matcher(checkpoint)
    hits = load_matcher.cache_info().hits
    assert load_matcher(checkpoint) is load_matcher(checkpoint)
    assert load_matcher.cache_info().hits == hits + 2


@pytest.mark.parametrize("name", families.ALL)
def test_agla_with_blip_is_two_runs_folded(name, checkpoint):
    """The second stream's pixels are the painted pictures as the processor reads them."""
    model, processor, batch = oracles.built(name, torch.float64)
    method, turns = blip(checkpoint, alpha=1.5), families.three(name)[1]
    pictures = [picture for turn in turns for picture in turn]
    with method(model, processor=processor, images=pictures) as session:
        out = model.generate(**batch, max_new_tokens=4, **RECORD)
        given = {**session.run.overrides[method]}
    given.pop("inputs_embeds", None)  # what a Q-former model's steps are given for the pixels
    matcher, painted = load_matcher(checkpoint), []
    for text, turn in zip(ASKED, turns, strict=True):
        for picture in turn:
            cells, similarity = match(matcher, picture, text)
            keep = keep_mask(relevance_map(cells, 32, 32, fade=True), 1 - similarity / 2)
            painted.append(painted_black(picture, keep))
    rest = iter(painted)
    again = [[next(rest) for _ in turn] for turn in turns]
    masked = families.inputs(name, model, processor, TEXTS, again)
    assert torch.equal(given["pixel_values"], masked["pixel_values"].double())
    assert not torch.equal(given["pixel_values"], batch["pixel_values"])
    seen = out.sequences[:, :-1]
    plain = oracles.naive_logits(model, batch, seen, oracles.plain)[:, -4:]
    other = oracles.naive_logits(model, {**batch, **given}, seen, oracles.plain)[:, -4:]
    expected = oracles.agla_fold(plain, other, 1.5, 0.05)
    ours = torch.stack(out.logits, 1).double()
    kept = expected.isfinite()
    assert torch.equal(ours.isfinite(), kept)
    assert (ours - expected)[kept].abs().max() < 1e-5


@pytest.mark.parametrize("name", families.ALL)
@pytest.mark.parametrize("beams", [1, 2])
def test_a_batch_with_blip_answers_as_one_by_one(name, beams, checkpoint):
    model, processor, batch = oracles.built(name)
    settings = {"max_new_tokens": 4, "num_beams": beams, "do_sample": False}
    method = blip(checkpoint) + parse("pai" if name in families.Q_FORMERS else "vcd")
    turns = families.three(name)[1]
    pictures = [picture for turn in turns for picture in turn]
    with method(model, processor=processor, images=pictures):
        together = model.generate(**batch, **settings)[:, batch["input_ids"].shape[1] :]
    alone = []
    for text, turn in zip(TEXTS, turns, strict=True):
        single = families.inputs(name, model, processor, [text], [turn])
        with method(model, processor=processor, images=turn):
            out = model.generate(**single, **settings)
        alone.append(out[:, single["input_ids"].shape[1] :])
    assert torch.equal(together, torch.cat(alone))


@FAMILY
def test_the_question_is_found_in_the_prompt(name):
    model, processor, batch = oracles.built(name)
    view = ModelView.of(model, processor)
    prompt = Prompt(view, batch, view.image_columns(**batch))
    assert [question(prompt, row) for row in range(3)] == ASKED


def test_a_prompt_of_another_form_is_the_question_as_it_stands():
    model, processor, _ = oracles.built("llava")
    view = ModelView.of(model, processor)
    batch = processor(images=PICTURES[0], text="<image> what is this", return_tensors="pt")
    prompt = Prompt(view, batch, view.image_columns(**batch))
    assert question(prompt, 0) == "what is this"


def test_squashed_geometry_where_a_model_takes_one_shape(checkpoint):
    model, processor, batch = oracles.built("llava")
    method = blip(checkpoint, geometry="squashed")
    with method(model, processor=processor, images=PICTURES) as session:
        model.generate(**batch, max_new_tokens=2)
        given = session.run.overrides[method]["pixel_values"]
    matcher = load_matcher(checkpoint)
    cells, similarity = match(matcher, PICTURES[0], ASKED[0])
    keep = keep_mask(relevance_map(cells, 32, 32, fade=True), 1 - similarity / 2)
    painted = painted_black(PICTURES[0], keep, squash=True)
    expected = processor.image_processor(painted, return_tensors="pt")["pixel_values"]
    assert torch.equal(given[:1], expected)


@pytest.mark.parametrize("name", ["llava-next", "qwen2.5-vl", "internvl"])
def test_squashed_geometry_is_refused_where_tokens_follow_the_shape(name, checkpoint):
    model, processor, batch = oracles.built(name)
    method = blip(checkpoint, geometry="squashed")
    with (
        method(model, processor=processor, images=PICTURES),
        pytest.raises(MethodError, match=r"geometry='squashed' shows .* use geometry='original'"),
    ):
        model.generate(**batch, max_new_tokens=2)


def test_pictures_are_needed_and_must_be_the_prompts(checkpoint):
    model, processor, batch = oracles.built("llava")
    method = blip(checkpoint)
    with method(model, processor=processor), pytest.raises(EngineError, match="images="):
        model.generate(**batch, max_new_tokens=2)
    with method(model, images=PICTURES), pytest.raises(EngineError, match="processor="):
        model.generate(**batch, max_new_tokens=2)
    for wrong in (PICTURES[::-1], PICTURES[:2]):
        with (
            method(model, processor=processor, images=wrong),
            pytest.raises(EngineError, match="not give the pixels of the prompt"),
        ):
            model.generate(**batch, max_new_tokens=2)
    with method(model, processor=processor, images=PICTURES):
        model.generate(**batch, max_new_tokens=2)


def test_a_matcher_that_cannot_be_loaded_names_itself_and_the_way_out(checkpoints):
    llava = str(checkpoints("llava"))
    for place, reason in ((llava, "it is a llava model"), ("nobody/no-such-matcher", "nobody")):
        with pytest.raises(ModelError, match=f"{reason}.*matcher='self'"):
            load_matcher(place)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("agla(matcher='clip')", "matcher='clip' is unknown"),
        ("agla(matcher='blip', geometry='square')", "geometry='square' is unknown"),
        ("agla(geometry='squashed')", "geometry='squashed' is read with matcher='blip' alone"),
        ("agla(checkpoint='x/y')", "checkpoint='x/y' is read with matcher='blip' alone"),
        ("agla(shared_cache=1)", "shared_cache=1 must be True or False"),
    ],
)
def test_values_that_mean_nothing_are_refused(text, reason):
    with pytest.raises(MethodError, match=reason):
        parse(text)


# ---- the published decoding ----------------------------------------------------------------


@pytest.mark.parametrize("name", ["llava", "qwen2.5-vl"])
def test_shared_cache_is_the_published_loop(name):
    """Both streams are run step by step; from the second token on both get the first one's cache,
    as in the golden cache trace."""
    model, processor, _ = oracles.built(name, torch.float64)
    single = families.inputs(name, model, processor, TEXTS[:1], TURNS[:1])
    single = {k: v.double() if v.is_floating_point() else v for k, v in single.items()}
    method = AGLA(alpha=1.5, beta=0.01, shared_cache=True)
    with method(model) as session:
        out = model.generate(**single, max_new_tokens=4, **RECORD)
        masked = {**single, **session.run.overrides[method]}
    first, second = model(**single), model(**masked)
    rows = [(first.logits[:, -1], second.logits[:, -1])]
    assert (rows[0][0] - rows[0][1]).abs().max() > 1e-2
    cache = first[CACHE]
    for token in out.sequences[0, -4:-1]:
        step = {"input_ids": token.view(1, 1)}
        aside = copy.deepcopy(cache)
        first, second = (model(**step, **{CACHE: c}) for c in (cache, aside))
        rows.append((first.logits[:, -1], second.logits[:, -1]))
    for ours, (plain, other) in zip(out.logits, rows, strict=True):
        expected = oracles.agla_fold(plain, other, 1.5, 0.01)
        kept = expected.isfinite()
        assert torch.equal(ours.isfinite(), kept)
        assert (ours.double() - expected)[kept].abs().max() < 1e-5


def test_shared_cache_matters():
    model, _, batch = oracles.built("llava", torch.float64)
    logits = []
    for shared in (False, True):
        with AGLA(beta=0, shared_cache=shared)(model):
            logits.append(model.generate(**batch, max_new_tokens=2, **RECORD).logits)
    (own, shared) = logits
    assert torch.equal(own[0], shared[0])
    assert not torch.allclose(own[1], shared[1], atol=1e-2)
