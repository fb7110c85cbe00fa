"""Object words of captions of drawn scenes, and what every score says of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seesay.engine.prefix import QuestionCost
from seesay.errors import InputError
from seesay.evaluate.calibrate import Known, described
from seesay.grounding.calibration import Logistic
from seesay.grounding.scores import DOUBTFUL_HIGH, svar_layers
from seesay.options import OnToken
from seesay.response import Response
from seesay.statistics import detection_metrics
from seesay.statistics.intervals import Interval
from seesay.vlm import VLM

Floats = NDArray[np.float64]

RESAMPLES = 1000
LONGEST = 128
"""Tokens a caption."""
LAST_BIN = 5
"""Objects named sixth or later share a bin."""

RISK, CHECKED_RISK, DEPTH_SVAR = "risk", "risk, checked", "svar, by depth"
GIVEN_RISK = "risk, as audited"
ASKED = ("self_check", CHECKED_RISK)
"""Scores that take more than the caption's own pass."""


@dataclass(frozen=True)
class Said:
    """An object word of a caption.

    Attributes:
        picture, split: of which.
        first: whether it is its object's first mention.
        order: how many objects were named before its own.
        invented: whether the object is not there.
        scores: those of `grounding.scores`, both calibrated risks and SVAR by relative depth.
        by_layer, own_by_layer: attention on the image, see `Mention`.
    """

    picture: str
    split: str
    first: bool
    order: int
    invented: bool
    scores: Mapping[str, float]
    by_layer: tuple[float, ...]
    own_by_layer: tuple[float, ...]


class Row(NamedTuple):
    """What a score is worth: AUROC, the same within position bins, average precision; and the same
    AUROC over every mention, not each object's first alone."""

    name: str
    items: int
    auroc: Interval
    within: Interval
    precision: Interval
    every: float


class Difference(NamedTuple):
    """A risk's AUROC less that of the best of some scores, paired."""

    risk: str
    best: str
    difference: Interval


class Spent(NamedTuple):
    """What captions and their checks took; `caption_forwards` counts the prompt's as well."""

    captions: int
    caption_tokens: int
    caption_forwards: int
    caption_seconds: float
    check: QuestionCost


def said(
    vlm: VLM, pictures: Sequence[Known], *, batch_size: int = 32, on_picture: OnToken | None = None
) -> list[Said]:
    """Describe the pictures, reading everything that a word can be scored by.

    Raises:
        InputError: a model without calibration, or without one for checked words.
    """
    if vlm.calibration is None or vlm.calibration.checked is None:
        raise InputError(
            f"{vlm.id} has no calibration with self-check to measure; make one with "
            "`seesay calibrate`"
        )
    single, checked = vlm.calibration.single, vlm.calibration.checked
    seen_ones = described(
        vlm,
        pictures,
        on_picture,
        batch_size=batch_size,
        max_new_tokens=LONGEST,
        deep=True,
        self_check=True,
    )
    return [word for known, seen in seen_ones for word in words_of(known, seen, single, checked)]


def words_of(known: Known, seen: Response, single: Logistic, checked: Logistic) -> Iterator[Said]:
    """The object words of a text, with both risks; both models of a calibration are needed."""
    order: dict[str, int] = {}
    firsts: dict[str, Mapping[str, float]] = {}
    for mention in seen.mentions:
        if mention.layers is None or mention.own_layers is None:
            continue  # cut there: nothing is known of its own row
        first = mention.name not in order
        order.setdefault(mention.name, len(order))
        firsts.setdefault(mention.name, mention.scores)
        own = firsts[mention.name]
        depth = svar_layers(len(mention.layers))
        scores = {
            **mention.scores,
            DEPTH_SVAR: sum(mention.layers[depth[0] : depth[1] + 1]),
            **_known({RISK: single.risk(own), CHECKED_RISK: checked.risk(own)}),
        }
        yield Said(
            known.id,
            known.split,
            first,
            order[mention.name],
            mention.name not in known.objects,
            scores,
            mention.layers,
            mention.own_layers,
        )


def _known(risks: Mapping[str, float | None]) -> dict[str, float]:
    return {name: risk for name, risk in risks.items() if risk is not None}


def spent(vlm: VLM, pictures: Sequence[Known], *, batch_size: int = 32) -> Spent:
    """What describing and checking take, without the deep readout's own cost."""
    texts = [
        seen
        for _, seen in described(
            vlm, pictures, batch_size=batch_size, max_new_tokens=LONGEST, self_check=True
        )
    ]
    checks = {id(seen.check): seen.check for seen in texts if seen.check is not None}
    whole = QuestionCost(
        questions=sum(cost.questions for cost in checks.values()),
        forwards=sum(cost.forwards for cost in checks.values()),
        tokens=sum(cost.tokens for cost in checks.values()),
        image_passes=sum(cost.image_passes for cost in checks.values()),
        seconds=sum(cost.seconds for cost in checks.values()),
    )
    lengths = [len(seen.tokens) + seen.ended for seen in texts]
    batches = [lengths[k : k + batch_size] for k in range(0, len(lengths), batch_size)]
    return Spent(
        captions=len(texts),
        caption_tokens=sum(lengths),
        caption_forwards=sum(map(max, batches)),
        caption_seconds=sum(seen.seconds for seen in texts) - whole.seconds,
        check=whole,
    )


def rows(words: Sequence[Said], resamples: int = RESAMPLES) -> list[Row]:
    """Every score over each object's first mention; best AUROC first."""
    firsts = [word for word in words if word.first]
    found = []
    for name in names(words):
        values, kept = doubt(firsts, name)
        truth, pictures = truths(kept), [word.picture for word in kept]
        every, all_kept = doubt(words, name)
        bins = [min(word.order, LAST_BIN) for word in kept]
        found.append(
            Row(
                name,
                len(kept),
                detection_metrics.auroc(values, truth, pictures, resamples=resamples),
                detection_metrics.auroc(values, truth, pictures, bins, resamples=resamples),
                detection_metrics.average_precision(values, truth, pictures, resamples=resamples),
                _plain(detection_metrics.area(every, truths(all_kept)), len(all_kept)),
            )
        )
    return sorted(found, key=lambda row: -row.auroc.value)


def differences(words: Sequence[Said], resamples: int = RESAMPLES) -> list[Difference]:
    """Each risk beside the best score that costs no more, and the checked risk beside the best
    score of one pass; the best is chosen on these very words, which favours it."""
    firsts = [word for word in words if word.first]
    risks = (RISK, CHECKED_RISK)
    single = [name for name in names(words) if name not in (*risks, *ASKED)]
    pairs = [(RISK, single), (CHECKED_RISK, single), (CHECKED_RISK, [*single, "self_check"])]
    return [_difference(firsts, risk, among, resamples) for risk, among in pairs]


def names(words: Sequence[Said]) -> list[str]:
    """The scores that some word has."""
    return list(dict.fromkeys(name for word in words for name in word.scores))


def doubt(words: Sequence[Said], name: str) -> tuple[Floats, list[Said]]:
    """A score turned so that high means doubt, and the words that have it."""
    sign = 1 if DOUBTFUL_HIGH.get(name, name in (RISK, CHECKED_RISK, GIVEN_RISK)) else -1
    kept = [word for word in words if math.isfinite(word.scores.get(name, math.nan))]
    return np.array([sign * word.scores[name] for word in kept]), kept


def truths(words: Sequence[Said]) -> NDArray[np.bool_]:
    return np.array([word.invented for word in words], bool)


def layer_curve(words: Sequence[Said]) -> Iterator[tuple[float, float]]:
    """AUROC of each layer's attention on the image alone: by the predicting row, the own row."""
    firsts = [word for word in words if word.first]
    truth = truths(firsts)
    for layer in range(len(firsts[0].by_layer)):
        looks = [-word.by_layer[layer] for word in firsts]
        own = [-word.own_by_layer[layer] for word in firsts]
        yield (
            _plain(detection_metrics.area(looks, truth), len(firsts)),
            _plain(detection_metrics.area(own, truth), len(firsts)),
        )


def _difference(
    words: Sequence[Said], risk: str, among: Sequence[str], resamples: int
) -> Difference:
    whole = [name for name in among if len(doubt(words, name)[1]) == len(words)]
    truth, pictures = truths(words), [word.picture for word in words]
    areas = {name: detection_metrics.area(doubt(words, name)[0], truth) for name in (risk, *whole)}
    best = max(whole, key=lambda name: _plain(areas[name], len(words)))
    found = detection_metrics.estimate(areas[risk], pictures, areas[best], resamples=resamples)
    return Difference(risk, best, found)


def _plain(figure: Callable[[Floats], Floats], items: int) -> float:
    """A figure of items that weigh alike."""
    return float(figure(np.ones((1, items)))[0])
