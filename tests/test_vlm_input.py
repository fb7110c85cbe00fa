"""Loading a model, drawn scenes, and what the face refuses."""

from __future__ import annotations

import pytest
from PIL import Image

from seeing import SHORT, WORDS, calibration, vlm_of
from seesay import toy
from seesay.engine import Stack
from seesay.errors import EngineError, InputError, MethodError, ModelError
from seesay.grounding.calibration import CALIBRATION_FILE
from seesay.grounding.risk import UNCALIBRATED
from seesay.vlm import BUNDLED, VLM, load


@pytest.fixture
def vlm(llava) -> VLM:
    return vlm_of(llava)


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


# ---- loading -------------------------------------------------------------------------------


def test_load_a_folder(checkpoints) -> None:
    folder = checkpoints("llava")
    vlm = load(folder)
    assert vlm.id == str(folder)
    assert vlm.vocabulary.name == "coco"
    assert vlm.calibration is None
    assert vlm.remark == ""
    assert vlm.revision is not None
    assert vlm.revision.startswith("sha256:")
    assert load(str(folder)).revision == vlm.revision
    assert vlm.describe(Image.new("RGB", (50, 30), "red"), max_new_tokens=3).tokens


def test_load_finds_the_calibration_of_these_weights_only(checkpoints) -> None:
    folder = checkpoints("llava")
    fitted = calibration(revision=load(folder).revision)
    file = folder / CALIBRATION_FILE
    try:
        file.write_text(fitted.text(), encoding="utf-8")
        again = load(folder)
        assert again.calibration == fitted
        assert again.remark == ""
        seen = again.describe("toy:kept/1", max_new_tokens=12, vocabulary=WORDS)
        assert seen.protocol.risk == again.scale == str(fitted)
        assert seen.mentions
        whole = {m.name: m.own_layers is not None for m in reversed(seen.mentions)}  # of the first
        for mention in seen.mentions:
            assert mention.calibrated is whole[mention.name]
        first = seen.mentions[0]
        assert first.risk == pytest.approx(fitted.single.risk(first.scores), abs=1e-12)
        assert first.scores["svar"] == pytest.approx(sum(first.layers[1:3]), abs=1e-6)

        file.write_text(fitted.model_copy(update={"revision": "other"}).text(), encoding="utf-8")
        other = load(folder)
        assert other.calibration is None
        assert f"made with revision other of this model, not with {other.revision}" in other.remark
        assert "seesay calibrate" in other.remark
        ranked = other.describe("toy:kept/1", max_new_tokens=4, vocabulary=WORDS)
        assert ranked.protocol.risk == UNCALIBRATED
        assert not any(mention.calibrated for mention in ranked.mentions)

        file.write_text("{", encoding="utf-8")
        with pytest.raises(ModelError, match=f"(?s){file}.*make it anew with `seesay calibrate`"):
            load(folder)
    finally:
        file.unlink()


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
    assert vlm.calibration is not None, "seesay calibrate makes it"
    seen = vlm.describe("toy:kept/1")
    assert seen.ended
    assert seen.text.endswith(".")
    assert seen.mentions
    assert vlm.ask("toy:kept/1", toy.question(seen.mentions[0].name)).text.startswith(("Yes", "No"))
