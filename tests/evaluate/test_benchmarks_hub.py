"""Data from the Hub: what is written down, fallbacks, and what is kept. Without a network: a module
that stands in for `datasets`, and the real one on local files where it is installed."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from seesay.errors import InputError
from seesay.evaluate.benchmarks import suite
from seesay.evaluate.benchmarks.hub import hub_folder


def picture(color, kind="PNG"):
    stream = io.BytesIO()
    Image.new("RGB", (4, 4), color).save(stream, kind)
    return stream.getvalue()


def pope_rows():
    return [
        {
            "question_id": str(number),
            "question": f"Is there a {thing} in the image?",
            "answer": answer,
            "image_source": "COCO_val2014_000000310196",
            "image": {"bytes": picture("red", "JPEG"), "path": None},
            "category": sampling,
        }
        for sampling in ("random", "popular", "adversarial")
        for number, (thing, answer) in enumerate([("dog", "yes"), ("cat", "no")])
    ]


def mme_rows():
    return [
        {
            "question_id": "color/0001.png",
            "question": f"{answer}?",
            "answer": answer,
            "category": "color",
            "image": {"bytes": picture("blue"), "path": "0001.png"},
        }
        for answer in ("Yes", "No")
    ]


def chair_rows():
    image = {"bytes": picture("blue"), "path": None}
    return [{"question_id": "77.jpg", "image": image, "gt_object": ["dog", "bench"]}]


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A `datasets` module that knows the ids it is told, and counts what is asked of it."""
    known, asked = {}, []

    def load_dataset(id, *, split):
        asked.append((id, split))
        if id not in known:
            raise FileNotFoundError(f"Dataset {id!r} doesn't exist on the Hub\nor is private")
        rows = known[id]
        return SimpleNamespace(cast_column=lambda column, feature: rows)

    module = SimpleNamespace(load_dataset=load_dataset, Image=lambda decode: decode)
    monkeypatch.setitem(sys.modules, "datasets", module)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return SimpleNamespace(known=known, asked=asked)


def test_pope_with_the_first_id_gone(hub):
    hub.known["lmms-lab-encoder/POPE"] = pope_rows()
    benchmarks = suite("pope", data="hub")
    assert hub.asked == [("lmms-lab/POPE", "test"), ("lmms-lab-encoder/POPE", "test")]
    for benchmark in benchmarks:
        samples = benchmark.samples()
        assert [s.truth["label"] for s in samples] == ["yes", "no"]
        assert {s.cluster for s in samples} == {"COCO_val2014_000000310196.jpg"}
        assert Path(samples[0].picture).read_bytes() == picture("red", "JPEG")


def test_what_was_fetched_is_kept(hub):
    hub.known["my/POPE"] = pope_rows()
    first = hub_folder("pope", "hub:other/POPE|my/POPE")
    assert hub_folder("pope", "hub:other/POPE|my/POPE") == first
    assert [id for id, _ in hub.asked] == ["other/POPE", "my/POPE"]
    assert sorted(p.name for p in first.parent.iterdir()) == ["my--POPE"]


def test_chair_and_its_ready_truth(hub):
    hub.known["tsunghanwu/mscoco_chair"] = chair_rows()
    (chair,) = suite("chair", data={"chair": "hub"})
    (sample,) = chair.samples()
    assert sample.truth == {"objects": ["dog", "bench"]}
    assert Path(sample.picture).name == "77.png"
    assert Path(sample.picture).is_file()


def test_mme_takes_its_own_categories(hub):
    rows = mme_rows()
    hub.known["lmms-lab/MME"] = [*rows, {**rows[0], "category": "OCR"}]
    (mme,) = suite("mme(folder='hub')")
    samples = mme.samples()
    assert [(s.id, s.truth["label"]) for s in samples] == [
        ("color/color-0001.png#1", "yes"),
        ("color/color-0001.png#2", "no"),
    ]
    assert all(Path(sample.picture).is_file() for sample in samples)


def test_no_id_can_be_read(hub):
    message = r"lmms-lab/POPE: Dataset 'lmms-lab/POPE' doesn't exist on the Hub; .*encoder/POPE"
    with pytest.raises(InputError, match=message):
        suite("pope", data="hub")


def test_rows_of_another_form_leave_nothing_behind(hub, tmp_path):
    hub.known["my/POPE"] = [{"image": {"bytes": b"", "path": None}}]
    with pytest.raises(InputError, match="has no field 'question_id' or 'id'"):
        suite("pope", data={"pope": "hub:my/POPE"})
    assert not list((tmp_path / "cache" / "seesay" / "benchmarks" / "pope").iterdir())


def test_amber_is_not_on_the_hub(hub):
    with pytest.raises(InputError, match="amber is not read from the Hub; give a folder"):
        suite("amber", data="hub")


def test_without_the_datasets_package(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match=r"pip install 'seesay\[datasets\]'"):
        suite("pope", data="hub")


def test_the_real_package_on_local_files(monkeypatch, tmp_path):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    features = datasets.Features(
        {
            **{name: datasets.Value("string") for name in pope_rows()[0]},
            "image": datasets.Image(),
        }
    )
    (tmp_path / "data").mkdir()
    rows = datasets.Dataset.from_list(pope_rows(), features=features)
    rows.to_parquet(str(tmp_path / "data" / "test-00000-of-00001.parquet"))
    random, *_ = suite("pope", data=f"hub:{tmp_path}/data")
    (first, _) = random.samples()
    assert Path(first.picture).read_bytes() == picture("red", "JPEG")
