"""seesay audit on the command line, and texts that are shown as they grow."""

from __future__ import annotations

import io
import json
import sys

import pytest

from seeing import calibration
from seesay import load
from seesay.cli import run
from seesay.cli.streaming import Growing, growing
from seesay.grounding import Mention
from seesay.grounding.calibration import CALIBRATION_FILE
from seesay.render.account import Account


@pytest.fixture
def seesay(capsys, monkeypatch):
    """Runs a command line in this process; returns (exit code, stdout, stderr)."""
    monkeypatch.setattr("seesay.cli.output.FIRST_WORD", 60.0)

    def call(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        status = run([str(argument) for argument in arguments])
        return status, *capsys.readouterr()

    return call


TEXT = "There is a fork and a cow."


def test_the_same_text_from_an_option_a_file_and_a_pipe(seesay, tmp_path, monkeypatch) -> None:
    file = tmp_path / "text.txt"
    file.write_bytes(b"\xef\xbb\xbf" + TEXT.encode() + b"\n")
    status, out, err = seesay("audit", "toy:broken/7", "--text", TEXT)
    assert (status, err) == (0, "")
    assert "~~cow~~" in out
    assert "probability that the object is not there" in out
    ranked = seesay("audit", "toy:broken/7", "--text", TEXT, "--no-self-check")[1]
    assert "[" not in ranked.splitlines()[0], "a rank marks nothing"
    assert "probability" not in ranked
    assert "risk: ranks within the text" in ranked
    same = ("audit", "toy:broken/7", "--no-self-check", "--text-file")
    assert seesay(*same, file)[1] == ranked
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode())))
    assert seesay(*same, "-")[1] == ranked


def test_json_report_and_self_check(seesay, tmp_path) -> None:
    page = tmp_path / "audit.html"
    status, out, _ = seesay(
        "audit", "toy:broken/7", "--text", TEXT, "--json", "--self-check", "--deep", "--report",
        page,
    )  # fmt: skip
    assert status == 0
    record = json.loads(out)
    assert record["text"] == TEXT
    assert record["method"] == record["protocol"]["method"] == "given text"
    fork, cow = record["mentions"]
    for mention in (fork, cow):
        assert {"logprob", "svar", "self_check", "consistency"} <= set(mention["scores"])
        assert 0 <= mention["risk"] <= 1
        assert mention["calibrated"]
    assert record["check"]["questions"] == 2
    assert TEXT.split()[0] in page.read_text(encoding="utf-8")
    status, out, _ = seesay("audit", "toy:broken/7", "--text", TEXT, "--self-check")
    assert "self-check: 2 questions" in out


def test_a_text_without_object_words_is_said_to_be_one(seesay) -> None:
    status, out, err = seesay("audit", "toy:broken/7", "--text", "It is.")
    assert status == 0
    assert out.startswith("It is.\n")
    assert err == "seesay: the text names no object that the vocabulary 'toy' knows\n"


def test_other_words(seesay, tmp_path) -> None:
    words = tmp_path / "mine.txt"
    words.write_text("unicorn, magic horse\n", encoding="utf-8")
    text = "A magic horse and a dining table."
    for given, expected in ((words, ["unicorn"]), ("coco", ["horse", "dining table"])):
        out = seesay("audit", "toy:kept/1", "--text", text, "--words", given, "--json")[1]
        assert [m["class"] for m in json.loads(out)["mentions"]] == expected


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "--text"),
        (["--text", "a", "--text-file", "b"], "once"),
        (["--text", " "], "there is no text"),
        (["--text-file", "nope.txt"], "cannot read 'nope.txt': No such file"),
        (["--text-file", "{latin}"], "it is no UTF-8 text"),
        (["--text-file", "{empty}"], "there is no text in"),
        (["--text-file", "{huge}"], "more than 1,000,000 bytes"),
        (["--text", "cow " * 3000], "split the text into parts"),
        (["--text", "A <image> cow."], "the text holds '<image>'"),
        (["--text", "A cow.", "--words", "tooy"], "did you mean toy"),
        (["--text", "A cow.", "--report", "/nowhere/r.html"], "there is no folder"),
    ],
)
def test_what_cannot_be_audited_is_one_line(seesay, tmp_path, arguments, reason) -> None:
    files = {"latin": b"caf\xe9", "empty": b" \n", "huge": b"a" * 1_000_001}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    paths = {name: tmp_path / name for name in files}
    status, out, err = seesay("audit", "toy:kept/1", *(str(a).format(**paths) for a in arguments))
    assert (status, out) == (2, "")
    assert reason in err
    assert err.count("\n") == 1


def test_a_saved_model_says_that_it_is_uncalibrated(seesay, checkpoints) -> None:
    for name in ("llava", "qwen2.5-vl"):
        model = ["--model", checkpoints(name)]
        status, out, err = seesay("audit", "toy:kept/1", "--text", "a fork and a car", *model)
        assert status == 0
        assert "is not asked (" in err
        assert "so words are ranked and none is marked" in err
        assert "risk: uncalibrated: ranks within each text" in out
        status, _, err = seesay("audit", "toy:kept/1", "--text", "a fork", "--self-check", *model)
        assert status == 1
        assert "cannot check what it says" in err


def test_a_calibration_of_another_revision_is_remarked_upon(seesay, checkpoints) -> None:
    file = checkpoints("llava") / CALIBRATION_FILE
    try:
        file.write_text(calibration(revision="old").text(), encoding="utf-8")
        call = ["audit", "toy:kept/1", "--text", "a fork", "--model", file.parent]
        status, out, err = seesay(*call)
        assert status == 0
        assert "made with revision old" in err
        assert "uncalibrated" in out
        file.write_text("no calibration", encoding="utf-8")
        status, out, err = seesay(*call)
        assert (status, out) == (1, "")
        assert "make it anew with `seesay calibrate`" in err
    finally:
        file.unlink()


# ---- texts that grow -----------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_in_a_terminal_words_come_one_after_another(monkeypatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    cow = Mention("cow", "cow", (2, 5), 1, {}, 0.9, True)
    with growing(True, None) as shown:
        assert isinstance(shown, Growing)
        shown("A", [])
        assert screen.getvalue() == "A"
        shown("A cow and", [cow])
        assert screen.getvalue() == "A [cow?] and"
        shown("A cow and a \x1b[2Jbarn.", [cow])
    assert screen.getvalue() == "A [cow?] and a \ufffd[2Jbarn.\n"
    whole = Account("", "A cow and a \x1b[2Jbarn.", [cow])
    assert shown.whole(whole)
    assert not shown.whole(Account("", whole.text, []))  # weighed otherwise since


def test_a_streamed_text_is_not_printed_twice(monkeypatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "400")
    assert run(["describe", "toy:broken/9", "--stream"]) == 0
    text = load().describe("toy:broken/9").text
    assert screen.getvalue().startswith(text.split()[0])
    assert screen.getvalue().count(text.split(".")[0].split("with")[0]) == 1
    assert "in the picture:" in screen.getvalue()


def test_a_pipe_gets_the_finished_text_alone(seesay) -> None:
    plain = seesay("describe", "toy:broken/9")
    assert seesay("describe", "toy:broken/9", "--stream") == plain
    question = ("ask", "toy:broken/9", "Is there a cow in the image?")
    assert seesay(*question, "--stream") == seesay(*question)


def test_what_cannot_be_streamed(seesay, tmp_path) -> None:
    for more in (["--json"], ["--num-beams", "2"]):
        status, out, err = seesay("describe", "toy:broken/9", "--stream", *more)
        assert (status, out) == (2, "")
        assert "--stream" in err
    status, _, err = seesay("describe", tmp_path, "--out", tmp_path / "o.jsonl", "--stream")
    assert status == 2
    assert "leave it out for folders" in err
