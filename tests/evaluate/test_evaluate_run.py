"""Runs with the bundled model: what is asked, and that it always comes out the same."""

from __future__ import annotations

import os
import re
import time
from dataclasses import replace

import pytest

import run_kit
from run_kit import SETUP, run
from seesay.errors import EngineError, InputError, SeesayError
from seesay.evaluate.entries import Wanted
from seesay.evaluate.records import open_run
from seesay.evaluate.runner import Progress
from seesay.evaluate.worker import ModelWorker
from seesay.runs.setup import Setup
from seesay.runs.worker_pool import MOST_LOSSES, ProcessBackend


def test_a_run_records_everything_once(tmp_path):
    reports = run(tmp_path, "agla")
    assert reports[0] == (0, 24)
    assert reports[-1] == (24, 24)
    found = open_run(tmp_path)
    assert found.missing() == 0
    assert run_kit.lines_of(tmp_path) == 24
    captions, questions = (found.answers("plain", name) for name in ("captions", "questions"))
    assert all(answer.text and answer.mentions for answer in captions.values())
    assert all(0 < answer.tokens <= 24 for answer in captions.values())
    assert all(answer.yes is None for answer in captions.values())
    assert {re.split("[.,]", answer.text)[0] for answer in questions.values()} <= {"Yes", "No"}
    assert not any(answer.mentions for answer in questions.values())
    for answer in questions.values():
        assert answer.yes is not None
        assert (answer.yes > 0.5) == answer.text.startswith("Yes")


@pytest.mark.slow
def test_in_batches_the_same_as_singly(tmp_path):
    methods, few = "attention-lens; agla + eah", [run_kit.Captions(scenes=4), run_kit.Questions()]
    run(tmp_path / "batches", methods, benchmarks=few)
    run(tmp_path / "singly", methods, benchmarks=few, batch_size=1)
    one, other = (run_kit.recorded(tmp_path / name) for name in ("batches", "singly"))
    for entry, by_benchmark in one.items():
        for benchmark, answers in by_benchmark.items():
            for id_, answer in answers.items():
                alone = other[entry][benchmark][id_]
                assert (answer.text, answer.tokens, answer.ended) == (
                    alone.text,
                    alone.tokens,
                    alone.ended,
                )
                assert [m.logprob for m in answer.mentions] == pytest.approx(
                    [m.logprob for m in alone.mentions], abs=1e-4
                )


def test_a_run_that_is_there_is_not_asked_again(tmp_path):
    run(tmp_path)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*.jsonl")}
    assert run(tmp_path) == [(12, 12)]
    assert {file: file.read_bytes() for file in tmp_path.rglob("*.jsonl")} == before


def test_a_method_that_is_added_is_all_that_is_asked(tmp_path):
    run(tmp_path)
    assert run(tmp_path, "vcd")[0] == (12, 24)
    assert [entry.label for entry in open_run(tmp_path).plan.entries] == ["plain", "vcd"]


def test_what_was_cut_off_is_asked_again_and_comes_out_the_same(tmp_path):
    run(tmp_path / "whole")
    run(tmp_path / "cut")
    for file in (tmp_path / "cut").rglob("*.jsonl"):
        os.truncate(file, file.stat().st_size - 30)
    assert run(tmp_path / "cut")[0] == (10, 12)
    assert run_kit.recorded(tmp_path / "cut") == run_kit.recorded(tmp_path / "whole")
    assert run_kit.lines_of(tmp_path / "cut") == 12


@pytest.mark.slow
def test_a_killed_run_goes_on_and_comes_out_the_same(tmp_path, processes):
    asked = {"benchmarks": [run_kit.Captions(scenes=10)], "batch_size": 2}
    run(tmp_path / "whole", "agla", **asked)
    killed = tmp_path / "killed"
    process = processes.Process(target=run, args=(killed, "agla"), kwargs=asked)
    process.start()
    until = time.monotonic() + 120
    while run_kit.lines_of(killed) < 4:
        assert time.monotonic() < until
        assert process.is_alive()
        time.sleep(0.01)
    process.kill()
    process.join()
    found = open_run(killed).missing()
    assert 0 < found <= 16
    assert run(killed, "agla", **asked)[0] == (20 - found, 20)
    assert run_kit.recorded(killed) == run_kit.recorded(tmp_path / "whole")
    assert run_kit.lines_of(killed) == 20


@pytest.mark.usefixtures("quick_workers")
def test_workers_say_the_same_and_may_be_killed(tmp_path):
    run(tmp_path / "here", "agla")
    notes = []
    place = run_kit.Murderous(ModelWorker, SETUP, call="answer")
    run(tmp_path / "there", "agla", place=place, size=2, notes=notes)
    assert any("was lost (ended by signal SIGKILL)" in note for note in notes)
    assert run_kit.recorded(tmp_path / "there") == run_kit.recorded(tmp_path / "here")
    assert run_kit.lines_of(tmp_path / "there") == 24


@pytest.mark.usefixtures("quick_workers")
def test_a_batch_that_kills_its_workers_ends_the_run(tmp_path):
    place = run_kit.Murderous(ModelWorker, SETUP, call="answer", kills=MOST_LOSSES, survived=0)
    with pytest.raises(SeesayError, match="3 workers were lost at the same batch"):
        run(tmp_path, place=place)
    assert open_run(tmp_path).missing() == 12


@pytest.mark.usefixtures("quick_workers")
def test_what_a_worker_refuses_is_told_as_it_was(tmp_path):
    with pytest.raises(SeesayError, match="no-such-model"):
        run(
            tmp_path,
            place=ProcessBackend(ModelWorker, Setup(model=str(tmp_path / "no-such-model"))),
        )


@pytest.fixture
def with_files(tmp_path):
    """Makes a benchmark about the first few files: a picture, no picture, missing ones."""
    from seesay.pictures import open_picture

    folder = tmp_path / "pictures"
    folder.mkdir()
    open_picture("toy:kept/3").image.save(folder / "p0.png")
    (folder / "p1.png").write_bytes(b"no picture")

    class Files(run_kit.Captions):
        def samples(self):
            return [
                replace(sample, picture=str(folder / f"p{k}.png"))
                for k, sample in enumerate(super().samples())
            ]

    return lambda count: [Files(scenes=count)]


def test_missing_pictures_are_counted_and_refused(tmp_path, with_files):
    with pytest.raises(InputError, match=r"2 .*p2\.png"):
        run(tmp_path / "a", benchmarks=with_files(4))
    assert not (tmp_path / "a").exists()


def test_missing_pictures_are_skipped_and_broken_ones_recorded_if_asked(tmp_path, with_files):
    notes = []
    run(tmp_path / "a", benchmarks=with_files(4), skip_missing=True, notes=notes)
    assert any("2 of 4 samples are left out" in note for note in notes)
    found = open_run(tmp_path / "a")
    assert found.plan.benchmarks["captions"].skipped == ("s2", "s3")
    answers = found.answers("plain", "captions")
    assert answers["s0"].text
    assert answers["s0"].error is None
    assert answers["s1"].text == ""
    assert "p1.png" in answers["s1"].error


def test_a_broken_picture_is_told_by_name(tmp_path, with_files):
    with pytest.raises(InputError, match=r"captions, s1: .*p1\.png.*--skip-missing"):
        run(tmp_path / "a", benchmarks=with_files(2))


def test_an_id_that_stands_twice_is_refused(tmp_path):
    class Twice(run_kit.Captions):
        def samples(self):
            return [*super().samples(), super().samples()[0]]

    with pytest.raises(InputError, match="stands twice"):
        run(tmp_path, benchmarks=[Twice()])


@pytest.mark.slow
def test_strength_0_is_the_plain_model_and_is_told(tmp_path):
    run(tmp_path, "attention-lens; agla", controls=True)
    found = open_run(tmp_path)
    assert found.verified() == {
        method: {"captions": (6, 6), "questions": (6, 6)} for method in ("attention-lens", "agla")
    }
    file = next((tmp_path / "records" / "captions").glob(f"{_zero(found)}.jsonl"))
    file.write_text(file.read_text().replace('"text": "', '"text": "Well: ', 1))
    assert open_run(tmp_path).verified()["agla"]["captions"] == (5, 6)


def _zero(found):
    jobs = found.plan.jobs
    return next(j.id for j in jobs if (j.entry, j.benchmark) == ("agla: strength 0", "captions"))


def test_drawn_tokens_are_the_same_again_and_differ_from_batch_to_batch(tmp_path):
    drawn = {"num_beams": 1, "do_sample": True, "generation": {"temperature": 1.5, "top_k": 0}}
    same = [replace(sample, picture="toy:broken/1") for sample in run_kit.Captions().samples()]

    class Same(run_kit.Captions):
        def samples(self):
            return same

    for name in ("a", "b"):
        wanted = Wanted.of("plain", controls=False, decoding=drawn)
        run(tmp_path / name, wanted=wanted, benchmarks=[Same()], batch_size=1)
    assert run_kit.recorded(tmp_path / "a") == run_kit.recorded(tmp_path / "b")
    texts = {
        answer.text for answer in open_run(tmp_path / "a").answers("plain", "captions").values()
    }
    assert len(texts) > 1
    with pytest.raises(InputError, match="batch_size: 1 there, 2 here"):
        run(tmp_path / "a", wanted=wanted, benchmarks=[Same()], batch_size=2)


def test_a_method_that_cannot_run_is_told_before_anything_is_asked(tmp_path):
    with pytest.raises(EngineError, match="cannot run on bundled"):
        run(tmp_path, "attention-lens(layers=(3, 40))")
    assert not (tmp_path / "run.json").exists()


def test_time_left_goes_by_what_an_item_of_each_benchmark_took():
    from seesay.evaluate.benchmark import Answer

    began = time.perf_counter() - 22
    progress = Progress(40, found=0, left={"slow": 20, "fast": 20}, started=began)
    assert progress.seconds_left is None
    progress.take("plain", "slow", [Answer(str(k), "", seconds=1.0) for k in range(10)])
    progress.take("plain", "fast", [Answer(str(k), "", seconds=0.1) for k in range(10)])
    # 11 s of generation took 22 s by the clock, and 11 s of it are left.
    assert progress.seconds_left == pytest.approx(22, rel=0.05)
    assert progress.rate == pytest.approx(20 / 22, rel=0.05)
