"""Intervals, tests and verdicts against loops that follow their definitions."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from seesay.errors import InputError
from seesay.statistics import intervals
from seesay.statistics.metrics import Metric, Score, ratio

RATE = Metric(ratio("wrong", "all"), "lower")
RIGHT = Metric(lambda t: 100 - ratio("wrong", "all")(t), "higher")
LENGTH = Metric(ratio("all", "texts", 1), None, "words")
METRICS = {"rate": RATE, "right": RIGHT, "length": LENGTH}


def score_of(wrong, all_, names=None):
    counts = np.stack([wrong, all_, np.ones(len(wrong))], 1).astype(float)
    names = tuple(names or (f"p{k}" for k in range(len(wrong))))
    return Score(names, ("wrong", "all", "texts"), counts)


def made_up(pictures, share, seed):
    rng = np.random.default_rng(seed)
    said = rng.integers(1, 9, pictures)
    return score_of(rng.binomial(said, share), said)


def test_draws_hold_as_many_pictures_and_are_the_same_again():
    drawn = intervals.draws(37, 200)
    assert drawn.shape == (200, 37)
    assert (drawn.sum(1) == 37).all()
    intervals.draws.cache_clear()
    assert (intervals.draws(37, 200) == drawn).all()
    assert len(np.unique(drawn, axis=0)) == 200
    with pytest.raises(InputError, match="hold nothing"):
        intervals.draws(0, 10)


def test_draws_are_fair():
    drawn = intervals.draws(50, 4000).astype(float)
    assert np.allclose(drawn.mean(0), 1, atol=0.08)  # five standard errors
    assert np.allclose(drawn.var(0), 0.98, atol=0.15)


def test_resampled_sums_follow_the_draws(monkeypatch):
    monkeypatch.setattr(intervals, "_DRAWN_AT_ONCE", 100)  # so that chunks are crossed
    intervals.draws.cache_clear()
    counts = np.random.default_rng(1).normal(size=(23, 3))
    drawn = intervals.draws(23, 50)
    fast = intervals.resampled(counts, 50)
    for row, times in enumerate(drawn):
        slow = sum((np.repeat(counts[[k]], n, 0).sum(0) for k, n in enumerate(times)), np.zeros(3))
        assert np.allclose(fast[row], slow)
    intervals.draws.cache_clear()


def test_compare_is_the_loop_over_draws():
    plain, method = made_up(40, 0.4, 1), made_up(40, 0.3, 2)
    found = intervals.compare(plain, {"m": method}, METRICS, resamples=300)["m"]
    for name, metric in METRICS.items():
        differences, values = [], []
        for times in intervals.draws(40, 300):
            sums = []
            for score in (plain, method):
                total = dict.fromkeys(score.columns, 0.0)
                for k, n in enumerate(times):
                    for column, c in enumerate(score.columns):
                        total[c] += n * score.counts[k, column]
                sums.append(float(metric.of({c: np.array(v) for c, v in total.items()})))
            values.append(sums[1])
            differences.append(sums[1] - sums[0])
        one = found[name]
        assert one.figure.value == pytest.approx(float(metric.of(method.totals)))
        assert (one.figure.low, one.figure.high) == pytest.approx(percentiles(values))
        assert (one.difference.low, one.difference.high) == pytest.approx(percentiles(differences))
        low, high = sum(d <= 0 for d in differences), sum(d >= 0 for d in differences)
        assert one.p == pytest.approx(min(1, 2 * (min(low, high) + 1) / 301))


def percentiles(values):
    """By linear interpolation between order statistics, written out."""
    ordered = sorted(values)
    found = []
    for q in (0.025, 0.975):
        place = q * (len(ordered) - 1)
        below = int(place)
        above = min(below + 1, len(ordered) - 1)
        found.append(ordered[below] + (place - below) * (ordered[above] - ordered[below]))
    return tuple(found)


def test_a_run_equal_to_plain_gets_no_evidence_and_p_of_one():
    plain = made_up(60, 0.4, 3)
    for one in intervals.compare(plain, {"same": plain}, METRICS)["same"].values():
        assert one.difference == (0, 0, 0)
        assert one.verdict == "no evidence"
        assert (one.p, one.holm) == (1, 1)


def test_equal_runs_are_equal_also_where_sums_round():
    rng = np.random.default_rng(4)
    counts = rng.random((50, 3)) * 0.1
    plain = Score(tuple(map(str, range(50))), ("wrong", "all", "texts"), counts)
    swapped = Score(plain.clusters, ("texts", "all", "wrong"), counts[:, ::-1].copy())
    assert intervals.compare(plain, {"m": swapped}, {"r": RATE})["m"]["r"].verdict == "no evidence"


def test_verdicts_follow_what_is_better():
    plain = made_up(200, 0.5, 5)
    fewer = score_of(plain.counts[:, 0] * 0, plain.counts[:, 1])
    longer = score_of(plain.counts[:, 0] * 2, plain.counts[:, 1] * 2)
    found = intervals.compare(plain, {"fewer": fewer, "longer": longer}, METRICS)
    assert [one.verdict for one in found["fewer"].values()] == ["better", "better", "no evidence"]
    assert [one.verdict for one in found["longer"].values()] == [
        "no evidence",
        "no evidence",
        "higher",
    ]
    worse = intervals.compare(fewer, {"m": plain}, METRICS)["m"]
    assert [worse[name].verdict for name in METRICS] == ["worse", "worse", "no evidence"]


def test_few_pictures_support_no_verdict():
    plain = made_up(9, 0.9, 6)
    none = score_of(plain.counts[:, 0] * 0, plain.counts[:, 1])
    assert intervals.compare(plain, {"m": none}, {"r": RATE})["m"]["r"].verdict == (
        "too few pictures"
    )


def test_a_figure_that_is_not_defined_says_so():
    plain = made_up(30, 0.5, 7)
    silent = score_of(np.zeros(30), np.zeros(30))
    one = intervals.compare(plain, {"silent": silent, "same": plain}, {"r": RATE})
    assert one["silent"]["r"].verdict == "not defined"
    assert np.isnan(one["silent"]["r"].p)
    assert one["same"]["r"].holm == 1  # what is not defined is no test


def test_figures_have_their_own_intervals():
    plain = made_up(80, 0.3, 8)
    found = intervals.figures(plain, METRICS, resamples=500)
    beside = intervals.compare(plain, {"m": plain}, METRICS, resamples=500)["m"]
    assert found == {name: one.figure for name, one in beside.items()}


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    held = 0
    for seed in range(200):
        got = intervals.figures(made_up(60, 0.3, 100 + seed), {"r": RATE}, resamples=400)["r"]
        held += got.low <= 30 <= got.high
    assert 0.89 <= held / 200 <= 0.99


def test_only_common_pictures_are_compared_in_the_first_ones_order():
    first = score_of(np.arange(5), np.arange(5) + 5, "abcde")
    second = score_of(np.arange(4), np.arange(4) + 9, "ecxa")
    one, other = intervals.aligned(first, second)
    assert one.clusters == other.clusters == ("a", "c", "e")
    assert one.counts[:, 0].tolist() == [0, 2, 4]
    assert other.counts[:, 0].tolist() == [3, 1, 0]
    with pytest.raises(InputError, match="no picture in common"):
        intervals.aligned(first, score_of(np.arange(2), np.arange(2), "yz"))
    with pytest.raises(InputError, match="twice"):
        intervals.aligned(first, score_of(np.arange(2), np.arange(2), "aa"))


@pytest.mark.parametrize(("b", "c"), [(0, 0), (0, 5), (3, 9), (9, 3), (6, 6), (7, 8)])
def test_mcnemar_is_the_count_of_all_outcomes(b, c):
    total = b + c
    outcomes = [sum(coin) for coin in product((0, 1), repeat=total)]
    extreme = sum(heads <= min(b, c) for heads in outcomes)
    assert intervals.mcnemar(b, c) == pytest.approx(min(1, 2 * extreme / len(outcomes)))


def test_mcnemar_of_known_cases():
    # Agresti's prime minister's approval, 150 against 86, and a textbook's 1 against 10.
    assert intervals.mcnemar(86, 150) == pytest.approx(3.72e-05, rel=0.01)
    assert intervals.mcnemar(1, 10) == pytest.approx(24 / 2048)
    assert intervals.mcnemar(4000, 4000) == 1
    with pytest.raises(InputError, match="0 or more"):
        intervals.mcnemar(-1, 3)


def test_holm_of_a_known_case():
    # Holm's adjusted values for .01, .04, .03, .005: 4·.005, 3·.01, then the larger so far.
    assert intervals.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert intervals.holm([0.5, 0.9]) == [1, 1]
    assert intervals.holm([]) == []


def test_holm_rejects_what_the_step_down_rejects():
    rng = np.random.default_rng(9)
    for _ in range(50):
        p = rng.random(rng.integers(1, 8)) ** 3
        adjusted = intervals.holm(list(p))
        rejected = set()
        for step, k in enumerate(np.argsort(p)):
            if p[k] > 0.05 / (len(p) - step):
                break
            rejected.add(k)
        assert {k for k, value in enumerate(adjusted) if value <= 0.05} == rejected


def test_ten_thousand_draws_of_five_hundred_pictures_take_no_time():
    intervals.draws.cache_clear()
    plain = made_up(500, 0.3, 10)
    found = intervals.compare(plain, {"m": made_up(500, 0.2, 11)}, METRICS)
    assert intervals.draws.cache_info().misses == 1  # drawn once for both runs and all metrics
    assert found["m"]["rate"].verdict == "better"
