"""Calibrating: from pictures whose objects are known, listed in a file or drawn; and on the command
line."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from PIL import Image

from seeing import WORDS, vlm_of
from seesay import load
from seesay.cli import run
from seesay.errors import InputError
from seesay.evaluate import calibrate as calibrating
from seesay.evaluate.calibrate import Known, calibrate, cases_of, listed, scenes
from seesay.grounding import Calibration, Vocabulary

# ---- pictures ------------------------------------------------------------------------------


def write(folder, *lines: object):
    Image.new("RGB", (40, 30), "red").save(folder / "a.jpg")
    Image.new("RGB", (40, 30), "blue").save(folder / "b.jpg")
    file = folder / "images.jsonl"
    rows = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    file.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return file


def test_pictures_from_a_file(tmp_path) -> None:
    file = write(
        tmp_path,
        {"image": "a.jpg", "objects": ["fork", "Dining Tables", "bikes", "unicorn"]},
        "",
        {"image": "b.jpg", "objects": [], "note": "other keys are left alone"},
    )
    first, second = listed(file, Vocabulary.coco())
    assert first == Known(
        "a.jpg", "given", tmp_path / "a.jpg", frozenset({"fork", "dining table", "bicycle"})
    )
    assert second.objects == frozenset()


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["{"], "line 1 is no JSON"),
        (["[]"], "line 1 is not of the form"),
        ([{"image": "a.jpg"}], "line 1 is not of the form"),
        ([{"image": 3, "objects": []}], "line 1 is not of the form"),
        ([{"image": "a.jpg", "objects": "fork"}], "line 1 is not of the form"),
        ([{"image": "a.jpg", "objects": ["fork"]}, {"image": "c.jpg", "objects": []}],
         "line 2: there is no picture"),
        ([{"image": "a.jpg", "objects": ["fork"]}] * 2, "line 2: 'a.jpg' is listed twice"),
        ([{"image": "a.jpg", "objects": ["unicorn"]}], "lists no object of the vocabulary 'coco'"),
        ([""], "lists no object"),
    ],
)  # fmt: skip
def test_files_that_are_refused(tmp_path, lines, reason) -> None:
    with pytest.raises(InputError, match=reason):
        listed(write(tmp_path, *lines), Vocabulary.coco())


def test_a_file_that_is_not_there_or_no_text(tmp_path) -> None:
    with pytest.raises(InputError, match=r"nope\.jsonl"):
        listed(tmp_path / "nope.jsonl", Vocabulary.coco())
    (tmp_path / "x.jsonl").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(InputError, match="cannot read"):
        listed(tmp_path / "x.jsonl", Vocabulary.coco())


# ---- from a model --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bundled():
    return load()


@pytest.fixture
def little(monkeypatch) -> None:
    """So few words would calibrate nobody's model, and are enough to see that it is done."""
    monkeypatch.setattr(calibrating, "FEWEST_WORDS", 4)
    monkeypatch.setattr(calibrating, "FEWEST_OF_A_KIND", 1)


def test_cases_are_first_mentions_judged_by_what_is_there(bundled) -> None:
    known = scenes(1, 7_000_003)[1]
    assert (known.id, known.picture) == ("broken/7000003", "toy:broken/7000003")
    seen = bundled.describe(known.picture)
    found = list(cases_of(known, seen))
    assert [c.name for c in found] == list(dict.fromkeys(m.name for m in seen.mentions))
    for one in found:
        first = next(m for m in seen.mentions if m.name == one.name)
        assert one.invented == (one.name not in seen.present)
        assert one.scores == first.scores
        assert one.by_layer == first.layers


@pytest.mark.slow
def test_a_calibration_from_scenes(bundled, little) -> None:
    steps = []
    pictures = scenes(18)
    found = calibrate(
        bundled, pictures, made_from="a test", on_picture=lambda *step: steps.append(step)
    )
    assert steps[-1] == (36, 36)
    assert (found.model, found.revision) == ("bundled", bundled.revision)
    assert (found.vocabulary, found.made_from, found.pictures) == ("toy", "a test", 36)
    assert found.words > found.invented > 10
    assert found.checked is not None
    assert found.checked.features == (*found.single.features, "self_check")
    assert sum(items for *_, items in found.single.curve) == found.words
    assert found.single.auroc.low < found.single.auroc.value < found.single.auroc.high
    assert found.single.auroc.value > 0.75
    assert len(found.by_layer) == 6
    # What the model says of itself does not hang on a calibration that it has already.
    plain = calibrate(replace(bundled, calibration=None), pictures, made_from="a test")
    assert plain == found


def test_too_little_is_refused_with_its_numbers(bundled) -> None:
    with pytest.raises(InputError, match=r"6 pictures gave \d+ invented and \d+ true objects; 200"):
        calibrate(bundled, scenes(3), made_from="a test")


def test_too_few_of_a_kind_are_refused(bundled, monkeypatch) -> None:
    monkeypatch.setattr(calibrating, "FEWEST_WORDS", 10)
    pictures = [
        Known(f"kept/{seed}", "kept", f"toy:kept/{seed}", Vocabulary.toy().classes)
        for seed in range(6)
    ]
    with pytest.raises(InputError, match=r"gave 0 invented and \d\d true objects.*30 of each"):
        calibrate(bundled, pictures, made_from="a test", self_check=False)


def test_a_model_that_cannot_answer_gets_the_single_model_alone(llava, little) -> None:
    vlm = vlm_of(llava)
    assert vlm.exam.reason is not None
    found = calibrate(
        vlm, scenes(16), made_from="a test", vocabulary=Vocabulary.toy(), max_new_tokens=24
    )
    assert found.checked is None


def test_a_broken_picture_is_left_out_and_named(bundled, tmp_path, little) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    broken = Known("broken.jpg", "given", tmp_path / "broken.jpg", frozenset())
    pictures = [*scenes(4), broken]
    names = []
    found = calibrate(
        bundled, pictures, made_from="a test", self_check=False,
        on_broken=lambda known, error: names.append((known.id, str(error))),
    )  # fmt: skip
    assert found.pictures == 8
    assert names[0][0] == "broken.jpg"
    assert "broken.jpg" in names[0][1]
    with pytest.raises(InputError, match=r"broken\.jpg"):
        calibrate(bundled, pictures, made_from="a test", self_check=False)


# ---- the command ---------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr("seesay.cli.output.FIRST_WORD", 60.0)
    return tmp_path / "seesay" / "calibrations"


def test_the_command_writes_where_load_looks(home, little, capsys) -> None:
    assert run(["calibrate", "--scenes", "4", "--no-self-check"]) == 0
    out, err = capsys.readouterr()
    file = home / "bundled.json"
    assert err == f"seesay: wrote {file}\n"
    made = Calibration.read(file)
    assert made.checked is None
    assert load().calibration == made, "what somebody measured wins over what was shipped"
    assert f"8 pictures ({made.made_from}), {made.words} named objects" in out
    assert f"AUROC {made.single.auroc}, expected calibration error {made.single.error}" in out
    for layer, value in enumerate(made.by_layer):
        assert f"{layer}  {value:.3f}" in out


def test_pictures_of_ones_own_and_a_model_from_a_folder(
    home, little, checkpoints, tmp_path, capsys
) -> None:
    known = sorted(WORDS.classes)
    rows = [{"image": name, "objects": known[: len(known) // 2]} for name in ("a.jpg", "b.jpg")]
    file, words, out = write(tmp_path, *rows), tmp_path / "words.txt", tmp_path / "own.json"
    words.write_text("\n".join(known), encoding="utf-8")
    folder = checkpoints("llava")
    call = ["calibrate", "--model", str(folder), "--data", str(file), "--words", str(words),
            "--out", str(out), "--max-new-tokens", "40"]  # fmt: skip
    assert run(call) == 0
    err = capsys.readouterr().err
    made = Calibration.read(out)
    assert (made.model, made.vocabulary, made.made_from) == (str(folder), "words", "images.jsonl")
    assert made.pictures == 2
    assert "without self-check: it does not answer yes/no questions" in err
    assert not home.exists()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--scenes", "2"], "200 in all and 30 of each kind are the least"),
        (["--data", "nope.jsonl"], "cannot read 'nope.jsonl'"),
        (["--data", "x", "--scenes", "3"], "say one"),
        (["--out", "/nowhere/c.json"], "there is no folder '/nowhere'"),
        (["--words", "cocoo"], "did you mean coco"),
    ],
)
def test_calls_that_are_refused(home, arguments, reason, capsys) -> None:
    assert run(["calibrate", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert reason in err
    assert err.count("\n") == 1
    assert not list(home.parent.glob("*/*.json"))
