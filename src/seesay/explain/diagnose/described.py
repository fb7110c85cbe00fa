"""Describing the pictures, under the plain model and under methods, and counting the objects.

CHAIR_I and recall of texts under methods, with intervals over pictures.

The pictures of a diagnosis: drawn scenes, a folder, or a list with known objects.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seesay import toy
from seesay.engine import AnyMethod
from seesay.errors import InputError
from seesay.evaluate.calibrate import SPLITS, listed
from seesay.explain.diagnose.figures import Floats, estimate
from seesay.explain.diagnose.types import DescribedImage, Evidence, NamedWord
from seesay.grounding import Vocabulary
from seesay.grounding.risk import Mention
from seesay.pictures import Opened, Picture
from seesay.runs.folder.listing import Folder
from seesay.statistics.intervals import Interval
from seesay.vlm import VLM

COUNTS = ("invented", "named", "present", "words")
"""What is counted of a text: objects named that are not there, objects named, objects there, and
words of the text; an object counts once."""


def describe(
    vlm: VLM,
    shown: Sequence[DiagnosedImage],
    opened: Sequence[Opened],
    *,
    prompt: str,
    max_new_tokens: int,
    vocabulary: Vocabulary | None,
) -> list[DescribedImage]:
    """What the plain model says, greedily."""
    texts = vlm.describe(
        list(opened),
        prompt=prompt,
        max_new_tokens=max_new_tokens,
        vocabulary=vocabulary,
        batch_size=len(opened),
    )
    return [
        DescribedImage(
            one.id,
            tuple(token.id for token in text.tokens),
            tuple(_words(text.mentions, one.objects)),
            None if one.objects is None else len(one.objects),
        )
        for one, text in zip(shown, texts, strict=True)
    ]


def count(
    vlm: VLM,
    shown: Sequence[DiagnosedImage],
    opened: Sequence[Opened],
    method: AnyMethod | None,
    *,
    prompt: str,
    max_new_tokens: int,
    vocabulary: Vocabulary | None,
) -> list[list[int]]:
    """`COUNTS` of what is said under a method, picture by picture; all have known objects."""
    texts = vlm.describe(
        list(opened),
        method=method,
        prompt=prompt,
        max_new_tokens=max_new_tokens,
        vocabulary=vocabulary,
        batch_size=len(opened),
    )
    found = []
    for one, text in zip(shown, texts, strict=True):
        objects = one.objects or frozenset()
        named = {mention.name for mention in text.mentions}
        found.append(
            [len(named - objects), len(named), len(objects), len(text.text.split())]
        )  # as COUNTS
    return found


def _words(mentions: Iterable[Mention], objects: frozenset[str] | None) -> Iterable[NamedWord]:
    """The first mention of each object."""
    names: dict[str, None] = {}
    for mention in mentions:
        if mention.name not in names:
            names[mention.name] = None
            invented = None if objects is None else mention.name not in objects
            yield NamedWord(mention.name, mention.token, len(names), invented)


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


TOY = "toy"
FIRST_SEED = 4_000_000
"""Of the drawn scenes; no other measurement here uses seeds from it on."""


@dataclass(frozen=True)
class DiagnosedImage:
    """A picture.

    Attributes:
        id: its name within the set.
        picture: as `VLM.describe` takes it.
        objects: what is in it, as classes of the vocabulary; None where that is not known.
    """

    id: str
    picture: Picture
    objects: frozenset[str] | None


def pictures_of(images: str, count: int, vocabulary: Vocabulary) -> list[DiagnosedImage]:
    """The first `count` pictures that `images` names.

    Args:
        images: "toy" for drawn scenes, half of which break the training scenes' habits; a folder;
            or a file of JSON lines, {"image": "photo.jpg", "objects": ["fork"]}.
        vocabulary: that the objects of a file are words of.

    Raises:
        InputError: neither of these, no picture in it, or a file of another form.
    """
    if images == TOY:
        return _drawn(count)
    path = Path(images).expanduser()
    if path.is_dir():
        folder = Folder.of(path)
        return [DiagnosedImage(name, path / name, None) for name in folder.pictures[:count]]
    if path.is_file():
        known = listed(path, vocabulary)[:count]
        return [DiagnosedImage(one.id, one.picture, one.objects) for one in known]
    raise InputError(
        f"--images {images!r} is no folder and no file; name a folder of pictures, a file of JSON "
        'lines ({"image": "photo.jpg", "objects": ["fork"]}), or say toy for drawn scenes'
    )


def _drawn(count: int) -> list[DiagnosedImage]:
    found = []
    for k in range(count):
        split = SPLITS[k % len(SPLITS)]
        scene = toy.scene(split, FIRST_SEED + k // len(SPLITS))
        name = f"toy:{split}/{scene.seed}"
        found.append(DiagnosedImage(name, name, scene.present))
    return found
