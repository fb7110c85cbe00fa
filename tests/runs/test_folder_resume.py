"""Rows that outlive their run: killed, cut, resumed, refused, out of room."""

from __future__ import annotations

import json
import os
import resource
import signal
import time
from pathlib import Path

import pytest

import run_kit
from seesay import toy
from seesay.cli import run
from seesay.errors import InputError, SeesayError
from seesay.runs.folder import (
    ERROR_SCHEMA,
    Folder,
    FolderRun,
    FolderWorker,
    RowFile,
    describe_folder,
)
from seesay.runs.setup import Setup
from seesay.runs.worker_pool import InProcess, WorkerPool
from seesay.vlm import VLM, load

SHORT = {"max_new_tokens": 6}


@pytest.fixture(scope="module")
def bundled() -> VLM:
    return load()


def draw(root: Path, count: int) -> Path:
    root.mkdir()
    for seed in range(count):
        toy.scene("broken", seed).image.save(root / f"{seed:03}.png")
    return root


@pytest.fixture
def photos(tmp_path) -> Path:
    return draw(tmp_path / "photos", 5)


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "out.jsonl"


def rows_of(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def pictures_of(file: Path) -> list[str]:
    return [row["picture"] for row in rows_of(file)]


# ---- killed --------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_in_the_middle_and_run_again_each_picture_has_one_row(
    tmp_path, out, workers, processes, capsys
) -> None:
    photos = draw(tmp_path / "photos", 40)
    (photos / "020-broken.png").write_text("no picture")
    arguments = ["describe", str(photos), "--out", str(out), "--batch-size", "2"]
    more = ["--max-new-tokens", "40", "--workers", str(workers)]
    running = processes.Process(target=run, args=([*arguments, *more],))
    running.start()
    deadline = time.monotonic() + 140  # workers are processes that load the model
    while not out.exists() or out.read_bytes().count(b"\n") < 6:
        assert running.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    running.kill()
    running.join()
    assert running.exitcode == -signal.SIGKILL
    before = out.read_bytes()
    assert 6 <= before.count(b"\n") < 40

    assert run([*arguments, *more[:2]]) == 1
    assert "1 could not be" in capsys.readouterr().err.splitlines()[-1]
    whole = before[: before.rindex(b"\n") + 1]
    assert out.read_bytes().startswith(whole)  # no row is ever written anew
    assert sorted(pictures_of(out)) == list(Folder.of(photos).pictures)
    rows = rows_of(out)
    assert [row["schema"] for row in rows] == ["seesay.seen/1"] * 40 + [ERROR_SCHEMA]
    assert pictures_of(out)[:40] == [f"{seed:03}.png" for seed in range(40)]


@pytest.mark.usefixtures("quick_workers")
def test_workers_write_the_same_rows_and_may_be_killed(photos, tmp_path) -> None:
    (photos / "002-broken.png").touch()
    job = FolderRun(Folder.of(photos), options={**SHORT, "batch_size": 1})
    make, setup, notes = FolderWorker.of(job.asked), Setup(threads=1), []
    places = {
        "here": InProcess(make, setup),
        "there": run_kit.Murderous(make, setup, call="describe", survived=2),
    }
    for (name, place), size in zip(places.items(), (1, 2), strict=True):
        with RowFile(tmp_path / name) as file, WorkerPool(place, size, notes.append) as pool:
            tally = job.into(file, pool)
        assert (tally.described, list(tally.failed)) == (5, ["002-broken.png"])
    assert any("was lost (ended by signal SIGKILL)" in note for note in notes)
    here, there = (rows_of(tmp_path / name) for name in places)
    assert list(map(timeless, there)) == list(map(timeless, here))


def timeless(row: dict) -> dict:
    return {name: value for name, value in row.items() if name != "seconds"}


@pytest.mark.parametrize("lost", [1, 2, 400])
def test_a_last_line_that_was_half_written_is_done_again(bundled, photos, out, lost) -> None:
    describe_folder(bundled, photos, out, **SHORT)
    whole = out.read_bytes()
    out.write_bytes(whole[:-lost])
    tally = describe_folder(bundled, photos, out, **SHORT)
    # Only its line end was missing: then the row is there.
    assert (tally.described, tally.kept) == ((0, 5) if lost == 1 else (1, 4))
    assert pictures_of(out) == list(Folder.of(photos).pictures)
    assert out.read_bytes().startswith(whole[: whole.rindex(b"\n", 0, -1)])


def test_zeros_where_power_was_lost_are_cut_off(bundled, photos, out) -> None:
    describe_folder(bundled, photos, out, **SHORT)
    lines = out.read_bytes().splitlines(keepends=True)
    out.write_bytes(b"".join(lines[:3]) + lines[3][:50] + b"\0" * 200)
    assert describe_folder(bundled, photos, out, **SHORT).kept == 3
    assert pictures_of(out) == list(Folder.of(photos).pictures)


def test_errors_are_tried_again(bundled, photos, out) -> None:
    mended = (photos / "002.png").read_bytes()
    (photos / "002.png").write_text("broken")
    assert set(describe_folder(bundled, photos, out, **SHORT).failed) == {"002.png"}
    first = out.read_bytes().splitlines()
    assert set(describe_folder(bundled, photos, out, **SHORT).failed) == {"002.png"}
    assert out.read_bytes().splitlines() == first
    (photos / "002.png").write_bytes(mended)
    tally = describe_folder(bundled, photos, out, **SHORT)
    assert (tally.described, tally.kept, tally.failed) == (1, 4, {})
    assert pictures_of(out) == ["000.png", "001.png", "003.png", "004.png", "002.png"]
    assert out.read_bytes().splitlines()[:4] == first[:4]


def test_new_pictures_are_added(bundled, photos, out) -> None:
    describe_folder(bundled, photos, out, **SHORT)
    toy.scene("kept", 9).image.save(photos / "0000.png")
    assert describe_folder(bundled, photos, out, **SHORT).described == 1
    assert pictures_of(out)[-1] == "0000.png"


def test_nothing_left_to_do(bundled, photos, out) -> None:
    describe_folder(bundled, photos, out, **SHORT)
    before = out.read_bytes()
    tally = describe_folder(bundled, photos, out, **SHORT)
    assert (tally.described, tally.kept, tally.pictures) == (0, 5, 5)
    assert out.read_bytes() == before


# ---- another run's rows --------------------------------------------------------------------


def refused(out: Path, match: str, vlm: VLM, photos: Path, **options: object) -> None:
    """The run is refused, and leaves the file as it was."""
    before = out.read_bytes()
    with pytest.raises(InputError, match=match) as error:
        describe_folder(vlm, photos, out, **{**SHORT, **options})
    assert "--out" in str(error.value)
    assert out.read_bytes() == before


def test_rows_of_another_run_are_refused(bundled, photos, out) -> None:
    (photos / "broken.png").touch()
    describe_folder(bundled, photos, out, method="farsight", **SHORT)
    refused(out, "method 'farsight.*this run has 'plain'", bundled, photos)
    same = {"method": "farsight"}
    refused(out, "method 'farsight.*0.5", bundled, photos, method="farsight(sigma=0.5)")
    refused(out, "prompt .*'what is this [?]'", bundled, photos, **same, prompt="what is this ?")
    refused(out, "decoding .*'max_new_tokens': 7", bundled, photos, **same, max_new_tokens=7)
    other = VLM(bundled.model, bundled.processor, bundled.view, "other")
    refused(out, "model 'bundled', this run has 'other'", other, photos, **same)
    (photos / "broken.png").unlink()
    assert describe_folder(bundled, photos, out, **same, **SHORT).kept == 5


def test_another_folder_is_refused(bundled, photos, out, tmp_path) -> None:
    describe_folder(bundled, photos, out, **SHORT)
    refused(out, r"5 pictures that are not in .*\(000.png", bundled, draw_one(tmp_path / "other"))


def draw_one(root: Path) -> Path:
    root.mkdir()
    toy.scene("kept", 1).image.save(root / "one.png")
    return root


def test_a_picture_that_changed_is_refused_one_that_was_touched_is_not(
    bundled, photos, out
) -> None:
    describe_folder(bundled, photos, out, **SHORT)
    os.utime(photos / "001.png", (1, 1))
    assert describe_folder(bundled, photos, out, **SHORT).kept == 5
    toy.scene("kept", 77).image.save(photos / "001.png")
    refused(out, r"1 pictures that have changed since \(001.png", bundled, photos)


@pytest.mark.parametrize(
    "text",
    [
        "my notes",
        "my notes\n",
        '{"schema": "seesay.response/2", "picture": "a.png"}\n',
        '{"schema": "seesay.seen/1", "picture": "a.png"}\n',
        '{"schema": "seesay.seen/1", "text"\n',
        "[1, 2]\n",
        '{"schema": "seesay.seen/1", ' + "[" * 100_000 + "\n",
        "\ufffe\n",
    ],
    ids=["notes", "line", "version", "single", "cut", "list", "deep", "binary"],
)
def test_a_file_of_something_else_is_left_alone(bundled, photos, out, text) -> None:
    out.write_text(text, encoding="utf-16" if "\ufffe" in text else "utf-8")
    refused(out, "rows of seesay|line 1", bundled, photos)


def test_rows_joined_or_sorted_by_hand_are_refused(bundled, photos, out) -> None:
    (photos / "broken.png").touch()
    describe_folder(bundled, photos, out, **SHORT)
    lines = out.read_bytes().splitlines(keepends=True)
    out.write_bytes(b"".join(reversed(lines)))
    refused(out, "line 2 .*stands after an error", bundled, photos)
    out.write_bytes(b"".join(lines[:2]) + lines[0])
    refused(out, "line 3 .*second one of its picture", bundled, photos)


def test_places_that_cannot_be_written(bundled, photos, tmp_path) -> None:
    for place, reason in [
        (tmp_path, "it is a folder"),
        (tmp_path / "no" / "out.jsonl", "there is no folder"),
        (Path("/dev/null"), "no ordinary file"),
        (photos / "000.png", "something else than rows"),
    ]:
        with pytest.raises(InputError, match=reason):
            describe_folder(bundled, photos, place, **SHORT)


def test_two_runs_do_not_write_one_file(bundled, photos, out) -> None:
    pytest.importorskip("fcntl")
    with RowFile(out), pytest.raises(InputError, match="another run is writing"):
        describe_folder(bundled, photos, out, **SHORT)
    assert describe_folder(bundled, photos, out, **SHORT).described == 5


def test_a_file_name_that_is_no_text(bundled, photos, out) -> None:
    odd = os.fsdecode(b"\xff\xfe.png")
    (photos / "000.png").rename(photos / odd)
    describe_folder(bundled, photos, out, **SHORT)
    assert odd in pictures_of(out)
    assert rows_of(out)[-1]["protocol"]["picture"] == r"\xff\xfe.png"
    assert describe_folder(bundled, photos, out, **SHORT).kept == 5


# ---- out of room ---------------------------------------------------------------------------


def test_a_full_disk_stops_the_run_and_spoils_nothing(bundled, photos, out) -> None:
    job = FolderRun(Folder.of(photos), options=SHORT)
    rows = job.rows(WorkerPool.alone(FolderWorker(bundled, job.asked)))
    first = len(json.dumps(next(rows), ensure_ascii=False).encode()) + 1
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * first + first // 2, hard))
    try:
        with pytest.raises(
            SeesayError, match=r"cannot write .*the rows before are intact"
        ) as error:
            describe_folder(bundled, photos, out, **SHORT)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert error.value.exit_code == 1
    assert pictures_of(out) == ["000.png", "001.png"]
    assert describe_folder(bundled, photos, out, **SHORT).kept == 2
    assert pictures_of(out) == list(Folder.of(photos).pictures)
