"""The face: load, describe, ask, compare, on a tiny random model of every family."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from PIL import Image

import families
from seesay import patches, toy
from seesay.asking import inputs_for
from seesay.engine import Stack, parse
from seesay.errors import EngineError, InputError, MethodError, ModelError
from seesay.evaluate import reference
from seesay.grounding import Reference, Vocabulary
from seesay.grounding.risk import REFERENCE_FILE, UNCALIBRATED
from seesay.methods import REGISTRY
from seesay.models import ModelView
from seesay.toy.build import build_processor, build_tokenizer
from seesay.vlm import BUNDLED, PROMPT, VLM, load

WORDS = Vocabulary.of({word: [] for word in families._WORDS if word.isalpha()})
STANDALONE = {name: kind for name, kind in REGISTRY.items() if kind.standalone}
SHORT = {"max_new_tokens": 12, "vocabulary": WORDS}


def vlm_of(family, **changes) -> VLM:
    view = ModelView.of(family.model, family.processor)
    return replace(VLM(family.model, family.processor, view, family.name), **changes)


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
    tile = next(t for t in patches.split(ModelView.of(family.model), inputs)[0] if t.whole)
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
                assert mine.scores == pytest.approx(theirs.scores, abs=1e-4)


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
    settled = repr(method.settled(vlm.view))
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
    monkeypatch.setattr("seesay.vlm.time.perf_counter", lambda: next(clock))
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
    processor = build_processor(build_tokenizer())  # its tokenizer adds the token by itself
    begin = processor.tokenizer.bos_token_id
    picture = [toy.scene("kept", 1).image]
    own = inputs_for(llava.model, processor, picture, PROMPT)["input_ids"][0].tolist()
    processor.chat_template = processor.tokenizer.bos_token + processor.chat_template
    written = inputs_for(llava.model, processor, picture, PROMPT)["input_ids"][0].tolist()
    assert own.count(begin) == written.count(begin) == 1
    assert written[0] == begin


# ---- drawn scenes --------------------------------------------------------------------------


def test_a_drawn_scene_by_name_knows_its_truth(vlm) -> None:
    scene = toy.scene("broken", 7)
    by_name = vlm.describe("toy:broken/7", max_new_tokens=8)
    by_scene = vlm.describe(scene, max_new_tokens=8)
    assert by_name.present == by_scene.present == scene.present
    assert by_name.protocol.picture == by_scene.protocol.picture == "toy:broken/7"
    assert by_name.protocol.vocabulary == "toy"
    assert by_name.text == vlm.describe(scene.image, max_new_tokens=8).text
    # Held against classes of another vocabulary, the truth would call true words invented.
    assert vlm.describe(scene, **SHORT).present is None


@pytest.mark.parametrize("name", ["toy:", "toy:broken", "toy:broken/", "toy:borken/1",
                                  "toy:kept/-1", "toy:kept/1.5", "toy:kept/١"])  # fmt: skip
def test_a_scene_that_does_not_exist(vlm, name) -> None:
    with pytest.raises(InputError, match="toy:kept/SEED or toy:broken/SEED"):
        vlm.describe(name)


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
    assert set(vlm.misfits()) == {"attention-lens"}
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


# ---- loading -------------------------------------------------------------------------------


def test_load_a_folder(checkpoints) -> None:
    folder = checkpoints("llava")
    vlm = load(folder)
    assert vlm.id == str(folder)
    assert vlm.vocabulary.name == "coco"
    assert vlm.reference is None
    assert vlm.revision is not None
    assert vlm.revision.startswith("sha256:")
    assert load(str(folder)).revision == vlm.revision
    assert vlm.describe(Image.new("RGB", (50, 30), "red"), max_new_tokens=3).tokens


def test_load_finds_the_reference_of_these_weights_only(checkpoints) -> None:
    folder = checkpoints("llava")
    vlm = load(folder)
    scores = [{"logprob": -k / 10, "svar": k / 10} for k in range(50)]
    fitted = Reference.fit(
        scores, model=vlm.id, revision=vlm.revision, layers=(1, 2), made_from="a test"
    )
    file = folder / REFERENCE_FILE
    try:
        file.write_text(fitted.model_dump_json(), encoding="utf-8")
        again = load(folder)
        assert again.reference == fitted
        seen = again.describe("toy:kept/1", max_new_tokens=4)
        assert seen.protocol.risk == again.scale == str(fitted)
        file.write_text(fitted.model_copy(update={"revision": "x"}).model_dump_json(), "utf-8")
        assert load(folder).reference is None
    finally:
        file.unlink()


def test_making_a_reference(vlm, monkeypatch) -> None:
    with pytest.raises(InputError, match="too few for ranks"):
        reference.make(vlm, scenes=2)
    found = list(reference.cases(vlm, 6, first_seed=50))
    true = [case.scores for case in found if case.there]
    assert true, "the random model names a few objects by chance"
    for case in found[:3]:
        assert set(case.scores) == {"logprob", "entropy", "svar", "position"}
    monkeypatch.setattr(reference, "FEWEST", 1)
    made = reference.make(vlm, scenes=6, first_seed=50)
    assert made.mentions == len(true)
    assert made.layers == (0, 2)
    assert (made.logprob[0], made.logprob[-1]) == (
        min(scores["logprob"] for scores in true),
        max(scores["logprob"] for scores in true),
    )
    assert "seeds 50 to 55" in made.made_from
    assert any("AUROC" in line for line in reference.table(found, made))


def test_auroc_by_hand() -> None:
    assert reference.auroc([2.0, 3.0], [1.0, 2.0]) == 0.875  # 3 wins and a tie of 4 pairs
    assert reference.auroc([0.0], [1.0]) == 0.0


# ---- bad input -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens must be a whole number of at least 1, not 0"),
        ({"max_new_tokens": 2.5}, "max_new_tokens"),
        ({"num_beams": -1}, "num_beams"),
        ({"batch_size": True}, "batch_size"),
        ({"prompt": "  "}, "prompt is empty"),
        ({"prompt": "what is <image> ?"}, "<image>"),
        ({"do_sample": True, "generation": {"temperature": -1.0}}, "cannot generate this way"),
        ({"generation": {"no_such_setting": 1}}, "no_such_setting"),
        ({"generation": {"num_return_sequences": 2}}, "a picture gets one text"),
        ({"generation": {"num_beams": 2}}, "may not set 'num_beams'; it has an option of its own"),
        ({"seed": -1}, "seed must be from 0"),
    ],
)
def test_arguments_that_cannot_be_used(vlm, options, reason) -> None:
    with pytest.raises(InputError, match=reason):
        vlm.describe("toy:kept/1", **options)


def test_an_unknown_option_is_not_swallowed(vlm) -> None:
    with pytest.raises(TypeError, match="metod"):
        vlm.describe("toy:kept/1", metod="agla")


def test_unknown_methods_and_pictures(vlm, tmp_path) -> None:
    with pytest.raises(MethodError, match="did you mean farsight"):
        vlm.describe("toy:kept/1", method="farsigt")
    with pytest.raises(InputError, match=r"nope\.jpg"):
        vlm.describe(tmp_path / "nope.jpg")


def test_a_processor_without_chat_template(vlm, monkeypatch) -> None:
    monkeypatch.setattr(vlm.processor, "chat_template", None)
    monkeypatch.setattr(vlm.processor.tokenizer, "chat_template", None)
    with pytest.raises(ModelError, match="no chat template"):
        vlm.describe("toy:kept/1")


def test_a_template_without_a_place_for_the_picture(vlm, monkeypatch) -> None:
    blind = "{% for m in messages %}{% for c in m['content'] %}{{ c.text }}{% endfor %}{% endfor %}"
    monkeypatch.setattr(vlm.processor, "chat_template", blind)
    with pytest.raises(ModelError, match="chat template has a place for an image"):
        vlm.describe("toy:kept/1")


def test_a_model_in_a_session_is_refused_and_free_afterwards(vlm) -> None:
    with Stack()(vlm.model), pytest.raises(EngineError, match="already in a session"):
        vlm.describe("toy:kept/1", max_new_tokens=2)
    assert vlm.describe("toy:kept/1", max_new_tokens=2).tokens


def test_an_interrupted_generation_leaves_the_model_as_it_was(vlm) -> None:
    def interrupt(done: int, most: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    before = vlm.describe("toy:kept/1", max_new_tokens=6).text
    with pytest.raises(KeyboardInterrupt):
        vlm.describe("toy:kept/1", max_new_tokens=6, method="agla", on_token=interrupt)
    assert vlm.describe("toy:kept/1", max_new_tokens=6).text == before
    assert vlm.identity() == 0.0


# ---- the bundled model ---------------------------------------------------------------------


def test_the_bundled_model_describes_a_scene() -> None:
    vlm = load()
    assert vlm.id == BUNDLED
    assert vlm.vocabulary.name == "toy"
    assert vlm.reference is not None, "python -m seesay.evaluate.reference makes it"
    seen = vlm.describe("toy:kept/1")
    assert seen.ended
    assert seen.text.endswith(".")
    assert seen.mentions
    assert vlm.ask("toy:kept/1", toy.question(seen.mentions[0].name)).text.startswith(("Yes", "No"))
