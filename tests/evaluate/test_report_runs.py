"""From results folders to reports: what shares a table, what is refused, what is written."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from little import Captions, Questions, captions, replies
from seesay.cli import run as command_line
from seesay.errors import InputError
from seesay.evaluate.plan import Entry, Plan, jobs_of, planned
from seesay.evaluate.records import ResultsStore
from seesay.evaluate.report import build, load

GREEDY = {"num_beams": 1, "do_sample": False, "generation": {}}
PICTURES, ASKED = Captions(pictures=30), Questions(pictures=20)
TEXTS = {
    "plain": captions(PICTURES.samples(), 0.8, 0.3, 0),
    "lens": captions(PICTURES.samples(), 0.7, 0.1, 1),
    "agla": captions(PICTURES.samples(), 0.8, 0.2, 2),
}
SAID = {
    "plain": replies(ASKED.samples(), 1, 1, 0),
    "lens": replies(ASKED.samples(), 2, 1, 1),
    "agla": replies(ASKED.samples(), 1, 0, 2),
}


@pytest.fixture(autouse=True)
def suites(monkeypatch):
    """The little benchmarks in the place of the real ones; "fewer" gives other samples."""

    def suite(text, data=None, limit=None):
        known = {"little-captions": PICTURES, "little-questions": ASKED,
                 "fewer": replace(PICTURES, pictures=7)}  # fmt: skip
        return [known[part] for part in text.split(",")]

    monkeypatch.setattr(load, "suite_of", suite)


def entry(name, **fields):
    given = {"role": "plain" if name == "plain" else "method", "method": f"{name}(alpha=0.5)",
             "written": name, "decoding": GREEDY, "label": name}  # fmt: skip
    return Entry(**{**given, **fields})


def write(folder, names, *, protocol=None, upto=None, suite="little-captions,little-questions"):
    """A run of the given methods in `folder`; `upto` answers of each benchmark and method."""
    protocol = {"model": "m", "revision": "abcdef0123456789", "seed": 0, **(protocol or {})}
    benchmarks = [one for one in (PICTURES, ASKED) if one.name in suite]
    asked = {one.name: planned(one, one.samples()) for one in benchmarks}
    samples = {one.name: {s.id: s for s in one.samples()} for one in benchmarks}
    entries = [name if isinstance(name, Entry) else entry(name) for name in names]
    plan = Plan(protocol=protocol, suite=suite, benchmarks=asked, entries=tuple(entries),
                jobs=jobs_of(entries, asked, samples, protocol))  # fmt: skip
    with ResultsStore(folder, plan) as store:
        written = {}
        for job in plan.jobs:
            label = plan.entry(job.entry).written
            answers = (TEXTS if job.benchmark == PICTURES.name else SAID)[label]
            key = job.benchmark, job.entry
            left = None if upto is None else upto - written.get(key, 0)
            ids = plan.ids(job)[:left]
            new = [answers[i] for i in ids if i not in store.done(job.id)]
            store.append(job.id, new, "Describe.")
            written[key] = written.get(key, 0) + len(ids)
    return folder


def names(table):
    return [line.label for line in table.lines]


def test_a_run_is_read_scored_and_stamped(tmp_path):
    folder = write(tmp_path / "a", ["plain", "lens"])
    report = build([folder], resamples=200)
    described, asked = report.tables
    assert (described.model, described.benchmark) == ("m @ abcdef012345", "little-captions")
    assert (described.pictures, asked.samples) == (30, 120)
    for metric, of in PICTURES.metrics.items():
        for label, texts in (("plain", TEXTS["plain"]), ("lens", TEXTS["lens"])):
            scored = PICTURES.score(PICTURES.samples(), texts)
            line = next(line for line in described.lines if line.label == label)
            assert line.figures[metric].value == pytest.approx(float(of.of(scored.totals)))
    stamp = report.stamps[str(folder)]
    assert stamp["seed"] == 0
    assert stamp["command"] == (
        'seesay evaluate --suite "little-captions,little-questions" --methods "lens" '
        f"--out {folder}"
    )
    assert described.protocol["scorer"] == "little"
    assert described.lines[0].cost.ratio == pytest.approx(1)
    assert report.remarks == ()


def test_runs_of_one_protocol_share_their_tables(tmp_path):
    first = write(tmp_path / "a", ["plain", "lens"])
    second = write(tmp_path / "b", ["plain", "lens", "agla"])
    report = build([first, second, first], resamples=100)
    assert [names(table) for table in report.tables] == [["plain", "lens", "agla"]] * 2
    assert len(report.stamps) == 2


def test_runs_of_other_protocols_do_not(tmp_path):
    first = write(tmp_path / "a", ["plain", "lens"], suite="little-captions")
    second = write(tmp_path / "b", ["plain"], protocol={"seed": 1}, suite="little-captions")
    report = build([first, second], resamples=100)
    assert [table.model[-10:] for table in report.tables] == ["protocol 1", "protocol 2"]
    assert [names(table) for table in report.tables] == [["plain", "lens"], ["plain"]]


def test_one_name_for_two_methods_is_told_apart(tmp_path):
    first = write(tmp_path / "a", ["plain", "lens"])
    other = entry("agla", label="lens")
    controlled = entry("plain", label="lens: strength 0", role="control", control="strength-0",
                       of="lens")  # fmt: skip
    second = write(tmp_path / "b", ["plain", other, controlled])
    table = build([first, second], resamples=100).tables[0]
    renamed = f"lens ({second})"
    assert names(table)[:3] == ["plain", "lens", renamed]
    line = next(line for line in table.lines if line.label == renamed)
    assert "strength-0" in {one.name for one in line.beside}
    line = next(line for line in table.lines if line.label == "lens")
    assert "strength-0" not in {one.name for one in line.beside}


def test_sweeps_keep_their_values(tmp_path):
    steps = [
        entry("lens", label=f"lens.alpha={value}", role="sweep", method=f"lens(alpha={value})",
              sweep={"method": "lens", "field": "alpha", "value": value})
        for value in (0.1, 0.2)
    ]  # fmt: skip
    folder = write(tmp_path / "a", ["plain", *steps])
    report = build([folder], resamples=100)
    assert [line.swept for line in report.tables[0].of_role("sweep")] == [
        ("lens", "alpha", 0.1),
        ("lens", "alpha", 0.2),
    ]
    assert '--sweep "lens.alpha=0.1,0.2"' in report.stamps[str(folder)]["command"]


def test_an_unfinished_run_says_so(tmp_path):
    folder = write(tmp_path / "a", ["plain", "lens"], upto=18)
    report = build([folder], resamples=100)
    missing = 2 * (30 - 18) + 2 * (120 - 18)
    assert f"{missing} planned answers are not recorded yet" in report.remarks[0]
    assert report.tables[0].pictures == 18


def test_other_samples_than_those_that_were_asked_are_refused(tmp_path, monkeypatch):
    folder = write(tmp_path / "a", ["plain"], suite="little-captions")
    monkeypatch.setattr(load, "suite_of", lambda *_, **__: [replace(PICTURES, pictures=7)])
    with pytest.raises(InputError, match="not those that were asked"):
        build([folder])


def test_a_folder_that_holds_no_run_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"run\.json"):
        build([tmp_path])


def test_answers_can_be_scored_in_another_way(tmp_path):
    folder = write(tmp_path / "a", ["plain", "lens"])
    report = build([folder], suite="little-questions", resamples=100)
    assert [table.benchmark for table in report.tables] == ["little-questions"]
    alone = write(tmp_path / "b", ["plain"], suite="little-captions")
    with pytest.raises(InputError, match="no answers to little-questions"):
        build([alone], suite="little-questions")


def test_the_command_prints_and_writes(tmp_path, capsys):
    folder = write(tmp_path / "a", ["plain", "lens"])
    out = {kind: tmp_path / f"r.{kind}" for kind in ("md", "html", "json")}
    given = [arg for path in out.values() for arg in ("--out", str(path))]
    board = tmp_path / "board.md"
    status = command_line(["report", str(folder), *given, "--leaderboard", str(board),
                           "--resamples", "200", "--title", "Little"])  # fmt: skip
    assert status == 0
    printed = capsys.readouterr()
    assert "little-captions on m @ abcdef012345, 30 pictures" in printed.out
    assert printed.err.count("wrote") == 4
    assert out["md"].read_text().startswith("# Little")
    assert "<title>Little</title>" in out["html"].read_text()
    assert json.loads(out["json"].read_text())["resamples"] == 200
    assert board.read_text().startswith("# Leaderboard")


def test_the_command_prints_other_formats(tmp_path, capsys):
    folder = write(tmp_path / "a", ["plain", "lens"])
    assert command_line(["report", str(folder), "--format", "json", "--resamples", "100"]) == 0
    assert json.loads(capsys.readouterr().out)["schema"] == "seesay.report/1"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--out", "r.pdf"], ".md for Markdown"),
        (["--out", "nowhere/r.md"], "there is no folder"),
        (["--format", "htm"], "did you mean html"),
    ],
)
def test_bad_arguments_are_refused_before_any_work(tmp_path, capsys, arguments, said, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command_line(["report", "missing", *arguments]) == 2
    assert said in capsys.readouterr().err
