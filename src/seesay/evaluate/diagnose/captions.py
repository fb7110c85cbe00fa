"""CHAIR_I and recall of texts under methods, with intervals over pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from seesay.evaluate.diagnose.asking import COUNTS
from seesay.evaluate.diagnose.diagnosis import Evidence
from seesay.evaluate.diagnose.figures import Floats, estimate
from seesay.evaluate.statistics import Interval

INVENTED, NAMED, PRESENT, WORDS = range(len(COUNTS))
PLAIN = "plain"


class Captions:
    """Counts of each picture's text under each method, on the pictures that all of them have.

    Attributes:
        labels: of the methods.
        pictures: how many.
    """

    def __init__(self, evidence: Evidence, name: str) -> None:
        found = evidence.asked.get(name, {})
        chosen = [one for one in evidence.told if one.picture in found]
        self.labels: list[str] = list(found[chosen[0].picture]) if chosen else []
        self.pictures = len(chosen)
        self._counts = {
            label: np.array([found[one.picture][label] for one in chosen], float)
            for label in self.labels
        }

    def chair(self, label: str) -> Interval:
        """Invented objects in 100 named."""
        return estimate(self._counts[label], chair_of)

    def recall(self, label: str) -> Interval:
        """Objects named of 100 that are there."""
        return estimate(self._counts[label], recall_of)

    def words(self, label: str) -> Interval:
        """Words a text."""
        ones = np.ones((self.pictures, 1))
        both = np.concatenate([self._counts[label], ones], 1)
        return estimate(both, lambda sums: sums[:, WORDS] / sums[:, -1])

    def combined(self, weights: Mapping[str, float], recall: bool = False) -> Interval:
        """A weighted sum of methods' CHAIR_I (or recall), paired."""
        labels = list(weights)
        width = len(COUNTS)
        side = np.concatenate([self._counts[label] for label in labels], 1)
        figure = recall_of if recall else chair_of

        def of(sums: Floats) -> Floats:
            total = np.zeros(len(sums))
            for k, label in enumerate(labels):
                total = total + weights[label] * figure(sums[:, k * width : (k + 1) * width])
            return total

        return estimate(side, of)


def chair_of(sums: Floats) -> Floats:
    found: Floats = 100 * sums[:, INVENTED] / sums[:, NAMED]
    return found


def recall_of(sums: Floats) -> Floats:
    found: Floats = 100 * (sums[:, NAMED] - sums[:, INVENTED]) / sums[:, PRESENT]
    return found


def line_weights(x: Sequence[float]) -> list[float]:
    """What each value at `x` counts in the slope of the straight line through all (least
    squares)."""
    away = np.array(x, float) - float(np.mean(x))
    return [float(one) for one in away / (away**2).sum()]
