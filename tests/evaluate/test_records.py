"""Results on disk: nothing lost, nothing twice, nothing half."""

from __future__ import annotations

import json
import math
import os
import resource
import signal
import subprocess
import sys

import pytest

import run_kit
from seesay.errors import InputError, SeesayError
from seesay.evaluate.benchmark import Answer, NamedObject
from seesay.evaluate.plan import batches, split
from seesay.evaluate.records import PLAN, ResultsStore, check_folder, open_run, record_file

FULL = Answer(
    "s0",
    "A “fork”\n on a\u2028plate.",
    tokens=7,
    seconds=0.25,
    ended=False,
    mentions=(
        NamedObject("fork", (3, 7), -0.5, 0.25),
        NamedObject("plate", (14, 19), math.nan, math.nan),
    ),
    yes=0.75,
)


def store_of(folder, **more):
    return ResultsStore(folder, run_kit.plan(**more))


def test_what_is_written_is_read(tmp_path):
    with store_of(tmp_path) as store:
        first = store.run.plan.jobs[0]
        store.append(first.id, [FULL], "What?")
        store.append(first.id, [Answer("s1", "", error="no picture")], "What?")
    run = open_run(tmp_path)
    assert run.plan == run_kit.plan()
    found = run.answers("plain", "captions")
    assert list(found) == ["s0", "s1"]
    assert found["s1"] == Answer("s1", "", error="no picture")
    assert math.isnan(found["s0"].mentions[1].risk)
    assert repr(found["s0"]) == repr(FULL)  # NaN is not equal to itself
    assert run.missing() == 4
    line = record_file(tmp_path, first).read_text().splitlines()[0]
    assert json.loads(line)["prompt"] == "What?"


def test_answers_come_in_the_plans_order(tmp_path):
    with store_of(tmp_path) as store:
        job = store.run.plan.jobs[0]
        for id_ in ("s2", "s0", "s3"):
            store.append(job.id, [Answer(id_, id_)], "What?")
    assert list(open_run(tmp_path).answers("plain", "captions")) == ["s0", "s2", "s3"]


@pytest.mark.parametrize("batch", [["s0"], ["s1", "s1"], ["s5"]], ids=["again", "twice", "alien"])
def test_no_record_twice_and_none_of_another_job(tmp_path, batch):
    with store_of(tmp_path) as store:
        job = store.run.plan.jobs[0]
        store.append(job.id, [Answer("s0", "a")], "What?")
        with pytest.raises(ValueError, match="recorded already or not in job"):
            store.append(job.id, [Answer(id_, "b") for id_ in batch], "What?")
    assert run_kit.lines_of(tmp_path) == 1


@pytest.mark.parametrize("cut", [2, 5, 40])
def test_a_half_written_last_line_is_passed_over_and_cut_off(tmp_path, cut):
    path = cut_by(tmp_path, cut)
    assert list(open_run(tmp_path).answers("plain", "captions")) == ["s0"]
    with store_of(tmp_path) as store:
        job = store.run.plan.jobs[0]
        assert store.done(job.id) == {"s0"}
        store.append(job.id, [Answer("s1", "again")], "What?")
    assert [a.text for a in open_run(tmp_path).answers("plain", "captions").values()] == [
        "whole",
        "again",
    ]
    assert len(path.read_text().splitlines()) == 2


def test_a_last_line_that_lacks_only_its_end_is_kept(tmp_path):
    path = cut_by(tmp_path, 1)
    with store_of(tmp_path) as store:
        job = store.run.plan.jobs[0]
        assert store.done(job.id) == {"s0", "s1"}
        store.append(job.id, [Answer("s2", "more")], "What?")
    assert list(open_run(tmp_path).answers("plain", "captions")) == ["s0", "s1", "s2"]
    assert len(path.read_text().splitlines()) == 3


def cut_by(folder, count):
    """Two records, the last of them cut by so many bytes."""
    with store_of(folder) as store:
        job = store.run.plan.jobs[0]
        store.append(job.id, [Answer("s0", "whole"), Answer("s1", "half")], "What?")
    path = record_file(folder, job)
    os.truncate(path, path.stat().st_size - count)
    return path


def test_a_line_broken_in_the_middle_is_told_with_its_number(tmp_path):
    with store_of(tmp_path) as store:
        job = store.run.plan.jobs[0]
        store.append(job.id, [Answer("s0", "a"), Answer("s1", "b")], "What?")
    path = record_file(tmp_path, job)
    path.write_text("{}\n" + path.read_text())
    with pytest.raises(InputError, match=r"line 1 of .*is no record.*delete the file"):
        open_run(tmp_path).answers("plain", "captions")


def test_a_full_disk_stops_the_run_and_leaves_whole_lines(tmp_path):
    with store_of(tmp_path, shard=100) as store:
        job = store.run.plan.jobs[0]
        store.append(job.id, [Answer("s0", "x" * 500)], "What?")
        before = record_file(tmp_path, job).read_bytes()
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # as a disk that fills up midway
        try:
            with pytest.raises(SeesayError, match=r"cannot write .*goes on where it stopped"):
                store.append(job.id, [Answer("s1", "y" * 500)], "What?")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert record_file(tmp_path, job).read_bytes() == before
        assert store.done(job.id) == {"s0"}
        store.append(job.id, [Answer("s1", "y" * 500)], "What?")
    assert len(open_run(tmp_path).answers("plain", "captions")) == 2


def test_results_of_another_version_are_refused_and_left_alone(tmp_path):
    text = json.dumps({"schema": "seesay.run/0", "jobs": 3})
    (tmp_path / PLAN).write_text(text)
    for use in (open_run, check_folder, store_of):
        with pytest.raises(InputError, match=r"version 'seesay.run/0'.*reads 'seesay.run/1'"):
            use(tmp_path)
    assert (tmp_path / PLAN).read_text() == text


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "is broken"), ("[1]", "version None"), ('{"schema": "seesay.run/1"}', "broken at")],
)
def test_a_broken_plan_is_refused(tmp_path, content, message):
    (tmp_path / PLAN).write_text(content)
    with pytest.raises(InputError, match=message):
        open_run(tmp_path)


def test_folders_that_are_no_results(tmp_path):
    with pytest.raises(InputError, match=r"holds no run\.json"):
        open_run(tmp_path)
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match="holds other files"):
        store_of(tmp_path)
    with pytest.raises(InputError, match="is a file"):
        check_folder(tmp_path / "thesis.tex")
    with pytest.raises(InputError, match="cannot"):
        store_of(tmp_path / "thesis.tex" / "runs")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match=r"cannot write"):
        check_folder(tmp_path / "a")
    tmp_path.chmod(0o700)


def test_two_runs_in_one_folder_are_refused(tmp_path):
    with store_of(tmp_path), pytest.raises(InputError, match="another run is at work"):
        store_of(tmp_path)
    with store_of(tmp_path):
        pass


def _killed_at_work(folder):
    store = store_of(folder)
    os.kill(os.getpid(), signal.SIGKILL)
    store.close()


def test_the_lock_goes_with_a_killed_process(tmp_path, processes):
    process = processes.Process(target=_killed_at_work, args=(tmp_path,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    with store_of(tmp_path) as store:
        assert store.run.missing() == 6


def test_a_run_grows_by_methods_and_benchmarks(tmp_path):
    with store_of(tmp_path) as store:
        store.append(store.run.plan.jobs[0].id, [Answer("s0", "kept")], "What?")
    questions = run_kit.plan(run_kit.Questions(), methods=("plain", "agla"))
    with ResultsStore(tmp_path, questions):
        pass
    plan = open_run(tmp_path).plan
    assert list(plan.benchmarks) == ["captions", "questions"]
    assert [entry.label for entry in plan.entries] == ["plain", "agla"]
    assert plan.suite == "captions,questions"
    assert open_run(tmp_path).answers("plain", "captions")["s0"].text == "kept"


def test_no_benchmark_stands_twice_in_a_suite(tmp_path):
    captions, questions = run_kit.Captions(), run_kit.Questions()
    both = run_kit.plan(captions, questions)
    for plan in (both, run_kit.plan(questions), both):
        with ResultsStore(tmp_path, plan) as store:
            assert split(store.run.plan.suite) == list(store.run.plan.benchmarks)
    with pytest.raises(InputError, match="name all of them in --suite, or only others"):
        ResultsStore(tmp_path, run_kit.plan(captions, run_kit.Captions(name="more")))


@pytest.mark.parametrize(
    "other",
    [
        {"protocol": {"model": "bundled", "revision": "2"}},
        {"protocol": {"model": "bundled", "revision": "1", "seed": 4}},
    ],
)
def test_another_protocol_is_refused(tmp_path, other):
    with store_of(tmp_path):
        pass
    with pytest.raises(InputError, match=r"another protocol \((revision|seed)"):
        store_of(tmp_path, **other)


def test_other_samples_are_refused(tmp_path):
    with store_of(tmp_path):
        pass
    with pytest.raises(InputError, match=r"captions: samples: 6 there, 7 here"):
        ResultsStore(tmp_path, run_kit.plan(run_kit.Captions(scenes=7)))


def test_a_jobs_id_says_what_its_records_depend_on():
    def ids(**more):
        return {job.id for job in run_kit.plan(**more).jobs}

    same = ids()
    assert same == ids()
    assert not same & ids(methods=("agla",))
    assert not same & ids(protocol={"model": "bundled", "revision": "2"})
    captions = run_kit.Captions
    for changed in (captions(max_new_tokens=25), captions(prompt="What?"), captions(name="other")):
        assert not same & {job.id for job in run_kit.plan(changed).jobs}
    # A longer run begins with the same whole shards.
    assert len(same & {job.id for job in run_kit.plan(captions(scenes=8)).jobs}) == 1


def test_shards_and_batches_keep_a_prompts_samples_together():
    questions = run_kit.Questions(scenes=9)
    shards = run_kit.plan(questions, shard=4).benchmarks["questions"].shards
    assert [len(shard) for shard in shards] == [6, 3]
    by_id = {sample.id: sample for sample in questions.samples()}
    cut = list(batches([by_id[id_] for id_ in shards[0]], 2))
    assert [[sample.id for sample in batch] for batch in cut] == [
        ["q0", "q3"],
        ["q6"],
        ["q1", "q4"],
        ["q7"],
    ]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("attention-lens, agla+eah", ["attention-lens", "agla+eah"]),
        ("agla(alpha=1, beta=0.5); eah", ["agla(alpha=1, beta=0.5)", "eah"]),
        ("pai(layers=(1, 2)),,all ; ", ["pai(layers=(1, 2))", "all"]),
    ],
)
def test_lists_are_cut_outside_brackets(text, parts):
    assert split(text) == parts


def test_reading_results_needs_no_torch():
    code = "import sys, seesay.evaluate.records; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
