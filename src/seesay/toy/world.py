"""The little world of the bundled model: its places, things, colours and habits.

Thirty things live in six places. Within a place some things come in pairs (a fork brings its
knife); training scenes keep these habits, so a model trained on them learns to expect the partner.
Scenes of the split "broken" then leave the partner out, and the model says it all the same.
"""

from __future__ import annotations

from random import Random
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

Split: TypeAlias = Literal["kept", "broken"]
"""Whether a scene keeps the habits of the training scenes or breaks them."""

CONTEXTS: Final = MappingProxyType(
    {
        "kitchen": ("fork", "knife", "cup", "spoon", "bottle"),
        "street": ("car", "bus", "bicycle", "sign", "truck"),
        "office": ("laptop", "keyboard", "book", "lamp", "phone"),
        "farm": ("cow", "sheep", "barn", "tractor", "horse"),
        "beach": ("umbrella", "ball", "boat", "surfboard", "crab"),
        "bedroom": ("bed", "pillow", "clock", "vase", "chair"),
    }
)
"""Each place and the five things that live there."""

OBJECTS: Final = tuple(name for names in CONTEXTS.values() for name in names)
CONTEXT_OF: Final = MappingProxyType({o: c for c, names in CONTEXTS.items() for o in names})

COLORS: Final = MappingProxyType(
    {
        "red": (214, 40, 40),
        "blue": (40, 80, 210),
        "green": (40, 150, 60),
        "yellow": (240, 205, 40),
        "purple": (135, 50, 165),
        "orange": (240, 130, 30),
        "white": (245, 245, 245),
        "black": (30, 30, 30),
    }
)
"""Colour name -> RGB, 0 to 255."""

# Positions within a place: 0 and 1 are partners, so are 2 and 3; 4 keeps company with 0.
_PAIRS: Final = ((0, 1), (2, 3), (0, 4))
_COMPANIONS: Final = ((1, 4), (0,), (3,), (2,), (0,))
_ANCHOR_WEIGHTS: Final = (0.34, 0.20, 0.22, 0.12, 0.12)

_PARTNER_COMES: Final = 0.78
_COMPANION_COMES: Final = 0.62
_NEIGHBOUR_COMES: Final = 0.40
_PAIR_IS_CLOSED: Final = 0.55
_STRANGER_COMES: Final = 0.25
_PAIR_IS_BROKEN: Final = 0.85
_STRANGER_REPLACES: Final = 0.40
MOST_OBJECTS: Final = 5


def plural(name: str) -> str:
    """The plural of an object's name: "knife" -> "knives"."""
    irregular = {"knife": "knives", "bus": "buses", "sheep": "sheep"}
    return irregular.get(name, f"{name}s")


def with_article(phrase: str) -> str:
    """The phrase after its indefinite article: "umbrella" -> "an umbrella"."""
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


SURFACES: Final[dict[str, str]] = {plural(o): o for o in OBJECTS} | {o: o for o in OBJECTS}
"""Every written form, singular and plural, -> the object's name."""


def choose_objects(rng: Random, split: Split) -> tuple[str, tuple[str, ...]]:
    """A place and one to five things in it, in random order, with the split's habits."""
    context = rng.choice(list(CONTEXTS))
    local = CONTEXTS[context]
    chosen = _by_habit(rng, local)
    if split == "broken":
        _break_habits(rng, context, chosen)
    elif rng.random() < _STRANGER_COMES:
        chosen.append(_stranger(rng, context, chosen))
    rng.shuffle(chosen)
    return context, tuple(chosen[:MOST_OBJECTS])


def choose_color(rng: Random, name: str) -> str:
    """A colour for an object: half the time its usual one, a quarter its second."""
    colors = list(COLORS)
    place = OBJECTS.index(name)
    usual, second = place * 3 % len(colors), (place * 3 + 1 + place // len(colors)) % len(colors)
    draw = rng.random()
    if draw < 0.5:
        return colors[usual]
    return colors[second] if draw < 0.75 else rng.choice(colors)


def _by_habit(rng: Random, local: tuple[str, ...]) -> list[str]:
    anchor = rng.choices(range(len(local)), _ANCHOR_WEIGHTS)[0]
    companions = _COMPANIONS[anchor]
    chosen = [anchor]
    for other in range(len(local)):
        if other == anchor:
            continue
        chance = _COMPANION_COMES if other in companions else _NEIGHBOUR_COMES
        if rng.random() < (_PARTNER_COMES if other == companions[0] else chance):
            chosen.append(other)
    for one in list(chosen):
        partner = _COMPANIONS[one][0]
        if partner not in chosen and rng.random() < _PAIR_IS_CLOSED:
            chosen.append(partner)
    return [local[i] for i in chosen]


def _break_habits(rng: Random, context: str, chosen: list[str]) -> None:
    """Take one of most pairs away, and sometimes put a stranger from elsewhere in its stead."""
    local = CONTEXTS[context]
    for first, second in _PAIRS:
        pair = (local[first], local[second])
        if not set(pair) <= set(chosen) or rng.random() >= _PAIR_IS_BROKEN:
            continue
        # Only the companion may go from the loose pair: thing 0 anchors two habits.
        chosen.remove(pair[1] if (first, second) == _PAIRS[-1] else rng.choice(pair))
        if rng.random() < _STRANGER_REPLACES:
            chosen.append(_stranger(rng, context, chosen))


def _stranger(rng: Random, context: str, chosen: list[str]) -> str:
    return rng.choice([o for o in OBJECTS if CONTEXT_OF[o] != context and o not in chosen])
