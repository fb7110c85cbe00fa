"""The face: describe, ask, compare, on a tiny random model of every family."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

import families
from seeing import SHORT, WORDS, vlm_of
from seesay import toy
from seesay.engine import Stack, parse
from seesay.errors import InputError
from seesay.grounding.risk import UNCALIBRATED
from seesay.methods import REGISTRY
from seesay.models import patch_layout
from seesay.models.loading import load_model
from seesay.models.processors import inputs_for
from seesay.models.view import ModelView
from seesay.vlm import PROMPT, VLM

# A random model cannot be asked anything, so what acts on texts by asking does not fit it.
STANDALONE = {n: k for n, k in REGISTRY.items() if k.standalone and k.acts_on == "steps"}


@pytest.fixture
def vlm(llava) -> VLM:
    return vlm_of(llava)


# ---- describe ------------------------------------------------------------------------------


def test_the_text_is_what_generate_says(family) -> None:
    picture = families.pictures(1)[0]
    inputs = inputs_for(family.model, family.processor, [picture], "what is in the picture ?")
    with torch.no_grad():
        sequences = family.model.generate(**inputs, max_new_tokens=12, do_sample=False)
    new = sequences[0, inputs["input_ids"].shape[1] :].tolist()
    seen = vlm_of(family).ask(picture, "what is in the picture ?", **SHORT)
    ids = [token.id for token in seen.tokens]
    assert ids == new[: len(ids)]
    assert seen.ended == (len(ids) < len(new))
    decoded = family.processor.tokenizer.decode(ids, skip_special_tokens=True)
    assert seen.text == decoded.strip()


def test_mentions_point_at_their_words_and_tokens(family) -> None:
    seen = vlm_of(family).describe(families.pictures(1)[0], **SHORT)
    assert seen.mentions
    for mention in seen.mentions:
        start, end = mention.span
        assert seen.text[start:end] == mention.word
        first, last = seen.tokens[mention.token].span
        assert first <= start < last
        assert mention.scores["logprob"] == seen.tokens[mention.token].logprob <= 0
        assert mention.scores["svar"] > 0
        assert not mention.calibrated
    assert seen.protocol.risk == UNCALIBRATED


def test_a_heat_map_lies_on_the_patch_grid(family) -> None:
    """Its parts are the record's, its sum what the middle layers paid to that crop."""
    picture = families.pictures(1)[0]
    seen = vlm_of(family).describe(picture, **SHORT)
    inputs = inputs_for(family.model, family.processor, [picture], PROMPT)
    tile = next(t for t in patch_layout.split(ModelView.of(family.model), inputs)[0] if t.whole)
    for mention in seen.mentions:
        assert mention.heatmap is not None
        assert mention.heatmap.shape == tile.grid
        assert (mention.heatmap >= 0).all()
        assert 0 < mention.heatmap.sum() <= 1
    assert len({mention.heatmap.tobytes() for mention in seen.mentions}) == len(seen.mentions)


def test_the_share_of_gated_steps_is_told(vlm) -> None:
    picture = families.pictures(1)[0]
    assert vlm.describe(picture, **SHORT).acted is None
    shares = [
        vlm.describe(picture, method=f"gate(farsight, below={below})", **SHORT).acted
        for below in (0.001, 0.25, 1.0)
    ]
    assert shares[0] == 0
    assert 0 < shares[1] < 1
    assert shares[2] == 1


def test_a_list_of_pictures_gives_the_same_as_one_by_one(family) -> None:
    vlm = vlm_of(family)
    pictures = families.pictures(5)
    singly = [vlm.describe(picture, **SHORT) for picture in pictures]
    for batch_size in (8, 2):
        together = vlm.describe(pictures, batch_size=batch_size, **SHORT)
        assert [seen.text for seen in together] == [seen.text for seen in singly]
        for one, other in zip(together, singly, strict=True):
            assert one.protocol.picture_sha256 == other.protocol.picture_sha256
            for mine, theirs in zip(one.mentions, other.mentions, strict=True):
                assert mine.scores == pytest.approx(theirs.scores, abs=1e-4, nan_ok=True)


def test_an_empty_list_is_an_empty_list(vlm) -> None:
    assert vlm.describe([], **SHORT) == []


def test_a_batch_of_texts_that_end_at_different_places(vlm) -> None:
    """A row that has ended is padded on; nothing of that may reach its text or its words."""
    pictures = families.pictures(5)
    plain = vlm.describe(pictures, **SHORT)
    ender = plain[1].tokens[4].id  # call this token the end, as if the model stopped there
    before = vlm.model.generation_config.eos_token_id
    vlm.model.generation_config.eos_token_id = ender
    try:
        ended = vlm.describe(pictures, **SHORT)
        singly = [vlm.describe(picture, **SHORT) for picture in pictures]
    finally:
        vlm.model.generation_config.eos_token_id = before
    assert any(seen.ended for seen in ended)
    assert ended[1].ended
    for cut, whole in zip(ended, plain, strict=True):
        ids = [token.id for token in whole.tokens]
        length = ids.index(ender) if ender in ids else len(ids)
        assert [token.id for token in cut.tokens] == ids[:length]
        assert cut.ended == (ender in ids)
    assert [seen.text for seen in ended] == [seen.text for seen in singly]


@pytest.mark.parametrize("name", sorted(STANDALONE))
def test_methods_act_and_say_their_name(vlm, name) -> None:
    pictures = families.pictures(3)
    plain = vlm.describe(pictures, **SHORT)
    method = STANDALONE[name]()
    seen = vlm.describe(pictures, method=name, **SHORT)
    assert {one.method for one in seen} == {repr(method)}
    assert {one.method for one in seen} == {repr(method)}
    settled = repr(method.resolved_for(vlm.view))
    assert {one.protocol.method for one in seen} == {settled}
    assert ("layers=(0, 2)" in settled) == (name == "attention-lens")
    zero = vlm.describe(pictures, method=method.at_zero(), **SHORT)
    assert [one.text for one in zero] == [one.text for one in plain]
    scored = [token.logprob for one in seen for token in one.tokens]
    assert scored != [token.logprob for one in plain for token in one.tokens]


def test_a_method_may_be_text_an_object_or_nothing(vlm) -> None:
    picture = families.pictures(1)[0]
    text = "attention-lens(alpha=0.9) + farsight"
    assert vlm.describe(picture, method=text, **SHORT).method == text
    one = vlm.describe(picture, method=parse(text), **SHORT)
    assert one.text == vlm.describe(picture, method=text, **SHORT).text
    for nothing in (None, "plain", Stack()):
        assert vlm.describe(picture, method=nothing, **SHORT).method == "plain"


def test_sampling_is_repeatable_and_leaves_the_callers_numbers_alone(vlm) -> None:
    picture = families.pictures(1)[0]
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    hot = {"do_sample": True, "generation": {"temperature": 3.0}, **SHORT}
    first = vlm.describe(picture, seed=1, **hot)
    assert torch.equal(torch.rand(3), expected)
    assert vlm.describe(picture, seed=1, **hot).text == first.text
    assert vlm.describe(picture, seed=2, **hot).text != first.text
    assert first.protocol.seed == 1
    assert first.protocol.decoding["temperature"] == 3.0


def test_beams_and_their_scores(vlm) -> None:
    picture = families.pictures(1)[0]
    inputs = inputs_for(vlm.model, vlm.processor, [picture], PROMPT)
    with torch.no_grad():
        sequences = vlm.model.generate(**inputs, max_new_tokens=8, num_beams=3, do_sample=False)
    new = sequences[0, inputs["input_ids"].shape[1] :]
    seen = vlm.describe(picture, num_beams=3, max_new_tokens=8, vocabulary=WORDS)
    ids = [token.id for token in seen.tokens]
    assert ids == new[: len(ids)].tolist()
    # The scores belong to this text: read it again in one forward.
    forced = {key: value for key, value in inputs.items() if key not in _TEXT_INPUTS}
    with torch.no_grad():
        logits = vlm.model(
            input_ids=sequences, attention_mask=torch.ones_like(sequences), **forced
        ).logits[0]
    start = inputs["input_ids"].shape[1]
    logprobs = logits[start - 1 : -1].log_softmax(-1).gather(-1, new[:, None])[:, 0]
    scored = torch.tensor([token.logprob for token in seen.tokens])
    assert torch.allclose(scored, logprobs[: len(scored)], atol=1e-4)


_TEXT_INPUTS = ("input_ids", "attention_mask")


def test_progress_counts_tokens(vlm) -> None:
    steps: list[tuple[int, int]] = []
    vlm.describe(
        families.pictures(1)[0], max_new_tokens=5, num_beams=2,
        on_token=lambda done, most: steps.append((done, most)),
    )  # fmt: skip
    assert steps == [(k, 5) for k in range(1, 6)]


def test_seconds_are_the_batchs_time_shared_evenly(vlm, monkeypatch) -> None:
    clock = iter([10.0, 16.0, 20.0, 21.0])
    monkeypatch.setattr("seesay.pipeline.time.perf_counter", lambda: next(clock))
    seen = vlm.describe(families.pictures(4), batch_size=3, **SHORT)
    assert [one.seconds for one in seen] == [2.0, 2.0, 2.0, 1.0]


def test_methods_get_the_pictures_at_their_own_size(vlm, monkeypatch) -> None:
    """A matcher looks at the original picture, not at what the processor made of it."""
    given = []
    opened = Stack.__call__

    def spy(self, model, **options):
        given.append(options)
        return opened(self, model, **options)

    monkeypatch.setattr(Stack, "__call__", spy)
    pictures = families.pictures(2)
    vlm.describe(pictures, **SHORT)
    assert [image.size for image in given[0]["images"]] == [picture.size for picture in pictures]
    assert given[0]["processor"] is vlm.processor


def test_a_template_that_writes_the_begin_token_gets_no_second_one(llava) -> None:
    _, processor = load_model()  # its tokenizer adds the token by itself
    begin = processor.tokenizer.bos_token_id
    picture = [toy.scene("kept", 1).image]
    own = inputs_for(llava.model, processor, picture, PROMPT)["input_ids"][0].tolist()
    processor.chat_template = processor.tokenizer.bos_token + processor.chat_template
    written = inputs_for(llava.model, processor, picture, PROMPT)["input_ids"][0].tolist()
    assert own.count(begin) == written.count(begin) == 1
    assert written[0] == begin


# ---- compare -------------------------------------------------------------------------------


def test_compare_runs_every_method_in_order(vlm) -> None:
    texts = vlm.compare("toy:broken/2", max_new_tokens=6)
    assert [seen.method for seen in texts] == [
        "plain",
        *(repr(kind()) for kind in STANDALONE.values()),
    ]
    some = vlm.compare("toy:broken/2", "farsight(sigma=0.1); plain", max_new_tokens=6)
    assert [seen.method for seen in some] == ["farsight(sigma=0.1)", "plain"]
    assert some[1].text == texts[0].text
    asked = vlm.compare("toy:broken/2", ["plain"], prompt="what is this ?", max_new_tokens=6)
    assert asked[0].protocol.prompt == "what is this ?"
    with pytest.raises(InputError, match="no method to compare"):
        vlm.compare("toy:broken/2", " ; ")


def test_a_method_that_does_not_fit_is_named_and_left_out_of_all(vlm, monkeypatch) -> None:
    lens = REGISTRY["attention-lens"]
    assert vlm.fits("attention-lens") is None
    reason = vlm.fits("attention-lens(layers=(2, 60))")
    assert reason is not None
    assert "layer 60" in reason

    class Outside(lens):  # same name, other defaults
        name = ""
        standalone = True

        def __new__(cls):
            return lens(layers=(2, 60))

    monkeypatch.setitem(REGISTRY, "attention-lens", Outside)
    assert set(vlm.misfits()) == {"attention-lens", "look-again"}
    assert not any("attention-lens" in repr(method) for method in vlm.all_methods())


# ---- what is said of it --------------------------------------------------------------------


def test_the_record_is_json_and_names_its_protocol(vlm) -> None:
    seen = vlm.describe("toy:kept/3", max_new_tokens=8, method="farsight", seed=4)
    record = json.loads(seen.to_json())
    assert record == seen.to_dict()
    assert record["schema"] == "seesay.seen/1"
    assert record["text"] == seen.text
    protocol = record["protocol"]
    assert "not probabilities; the method's own effect" in protocol["risk"]
    assert (protocol["model"], protocol["method"], protocol["seed"]) == ("llava", "farsight", 4)
    assert protocol["decoding"] == {"max_new_tokens": 8, "num_beams": 1, "do_sample": False}
    assert set(protocol["versions"]) == {"seesay", "torch", "transformers"}
    nan = replace(seen, tokens=(seen.tokens[0]._replace(logprob=float("nan")),))
    assert json.loads(nan.to_json())["tokens"][0]["logprob"] is None


def test_a_report_is_written(vlm, tmp_path) -> None:
    seen = vlm.describe("toy:kept/3", max_new_tokens=8)
    page = seen.save(tmp_path / "report.html").read_text(encoding="utf-8")
    assert "toy:kept/3" in page
    assert "data:image/png;base64," in page


def test_identity(family) -> None:
    assert vlm_of(family).identity() == 0.0
