"""Attributes and counts, measured apart: colours that the captions give, and how many of a thing.

A colour counts where the object is there; what is said of an invented object is wrong anyway.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from experiments.look_again.runs import BATCH, Text
from seesay.engine.prefix import CachedPrefix
from seesay.grounding.attributes import Detail
from seesay.grounding.forced_choice import shares
from seesay.methods import LookAgain
from seesay.statistics.detection_metrics import auroc
from seesay.statistics.intervals import Interval, interval, resampled
from seesay.statistics.metrics import Counts
from seesay.toy import Scene
from seesay.vlm import PROMPT, VLM

DRAWS: Final = 2000
_TWO: Final = Detail("count", "two", (0, 0), many=True)


@dataclass(frozen=True, eq=False)
class Details:
    """One split; shares are percent.

    Attributes:
        colors: that plain's captions give to objects that are there.
        wrong: share of them that is wrong.
        still_wrong: the same of those that Look Again still says, at its default.
        left_out: share that it leaves out; `right_lost` the same of the right ones.
        asked, unasked: AUROC of telling wrong from right: by asking, and by the caption's own
            log-probability of the colour.
        twice: objects that are there twice; `claimed` how many numbers the captions give.
        counted: AUROC of P(two), asked of every object there, for those there twice.
    """

    colors: int
    wrong: Interval
    still_wrong: Interval
    left_out: Interval
    right_lost: Interval
    asked: Interval
    unasked: Interval
    twice: int
    claimed: int
    counted: Interval


def measure(vlm: VLM, texts: Sequence[Text], scenes: Sequence[Scene]) -> Details:
    """Figures of one split.

    Args:
        texts: plain's, asked after their colours (`runs.DETAILS`).
        scenes: which they describe.
    """
    said = [
        (scene, *one)
        for scene, pair in enumerate(zip(texts, scenes, strict=True))
        for one in _colors(*pair)
    ]
    where = [str(scene) for scene, *_ in said]
    wrong = np.array([its[1] for its in said], bool)
    p_yes, logprob = np.array([its[2:] for its in said]).reshape(-1, 2).T
    denied = np.array([LookAgain().denies(value) for value in p_yes], bool)
    kinds = {
        "wrong": (wrong, wrong | ~wrong),
        "still_wrong": (wrong & ~denied, ~denied),
        "left_out": (denied, denied | ~denied),
        "right_lost": (denied & ~wrong, ~wrong),
    }
    at = [scene for scene, *_ in said]
    percents = {name: _percent(at, len(scenes), *pair) for name, pair in kinds.items()}
    twice = [placed.count > 1 for scene in scenes for placed in scene.objects]
    owners = [str(k) for k, scene in enumerate(scenes) for _ in scene.objects]
    return Details(
        colors=len(said),
        **percents,
        asked=auroc(1 - p_yes, wrong, where, resamples=DRAWS),
        unasked=auroc(-logprob, wrong, where, resamples=DRAWS),
        twice=sum(twice),
        claimed=sum(its.reading.text.lower().count("two ") for its in texts),
        counted=auroc(_counted(vlm, scenes), twice, owners, resamples=DRAWS),
    )


def _percent(
    at: Sequence[int], scenes: int, part: NDArray[np.bool_], of: NDArray[np.bool_]
) -> Interval:
    """The share of items that are `part` among those that are `of`, over draws of scenes.

    Args:
        at: (items,) the scene of each.
    """
    counts: Counts = np.stack(
        [np.bincount(at, its.astype(float), minlength=scenes) for its in (part, of)], 1
    )
    both = np.concatenate([counts.sum(0, keepdims=True), resampled(counts, DRAWS)])
    values = 100 * both[:, 0] / np.maximum(both[:, 1], 1)
    return interval(float(values[0]), values[1:])


def _colors(text: Text, scene: Scene) -> Iterator[tuple[bool, float, float]]:
    """Of each colour of an object that is there: whether it is wrong, P(yes), and the caption's
    log-probability of it."""
    colors = {placed.name: placed.color for placed in scene.objects}
    for mention in text.reading.mentions:
        for detail in mention.details if mention.name in colors else ():
            token = next(t for t in text.reading.tokens if t.span[1] >= detail.span[1])
            yield detail.value != colors[mention.name], detail.p_yes or 0.0, token.logprob


def _counted(vlm: VLM, scenes: Sequence[Scene]) -> list[float]:
    """P(two) of every object of the scenes, asked in a dialogue of its own."""
    found: list[float] = []
    for first in range(0, len(scenes), BATCH):
        some = scenes[first : first + BATCH]
        fork = CachedPrefix.fresh(
            vlm.view, vlm.encode([scene.image for scene in some], PROMPT), PROMPT
        )
        asked = [[vlm.detail_form(placed.name, _TWO) for placed in scene.objects] for scene in some]
        found += [share for its in shares(fork, asked) for share in its]
    return found
