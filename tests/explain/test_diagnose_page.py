"""What a person sees of a diagnosis: the command, the page, the Markdown."""

from __future__ import annotations

import json
import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from browser import Browser
from seesay.cli import run
from seesay.explain.diagnose import Claim, DiagnosisReport, Finding, FindingPart, markdown, page
from seesay.explain.diagnose.types import Numbers
from seesay.render import charts
from seesay.statistics.intervals import Interval

BAND = [Interval(0.1 * k, 0.1 * k - 0.05, 0.1 * k + 0.05) for k in range(6)]
GAP = [*BAND[:2], Interval(math.nan, math.nan, math.nan), *BAND[3:]]
QUICK = ["--max-new-tokens", "24", "--batch-size", "12"]


def report_of(words: str = "it rises") -> DiagnosisReport:
    figure = charts.curves("a curve", [charts.ChartLine(words, GAP)], y_name="share", level=0.5)
    claim = Claim(words, "the slope", Interval(0.5, 0.4, 0.6))
    part = FindingPart(
        "A part", "A caption.", Numbers(("layer", "value"), [("0", words)]), figure, (claim,)
    )
    found = Finding(
        "sinks", "Sinks", "Any?", "A paper", (part,), (("eah(layer=1)", words),), (words,)
    )
    skipped = Finding(
        "strength", "Strength", "Does it?", "A paper", skipped="nobody said what is there"
    )
    return DiagnosisReport("x/y", "photos", 12, 30, 4, (found, skipped), (words,), {"model": "x/y"})


@pytest.mark.parametrize(
    "figure",
    [
        charts.curves("one point", [charts.ChartLine("a", BAND[:1])]),
        charts.curves(
            "gaps", [charts.ChartLine("a", GAP), charts.ChartLine("b", BAND, dashed=True)]
        ),
        charts.curves("nothing", []),
        charts.grid("a grid", np.array([[0.1, math.nan], [0.0, 0.5]])),
        charts.grid("zeros", np.zeros((40, 32))),
        charts.densities(
            "two", (("a", np.array([1.0, 2.0]), "red"), ("b", np.zeros(0), "blue")), "x"
        ),
        charts.densities("constant", (("a", np.ones(3), "red"),), "x"),
        charts.scatter("dots", np.zeros(3), np.array([0.0, 0.0, 1.0]), "x", "y"),
    ],
)
def test_figures_are_svg_without_numbers_that_are_none(figure) -> None:
    ElementTree.fromstring(figure)
    assert "nan" not in figure.replace("meaning", "")
    assert "inf" not in figure


def test_a_page_escapes_what_it_is_told() -> None:
    html = page.render(report_of("<script>alert(1)</script>"))
    assert "<script" not in html
    assert "http://" not in html.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in html
    assert "skipped" in html
    assert "nobody said what is there" in html


def test_markdown_has_every_verdict_and_table() -> None:
    text = markdown.render(report_of("a | b"), command="seesay diagnose --n 12")
    assert "`seesay diagnose --n 12`" in text
    assert "| sinks | a \\| b | **holds here** | 0.500 [0.400, 0.600], to lie above 0 |" in text
    assert "| strength | Strength | skipped | nobody said what is there |" in text
    assert "| 0 | a \\| b |" in text


@pytest.mark.browser
def test_a_phone_shows_the_page_without_scrolling_sideways(tmp_path) -> None:
    target = tmp_path / "page.html"
    target.write_text(page.render(report_of()), encoding="utf-8")
    with Browser() as browser:
        browser.resize(360, 740, mobile=True)
        browser.open(target.as_uri())
        assert browser.evaluate("document.documentElement.scrollWidth") <= 360
        assert browser.evaluate("document.querySelectorAll('svg text').length") > 3
        assert not [e for e in browser.events if e.get("method") == "Log.entryAdded"]


@pytest.mark.usefixtures("quick_workers")
def test_the_command_writes_its_pages_and_goes_on(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    call = ["diagnose", "--n", "12", "--only", "sinks,heads", "--report", "d.html", *QUICK]
    assert run(call) == 0
    out = capsys.readouterr().out
    assert "eah(layer=" in out
    assert re.search(r"heads +cannot be told +\d+ invented words; 20 of each kind", out)
    html = (tmp_path / "d.html").read_text()
    assert html.count("<svg") >= 5
    measured = tmp_path / "runs" / "diagnose-bundled-toy.jsonl"
    first = measured.read_bytes()
    assert run([*call[:5], "--report", "d.md", "--workers", "2", *QUICK]) == 0
    assert measured.read_bytes() == first
    assert "| heads | " in (tmp_path / "d.md").read_text()


def test_a_random_model_shows_none_of_what_training_brings(
    tmp_path, monkeypatch, checkpoints, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = str(checkpoints("qwen2.5-vl"))
    call = [
        "diagnose",
        "--model",
        folder,
        "--n",
        "12",
        "--asked",
        "2",
        "--report",
        "q.html",
        *QUICK,
    ]
    assert run(call) == 0
    out = capsys.readouterr().out
    assert "drawn scenes, which this model was not made for" in out
    verdicts = re.findall(r"(holds here|does not hold here|cannot be told|skipped)", out)
    assert len(verdicts) >= 10
    row = next(line for line in out.splitlines() if "look at the picture more than inv" in line)
    assert "does not hold here" in row or "cannot be told" in row or "skipped" in row
    assert "does not hold here" in out
    assert (tmp_path / "q.html").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--only", "sink"], "did you mean sinks"),
        (["--address", "auto"], "are for --engine ray"),
        (["--report", "page.pdf"], "name it .html"),
        (["--report", "nowhere/page.html"], "there is no folder"),
        (["--images", "nowhere"], "no folder and no file"),
        (["--words", "nothing"], "no vocabulary"),
    ],
)
def test_bad_input_is_told_before_any_model_is_loaded(given, says, monkeypatch, capsys) -> None:
    monkeypatch.setattr("seesay.cli.diagnose.greet", lambda *_: pytest.fail("a model was loaded"))
    assert run(["diagnose", *given]) == 2
    assert says in capsys.readouterr().err


def test_a_model_without_image_columns_is_refused_by_name(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "crossing"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "mllama"}))
    assert run(["diagnose", "--model", str(folder)]) == 1
    error = capsys.readouterr().err
    assert "mllama" in error
    assert "cross-attention" in error
