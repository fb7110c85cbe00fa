"""What is special about the bundled model and its drawn scenes, as data that `load` attaches.

Any model is examined on the drawn scenes: their truth is known, and no training set holds them.
"""

from __future__ import annotations

from random import Random
from typing import Final

from PIL.Image import Image

from seesay import toy
from seesay.grounding.attributes import Detail, Sheet
from seesay.grounding.forced_choice import ForcedChoice

_NOWHERE: Final = (0, 0)


def by_going_on(name: str, detail: Detail) -> ForcedChoice:
    """How the bundled model is asked: by what it says behind "Yes, there"."""
    asked = toy.question(name)
    if detail.kind == "count":
        return ForcedChoice(asked, *toy.affirmed_count(detail.many))
    return ForcedChoice(asked, *toy.affirmed_color(detail.value, detail.many))


def presence_exam(pictures: int = 16) -> list[tuple[Image, tuple[str, str]]]:
    """Drawn scenes, each with its plainest object and one from another place, which is absent."""
    sheet = []
    for seed in range(pictures):
        drawn = toy.scene("kept", seed)
        there = max(drawn.objects, key=lambda placed: placed.salience).name
        absent = [
            name
            for context, its in toy.CONTEXTS.items()
            for name in its
            if context != drawn.context and name not in drawn.present
        ]
        sheet.append((drawn.image, (there, absent[7 * seed % len(absent)])))
    return sheet


def attribute_exam(pictures: int = 32) -> Sheet:
    """Each scene's plainest object with its colour, and with another."""
    sheet = []
    for seed in range(pictures):
        drawn = toy.scene("kept", seed)
        plain = max(drawn.objects, key=lambda placed: placed.salience)
        other = Random(seed).choice([color for color in toy.COLORS if color != plain.color])
        said = [
            Detail("attribute", value, _NOWHERE, plain.count > 1) for value in (plain.color, other)
        ]
        sheet.append((drawn.image, [(plain.name, detail) for detail in said]))
    return sheet


def count_exam(pictures: int = 32) -> Sheet:
    """Scenes with two of something, each followed by one with one of the same: "two" of both."""
    single: dict[str, toy.Scene] = {}
    double: list[tuple[str, toy.Scene]] = []
    seed = 0
    while len(double) < pictures or any(name not in single for name, _ in double):
        drawn = toy.scene("kept", seed)
        for placed in drawn.objects:
            if placed.hard:
                continue
            if placed.count == 1:
                single.setdefault(placed.name, drawn)
            elif len(double) < pictures:
                double.append((placed.name, drawn))
        seed += 1
    two = Detail("count", "two", _NOWHERE, many=True)
    return [(scene.image, [(name, two)]) for name, its in double for scene in (its, single[name])]
