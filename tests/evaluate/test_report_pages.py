"""Reports as pages, Markdown, terminal and plots: escaped, complete, self-contained."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from rich.console import Console

from little import Captions, Questions, captions, replies
from seesay.evaluate.report import cells, charts, markdown, page, terminal
from seesay.evaluate.report.content import Answered, Gathered, Measured
from seesay.evaluate.report.table_builder import assemble
from seesay.render.charts import Axis

HOSTILE = "<script>alert('x')</script> | **bold** \x1b[31m"
PICTURES = Captions(pictures=80, name="toy-captions-broken")
ASKED = Questions(pictures=40)


@pytest.fixture(scope="module")
def report():
    samples, questions = PICTURES.samples(), ASKED.samples()
    plain, said = captions(samples, 0.8, 0.3, 0), replies(questions, 1, 1, 0)

    def entry(label, answers, role="method", **fields):
        return Answered(label, role, f"{label}(alpha=0.5)", answers, pace=0.002, **fields)

    falling = [
        entry(
            f"lens(alpha={k / 10})",
            captions(samples, 0.8 - 0.15 * max(0, k - 2), 0.3, 10 + k),
            "sweep",
            swept=("lens", "alpha", k / 10),
        )
        for k in range(1, 6)
    ]
    described = Measured(f"model {HOSTILE}", PICTURES, samples, [
        entry("plain", plain, "plain"),
        entry("better", captions(samples, 0.8, 0.05, 1)),
        entry(HOSTILE, plain),
        entry("worse", captions(samples, 0.8, 0.6, 2)),
        *falling,
    ], {"scorer": HOSTILE})  # fmt: skip
    answered = Measured("model b", ASKED, questions, [
        entry("plain", said, "plain"), entry("better", replies(questions, 3, 0, 1))])  # fmt: skip
    stamps = {"runs/a": {"note": HOSTILE, "versions": {"torch": "2", "seesay": "0"}, "seed": None}}
    return assemble(Gathered([described, answered], stamps, [HOSTILE]), resamples=200)


class Reader(HTMLParser):
    """Tags with their attributes, and the texts of table cells."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.cells, self._open = [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "td":
            self.cells.append("")
            self._open = True

    def handle_endtag(self, tag):
        self._open = self._open and tag != "td"

    def handle_data(self, data):
        if self._open:
            self.cells[-1] += data


def test_a_page_holds_every_cell_and_escapes_what_others_wrote(report):
    text = page.render(report, "Results")
    read = Reader(text)
    assert [tag for tag, _ in read.tags].count("script") == 1
    assert "\x1b" not in text
    assert any("<script>alert('x')</script>" in cell for cell in read.cells)
    shown = [
        grid
        for table in report.tables
        for grid in (cells.gains(table), cells.figures(table), cells.controls(table))
    ]
    for grid in shown:
        for row in grid.rows:
            for cell in row[1:]:
                assert cell.text + cell.under in read.cells
    assert "cannot show which method helps a large model" in text


def test_a_page_asks_no_network_and_runs_only_its_own_script(report):
    text = page.render(report)
    read = Reader(text)
    links = [v for _, attrs in read.tags for n, v in attrs.items() if n in ("src", "href")]
    assert all(link.startswith("#") for link in links)
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL).group(1)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = next(a["content"] for t, a in read.tags if a.get("http-equiv"))
    assert f"'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


def test_columns_of_numbers_have_keys_that_sort(report):
    read = Reader(page.render(report))
    keys = [attrs["data-key"] for tag, attrs in read.tags if tag == "td"]
    assert any(re.fullmatch(r"-?\d+\.\d+(e-\d+)?", key) for key in keys)
    assert sum(tag == "button" for tag, _ in read.tags) == sum(t == "th" for t, _ in read.tags)


def test_markdown_has_whole_tables_and_no_markup_of_others(report):
    text = markdown.render(report, "Results")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    block = []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            block.append(len(re.findall(r"(?<!\\)\|", line)))
        elif block:
            assert len(set(block)) == 1, block
            block = []
    assert len(rows) > 20
    assert "<script>" not in text
    assert "**bold**" not in text
    assert "\x1b" not in text
    assert "no evidence" in text
    assert "## Protocol" in text
    assert "torch 2, seesay 0" in text


def test_the_leaderboard_is_sorted_by_the_headline(report):
    text = markdown.leaderboard(report)
    part = text.split("## toy-captions-broken")[1].split("## ")[0]
    found = [float(m) for m in re.findall(r"^\| [^|]+ \| (\d+\.\d)", part, re.MULTILINE)]
    assert len(found) == 3  # the hostile name holds a pipe
    assert found == sorted(found)
    part = text.split("## little-questions")[1].split("## ")[0]
    found = [float(m) for m in re.findall(r"^\| [^|]+ \| (\d+\.\d)", part, re.MULTILINE)]
    assert len(found) == 2
    assert found == sorted(found, reverse=True)
    assert "cannot show which method helps a large model" in text


def test_a_terminal_gets_one_line_a_row(report):
    console = Console(width=10_000, file=io.StringIO(), highlight=False, emoji=False, markup=False)
    console.print(*terminal.tables(report), sep="\n")
    text = console.file.getvalue()
    assert "\x1b" not in text
    line = next(line for line in text.splitlines() if line.startswith("better"))
    assert " better " in line
    assert "explained by no control here" in line


def test_plots_are_xml_and_name_their_numbers(report):
    described, asked = report.tables
    for drawing in (charts.trade(described), charts.trade(asked), charts.costs(described),
                    *(curves for _, curves in charts.sweeps(described))):  # fmt: skip
        root = ElementTree.fromstring(drawing)
        assert root.tag.endswith("svg")
    figure = described.lines[1].figures["CHAIR_I"]
    assert f"better: CHAIR_I {figure.value:.1f}" in charts.trade(described)
    assert "its least probable mentions left out" in charts.trade(described)
    assert "least probable" not in charts.trade(asked)


def test_a_sweep_is_grey_where_recall_has_fallen_and_only_there(report):
    ((name, drawing),) = charts.sweeps(report.tables[0])
    assert name == "lens.alpha"
    fallen = [
        line.swept[2]
        for line in report.tables[0].of_role("sweep")
        if line.compared["recall"].verdict == "worse"
    ]
    assert 0 < len(fallen) < 5
    assert drawing.count('class="shade"') == 2 * len(fallen)  # under both curves
    assert not list(charts.sweeps(report.tables[1]))


def test_nothing_is_drawn_where_there_is_nothing(report):
    described = report.tables[0]
    alone = replace(described, lines=described.lines[:1], dropping=())
    assert charts.trade(alone) == charts.costs(alone) == ""
    assert cells.controls(alone).rows == ()
    assert page.render(replace(report, tables=(alone,)))


def test_axes_hold_all_values_and_have_round_ticks():
    axis = Axis.over([3.0, 11.0, float("nan")], 0, 100)
    assert 0 < axis.at(3.0) < axis.at(11.0) < 100
    assert axis.ticks() == [4, 6, 8, 10]
    assert Axis.over([], 0, 1).at(0.5) == pytest.approx(0.5)
    level = Axis.over([5.0, 5.0], 0, 10)
    assert level.at(5.0) == pytest.approx(5.0)
