"""describe with a folder, as a command line: what it prints where, and its exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from seesay import toy
from seesay.cli import run
from seesay.cli.output import spoken
from seesay.runs.folder import Folder


@pytest.fixture
def photos(tmp_path) -> Path:
    root = tmp_path / "photos"
    root.mkdir()
    for seed in range(5):
        toy.scene("broken", seed).image.save(root / f"{seed:03}.png")
    return root


@pytest.fixture
def describe(capfdbinary, monkeypatch):
    """Runs `seesay describe`; returns (exit code, stdout, stderr without the bundled note)."""
    monkeypatch.setattr("seesay.cli.output.FIRST_WORD", 60.0)

    def call(*arguments: object) -> tuple[int, str, str]:
        capfdbinary.readouterr()
        status = run(["describe", *map(str, arguments), "--max-new-tokens", "6"])
        printed, err = capfdbinary.readouterr()
        return status, printed.decode(), err.decode()

    return call


def test_out_writes_a_file_and_tells_how_many(describe, photos, tmp_path) -> None:
    out = tmp_path / "out.jsonl"
    (photos / "readme.txt").touch()
    status, printed, err = describe(photos, "--out", out)
    assert (status, printed) == (0, "")
    left, note, told = err.splitlines()
    assert left == "seesay: left out, no pictures by their suffix: 1 .txt"
    assert "the bundled model knows its drawn scenes only" in note
    assert told == f"seesay: 5 described; {out} has 5 rows"
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [row["picture"] for row in rows] == list(Folder.of(photos).pictures)
    assert "0 described, 5 were there" in describe(photos, "--out", out)[2]


def test_jsonl_prints_rows_and_nothing_else(describe, photos) -> None:
    (photos / "broken.png").touch()
    status, printed, err = describe(photos, "--jsonl", "--method", "farsight")
    assert status == 1
    assert "5 described, 1 could not be; the first is broken.png" in err
    rows = [json.loads(line) for line in printed.splitlines()]
    assert [row["picture"] for row in rows[:5]] == list(Folder.of(photos).pictures)[:5]
    assert [row.get("method") for row in rows] == ["farsight"] * 5 + [None]


@pytest.mark.slow
def test_workers_print_the_same_rows(describe, photos) -> None:
    printed = [
        [json.loads(line) for line in describe(photos, "--jsonl", *more)[1].splitlines()]
        for more in ((), ("--workers", 2))
    ]
    for rows in printed:
        assert [row.pop("picture") for row in rows] == list(Folder.of(photos).pictures)
        assert all(row.pop("seconds") > 0 for row in rows)
    assert printed[0] == printed[1]


@pytest.mark.usefixtures("quick_workers")
def test_workers_in_batches_say_the_same(describe, photos) -> None:
    alone, batches = (
        [json.loads(line) for line in describe(photos, "--jsonl", *more)[1].splitlines()]
        for more in ((), ("--batch-size", 2, "--workers", 2))
    )
    assert [row["picture"] for row in batches] == list(Folder.of(photos).pictures)
    assert all(row["seconds"] > 0 for row in batches)
    assert [row["text"] for row in batches] == [row["text"] for row in alone]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "--out ROWS.jsonl"),
        (["--out", "a.jsonl", "--jsonl"], "--out ROWS.jsonl"),
        (["--json"], "--json and --report are for one picture"),
        (["--out", "a.jsonl", "--report", "a.html"], "--json and --report are for one picture"),
        (["--out", "a.jsonl", "--batch-size", "0"], "--batch-size"),
        (["--out", "a.jsonl", "--address", "auto"], "are for --engine ray"),
        (["--out", "a.jsonl", "--method", "farsigt"], "did you mean farsight?"),
    ],
)
def test_what_a_folder_cannot_have(
    describe, photos, tmp_path, monkeypatch, arguments, reason
) -> None:
    monkeypatch.chdir(tmp_path)
    status, printed, err = describe(photos, *arguments)
    assert (status, printed) == (2, "")
    assert reason in err
    assert len(err.splitlines()) == 1
    assert os.listdir(tmp_path) == ["photos"]


def test_rows_are_for_folders(describe, photos) -> None:
    status, _, err = describe(photos / "000.png", "--jsonl")
    assert status == 2
    assert "are for a folder" in err
    status, _, err = describe(photos / "000.png", "--workers", 2)
    assert status == 2
    assert "--workers and --engine are for a folder" in err


@pytest.mark.slow
def test_a_reader_that_goes_away_ends_the_work(photos, tmp_path) -> None:
    command = [sys.executable, "-m", "seesay", "describe", photos, "--jsonl", "--batch-size", "1"]
    noted = tmp_path / "stderr"
    with (
        noted.open("w") as stderr,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr) as running,
    ):
        assert running.stdout is not None
        assert json.loads(running.stdout.readline())["picture"] == "000.png"
        running.stdout.close()
        assert running.wait(timeout=60) == 0
    assert "Error" not in noted.read_text()


def test_the_limit_on_pixels_holds(describe, photos) -> None:
    status, printed, err = describe(photos, "--jsonl", "--max-pixels", 100)
    assert status == 1
    assert "0 described, 5 could not be" in err
    assert "over the limit of 100" in json.loads(printed.splitlines()[0])["error"]


def test_progress_tells_the_time_left(capsys, monkeypatch) -> None:
    from seesay.cli import output

    monkeypatch.setattr(output, "FIRST_WORD", 0.01)
    clock = iter([100.0, 100.0, 110.0])
    said = threading.Event()
    monkeypatch.setattr(output.time, "monotonic", lambda: next(clock, 110.0))
    lines: list[str] = []
    monkeypatch.setattr(output, "say", lambda line: (lines.append(line), said.set()))
    with output.working("describing", timed=True) as report:
        report(50, 200)
        report(100, 200)
        assert said.wait(10)
    assert lines[0].endswith("100 of 200, about 20 s left") or "50 of 200" in lines[0]


@pytest.mark.parametrize(
    ("seconds", "text"), [(40, "40 s"), (99.4, "99 s"), (700, "12 min"), (12_000, "3 h 20 min")]
)
def test_time_is_spoken(seconds, text) -> None:
    assert spoken(seconds) == text
