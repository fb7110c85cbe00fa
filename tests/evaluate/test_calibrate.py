"""Fits of a calibration against naive oracles."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import numpy as np
import pytest

from seesay.errors import InputError
from seesay.evaluate import risk_model
from seesay.evaluate.risk_model import Case, area, fit, folds, layer_range, left_out


def case(picture: int, invented: bool, by_layer=(0.5, 0.5), own=(0.4, 0.4), **scores) -> Case:
    return Case(f"p{picture}", "given", "cat", scores, by_layer, own, invented)


def cases(count: int = 400, seed: int = 0) -> list[Case]:
    """Two to a picture; invented ones are less likely and get less attention in layer 1."""
    rng = random.Random(seed)
    made = []
    for k in range(count):
        invented = rng.random() < 0.3
        look = rng.gauss(0.4 if invented else 0.6, 0.1)
        made.append(
            case(
                k // 2,
                invented,
                (rng.random(), look, rng.random()),
                logprob=-rng.expovariate(0.5 if invented else 2.0),
                svar=look,
                position=float(k % 5),
            )
        )
    return made


# ---- fits ----------------------------------------------------------------------------------


def test_a_case_without_a_score_is_refused() -> None:
    given = cases()
    given[7] = replace(given[7], scores={**given[7].scores, "svar": math.nan})
    with pytest.raises(InputError, match=rf"in {given[7].picture} has no score 'svar'"):
        fit(given, ("logprob", "svar"), {})


def test_the_logistic_is_the_ridge_optimum() -> None:
    """At the optimum the gradient of the penalised log-loss is zero."""
    given = cases()
    model, _ = fit(given, ("logprob", "svar", "position"), {})
    gradient = [0.0] * 4
    for one in given:
        risk = model.risk(one.scores)
        for k, name in enumerate(model.features):
            value = risk_model.feature(name, one.scores)
            gradient[k] += (risk - one.invented) * (value - model.mean[k]) / model.scale[k]
        gradient[3] += risk - one.invented
    for k in range(3):
        gradient[k] += risk_model.RIDGE * model.weights[k]
    assert gradient == pytest.approx([0.0] * 4, abs=1e-3)  # weights are written with six digits
    assert model.weights[0] < 0 > model.weights[1]


def test_means_and_scales_are_those_of_the_scores() -> None:
    given = cases()
    model, _ = fit(given, ("svar",), {})
    values = [one.scores["svar"] for one in given]
    assert model.mean[0] == pytest.approx(sum(values) / len(values), abs=1e-6)
    spread = math.sqrt(sum((v - model.mean[0]) ** 2 for v in values) / len(values))
    assert model.scale[0] == pytest.approx(spread, abs=1e-6)


def test_a_score_that_never_changes_is_harmless() -> None:
    model, _ = fit([replace(c, scores={**c.scores, "entropy": 2.0}) for c in cases()],
                   ("svar", "entropy"), {})  # fmt: skip
    assert model.weights[1] == 0.0
    assert model.scale[1] == 1.0


def test_risks_out_of_fold_know_nothing_of_their_picture(monkeypatch) -> None:
    """Whatever is said of a picture, its own risk does not move."""
    given = cases(200)
    _, before = fit(given, ("logprob", "svar"), {})
    turned = [replace(c, invented=not c.invented) if c.picture == "p3" else c for c in given]
    _, after = fit(turned, ("logprob", "svar"), {})
    same = [c.picture == "p3" for c in given]
    assert before[same] == pytest.approx(after[same], abs=1e-12)
    moved = [c.picture == "p4" for c in given]
    assert abs(before[moved] - after[moved]).max() > 1e-6


def test_folds_keep_pictures_together_and_cover_everything() -> None:
    given = [case(k * 7 % 53, bool(k % 3)) for k in range(300)]
    seen = np.zeros(len(given), int)
    for train, test in folds(given):
        assert not (train & test).any()
        assert (train | test).all()
        tested = {c.picture for c, mine in zip(given, test, strict=True) if mine}
        learned = {c.picture for c, mine in zip(given, train, strict=True) if mine}
        assert not tested & learned
        seen += test
    assert (seen == 1).all()


@pytest.mark.parametrize("levels", [None, 3])
def test_auroc_is_the_loop(levels) -> None:
    rng = random.Random(levels)
    scores = [rng.random() if levels is None else rng.randrange(levels) for _ in range(80)]
    truth = [rng.random() < 0.4 for _ in scores]
    pairs = [
        (a > b) + 0.5 * (a == b)
        for a, up in zip(scores, truth, strict=True) if up
        for b, down in zip(scores, truth, strict=True) if not down
    ]  # fmt: skip
    assert area(np.array(scores, float), np.array(truth)) == pytest.approx(sum(pairs) / len(pairs))
    assert math.isnan(area(np.array([1.0, 2.0]), np.array([True, True])))


def test_leaving_out_is_the_loop() -> None:
    rng = random.Random(2)
    risk = [rng.random() for _ in range(120)]
    invented = [rng.random() < r for r in risk]
    there = 100
    found = list(left_out(np.array(risk), np.array(invented), there))
    assert [point.threshold for point in found] == [round(k / 20, 2) for k in range(1, 20)] + [1.0]
    for point in found:
        edge = 2.0 if point.threshold == 1.0 else point.threshold
        kept = [wrong for r, wrong in zip(risk, invented, strict=True) if r < edge]
        right = sum(not wrong for wrong in kept)
        precision, recall = right / len(kept), right / there
        assert point.chair_i == pytest.approx(1 - precision)
        assert point.recall == pytest.approx(recall)
        assert point.f1 == pytest.approx(2 * precision * recall / (precision + recall))
    assert found[-1].chair_i == pytest.approx(sum(invented) / len(invented))


def test_leaving_out_everything_is_no_division_by_zero() -> None:
    points = list(left_out(np.array([0.9]), np.array([True]), 0))
    assert points[0] == type(points[0])(threshold=0.05, chair_i=0.0, recall=0.0, f1=0.0)


def test_words_are_marked_where_f1_peaks() -> None:
    given = cases()
    model, risk = fit(given, ("logprob", "svar"), {})

    def f1(threshold: float) -> float:
        marked = [r >= threshold for r in risk]
        hits = sum(m and c.invented for m, c in zip(marked, given, strict=True))
        return 2 * hits / (sum(marked) + sum(c.invented for c in given))

    best = max(f1(k / 1000) for k in range(1001))
    assert f1(model.threshold) == pytest.approx(best, abs=1e-9)


def test_the_layers_are_the_best_range_by_trying_all() -> None:
    given = cases(300)
    chosen, held, by_layer = layer_range(given)
    truth = np.array([not c.invented for c in given])
    looks = np.array([c.by_layer for c in given])
    every = {(a, b): area(looks[:, a : b + 1].sum(1), truth) for a in range(3) for b in range(a, 3)}
    assert chosen == max(every, key=lambda r: every[r]) == (1, 1)
    assert by_layer == pytest.approx([every[k, k] for k in range(3)])
    assert 0.8 < held <= every[chosen] + 0.05


def test_layers_that_say_nothing_come_out_at_chance_when_cross_validated() -> None:
    """The best of 36 ranges of noise looks good where it was chosen, and only there."""
    rng = random.Random(5)
    found = []
    for _ in range(12):
        noise = [case(k, rng.random() < 0.3, [rng.random() for _ in range(8)]) for k in range(150)]
        chosen, held, _ = layer_range(noise)
        looks = np.array([c.by_layer for c in noise])[:, chosen[0] : chosen[1] + 1].sum(1)
        found.append((held, area(looks, np.array([not c.invented for c in noise]))))
    held, chosen_on = (sum(values) / len(values) for values in zip(*found, strict=True))
    assert held == pytest.approx(0.5, abs=0.05)
    assert chosen_on > held + 0.05


def test_svar_follows_the_layers() -> None:
    one = case(0, False, (0.1, 0.2, 0.4), (0.5, 0.6, 0.7), svar=9.0, logprob=-1.0)
    changed = one.with_layers((1, 2)).scores
    assert changed == pytest.approx({"svar": 0.6, "svar_own": 1.3, "logprob": -1.0})
