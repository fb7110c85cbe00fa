"""The command line: what it prints where, and its exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from seesay import toy
from seesay.cli import run
from seesay.methods import REGISTRY

STANDALONE = [name for name, kind in REGISTRY.items() if kind.standalone]
ASKING = {name for name, kind in REGISTRY.items() if kind.acts_on == "texts"}
"""Methods that ask the model again, which a random one cannot answer."""
SHORT = ["--max-new-tokens", "8"]


@pytest.fixture
def seesay(capsys, monkeypatch):
    """Runs a command line in this process; returns (exit code, stdout, stderr)."""
    monkeypatch.setattr("seesay.cli.output.FIRST_WORD", 60.0)  # no progress lines on slow machines

    def call(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()  # what fixtures printed
        status = run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return status, out, err

    return call


@pytest.fixture
def model(checkpoints) -> list[object]:
    return ["--model", checkpoints("llava")]


@pytest.fixture
def photo(tmp_path) -> Path:
    file = tmp_path / "photo.jpg"
    Image.new("RGB", (80, 60), "olive").save(file)
    return file


def process(*arguments: object, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "seesay", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


# ---- describe, ask, compare ----------------------------------------------------------------


def test_describe_prints_the_text_and_what_the_risk_is(seesay, model, photo) -> None:
    status, out, err = seesay("describe", photo, *model, *SHORT)
    assert (status, err) == (0, "")
    assert "(cut at the token limit)" in out.splitlines()[0]
    assert out.splitlines()[-1] == "risk: uncalibrated: ranks within each text, not probabilities"


def test_json_is_all_there_is_on_stdout(seesay, model, photo) -> None:
    status, out, err = seesay("describe", photo, *model, *SHORT, "--json", "--method", "farsight")
    assert (status, err) == (0, "")
    record = json.loads(out)
    assert record["schema"] == "seesay.seen/1"
    assert record["method"] == "farsight"
    assert record["protocol"]["picture"] == "photo.jpg"
    assert len(record["tokens"]) <= 8
    again = json.loads(seesay("describe", photo, *model, *SHORT, "--json")[1])
    assert again["method"] == "plain"


def test_options_reach_the_model(seesay, model, photo) -> None:
    decoding = ["--num-beams", 2, "--sample", "--seed", 3, "--prompt", "what is this ?"]
    record = json.loads(seesay("describe", photo, *model, *SHORT, *decoding, "--json")[1])
    assert record["protocol"]["decoding"] == {
        "max_new_tokens": 8,
        "num_beams": 2,
        "do_sample": True,
    }
    assert record["protocol"]["prompt"] == "what is this ?"
    assert record["protocol"]["seed"] == 3
    half = json.loads(
        seesay(
            "describe", photo, *model, *SHORT, "--dtype", "bfloat16", "--device", "cpu", "--json"
        )[1]
    )
    assert (half["protocol"]["dtype"], half["protocol"]["device"]) == ("bfloat16", "cpu")


def test_the_limit_on_pixels_can_be_set(seesay, model, photo) -> None:
    assert seesay("describe", photo, *model, *SHORT, "--max-pixels", 4800)[0] == 0
    status, out, err = seesay("describe", photo, *model, *SHORT, "--max-pixels", 4799)
    assert (status, out) == (2, "")
    assert "photo.jpg" in err
    assert len(err.splitlines()) == 1


def test_own_words(seesay, model, photo, tmp_path) -> None:
    words = tmp_path / "mine.txt"
    first = json.loads(seesay("describe", photo, *model, *SHORT, "--json")[1])["text"].split()[0]
    words.write_text(f"{first}, gizmo\n", encoding="utf-8")
    record = json.loads(seesay("describe", photo, *model, *SHORT, "--words", words, "--json")[1])
    assert record["mentions"][0]["class"] == first
    assert record["protocol"]["vocabulary"] == "mine"


def test_a_drawn_scene_shows_its_truth(seesay, model) -> None:
    status, out, _ = seesay("describe", "toy:broken/7", *model, *SHORT)
    assert status == 0
    present = ", ".join(sorted(toy.scene("broken", 7).present))
    assert f"in the picture: {present}" in out.splitlines()


def test_ask(seesay, model, photo) -> None:
    status, out, _ = seesay("ask", photo, "is there a dog ?", *model, *SHORT, "--json")
    assert status == 0
    assert json.loads(out)["protocol"]["prompt"] == "is there a dog ?"


def test_compare(seesay, model, photo, tmp_path) -> None:
    report = tmp_path / "out.html"
    status, out, err = seesay("compare", photo, *model, *SHORT, "--report", report)
    assert status == 0
    left_out, wrote = err.splitlines()
    assert left_out.startswith("seesay: without look-again: ")  # a random model answers nothing
    assert wrote == f"seesay: wrote {report}"
    for name in ("plain", *(n for n in STANDALONE if n not in ASKING)):
        assert any(line.startswith(f"  {name}  ") for line in out.splitlines())
        assert f"<h3>{name}</h3>" in report.read_text(encoding="utf-8")
    some = ["--methods", "plain; attention-lens(alpha=0.3) + farsight", "--json"]
    records = json.loads(seesay("compare", photo, *model, *SHORT, *some)[1])
    assert [record["method"] for record in records] == [
        "plain",
        "attention-lens(alpha=0.3) + farsight",
    ]


# ---- methods, doctor, version --------------------------------------------------------------


def test_methods_reads_the_registry(seesay) -> None:
    status, out, _ = seesay("methods")
    assert status == 0
    for name, kind in REGISTRY.items():
        assert any(line.startswith(name) and kind.summary in line for line in out.splitlines())
    status, out, _ = seesay("methods", "Far_Sight")
    assert status == 0
    assert "sigma" in out
    assert "default 0.8" in out
    assert "2505.16652" in out
    status, _, err = seesay("methods", "attention-lense")
    assert status == 2
    assert "did you mean attention-lens?" in err


def test_methods_of_a_model_say_who_set_them(seesay, checkpoints) -> None:
    status, out, _ = seesay("methods", "--model", str(checkpoints("instructblip")))
    assert status == 0
    rows = {line.split()[0]: line for line in out.split("settings on ")[1].splitlines() if line}
    assert "eah(layer=1, threshold=0.002)  " in rows["eah"]
    assert "published for this model: arXiv 2411.09968" in rows["eah"]
    assert "general rule" in rows["attention-lens"]
    assert "general rule" in rows["vcd"]


def test_doctor(seesay, model) -> None:
    status, out, _ = seesay("doctor", *model)
    assert status == 0
    facts = {line.split()[0]: line for line in out.splitlines()}
    assert {"python", "torch", "transformers", "model", "decoder"} <= facts.keys()
    assert "4 layers, 4 heads" in facts["decoder"]
    assert "bit-equal" in facts["identity"]
    for name, kind in REGISTRY.items():
        fits = "cannot look again" if name in ASKING else "fits"
        assert (fits if kind.standalone else "needs another method") in facts[name]


def test_doctor_fails_when_the_model_is_changed(seesay, model, monkeypatch) -> None:
    monkeypatch.setattr("seesay.vlm.VLM.identity", lambda self: 0.5)
    status, out, err = seesay("doctor", *model)
    assert status == 1
    assert "differ from the untouched model by up to 0.5" in out
    assert "no result on it can be trusted" in err


def test_version(seesay) -> None:
    assert seesay("--version")[:2] == (0, "seesay 0.1.0\n")


def test_help_tells_of_drawn_scenes(seesay) -> None:
    status, out, _ = seesay("describe", "--help")
    assert status == 0
    assert "toy:broken/7" in out


# ---- bad input -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["describe", "nope.jpg"], 2, "nope.jpg"),
        (["describe", "toy:broken/7", "--max-pixels", "0"], 2, "--max-pixels"),
        (["describe", "."], 2, "folder"),
        (["describe", "toy:broken/x"], 2, "toy:kept/SEED"),
        (["describe", "toy:broken/7", "--method", "farsigt"], 2, "did you mean farsight?"),
        (["describe", "toy:broken/7", "--method", "agla(alfa=1)"], 2, "did you mean alpha?"),
        (["compare", "toy:broken/7", "--methods", "plain; aglo"], 2, "did you mean agla?"),
        (["describe", "toy:broken/7", "--metod", "agla"], 2, "--method"),
        (["descrbe", "toy:broken/7"], 2, "describe"),
        (["describe"], 2, "PICTURE"),
        (["describe", "toy:broken/7", "--max-new-tokens", "0"], 2, "--max-new-tokens"),
        (["describe", "toy:broken/7", "--num-beams", "two"], 2, "--num-beams"),
        (
            ["describe", "toy:broken/7", "--report", "no/such/folder/x.html"],
            2,
            "there is no folder",
        ),
        (["describe", "toy:broken/7", "--words", "no-words.txt"], 2, "no-words.txt"),
        (["describe", "toy:broken/7", "--model", "./no-model"], 1, "no-model"),
        (["demo", "--scenes", "0"], 2, "--scenes"),
        (["demo", "--out", "."], 2, "it is a folder"),
    ],
)
def test_one_line_and_the_exit_code(seesay, arguments, code, reason) -> None:
    status, out, err = seesay(*arguments)
    assert status == code
    assert out == ""
    assert err.startswith("seesay: ")
    assert len(err.splitlines()) == 1
    assert reason in err


def test_bad_input_that_shows_once_the_model_is_loaded(seesay, model) -> None:
    status, out, err = seesay(
        "describe", "toy:kept/1", *model, "--method", "attention-lens(layers=(2, 60))"
    )
    assert (status, out) == (2, "")
    assert "layer 60 is outside the model" in err
    status, out, err = seesay("ask", "toy:kept/1", "  ", *model)
    assert (status, out) == (2, "")
    assert "prompt is empty" in err


def test_debug_shows_the_traceback_and_only_then(seesay, photo) -> None:
    photo.write_text("no picture")
    _, _, err = seesay("describe", photo, "--debug")
    assert "Traceback" in err
    assert err.splitlines()[-1].startswith("seesay: ")
    _, _, err = seesay("describe", photo)
    assert "Traceback" not in err


def test_a_hostile_file_name_is_printed_safely(seesay) -> None:
    _, _, err = seesay("describe", "\x1b[31mred\nline.jpg")
    assert "\x1b" not in err
    assert len(err.splitlines()) == 1


# ---- as a process --------------------------------------------------------------------------


@pytest.mark.slow
def test_a_reader_that_goes_away_is_no_error(checkpoints, photo) -> None:
    running = process("describe", photo, "--model", checkpoints("llava"), *SHORT, "--json")
    assert running.stdout is not None
    running.stdout.close()
    _, err = running.communicate(timeout=60)
    assert running.returncode == 0
    assert "Error" not in err
    assert "Exception" not in err


@pytest.mark.slow
def test_interrupted(checkpoints, photo, tmp_path) -> None:
    report = tmp_path / "out.html"
    running = process(
        "describe", photo, "--model", checkpoints("llava"), "--max-new-tokens", 100_000,
        "--report", report,
        # What a shell runs in the background ignores the signal, and its children would.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert running.stderr is not None
    try:
        line = ""
        while "describing" not in line:  # progress, every now and then: the model is at work
            line = running.stderr.readline()
            assert running.poll() is None
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    finally:
        running.kill()
    assert running.returncode == 130
    assert out == ""
    assert err.splitlines()[-1] == "seesay: interrupted"
    assert "Traceback" not in err
    assert sorted(os.listdir(tmp_path)) == ["photo.jpg"]


def test_a_bug_is_one_line_too(photo) -> None:
    code = (
        "import seesay.cli\n"
        "class Broken:\n"
        "    def describe(self, *a, **k): raise RuntimeError('a\\nbug')\n"
        "seesay.cli.describe.load = lambda *a, **k: Broken()\n"
        "seesay.cli.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "describe", photo], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith("seesay: unexpected RuntimeError: a bug;")
    assert "Traceback" not in done.stderr


# ---- the bundled model ---------------------------------------------------------------------


@pytest.mark.slow
def test_demo(seesay, tmp_path) -> None:
    page = tmp_path / "demo.html"
    status, out, err = seesay("demo", "--scenes", 2, "--out", page)
    assert status == 0
    assert str(page) in err
    for seed in (1, 2):
        assert f"toy:broken/{seed}" in out
    html = page.read_text(encoding="utf-8")
    assert html.count('<image id="picture-') == 2
    for name in ("plain", *STANDALONE):
        assert html.count(f"<h3>{name}</h3>") == 2
    for text in (html, out):
        assert "is a claim about large models" in text
        assert "none is left out" in text


def test_the_bundled_model_warns_that_it_knows_no_photographs(seesay, photo, model) -> None:
    note = (
        "seesay: the bundled model knows its drawn scenes only; for other pictures name a --model\n"
    )
    assert seesay("describe", photo, *SHORT)[2] == note
    assert seesay("describe", "toy:kept/1", *SHORT)[2] == ""
    assert seesay("describe", photo, *SHORT, *model)[2] == ""
