"""`seesay evaluate`: what a person sees, exit codes, and that it goes on after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

import run_kit
from seesay.cli import run
from seesay.evaluate.records import open_run

TOY = ["evaluate", "--suite", "toy-captions-kept,toy-pope-random-kept"]


@pytest.fixture
def seesay(capsys, tmp_path, monkeypatch):
    """Runs a command line in an empty folder; returns (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        status = run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return status, out, err

    return call


@pytest.mark.slow
def test_a_table_with_controls_comes_out(seesay, tmp_path):
    status, out, err = seesay(*TOY, "--methods", "agla, eah", "--limit", 2, "--out", "a")
    assert status == 0, err
    for word in ("agla", "eah", "CHAIR_I", "accuracy", "toy-captions-kept"):
        assert word in out
    # plain, two methods, strength 0 of each, the second stream of one
    assert "24 items in" in err
    assert "a second" in err
    assert "at strength 0 all 8 texts equal the plain model's" in err
    found = open_run(tmp_path / "a")
    assert found.missing() == 0
    assert (found.plan.suite, found.plan.limit) == ("toy-captions-kept,toy-pope-random-kept", 2)
    status, again, err = seesay(*TOY, "--methods", "agla, eah", "--limit", 2, "--out", "a")
    assert status == 0
    assert "all 24 items were recorded already" in err
    assert again == out


def test_without_a_folder_results_lie_under_runs(seesay, tmp_path):
    status, _, err = seesay(*TOY, "--methods", "plain", "--limit", 1)
    assert status == 0, err
    assert (
        open_run(tmp_path / "runs/bundled-toy-captions-kept-toy-pope-random-kept-1").missing() == 0
    )


def test_sweeps_and_no_controls(seesay, tmp_path):
    more = ["--sweep", "attention-lens.alpha=0.2:0.6:0.2", "--no-controls", "--limit", 1]
    status, _, err = seesay(*TOY, "--methods", "vcd", *more, "--out", "a")
    assert status == 0, err
    assert [entry.label for entry in open_run(tmp_path / "a").plan.entries] == [
        "plain",
        "vcd",
        *(f"attention-lens.alpha={alpha}" for alpha in (0.2, 0.4, 0.6)),
    ]


@pytest.mark.slow
def test_drawn_tokens_have_controls_of_their_own(seesay, tmp_path):
    more = ["--sample", "--temperature", "0.6", "--seed", 3, "--limit", 2, "--batch-size", 2]
    status, _, err = seesay(*TOY, "--methods", "agla", *more, "--out", "a")
    assert status == 0, err
    plan = open_run(tmp_path / "a").plan
    assert plan.entry("agla").decoding == {
        "num_beams": 1,
        "do_sample": True,
        "generation": {"temperature": 0.6, "top_p": 1.0, "top_k": 0},
    }
    assert plan.entry("plain greedy").control == "plain-greedy"
    assert plan.entry("agla: temperature 0.2").control == "temperature"
    assert plan.protocol["seed"] == 3


@pytest.mark.slow
def test_a_killed_command_goes_on_where_it_was(seesay, tmp_path):
    arguments = [*TOY, "--methods", "agla", "--limit", "5", "--batch-size", "2"]
    status, _, err = seesay(*arguments, "--out", "whole")
    assert status == 0, err
    call = [sys.executable, "-m", "seesay", *arguments, "--out", "killed"]
    with subprocess.Popen(call, cwd=tmp_path, stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + 120
        while run_kit.lines_of(tmp_path / "killed") < 4:
            assert time.monotonic() < until
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    missing = open_run(tmp_path / "killed").missing()
    assert 0 < missing <= 36
    status, _, err = seesay(*arguments, "--out", "killed")
    assert status == 0, err
    assert f"{missing} items in" in err
    assert f"({40 - missing} were recorded already)" in err
    assert run_kit.recorded(tmp_path / "killed") == run_kit.recorded(tmp_path / "whole")
    assert run_kit.lines_of(tmp_path / "killed") == 40


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--suite", "toi"], "did you mean toy"),
        (["--suite", "toy-pope(parser=strikt)"], "did you mean strict"),
        (["--methods", "attention-lense"], "did you mean attention-lens"),
        (["--sweep", "agla.alfa=0:1:1"], "did you mean alpha"),
        (["--sweep", "agla.alpha=0:1"], "is no range"),
        (["--data", "pope="], "write SUITE=FOLDER"),
        (["--temperature", "0.5"], "add --sample"),
        (["--address", "auto"], "are for --engine ray"),
        (["--out", "old"], "version 'seesay.run/0'"),
        (["--out", "file"], "is a file"),
        (["--out", "other"], "holds other files"),
        (["--limit", "0"], "--limit"),
    ],
)
def test_bad_input_is_one_line_and_2(seesay, tmp_path, arguments, told):
    for folder, name in (("old", "run.json"), ("other", "notes.txt")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(json.dumps({"schema": "seesay.run/0"}))
    (tmp_path / "file").touch()
    status, out, err = seesay("evaluate", *arguments)
    assert status == 2
    assert told in err
    assert out == ""
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "runs").exists()


def test_a_method_that_does_not_fit_is_1_and_leaves_nothing(seesay, tmp_path):
    status, out, err = seesay(*TOY, "--methods", "attention-lens(layers=(3, 40))", "--limit", 1)
    assert (status, out) == (1, "")
    assert "cannot run on bundled" in err
    assert not (tmp_path / "runs").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_2(seesay, tmp_path):
    (tmp_path / "mine").mkdir(mode=0o500)
    status, _, err = seesay(*TOY, "--out", "mine/a")
    assert status == 2
    assert "cannot write" in err
