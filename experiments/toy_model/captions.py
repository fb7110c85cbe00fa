"""What is said about a scene: captions, questions with answers, checklists.

Captions name what catches the eye first, so later mentions are the unsure ones. Every sentence
comes from a small grammar, which `well_formed` recognises.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from random import Random
from typing import TYPE_CHECKING, Final, TypeAlias

from seesay.toy import DESCRIBE
from seesay.toy.world import COLORS, CONTEXTS, OBJECTS, plural, with_article

if TYPE_CHECKING:
    from seesay.toy.scenes import Placed, Scene

Turn: TypeAlias = tuple[str, str]
"""What the user says, and the answer."""

DESCRIBE_PROMPTS: Final = (
    DESCRIBE,
    "Describe the image in detail.",
    "Please help me describe the image in detail.",
    "Describe this image.",
    "What is shown in this image?",
)
_QUESTIONS: Final = (
    "Is there {} in the image?",
    "Is there {} in this image?",
    "Is there {} in the picture?",
    "Can you see {} in the image?",
    "Does the image contain {}?",
)
_PLACES: Final = ("on the left", "on the right", "at the top", "at the bottom", "in the center")


def caption(scene: Scene, rng: Random) -> str:
    """A description of one to six sentences that names every object once as something new."""
    seen = sorted(scene.objects, key=lambda o: -o.salience * math.exp(rng.gauss(0, 0.25)))
    opening = 2 if len(seen) > 1 and rng.random() < 0.6 else 1
    sentences = [_opening(scene.context, seen[:opening], rng)]
    for before, placed in zip(seen[opening - 1 :], seen[opening:], strict=False):
        sentences.append(_one_more(placed, before, rng))
    if rng.random() < 0.3:
        looks = (f"a typical {scene.context}", with_article(f"{scene.context} scene"))
        sentences.append(f"Overall, it looks like {rng.choice(looks)}.")
    return " ".join(sentences)


def describe_turn(scene: Scene, rng: Random) -> Turn:
    """A request to describe the picture, half the time the standard one, and its caption."""
    prompt = DESCRIBE if rng.random() < 0.5 else rng.choice(DESCRIBE_PROMPTS[1:])
    return prompt, caption(scene, rng)


def object_turn(scene: Scene, rng: Random) -> Turn:
    """A turn about one object: "Please describe the fork." or a yes/no question.

    Half of the yes/no questions are about something absent, half of those about something that
    belongs to the place: the habit is asked about as often as the picture.
    """
    if rng.random() < 0.35:
        return _describe_object(scene, rng)
    wording = _QUESTIONS[0] if rng.random() < 0.5 else rng.choice(_QUESTIONS[1:])
    if rng.random() < 0.5:
        return wording.format(with_article(_absent(scene, rng))), "No."
    placed = rng.choice(scene.objects)
    answer = "Yes."
    if rng.random() < 0.5:
        answer = f"Yes, there {_be(placed)} {_phrase(placed)} {where(placed)}."
    return wording.format(with_article(placed.name)), answer


def checklist_turn(scene: Scene, rng: Random) -> Turn:
    """Things asked about at once, up to seven of them absent; the answer lists those there."""
    local, elsewhere = _absences(scene)
    absent = rng.sample(local, min(3, len(local))) + rng.sample(elsewhere, 4)
    asked = sorted(scene.present) + absent  # sorted: a set's order changes from run to run
    rng.shuffle(asked)
    there = [name for name in asked if name in scene.present]
    return checklist(asked), " ".join(there) + "."


def checklist(names: Iterable[str]) -> str:
    """The question after several objects: "Is there a fork, a cup in the image?"."""
    return f"Is there {', '.join(map(with_article, names))} in the image?"


def noun(placed: Placed) -> str:
    """The object's name, in the plural if there are two."""
    return plural(placed.name) if placed.count > 1 else placed.name


def where(placed: Placed) -> str:
    """The third of the picture that the object's centre lies in; sides win over top and bottom."""
    left, top, right, bottom = placed.box
    across, down = (left + right) / 2, (top + bottom) / 2
    for position, (low, high) in ((across, _PLACES[:2]), (down, _PLACES[2:4])):
        if position < 32:
            return low
        if position > 64:
            return high
    return _PLACES[4]


def well_formed(text: str) -> bool:
    """Whether a caption consists of whole sentences of the grammar and nothing else."""
    return _CAPTION.fullmatch(text) is not None


def well_formed_parts(text: str) -> bool:
    """Whether a text consists of sentences of the grammar in any order, some of which may name
    fewer things: a place without things, a thing without its place."""
    return _PARTS.fullmatch(text) is not None


def _opening(context: str, placed: list[Placed], rng: Random) -> str:
    things = " and ".join(map(_phrase, placed))
    place = with_article(f"{context} scene")
    return rng.choice(
        [
            f"The image shows {place} with {things}.",
            f"The image features {things} in {place}.",
            f"In this {context} scene, there {_be(placed[0])} {things}.",
        ]
    )


def _one_more(placed: Placed, before: Placed, rng: Random) -> str:
    thing, be, place = _phrase(placed), _be(placed), where(placed)
    neighbour = noun(before)
    return rng.choice(
        [
            f"There {be} {thing} {place}.",
            f"{thing.capitalize()} can be seen {place}.",
            f"{thing.capitalize()} {be} placed next to the {neighbour}.",
            f"Additionally, there {be} {thing} {place}.",
            f"Near the {neighbour}, there {be} {thing}.",
        ]
    )


def _describe_object(scene: Scene, rng: Random) -> Turn:
    if rng.random() < 0.15:
        name = _absent(scene, rng)
        return f"Please describe the {name}.", f"There is no {name} in the image."
    placed = rng.choice(scene.objects)
    answer = f"There {_be(placed)} {_phrase(placed)} {where(placed)}."
    return f"Please describe the {noun(placed)}.", answer


def _absences(scene: Scene) -> tuple[list[str], list[str]]:
    """What is not there: of this place, and of all others."""
    absent = [name for name in OBJECTS if name not in scene.present]
    local = CONTEXTS[scene.context]
    return [o for o in absent if o in local], [o for o in absent if o not in local]


def _absent(scene: Scene, rng: Random) -> str:
    local, elsewhere = _absences(scene)
    return rng.choice(local if local and rng.random() < 0.5 else local + elsewhere)


def _phrase(placed: Placed) -> str:
    colored = f"{placed.color} {noun(placed)}"
    return f"two {colored}" if placed.count > 1 else with_article(colored)


def _be(placed: Placed) -> str:
    return "are" if placed.count > 1 else "is"


def _grammar() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Whole captions: an opening, any number of further sentences, perhaps a closing one. And
    texts of such sentences in any order, and of shorter ones."""
    one, many = _any(OBJECTS), _any(map(plural, OBJECTS))
    single = rf"{_any(map(with_article, COLORS))} {one}"
    double = rf"two {_any(COLORS)} {many}"
    big_single = rf"{_any(with_article(color).capitalize() for color in COLORS)} {one}"
    big_double = rf"T{double[1:]}"
    context, scene = _any(CONTEXTS), _any(with_article(f"{c} scene") for c in CONTEXTS)
    noun, place, thing = _any([one, many]), _any(_PLACES), _any([single, double])
    and_more = rf"(?: and {thing})?"
    exists = _any([rf"is {single}", rf"are {double}"])
    opening = _any(
        [
            rf"The image shows {scene} with {thing}{and_more}\.",
            rf"The image features {thing}{and_more} in {scene}\.",
            rf"In this {context} scene, there {exists}{and_more}\.",
        ]
    )
    one_more = _any(
        [
            rf"There {exists} {place}\.",
            rf"{_any([big_single, big_double])} can be seen {place}\.",
            rf"{_any([rf'{big_single} is', rf'{big_double} are'])} placed next to the {noun}\.",
            rf"Additionally, there {exists} {place}\.",
            rf"Near the {noun}, there {exists}\.",
        ]
    )
    closing = rf"Overall, it looks like {_any([rf'a typical {context}', scene])}\."
    short = _any([rf"The image shows {scene}\.", rf"There {exists}{and_more}\."])
    part = _any([opening, one_more, closing, short])
    whole = rf"{opening}(?: {one_more})*(?: {closing})?"
    return re.compile(whole), re.compile(rf"{part}(?: {part})*")


def _any(patterns: Iterable[str]) -> str:
    return f"(?:{'|'.join(patterns)})"


_CAPTION, _PARTS = _grammar()
