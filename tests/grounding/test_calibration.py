"""Calibrations as files: where they lie, what damages them, what they say of a word."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from seeing import calibration, logistic
from seesay.errors import ModelError
from seesay.grounding import Calibration
from seesay.grounding.calibration import CALIBRATION_FILE, feature, places


@pytest.fixture(autouse=True)
def data_home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data"


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


# ---- risk ----------------------------------------------------------------------------------


def test_risk_by_hand() -> None:
    model = logistic(("svar", "position"), (-1.5, 0.25), mean=(1.0, 2.0), scale=(0.5, 4.0),
                     intercept=-2.0)  # fmt: skip
    logit = -2.0 - 1.5 * (0.7 - 1.0) / 0.5 + 0.25 * (5.0 - 2.0) / 4.0
    assert model.risk({"svar": 0.7, "position": 5.0}) == pytest.approx(1 / (1 + math.exp(-logit)))
    for unknown in ({"position": 5.0}, {"svar": math.nan, "position": 5.0},
                    {"svar": math.inf, "position": 5.0}):  # fmt: skip
        assert model.risk(unknown) is None
    assert model.risk({"svar": 1e9, "position": 0.0}) == pytest.approx(0.0, abs=1e-300)
    assert model.risk({"svar": -1e9, "position": 0.0}) == 1.0


def test_probabilities_come_in_as_log_odds() -> None:
    assert feature("self_check", {"self_check": 0.2}) == pytest.approx(math.log(0.25))
    assert feature("logprob", {"logprob": math.log(0.2)}) == pytest.approx(math.log(0.25))
    for name, low, high in (("self_check", 0.0, 1.0), ("logprob", -math.inf, 0.0)):
        end = pytest.approx(math.log(1e-4 / 0.9999))
        assert feature(name, {name: low}) == end
        assert -feature(name, {name: high}) == end
    assert feature("svar", {"svar": 3.0}) == 3.0
    assert math.isnan(feature("svar", {}))
    assert math.isnan(feature("self_check", {}))


def test_the_checked_model_is_for_checked_words() -> None:
    both = calibration(checked=logistic(("self_check",), (-1.0,)))
    assert both.logistic({"svar": 1.0}) is both.single
    assert both.logistic({"svar": 1.0, "self_check": 0.5}) is both.checked
    alone = calibration()
    assert alone.logistic({"self_check": 0.5}) is alone.single


# ---- files ---------------------------------------------------------------------------------


def test_a_file_holds_all_of_it(tmp_path) -> None:
    fitted = calibration(checked=logistic(("self_check",), (-1.0,)))
    put(tmp_path / "c.json", fitted.text())
    assert Calibration.read(tmp_path / "c.json") == fitted
    assert json.loads(fitted.text())["schema"] == "seesay.calibration/1"
    assert "200 object words" in str(fitted)


def test_places_are_the_users_data_folder_and_the_models_own(tmp_path, data_home) -> None:
    folder = tmp_path / "models" / "mine"
    folder.mkdir(parents=True)
    home = data_home / "seesay" / "calibrations"
    hub = places("llava-hf/llava-1.5-7b-hf", None)
    assert hub == [home / "llava-hf--llava-1.5-7b-hf.json"]
    own, beside = places(str(folder), folder)
    assert beside == folder / CALIBRATION_FILE
    assert own.parent == home
    assert own == places(f"{folder}/../mine", folder)[0], "however the folder is written"
    other = tmp_path / "elsewhere" / "mine"
    other.mkdir(parents=True)
    assert own != places(str(other), other)[0]


def test_without_the_variable_it_is_the_usual_folder(monkeypatch) -> None:
    monkeypatch.delenv("XDG_DATA_HOME")
    (place,) = places("a/b", None)
    assert place == Path.home() / ".local/share/seesay/calibrations/a--b.json"


def test_the_users_own_wins_over_what_came_with_the_weights(tmp_path) -> None:
    shipped, own = calibration(made_from="shipped"), calibration(made_from="mine")
    home, beside = places(str(tmp_path), tmp_path)
    found = Calibration.find(str(tmp_path), tmp_path, "r1")
    assert (found.calibration, found.remark) == (None, "")
    put(beside, shipped.text())
    assert Calibration.find(str(tmp_path), tmp_path, "r1").calibration == shipped
    put(home, own.text())
    assert Calibration.find(str(tmp_path), tmp_path, "r1").calibration == own


def test_another_revision_is_passed_over_with_a_remark(tmp_path) -> None:
    home, beside = places(str(tmp_path), tmp_path)
    put(home, calibration(revision="old").text())
    found = Calibration.find(str(tmp_path), tmp_path, "r1")
    assert found.calibration is None
    assert f"{home} was made with revision old" in found.remark
    assert "not with r1" in found.remark
    assert "ranks are shown" in found.remark
    assert "seesay calibrate" in found.remark
    fitting = calibration()
    put(beside, fitting.text())
    found = Calibration.find(str(tmp_path), tmp_path, "r1")
    assert (found.calibration, found.remark) == (fitting, "")


def _without(record, *keys):
    return {key: value for key, value in record.items() if key not in keys}


DAMAGE = {
    "half a file": (lambda r: json.dumps(r)[:100], "Expecting|Unterminated"),
    "empty": (lambda r: "", "Expecting value"),
    "a list": (lambda r: "[]", "the file: Input should be"),
    "another schema": (lambda r: json.dumps({**r, "schema": "seesay.calibration/9"}), "schema"),
    "no weights": (lambda r: json.dumps({**r, "single": _without(r["single"], "weights")}),
                   "single.weights: Field required"),
    "too few weights": (lambda r: json.dumps({**r, "single": {**r["single"], "weights": [1.0]}}),
                        "differ in length"),
    "weights that are no numbers": (
        lambda r: json.dumps({**r, "single": {**r["single"], "weights": [math.nan, 1.0, 1.0]}}),
        "single|finite"),
    "a scale of zero": (
        lambda r: json.dumps({**r, "single": {**r["single"], "scale": [0.0, 1.0, 1.0]}}),
        "scales positive"),
    "layers that are not there": (lambda r: json.dumps({**r, "layers": [1, 4]}),
                                  "layers 1 to 4 of 4"),
    "layers the wrong way round": (lambda r: json.dumps({**r, "layers": [2, 1]}),
                                   "layers 2 to 1 of 4"),
    "an unknown field": (lambda r: json.dumps({**r, "extra": 1}), "extra"),
    "an impossible threshold": (
        lambda r: json.dumps({**r, "single": {**r["single"], "threshold": 1.5}}), "threshold"),
}  # fmt: skip


@pytest.mark.parametrize("what", sorted(DAMAGE))
def test_a_damaged_file_is_one_error_with_name_reason_and_remedy(tmp_path, what) -> None:
    damage, reason = DAMAGE[what]
    file = tmp_path / CALIBRATION_FILE
    put(file, damage(json.loads(calibration().text())))
    with pytest.raises(ModelError, match=reason) as caught:
        Calibration.find(str(tmp_path), tmp_path, "r1")
    message = str(caught.value)
    assert "\n" not in message
    assert str(file) in message
    assert "make it anew with `seesay calibrate`" in message


def test_a_file_that_is_no_text_is_refused_too(tmp_path) -> None:
    (tmp_path / CALIBRATION_FILE).write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(ModelError, match="make it anew"):
        Calibration.find(str(tmp_path), tmp_path, "r1")
