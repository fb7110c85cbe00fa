"""Runs of diagnoses: selections of cache entries, files of measurements, stopping and going on."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch

import families
import run_kit
from families import CACHE
from seeing import WORDS, vlm_of
from seesay.errors import InputError, SeesayError
from seesay.explain.diagnose import (
    DiagnosisSettings,
    DiagnosisWorker,
    diagnose,
    diagnose_with,
    parse,
)
from seesay.explain.diagnose.measurements import MeasurementFile
from seesay.explain.diagnose.sparsity import selections
from seesay.runs.setup import Setup
from seesay.runs.worker_pool import InProcess, WorkerPool

QUICK = {"max_new_tokens": 10, "batch_size": 4, "asked": 4}


# ---- selections --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(selections(0.5)))
def test_selections_keep_the_same_number(families_by_name, name) -> None:
    family = families_by_name("llava-gqa")
    method = selections(0.5)[name]
    shown = [families.pictures(1), families.pictures(1, 1)]
    batch = families.inputs("llava-gqa", family.model, family.processor, ["a dog ?"] * 2, shown)
    prompt = batch["input_ids"].shape[1]
    with torch.no_grad(), method(family.model, readout=True) as session:
        out = family.model.generate(
            **batch, max_new_tokens=3, do_sample=False, return_dict_in_generate=True
        )
        assert session.record.var.shape[1] == out.sequences.shape[1] - prompt
    lengths = [layer.keys.shape[2] for layer in out[CACHE].layers]
    whole = prompt + 2  # the third token is never read
    kept = round(0.5 * prompt) + 2
    pruned = lengths[2:] if name == "FastV-style" else lengths
    assert set(lengths[: len(lengths) - len(pruned)]) <= {whole}
    if name == "VASparse":  # rounds what it drops, of the prompt, down
        kept = prompt - int(0.5 * prompt) + 2
    assert set(pruned) == {kept}


def test_keeping_everything_is_the_plain_model(llava) -> None:
    batch = llava.batch()
    how = {"max_new_tokens": 6, "do_sample": False}
    with torch.no_grad():
        plain = llava.model.generate(**batch, **how)
        for method in list(selections(1.0).values())[:3]:
            with method(llava.model):
                assert torch.equal(llava.model.generate(**batch, **how), plain)


# ---- runs --------------------------------------------------------------------------------------


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_run_goes_on_where_it_was(llava, tmp_path) -> None:
    vlm, out = vlm_of(llava), tmp_path / "m.jsonl"
    some, settings = parse("sinks,decay"), DiagnosisSettings(count=6, vocabulary=WORDS, **QUICK)
    whole = diagnose(vlm, some, settings, out)
    first = out.read_bytes()
    done = []
    again = diagnose(vlm, some, settings, out, on_step=lambda *step: done.append(step))
    assert out.read_bytes() == first  # nothing is measured twice
    assert again == whole
    assert done == [(18, 18)]  # a text and two diagnoses of six pictures
    cut = b"".join(first.splitlines(keepends=True)[:5]) + b'{"stage": "sin'
    out.write_bytes(cut)
    assert diagnose(vlm, some, settings, out) == whole
    before = [json.loads(line) for line in first.splitlines()]
    assert sorted(map(str, lines(out))) == sorted(map(str, before))
    more = diagnose(vlm, parse("vision"), replace(settings, count=8), out)
    assert more.pictures == 8
    assert out.read_bytes().startswith(first[:100])


@pytest.mark.usefixtures("quick_workers")
def test_workers_measure_the_same_and_may_be_killed(tmp_path) -> None:
    some, setup, notes = parse("sinks,strength"), Setup(threads=1), []
    settings = DiagnosisSettings(count=6, **{**QUICK, "batch_size": 2, "asked": 2})
    make = DiagnosisWorker.of(some, settings)
    places = {
        "here": InProcess(make, setup),
        "there": run_kit.Murderous(make, setup, call="measure", survived=4),
    }
    reports = []
    for (name, place), size in zip(places.items(), (1, 2), strict=True):
        with WorkerPool(place, size, notes.append) as pool:
            reports.append(diagnose_with(pool, settings, tmp_path / name))
    assert any("was lost (ended by signal SIGKILL)" in note for note in notes)
    here, there = ((tmp_path / name).read_bytes().splitlines() for name in places)
    assert sorted(there) == sorted(here)
    assert there[0] == here[0]
    assert reports[0] == reports[1]


def test_measurements_of_another_kind_are_refused(llava, tmp_path) -> None:
    vlm, out = vlm_of(llava), tmp_path / "m.jsonl"
    settings = DiagnosisSettings(count=4, vocabulary=WORDS, **QUICK)
    diagnose(vlm, parse("sinks"), settings, out)
    with pytest.raises(InputError, match=r"measured with decoding .*--out"):
        diagnose(vlm, parse("sinks"), replace(settings, max_new_tokens=11), out)
    other = tmp_path / "notes.txt"
    other.write_text("my notes\n")
    with pytest.raises(InputError, match="no measurement"):
        diagnose(vlm, parse("sinks"), settings, other)
    assert other.read_text() == "my notes\n"
    broken = out.read_text().splitlines()
    broken[2] = "{"
    out.write_text("\n".join(broken) + "\n")
    with pytest.raises(InputError, match="line 3"):
        diagnose(vlm, parse("sinks"), settings, out)


def test_two_runs_do_not_share_a_file(tmp_path) -> None:
    with MeasurementFile(tmp_path / "m.jsonl", {}), pytest.raises(InputError, match="another run"):
        MeasurementFile(tmp_path / "m.jsonl", {})


def test_a_full_disk_leaves_whole_lines(tmp_path, monkeypatch) -> None:
    path = tmp_path / "m.jsonl"
    with MeasurementFile(path, {"model": "x"}) as store:
        store.append([("text", "a", {"nan": math.nan, "pi": math.pi})])
        before = path.read_bytes()
        file = store._journal._file

        class Full:
            def write(self, data):
                file.write(data[:3])
                raise OSError(28, "No space left on device")

            def truncate(self, end):
                file.truncate(end)

            def close(self):
                file.close()

        monkeypatch.setattr(store._journal, "_file", Full())
        with pytest.raises(SeesayError, match=r"No space left.*intact"):
            store.append([("text", "b", {})])
    assert path.read_bytes() == before
    assert lines(path)[1]["found"] == {"nan": None, "pi": 3.141593}


def test_without_truth_what_needs_it_is_skipped(llava, tmp_path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for k, picture in enumerate(families.pictures(5)):
        picture.save(folder / f"{k}.png")
    (folder / "broken.png").write_bytes(b"no picture")
    broken = []
    report = diagnose(
        vlm_of(llava),
        parse(),
        DiagnosisSettings(str(folder), 10, vocabulary=WORDS, **QUICK),
        tmp_path / "m.jsonl",
        on_broken=lambda name, error: broken.append(name),
    )
    assert broken == ["broken.png"]
    assert report.pictures == 5
    assert report.invented is None
    found = {finding.name: finding for finding in report.findings}
    assert "nobody said what is in the pictures" in found["heads"].skipped
    assert "nobody said what is in the pictures" in found["strength"].skipped
    assert not found["sinks"].skipped
    assert "Inventions: skipped" in found["sinks"].remarks[0]
    assert "skipped" in found["vision"].remarks[0]
    assert all(claim.verdict == "cannot be told" for one in found.values() for claim in one.claims)
    assert "attention-lens(layers=(0, 2))" in found["vision"].advice[0][0]


def test_the_plain_model_stands_at_strength_nought(llava, tmp_path) -> None:
    vlm = vlm_of(llava)
    settings = DiagnosisSettings(count=4, vocabulary=WORDS, **QUICK)
    diagnose(vlm, parse("strength"), settings, tmp_path / "m.jsonl")
    found = lines(tmp_path / "m.jsonl")[1:]
    texts = {one["picture"]: one["found"] for one in found if one["stage"] == "text"}
    zero = {one["picture"]: one["found"] for one in found if one["stage"].endswith("α = 0")}
    assert len(zero) == 4
    for picture, (invented, named, present, _) in zero.items():
        words = texts[picture]["words"]
        assert named == len(words)
        assert invented == sum(word["invented"] for word in words)
        assert present == texts[picture]["present"]
