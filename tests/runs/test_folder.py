"""A folder of pictures into rows: what counts, in which order, and what a broken picture does."""

from __future__ import annotations

import json
import os
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

import families
from seesay import toy
from seesay.errors import InputError, MethodError
from seesay.grounding import Vocabulary
from seesay.methods import FarSight
from seesay.models.view import ModelView
from seesay.options import Options
from seesay.runs.folder import ERROR_SCHEMA, Folder, FolderRun, FolderWorker, describe_folder
from seesay.runs.worker_pool import WorkerPool
from seesay.vlm import VLM, load

SHORT: Options = {"max_new_tokens": 6}


@pytest.fixture(scope="module")
def bundled() -> VLM:
    return load()


@pytest.fixture
def photos(tmp_path) -> Path:
    """Five drawn pictures in three folders."""
    root = tmp_path / "photos"
    for seed, name in enumerate(["b.png", "a.PNG", "sub/c.png", "sub/deep/d.png", "sub-2/e.png"]):
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        toy.scene("kept", seed).image.save(file)
    return root


def rows_of(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def bomb(file: Path, width: int = 30_000, height: int = 30_000) -> None:
    """A PNG whose header promises that many pixels and which holds none."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    file.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    )


# ---- what counts ---------------------------------------------------------------------------


def test_pictures_are_found_in_all_folders_and_sorted_part_by_part(photos) -> None:
    (photos / "notes.txt").write_text("no picture")
    (photos / "phone.HEIC").write_text("a format that cannot be read")
    (photos / ".hidden.png").write_bytes((photos / "b.png").read_bytes())
    (photos / ".thumbnails").mkdir()
    (photos / ".thumbnails" / "t.png").write_bytes((photos / "b.png").read_bytes())
    folder = Folder.of(photos)
    # "sub-2" sorts before "sub/" as text; by parts "sub" comes first.
    assert folder.pictures == ("a.PNG", "b.png", "sub/c.png", "sub/deep/d.png", "sub-2/e.png")
    assert folder.others == {".txt": 1, ".heic": 1}


def test_links_to_files_are_followed_and_links_to_folders_are_not(photos) -> None:
    (photos / "f.png").symlink_to(photos / "b.png")
    (photos / "loop").symlink_to(photos, target_is_directory=True)
    assert Folder.of(photos).pictures[:3] == ("a.PNG", "b.png", "f.png")
    assert len(Folder.of(photos).pictures) == 6


def test_a_folder_without_pictures_and_no_folder_are_refused(tmp_path) -> None:
    with pytest.raises(InputError, match=r"no picture in the folder .*\.png"):
        Folder.of(tmp_path)
    with pytest.raises(InputError, match="is no folder"):
        Folder.of(tmp_path / "nowhere")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_cannot_be_read_is_refused(photos) -> None:
    (photos / "sub").chmod(0)
    try:
        with pytest.raises(InputError, match=r"cannot read the folder .*sub"):
            Folder.of(photos)
    finally:
        (photos / "sub").chmod(0o755)


# ---- rows ----------------------------------------------------------------------------------


def rows_from(vlm: VLM, photos: Path, options: Options, done=()):
    run = FolderRun(Folder.of(photos), options=options)
    return run.rows(WorkerPool.alone(FolderWorker(vlm, run.asked)), done)


def test_a_row_a_picture_in_order_and_as_one_by_one(bundled, photos, tmp_path) -> None:
    out = tmp_path / "out.jsonl"
    reached: list[tuple[int, int]] = []
    tally = describe_folder(
        bundled, photos, out, batch_size=2, on_progress=lambda *now: reached.append(now)
    )
    assert (tally.described, tally.kept, tally.failed) == (5, 0, {})
    assert reached == [(0, 5), (2, 5), (4, 5), (5, 5)]
    rows = rows_of(out)
    assert [row["picture"] for row in rows] == list(Folder.of(photos).pictures)
    for row in rows:
        seen = bundled.describe(photos / row["picture"]).to_dict()
        assert row["schema"] == seen["schema"] == "seesay.seen/1"
        assert row["text"] == seen["text"]
        assert [token["id"] for token in row["tokens"]] == [token["id"] for token in seen["tokens"]]
        assert [mention["span"] for mention in row["mentions"]] == [
            mention["span"] for mention in seen["mentions"]
        ]
        assert row["protocol"] == {**seen["protocol"], "picture": row["picture"]}
        assert row["file"]["bytes"] == (photos / row["picture"]).stat().st_size


def test_the_batch_size_changes_no_text(family, photos) -> None:
    for number, image in enumerate(families.pictures(3)):  # other sizes and shapes
        image.save(photos / f"p{number}.png")
    words = Vocabulary.of({"dog": []})
    vlm = VLM(family.model, family.processor, ModelView.of(family.model, family.processor), "x")
    texts = []
    for size in (1, 3, 8):
        options: Options = {"max_new_tokens": 8, "vocabulary": words, "batch_size": size}
        texts.append([(row["picture"], row["text"]) for row in rows_from(vlm, photos, options)])
    assert len(texts[0]) == 8
    assert texts[0] == texts[1] == texts[2]


def test_drawn_texts_do_not_depend_on_where_a_run_was_stopped(bundled, photos) -> None:
    options: Options = {**SHORT, "do_sample": True, "seed": 5, "batch_size": 4}
    whole = [(row["picture"], row["text"]) for row in rows_from(bundled, photos, options)]
    rows = rows_from(bundled, photos, options, done={"a.PNG", "sub/c.png"})
    later = [(row["picture"], row["text"]) for row in rows]
    assert later == [pair for pair in whole if pair[0] not in {"a.PNG", "sub/c.png"}]


def test_a_method_that_acts_otherwise_in_a_batch_gets_one_picture_at_a_time(
    bundled, photos, monkeypatch
) -> None:
    sizes = []
    plain = VLM.describe
    monkeypatch.setattr(
        VLM, "describe", lambda vlm, one, **how: sizes.append(len(one)) or plain(vlm, one, **how)
    )
    options: Options = {**SHORT, "method": "farsight"}
    assert len(list(rows_from(bundled, photos, options))) == 5
    assert sizes == [5]
    monkeypatch.setattr(FarSight, "inactive_in", {"batch": "because"})
    assert len(list(rows_from(bundled, photos, options))) == 5
    assert sizes == [5, 1, 1, 1, 1, 1]


def test_no_more_pictures_than_a_batch_are_open_at_once(bundled, photos, monkeypatch) -> None:
    opened = []
    plain = FolderWorker._open
    monkeypatch.setattr(
        FolderWorker, "_open", lambda self, name: opened.append(name) or plain(self, name)
    )
    rows = rows_from(bundled, photos, {**SHORT, "batch_size": 2})
    assert opened == []
    next(rows)
    assert len(opened) == 2
    next(rows)
    assert len(opened) == 2
    next(rows)
    assert len(opened) == 4


# ---- broken pictures -----------------------------------------------------------------------


def test_broken_pictures_have_error_rows_at_the_end(bundled, photos, tmp_path) -> None:
    whole = (photos / "b.png").read_bytes()
    (photos / "a-cut.png").write_bytes(whole[: len(whole) // 2])
    (photos / "bomb.png").touch()
    bomb(photos / "bomb.png")
    (photos / "empty.jpg").touch()
    (photos / "gone.png").symlink_to(photos / "nowhere.png")
    os.mkfifo(photos / "pipe.png")
    (photos / "text.jpg").write_text("no picture")
    Image.new("RGB", (1, 1)).save(photos / "z-one-pixel.png")
    out = tmp_path / "out.jsonl"
    tally = describe_folder(bundled, photos, out, batch_size=4, **SHORT)
    assert (tally.described, tally.pictures) == (6, 12)
    rows = rows_of(out)
    assert [row["schema"] for row in rows] == ["seesay.seen/1"] * 6 + [ERROR_SCHEMA] * 6
    assert [row["picture"] for row in rows[:6]] == [
        name for name in Folder.of(photos).pictures if name not in tally.failed
    ]
    reasons = {row["picture"]: row["error"] for row in rows[6:]}
    assert reasons == tally.failed
    assert list(reasons) == [
        "a-cut.png",
        "bomb.png",
        "empty.jpg",
        "gone.png",
        "pipe.png",
        "text.jpg",
    ]
    for name, reason in {
        "a-cut.png": "damaged or cut short",
        "bomb.png": "too large (Image size (900000000 pixels)",
        "empty.jpg": "empty",
        "gone.png": "no file",
        "pipe.png": "no ordinary file",
        "text.jpg": "not a picture",
    }.items():
        assert reason in reasons[name]


def test_a_picture_that_a_model_cannot_take_costs_only_itself(families_by_name, tmp_path) -> None:
    family = families_by_name("qwen2.5-vl")
    vlm = VLM(family.model, family.processor, ModelView.of(family.model, family.processor), "qwen")
    photos = tmp_path / "photos"
    photos.mkdir()
    for name, size in {"a": (40, 40), "b": (3000, 1), "c": (40, 30), "d": (30, 40)}.items():
        Image.new("RGB", size, "olive").save(photos / f"{name}.png")
    tally = describe_folder(vlm, photos, tmp_path / "out.jsonl", **SHORT)
    assert tally.described == 3
    assert "aspect ratio" in tally.failed["b.png"]


def test_what_no_picture_could_be_described_with_is_refused_before_the_first(
    bundled, photos, tmp_path
) -> None:
    out = tmp_path / "out.jsonl"
    with pytest.raises(MethodError, match="layer 60 is outside the model"):
        describe_folder(bundled, photos, out, method="attention-lens(layers=(2, 60))")
    with pytest.raises(InputError, match="batch_size"):
        describe_folder(bundled, photos, out, batch_size=0)
    assert not out.exists()


def test_an_unexpected_error_in_one_picture_is_a_row_too(bundled, photos, tmp_path) -> None:
    class Broken(VLM):
        def describe(self, picture, **options):
            if isinstance(picture, list) and any(one.name == "b.png" for one in picture):
                raise ZeroDivisionError("of\nall things")
            return super().describe(picture, **options)

    broken = Broken(bundled.model, bundled.processor, bundled.view, "broken")
    tally = describe_folder(broken, photos, tmp_path / "out.jsonl", **SHORT)
    assert tally.failed == {"b.png": "unexpected ZeroDivisionError: of all things"}
    assert tally.described == 4
