"""From the scores of words whose truth is known to a calibration's numbers; numpy only.

Everything that a calibration says of itself is measured out of fold: pictures are dealt into folds,
and a word's risk is given by weights that its picture had no part in. (The range of SVAR's layers
is chosen once, from all of them.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seesay.errors import InputError
from seesay.grounding.calibration import Logistic, OperatingPoint, StoredInterval, feature
from seesay.statistics import detection_metrics

Floats = NDArray[np.float64]
Truths = NDArray[np.bool_]

SINGLE = ("logprob", "entropy", "svar", "svar_own", "text_attention", "position")
CHECKED = (*SINGLE, "self_check")
ASKED = ("self_check",)
FOLDS = 5
RIDGE = 1.0
_RESAMPLES = 2000
_THRESHOLDS = tuple(round(k / 20, 2) for k in range(1, 20))


@dataclass(frozen=True)
class Case:
    """The first mention of an object in a text.

    Attributes:
        picture: its id.
        split: what kind of picture it is.
        name: the object.
        scores: see `grounding.scores`.
        by_layer, own_by_layer: (layers,) attention on the image; see `Mention`.
        invented: whether the object is not there.
    """

    picture: str
    split: str
    name: str
    scores: Mapping[str, float]
    by_layer: tuple[float, ...]
    own_by_layer: tuple[float, ...]
    invented: bool

    def with_layers(self, layers: tuple[int, int]) -> Case:
        """The case with SVAR over another range of layers."""
        taken = slice(layers[0], layers[1] + 1)
        whole, own = (float(sum(by[taken])) for by in (self.by_layer, self.own_by_layer))
        svar = {"svar": whole, "svar_own": own}
        changed = {**self.scores, **svar}
        return Case(
            self.picture,
            self.split,
            self.name,
            changed,
            self.by_layer,
            self.own_by_layer,
            self.invented,
        )


def folds(cases: Sequence[Case]) -> Iterator[tuple[Truths, Truths]]:
    """(train, test) masks over the cases; a picture's cases stay together."""
    pictures = {name: k for k, name in enumerate(dict.fromkeys(case.picture for case in cases))}
    fold = np.array([pictures[case.picture] % FOLDS for case in cases])
    for k in range(FOLDS):
        yield fold != k, fold == k


def layer_range(cases: Sequence[Case]) -> tuple[tuple[int, int], float, tuple[float, ...]]:
    """The layers whose attention on the image, summed, tells true from invented words best.

    Returns the range (both ends included), its AUROC on folds that had no part in choosing it, and
    each single layer's AUROC.
    """
    looks = np.array([case.by_layer for case in cases])  # (cases, layers)
    truth = np.array([not case.invented for case in cases])

    def best(which: Truths) -> tuple[int, int]:
        sums = np.concatenate([np.zeros((len(looks), 1)), looks.cumsum(1)], 1)
        ranges = [(a, b) for a in range(looks.shape[1]) for b in range(a, looks.shape[1])]
        found = [area((sums[:, b + 1] - sums[:, a])[which], truth[which]) for a, b in ranges]
        return ranges[int(np.argmax(found))]

    held = []
    for train, test in folds(cases):
        first, last = best(train)
        held.append(area(looks[test, first : last + 1].sum(1), truth[test]))
    by_layer = tuple(area(looks[:, layer], truth) for layer in range(looks.shape[1]))
    return best(np.ones(len(cases), bool)), float(np.nanmean(held)), by_layer


def area(scores: Floats, positive: Truths) -> float:
    """AUROC, ties half; NaN where one kind is missing."""
    above, below = int(positive.sum()), int((~positive).sum())
    if not above or not below:
        return float("nan")
    _, rank, count = np.unique(scores, return_inverse=True, return_counts=True)
    middle = np.cumsum(count) - (count - 1) / 2  # mean rank of each value, from 1
    return float((middle[rank][positive].sum() - above * (above + 1) / 2) / (above * below))


def fit(
    cases: Sequence[Case], features: Sequence[str], there: Mapping[str, int]
) -> tuple[Logistic, Floats]:
    """A logistic model of "invented", and each case's risk out of fold.

    Args:
        there: by picture, how many of the vocabulary's objects are in it.

    Raises:
        InputError: a case that lacks one of the scores; a risk goes by no guess.
    """
    table = np.array([[feature(name, case.scores) for name in features] for case in cases])
    if len(lacking := np.argwhere(~np.isfinite(table))):
        case, column = cases[lacking[0][0]], features[lacking[0][1]]
        raise InputError(
            f"{case.name!r} in {case.picture} has no score {column!r}; leave it out of the fit"
        )
    invented = np.array([case.invented for case in cases])
    pictures = [case.picture for case in cases]
    risk = np.empty(len(cases))
    for train, test in folds(cases):
        risk[test] = _risks(table[test], *_weights(table[train], invented[train]))
    mean, scale, weights, intercept = _weights(table, invented)
    auroc = detection_metrics.auroc(risk, invented, pictures, resamples=_RESAMPLES)
    error = detection_metrics.calibration_error(risk, invented, pictures, resamples=_RESAMPLES)
    curve = detection_metrics.reliability(risk, invented)
    model = Logistic(
        features=tuple(features),
        mean=_rounded(mean),
        scale=_rounded(scale),
        weights=_rounded(weights),
        intercept=round(float(intercept), 6),
        threshold=_mark(risk, invented),
        auroc=StoredInterval(value=auroc.value, low=auroc.low, high=auroc.high),
        error=StoredInterval(value=error.value, low=error.low, high=error.high),
        curve=tuple((step.probability, step.share, step.items) for step in curve if step.items),
        kept=tuple(left_out(risk, invented, sum(there.values()))),
    )
    return model, risk


def left_out(risk: Floats, invented: Truths, there: int) -> Iterator[OperatingPoint]:
    """CHAIR_I and recall by objects if those at a risk or above were left out, by risk; the last
    point, at 1, leaves out none."""
    for threshold in (*_THRESHOLDS, 1.01):
        kept = risk < threshold
        named, wrong = int(kept.sum()), int((kept & invented).sum())
        recall = (named - wrong) / max(1, there)
        precision = (named - wrong) / max(1, named)
        f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        yield OperatingPoint(
            threshold=min(threshold, 1.0), chair_i=wrong / max(1, named), recall=recall, f1=f1
        )


def _mark(risk: Floats, invented: Truths) -> float:
    """The risk, in thousandths, at which F1 of finding invented words peaks."""
    best, at = -1.0, 0.5
    for threshold in np.unique(np.floor(risk * 1000) / 1000):
        marked = risk >= threshold
        hits = int((marked & invented).sum())
        f1 = 2 * hits / (int(marked.sum()) + int(invented.sum()))
        if f1 > best:
            best, at = f1, float(threshold)
    return at


def _weights(table: Floats, invented: Truths) -> tuple[Floats, Floats, Floats, float]:
    """Ridge logistic regression by Newton's method: (mean, scale, weights, intercept)."""
    mean, scale = table.mean(0), table.std(0)
    scale = np.where(scale > 0, scale, 1.0)
    x = (table - mean) / scale
    x = np.concatenate([x, np.ones((len(x), 1))], 1)
    ridge = np.diag([RIDGE] * (x.shape[1] - 1) + [0.0])
    beta = np.zeros(x.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-(x @ beta).clip(-30, 30)))
        gradient = x.T @ (p - invented) + ridge @ beta
        curvature = (x * (p * (1 - p))[:, None]).T @ x + ridge + 1e-9 * np.eye(len(beta))
        step = np.linalg.solve(curvature, gradient)
        beta = beta - step
        if np.abs(step).max() < 1e-8:
            break
    return mean, scale, beta[:-1], float(beta[-1])


def _risks(table: Floats, mean: Floats, scale: Floats, weights: Floats, bias: float) -> Floats:
    logits = (table - mean) / scale @ weights + bias
    risks: Floats = 1 / (1 + np.exp(-logits.clip(-700, 700)))
    return risks


def _rounded(values: Floats) -> tuple[float, ...]:
    return tuple(round(float(value), 6) for value in values)
