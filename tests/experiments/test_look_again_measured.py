"""Look Again's measurement: figures against hand counts, curves, and a page from a few scenes."""

from __future__ import annotations

import numpy as np
import pytest

import seesay
from experiments.look_again import cost, details, figures, plot, runs
from experiments.look_again.figures import Curve, Point
from experiments.look_again.page import page
from experiments.look_again.split import measure
from seesay.methods import LookAgain

SCENES = 8


@pytest.fixture(scope="module")
def vlm():
    return seesay.load()


@pytest.fixture(scope="module")
def texts(vlm):
    return runs.run(vlm, "plain", "broken", SCENES)


def point(invented, named, present, words=10):
    rows = zip(invented, named, present, strict=True)
    return Point("x", np.array([[i, n, i > 0, p, words, 1, 1, 1, 0, 0] for i, n, p in rows], float))


def test_rates_are_counted_by_hand():
    one = point([1, 0], [4, 2], [5, 3])
    assert one.value("CHAIR_I") == pytest.approx(100 / 6)
    assert one.value("CHAIR_S") == 50
    assert one.value("recall") == pytest.approx(100 * 5 / 8)
    assert one.value("F1") == pytest.approx(200 * 5 / 14)


def test_a_curve_is_read_between_its_points_and_not_beyond():
    curve = Curve("c", (point([0], [4], [10]), point([2], [10], [10])))  # recall 40 and 80
    assert curve.at(40) == 0
    assert curve.at(80) == pytest.approx(20)
    assert curve.at(60) == pytest.approx(10)
    assert np.isnan(curve.at(81))
    assert curve.against_point(point([1], [7], [10])).value == pytest.approx(10 - 100 / 7)


def test_what_is_computed_is_what_describe_says(vlm, texts):
    computed = figures.look_again(texts, LookAgain(0.5, "self-check"), vlm.calibration)
    pictures = [f"toy:broken/{runs.FIRST_SEED + k}" for k in range(SCENES)]
    seen = vlm.describe(pictures, method="look-again(threshold=0.5, evidence=self-check)")
    assert [reading.text for reading in computed] == [one.text for one in seen]
    assert any(one.withheld for one in seen)


def test_plain_is_cut_to_lengths_by_rank(texts):
    like = figures.cut(texts, [9] * SCENES)
    short = figures.cut(texts, figures.lengths(texts, like))
    assert sorted(len(r.text.split()) for r in short) == sorted(len(r.text.split()) for r in like)
    for reading in short:
        assert all(m.span[1] <= len(reading.text) for m in reading.mentions)


def test_runs_are_kept_for_the_model_that_made_them(vlm, texts, tmp_path, monkeypatch):
    first = runs.kept(tmp_path, "plain", "broken", SCENES, vlm)
    monkeypatch.setattr(runs, "run", lambda *_: pytest.fail("it ran again"))
    again = runs.kept(tmp_path, "plain", "broken", SCENES, vlm)
    assert [t.reading.text for t in again] == [t.reading.text for t in first]
    assert [m.scores for t in again for m in t.reading.mentions] == [
        dict(m.scores) for t in first for m in t.reading.mentions
    ]
    monkeypatch.undo()
    monkeypatch.setattr(runs, "run", lambda *_: [])
    assert runs.kept(tmp_path, "plain", "broken", SCENES + 1, vlm) == []


def test_the_page_tells_every_rival_and_the_figure_draws(vlm, texts, monkeypatch):
    monkeypatch.setattr(figures, "DRAWS", 20)
    every = dict.fromkeys(runs.wanted(), texts)
    scenes = runs.drawn("broken", SCENES)
    found = measure(every, [scene.present for scene in scenes], vlm.calibration)
    apart = details.measure(vlm, runs.run(vlm, runs.DETAILS, "broken", SCENES), scenes)
    costs = {name: cost.Cost(20.0, 100.0, 0.1) for name in cost.MEASURED}
    text = page({"command": "x"}, {"broken": found}, {"broken": apart}, costs, "a.svg")
    for points in runs.SWEEPS.values():
        for method in points:
            assert f"`{method}`" in text
    assert "nan" not in text
    drawing = plot.draw({"broken": found}, costs)
    assert drawing.startswith("<svg")
    assert "habit-breaking" in drawing
