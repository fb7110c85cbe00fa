"""Files that were written before the house was rebuilt are still read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from paths import EARLIER
from seesay.cli import run
from seesay.evaluate.records import open_run
from seesay.explain.diagnose.measurements import MeasurementFile
from seesay.grounding import Calibration
from seesay.runs.folder.listing import Folder
from seesay.runs.folder.rows import RowFile
from seesay.toy import MODEL_DIR


@pytest.fixture
def earlier(tmp_path) -> Path:
    return shutil.copytree(EARLIER, tmp_path / "earlier")


def test_a_run_folder_is_reported(earlier, capsys) -> None:
    answers = open_run(earlier / "run").answers("eah", "toy-captions-broken")
    assert len(answers) == 4
    assert all(answer.text and answer.mentions for answer in answers.values())
    assert run(["report", str(earlier / "run"), "--out", str(earlier / "page.html")]) == 0
    assert "eah" in (earlier / "page.html").read_text(encoding="utf-8")


def test_rows_of_a_folder_are_kept(earlier) -> None:
    before = (earlier / "rows.jsonl").read_bytes()
    with RowFile(earlier / "rows.jsonl") as rows:
        rows.check(Folder.of(earlier / "photos"))
        rows.begin()
        assert sorted(rows.done) == ["p0.png", "p1.png", "p2.png"]
    assert (earlier / "rows.jsonl").read_bytes() == before


def test_a_calibration_is_read() -> None:
    assert Calibration.read(EARLIER / "calibration.json").model == "bundled"
    bundled = (MODEL_DIR / "seesay-calibration.json").read_text(encoding="utf-8")
    assert Calibration.read(EARLIER / "calibration.json").text() == bundled


def test_a_diagnosis_goes_on(earlier) -> None:
    path = earlier / "diagnosis.jsonl"
    before = path.read_bytes()
    header = json.loads(before.splitlines()[0])
    header.pop("schema")
    with MeasurementFile(path, header) as store:
        assert len(store.stage("text")) == 8
    assert path.read_bytes() == before
