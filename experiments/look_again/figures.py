"""From texts to figures: CHAIR, recall and F1, curves over thresholds, differences at one recall.

Everything is computed from counts by scene; scenes are drawn with return, the same ones for both
sides of a difference (`statistics.resampled`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from experiments.look_again.runs import Text
from experiments.toy_model.captions import well_formed, well_formed_parts
from seesay.grounding import Calibration, ScoredText, Vocabulary
from seesay.methods import LookAgain
from seesay.statistics.intervals import Interval, interval, resampled
from seesay.statistics.metrics import Counts
from seesay.verification.missing_objects import completed, unsaid
from seesay.verification.policy import Policy

THRESHOLDS: Final = (*(round(k / 20, 2) for k in range(2, 20)), 0.97, 0.99, 1.0)
ADDED: Final = (0.995, 0.99, 0.98, 0.97, 0.95, 0.93, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2)
"""P(yes) from which unnamed objects are said."""
DRAWS: Final = 2000
_COLUMNS: Final = (
    "invented", "named", "any invented", "present", "words", "texts", "as trained", "well-formed",
    "empty", "repeating",
)  # fmt: skip
_OTHERWISE: Final = LookAgain().otherwise

Change = Callable[[ScoredText], ScoredText]


def counts(readings: Sequence[ScoredText], present: Sequence[frozenset[str]]) -> Counts:
    """(scenes, columns) of `_COLUMNS`; an object counts once a text."""
    rows = []
    for reading, there in zip(readings, present, strict=True):
        named = {mention.name for mention in reading.mentions}
        text, wrong = reading.text, len(named - there)
        said = [s for s in re.split(r"(?<=\.)\s+", text) if s]
        empty = text in ("", _OTHERWISE)
        rows.append((
            wrong, len(named), wrong > 0, len(there), len(text.split()), 1,
            empty or well_formed(text), empty or well_formed_parts(text), empty,
            len(set(said)) < len(said),
        ))  # fmt: skip
    return np.array(rows, float)


RATES: Final = {
    "CHAIR_I": lambda c: 100 * c[:, 0] / np.maximum(c[:, 1], 1),
    "CHAIR_S": lambda c: 100 * c[:, 2] / c[:, 5],
    "recall": lambda c: 100 * (c[:, 1] - c[:, 0]) / np.maximum(c[:, 3], 1),
    "F1": lambda c: 200 * (c[:, 1] - c[:, 0]) / np.maximum(c[:, 1] + c[:, 3], 1),
    "words": lambda c: c[:, 4] / c[:, 5],
    "as trained": lambda c: 100 * c[:, 6] / c[:, 5],
    "well-formed": lambda c: 100 * c[:, 7] / c[:, 5],
    "empty": lambda c: 100 * c[:, 8] / c[:, 5],
    "repeating": lambda c: 100 * c[:, 9] / c[:, 5],
}
"""Column sums (draws, columns) to a figure of each draw; percent but for words."""


@dataclass(frozen=True, eq=False)
class Point:
    """One way of describing all scenes of a split."""

    label: str
    counts: Counts

    def value(self, rate: str) -> float:
        return float(RATES[rate](self.counts.sum(0, keepdims=True))[0])

    def drawn(self, rate: str) -> Counts:
        """(draws,) of the figure; equal scenes are drawn for every point."""
        drawn: Counts = RATES[rate](resampled(self.counts, DRAWS))
        return drawn

    def estimate(self, rate: str) -> Interval:
        return interval(self.value(rate), self.drawn(rate))

    def against(self, other: Point, rate: str) -> Interval:
        """This figure less the other's, paired."""
        return interval(self.value(rate) - other.value(rate), self.drawn(rate) - other.drawn(rate))


@dataclass(frozen=True, eq=False)
class Curve:
    """Points of one way at growing strength, plain among them.

    Its CHAIR_I at a recall between two points lies on the line between them; beyond its ends it is
    not defined.
    """

    label: str
    points: tuple[Point, ...]

    def at(self, recall: float) -> float:
        """CHAIR_I at this recall, of all scenes; NaN where the curve does not reach it."""
        xs = np.array([[point.value("recall") for point in self.points]])
        ys = np.array([[point.value("CHAIR_I") for point in self.points]])
        return float(_along(xs, ys, np.array([recall]))[0])

    def drawn(self, recall: Counts) -> Counts:
        """(draws,) CHAIR_I at each draw's recall."""
        xs = np.stack([point.drawn("recall") for point in self.points], 1)
        ys = np.stack([point.drawn("CHAIR_I") for point in self.points], 1)
        return _along(xs, ys, recall)

    def against_point(self, other: Point) -> Interval:
        """CHAIR_I of this curve less that of a point, at the point's recall, paired by draw."""
        drawn = self.drawn(other.drawn("recall")) - other.drawn("CHAIR_I")
        return interval(self.at(other.value("recall")) - other.value("CHAIR_I"), drawn)

    def against(self, other: Curve, plain: Point, less: float) -> Interval:
        """CHAIR_I of this curve less that of another, `less` points of recall under plain."""
        recall = plain.drawn("recall") - less
        at = plain.value("recall") - less
        return interval(self.at(at) - other.at(at), self.drawn(recall) - other.drawn(recall))


def _along(xs: Counts, ys: Counts, at: Counts) -> Counts:
    """Lines through (draws, points) read at (draws,); NaN beyond the ends by more than 0.05."""
    out = np.full(len(at), np.nan)
    for k, (x, y, place) in enumerate(zip(xs, ys, at, strict=True)):
        order = np.argsort(x)
        if x[order[0]] - 0.05 <= place <= x[order[-1]] + 0.05:
            out[k] = np.interp(place, x[order], y[order])
    return out


# ---- ways to leave out ---------------------------------------------------------------------------


def look_again(
    texts: Sequence[Text], look: LookAgain, calibration: Calibration | None
) -> list[ScoredText]:
    """The texts as Look Again says them."""
    looker = Policy(look, calibration)
    return [looker.revised(text.reading).reading for text in texts]


def with_more(
    texts: Sequence[Text], adding: Sequence[Text], look: LookAgain, calibration: Calibration | None
) -> list[ScoredText]:
    """The texts as Look Again says them, and what else it affirms.

    Args:
        adding: the same texts with all that it affirms at a low bar (`runs.ADDING`).
    """
    looker, words = Policy(look, calibration), Vocabulary.toy()
    told = []
    for text, more in zip(texts, adding, strict=True):
        revised = looker.revised(text.reading)
        asked = (*text.reading.mentions, *more.reading.mentions)
        known = {m.name: m.scores.get("self_check", 0.0) for m in asked}
        answers = {name: known[name] for name in unsaid(revised, words) if name in known}
        told.append(completed(revised, answers, look).reading)
    return told


def dropped(texts: Sequence[Text], share: float) -> list[ScoredText]:
    """The same clause deletion, of the mentions whose first token got at most `share`: what would
    be P(yes) is the word's own probability."""

    def known(reading: ScoredText) -> ScoredText:
        mentions = tuple(
            replace(m, scores={**m.scores, "self_check": float(np.exp(m.scores["logprob"]))})
            for m in reading.mentions
        )
        return replace(reading, mentions=mentions)

    looker = Policy(LookAgain(threshold=1 - share, evidence="self-check"))
    return [looker.revised(known(text.reading)).reading for text in texts]


def cut(texts: Sequence[Text], words: Sequence[int]) -> list[ScoredText]:
    """Each text's first so many words."""
    shortened = []
    for text, most in zip(texts, words, strict=True):
        reading = text.reading
        ends = [match.end() for match in re.finditer(r"\S+", reading.text)]
        end = ends[most - 1] if 0 < most <= len(ends) else len(reading.text) if most else 0
        inside = tuple(m for m in reading.mentions if m.span[1] <= end)
        shortened.append(replace(reading, text=reading.text[:end], mentions=inside))
    return shortened


def lengths(texts: Sequence[Text], like: Sequence[ScoredText]) -> list[int]:
    """For each text the length that the text of its rank in `like` has, never more than its own."""
    own = [len(text.reading.text.split()) for text in texts]
    wanted = sorted((len(reading.text.split()) for reading in like), reverse=True)
    order = sorted(range(len(own)), key=lambda k: -own[k])
    found = [0] * len(own)
    for rank, k in enumerate(order):
        found[k] = min(own[k], wanted[rank])
    return found
