"""How well scores tell items apart, against loops over pairs and draws."""

from __future__ import annotations

import numpy as np
import pytest

from seesay.errors import InputError
from seesay.statistics import detection_metrics, intervals


def items(count, seed, levels=None):
    rng = np.random.default_rng(seed)
    truth = rng.random(count) < 0.4
    scores = rng.normal(size=count) + truth
    if levels:
        scores = np.round(scores * levels) / levels
    return scores, truth, rng.integers(0, max(2, count // 4), count)


def slow_auroc(scores, truth):
    pairs = [(a, b) for a in scores[truth] for b in scores[~truth]]
    return sum((a > b) + (a == b) / 2 for a, b in pairs) / len(pairs) if pairs else np.nan


def slow_within(scores, truth, bins, kept):
    values, sizes = [], []
    for name in kept:
        inside = bins == name
        value = slow_auroc(scores[inside], truth[inside])
        if not np.isnan(value):
            values.append(value)
            sizes.append(inside.sum())
    return np.average(values, weights=sizes)


def slow_precision(scores, truth):
    """Σ (recall gained at a threshold) · (precision there), over all thresholds."""
    found, before = 0.0, 0
    for threshold in sorted(set(scores), reverse=True):
        taken = scores >= threshold
        hits = int(truth[taken].sum())
        found += (hits - before) / truth.sum() * hits / taken.sum()
        before = hits
    return found


def slow_calibration(probability, truth, bins):
    found = 0.0
    for k in range(bins):
        inside = [i for i, p in enumerate(probability) if min(int(p * bins), bins - 1) == k]
        if inside:
            gap = np.mean([probability[i] for i in inside]) - np.mean([truth[i] for i in inside])
            found += len(inside) / len(probability) * abs(gap)
    return found


def redrawn(times, clusters):
    """The items of one draw, written out."""
    names = list(dict.fromkeys(clusters.tolist()))
    return np.concatenate(
        [np.flatnonzero(clusters == names[k]) for k, n in enumerate(times) for _ in range(n)]
    )


@pytest.mark.parametrize("levels", [None, 2])
def test_auroc_and_its_interval_are_the_loops(levels, monkeypatch):
    monkeypatch.setattr(detection_metrics, "_WEIGHTS_AT_ONCE", 500)  # so that chunks are crossed
    scores, truth, clusters = items(60, 1, levels)
    got = detection_metrics.auroc(scores, truth, clusters.tolist(), resamples=80)
    assert got.value == pytest.approx(slow_auroc(scores, truth))
    drawn = [
        slow_auroc(scores[at], truth[at])
        for at in (redrawn(t, clusters) for t in intervals.draws(len(set(clusters)), 80))
    ]
    assert (got.low, got.high) == pytest.approx(tuple(np.percentile(drawn, [2.5, 97.5])))


def test_auroc_within_bins_is_the_loop():
    scores, truth, clusters = items(90, 2, 3)
    bins = np.random.default_rng(3).integers(0, 3, 90)
    bins[:4] = 7  # too small to count
    got = detection_metrics.auroc(scores, truth, clusters, within=bins, resamples=60)
    assert got.value == pytest.approx(slow_within(scores, truth, bins, (0, 1, 2)))
    drawn = [
        slow_within(scores[at], truth[at], bins[at], (0, 1, 2))
        for at in (redrawn(t, clusters) for t in intervals.draws(len(set(clusters)), 60))
    ]
    assert (got.low, got.high) == pytest.approx(tuple(np.percentile(drawn, [2.5, 97.5])))


def test_a_score_that_is_only_position_says_nothing_within_position():
    rng = np.random.default_rng(4)
    position = rng.integers(0, 4, 2000)
    truth = rng.random(2000) < 0.8 - 0.2 * position
    clusters = np.arange(2000) // 4
    assert detection_metrics.auroc(-position, truth, clusters, resamples=100).low > 0.6
    assert (
        detection_metrics.auroc(-position, truth, clusters, within=position, resamples=100).value
        == 0.5
    )


@pytest.mark.parametrize("levels", [None, 2])
def test_average_precision_is_the_loop(levels):
    scores, truth, clusters = items(70, 5, levels)
    got = detection_metrics.average_precision(scores, truth, clusters, resamples=50)
    assert got.value == pytest.approx(slow_precision(scores, truth))
    drawn = [
        slow_precision(scores[at], truth[at])
        for at in (redrawn(t, clusters) for t in intervals.draws(len(set(clusters)), 50))
    ]
    assert (got.low, got.high) == pytest.approx(tuple(np.percentile(drawn, [2.5, 97.5])))


def test_average_precision_of_a_constant_is_the_share_of_positives():
    _, truth, clusters = items(50, 6)
    got = detection_metrics.average_precision(np.zeros(50), truth, clusters, resamples=10)
    assert got.value == pytest.approx(truth.mean())


def test_calibration_error_and_curve_are_the_loops():
    rng = np.random.default_rng(7)
    probability = np.r_[rng.random(98), 0.0, 1.0]
    truth, clusters = rng.random(100) < probability**2, np.arange(100) // 2
    got = detection_metrics.calibration_error(probability, truth, clusters, bins=8, resamples=40)
    assert got.value == pytest.approx(slow_calibration(probability, truth, 8))
    drawn = [
        slow_calibration(probability[at], truth[at], 8)
        for at in (redrawn(t, clusters) for t in intervals.draws(50, 40))
    ]
    assert (got.low, got.high) == pytest.approx(tuple(np.percentile(drawn, [2.5, 97.5])))
    curve = detection_metrics.reliability(probability, truth, bins=8)
    assert sum(step.items for step in curve) == 100
    gaps = [step.items / 100 * abs(step.probability - step.share) for step in curve]
    assert sum(gaps) == pytest.approx(got.value)


def test_differences_are_paired():
    scores, truth, clusters = items(200, 8)
    noisy = scores + np.random.default_rng(9).normal(size=200) * 0.1
    first, second = detection_metrics.area(scores, truth), detection_metrics.area(noisy, truth)
    apart = detection_metrics.estimate(first, clusters, versus=second, resamples=500)
    alone = detection_metrics.estimate(first, clusters, resamples=500)
    assert apart.value == pytest.approx(slow_auroc(scores, truth) - slow_auroc(noisy, truth))
    assert apart.high - apart.low < (alone.high - alone.low) / 3
    assert detection_metrics.estimate(first, clusters, versus=first, resamples=50) == (0, 0, 0)


def test_one_kind_only_is_not_defined():
    assert np.isnan(detection_metrics.auroc([1.0, 2.0], [True, True], "ab", resamples=10).value)


def test_bad_items_are_refused():
    with pytest.raises(InputError, match="give each item one"):
        detection_metrics.area([1.0, 2.0], [True])
    with pytest.raises(InputError, match="no numbers"):
        detection_metrics.area([1.0, np.nan], [True, False])
    with pytest.raises(InputError, match="bins for"):
        detection_metrics.area([1.0, 2.0], [True, False], within=[1])
    with pytest.raises(InputError, match="0 to 1"):
        detection_metrics.reliability([0.5, 1.5], [True, False])
