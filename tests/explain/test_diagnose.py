"""Diagnoses: figures with intervals, verdicts, names and pictures."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

import families
from seesay.errors import InputError
from seesay.explain.diagnose import REGISTRY, Claim, parse
from seesay.explain.diagnose import figures as counting
from seesay.explain.diagnose.described import line_weights, pictures_of
from seesay.explain.diagnose.figures import Words
from seesay.explain.diagnose.strength import ALPHAS
from seesay.explain.diagnose.types import DescribedImage, NamedWord
from seesay.explain.diagnose.vision import suggestion, windows
from seesay.explain.diagnose.wording import interval, sentence
from seesay.grounding import Vocabulary
from seesay.statistics.intervals import Interval

# ---- figures and verdicts --------------------------------------------------------------------


def test_a_verdict_goes_by_the_interval_alone() -> None:
    def told(low: float, high: float, **more: object) -> tuple[str, str]:
        claim = Claim("it rises", "the slope", Interval((low + high) / 2, low, high), **more)
        return claim.verdict, claim.manner

    assert told(0.1, 0.3) == ("holds here", "")
    assert told(-0.1, 0.3) == ("does not hold here", "no evidence for it")
    assert told(-0.3, -0.1) == ("does not hold here", "clearly not")
    assert told(-0.3, -0.1, above=False) == ("holds here", "")
    assert told(0.1, 0.3, unable="2 pictures") == ("cannot be told", "")
    assert told(math.nan, math.nan) == ("cannot be told", "")
    few = Claim("it rises", "the slope", Interval(1.0, 0.5, 2.0), unable="2 pictures")
    assert sentence(few) == "It rises: cannot be told: 2 pictures."
    clear = replace(few, unable="")
    assert sentence(clear) == "It rises: holds here. The slope: 1.00 [0.50, 2.00], to lie above 0."


def test_intervals_are_written_with_equal_decimals() -> None:
    assert interval(Interval(-0.01234, -0.5, 0.25)) == "−0.012 [−0.500, 0.250]"
    assert interval(Interval(12.34, 9.0, 15.0)) == "12.3 [9.0, 15.0]"
    assert interval(Interval(math.nan, math.nan, math.nan)) == "–"


def test_curves_and_slopes_are_those_of_the_pooled_pictures() -> None:
    rng = np.random.default_rng(1)
    sums, counts = rng.normal(size=(30, 3)), rng.integers(1, 5, 30).astype(float)
    found = counting.curve(sums, counts)
    np.testing.assert_allclose([one.value for one in found], sums.sum(0) / counts.sum())
    assert all(one.low < one.value < one.high for one in found)
    x = [np.arange(k, dtype=float) for k in range(2, 32)]
    y = [3.0 + k - 0.5 * row for k, row in enumerate(x)]  # each its own level, one slope
    assert counting.slope(x, y) == pytest.approx((-0.5, -0.5, -0.5))
    half = [row.mean() + (row - row.mean()) / 2 for row in y]  # as high, half as steep
    assert counting.slowed(x, half, y).value == pytest.approx(0.5)
    assert counting.slowed(x, [0.9 * row for row in y], y).value == pytest.approx(0.0, abs=1e-12)


def test_rank_correlation_is_spearmans() -> None:
    rng = np.random.default_rng(2)
    a = rng.integers(0, 5, 40).astype(float)
    b = a + rng.normal(size=40)

    def ranks(v):
        return np.array([(v < one).sum() + ((v == one).sum() + 1) / 2 for one in v])

    expected = np.corrcoef(ranks(a), ranks(b))[0, 1]
    found = counting.rank_correlation(a, b)
    assert found.value == pytest.approx(expected)
    assert found.low < expected < found.high
    assert math.isnan(counting.rank_correlation(np.ones(40), b).value)


def test_the_slope_of_a_sweep_is_least_squares() -> None:
    y = np.array([3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0])
    assert line_weights(ALPHAS) @ y == pytest.approx(np.polyfit(ALPHAS, y, 1)[0])


def told_of(
    pictures: int, seed: int = 0, layers: int = 6
) -> tuple[list[DescribedImage], np.ndarray]:
    """Texts of four words each, the later ones more often invented; VAR tells them apart in layers
    2 and 3 only."""
    rng = np.random.default_rng(seed)
    told, var = [], []
    for k in range(pictures):
        words = []
        for n in range(4):
            invented = bool(rng.random() < 0.1 + 0.15 * n)
            words.append(NamedWord(f"w{n}", n, n + 1, invented))
            look = rng.normal(size=(layers, 2))
            look[2:4] -= 1.5 * invented
            var.append(look)
        told.append(DescribedImage(str(k), (5, 6, 7, 8), tuple(words), 3))
    return told, np.array(var)


def test_the_suggested_layers_are_those_that_tell() -> None:
    told, var = told_of(60)
    words = Words(told)
    method, reason = suggestion(words, var, 6)
    assert method == "attention-lens(layers=(2, 3))"
    from seesay.methods import AttentionLens
    from seesay.methods import parse as method_of

    assert method_of(method) == AttentionLens(layers=(2, 3))
    assert "no better than a coin" not in reason
    noise = np.random.default_rng(3).normal(size=var.shape)
    assert "no better than a coin" in suggestion(words, noise, 6)[1]
    few = suggestion(Words(told[:5]), var[:20], 6)
    assert few[0] == "attention-lens(layers=(0, 3))"
    assert "5 pictures" in few[1]


def test_windows_slide_and_the_papers_stand_beside_them() -> None:
    told, var = told_of(60)
    rows = windows(Words(told), var).numbers.rows
    assert [row[0] for row in rows[:5]] == ["0–1", "1–2", "2–3", "3–4", "4–5"]
    assert all("(paper)" in row[0] for row in rows[5:])
    best = max(rows[:5], key=lambda row: float(row[2].split()[0]))
    assert best[0] == "2–3"


def test_position_alone_is_no_signal_within_positions() -> None:
    told, _ = told_of(80)
    words = Words(told)
    score = -words.number.astype(float)
    assert words.auroc(score).low > 0.5
    assert words.auroc(score, controlled=True) == pytest.approx((0.5, 0.5, 0.5))


def test_too_few_words_are_told() -> None:
    told, _ = told_of(60)
    assert Words(told).too_few() == ""
    assert "5 pictures" in Words(told[:5]).too_few()
    sure = [replace(one, words=one.words[:0] if k % 2 else one.words) for k, one in enumerate(told)]
    true = [
        replace(one, words=tuple(replace(w, invented=False) for w in one.words)) for one in sure
    ]
    assert "0 invented words" in Words(true).too_few()


# ---- names -------------------------------------------------------------------------------------


def test_names_are_parsed_in_the_pages_order() -> None:
    assert [one.name for one in parse(None)] == list(REGISTRY)
    assert [one.name for one in parse("sinks, Vision")] == ["vision", "sinks"]
    with pytest.raises(InputError, match=r"unknown diagnosis 'sink'.*did you mean sinks"):
        parse("sink,decay")
    with pytest.raises(InputError, match="no diagnosis"):
        parse(" , ")


def test_pictures_are_named_three_ways(tmp_path) -> None:
    drawn = pictures_of("toy", 4, Vocabulary.toy())
    assert [one.id.split("/")[0] for one in drawn] == ["toy:kept", "toy:broken"] * 2
    assert drawn == pictures_of("toy", 9, Vocabulary.toy())[:4]  # more pictures go on from there
    families.pictures(1)[0].save(tmp_path / "a.png")
    (shown,) = pictures_of(str(tmp_path), 5, Vocabulary.coco())
    assert (shown.id, shown.objects) == ("a.png", None)
    (tmp_path / "known.jsonl").write_text('{"image": "a.png", "objects": ["forks"]}\n')
    (known,) = pictures_of(str(tmp_path / "known.jsonl"), 5, Vocabulary.coco())
    assert known.objects == {"fork"}
    with pytest.raises(InputError, match="no folder and no file"):
        pictures_of("nowhere", 5, Vocabulary.coco())
