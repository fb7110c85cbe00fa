"""Object words: where a text names an object.

A `Vocabulary` maps surfaces ("knives", "dining tables", "bike") to classes ("knife", "dining
table", "bicycle"). `Vocabulary.find` gives every mention with its character span, longest surface
first, so that a hot dog is no dog. Words outside the vocabulary are not found: a model that invents
a unicorn is not caught by the COCO list.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

from seesay.errors import InputError


class Word(NamedTuple):
    """One object word of a text: `text[start:end]` names an object of class `name`."""

    name: str
    start: int
    end: int


@dataclass(frozen=True)
class Vocabulary:
    """Object classes and the surfaces that name them.

    `surfaces`: lower-case surface → class. `ignored`: longer phrases in which a surface names no
    object ("train station"); they are matched first and give nothing.
    """

    name: str
    surfaces: Mapping[str, str]
    ignored: frozenset[str] = frozenset()

    @staticmethod
    def of(names: Mapping[str, Iterable[str]], name: str = "own") -> Vocabulary:
        """A vocabulary of your own: class → synonyms. Plurals of each are added."""
        surfaces: dict[str, str] = {}
        for label, synonyms in names.items():
            for surface in (label, *synonyms):
                singular = " ".join(surface.lower().split())
                if not singular:
                    raise InputError(f"vocabulary {name!r}: class {label!r} has an empty name")
                surfaces.setdefault(singular, label)
                surfaces.setdefault(_plural(singular), label)
        if not surfaces:
            raise InputError(f"vocabulary {name!r} has no classes; give at least one")
        return Vocabulary(name, surfaces)

    @staticmethod
    def read(path: str | Path) -> Vocabulary:
        """A text file, one line a class: its name, then its synonyms, separated by commas."""
        try:
            lines = Path(path).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read the vocabulary {str(path)!r}: {error}") from error
        rows = [[part.strip() for part in line.split(",")] for line in lines if line.strip()]
        classes = {row[0]: [part for part in row[1:] if part] for row in rows}
        return Vocabulary.of(classes, name=Path(path).stem)

    @staticmethod
    @lru_cache
    def coco() -> Vocabulary:
        """The 80 classes of COCO with everyday synonyms."""
        rows = (line.split(",") for line in _COCO.strip().splitlines())
        classes = {row[0].strip(): [part.strip() for part in row[1:]] for row in rows}
        surfaces = {**Vocabulary.of(classes).surfaces, **_COCO_PHRASES}
        ignored = frozenset(" ".join(phrase.split()) for phrase in _COCO_IGNORED.split(","))
        return Vocabulary("coco", surfaces, ignored)

    @staticmethod
    @lru_cache
    def toy() -> Vocabulary:
        """The classes that the bundled scenes draw."""
        from seesay.toy import SURFACES

        return Vocabulary("toy", dict(SURFACES))

    @property
    def classes(self) -> frozenset[str]:
        return frozenset(self.surfaces.values())

    def find(self, text: str) -> list[Word]:
        """Every object word of `text`, in order, never overlapping."""
        words = []
        for match in self._pattern.finditer(text):
            surface = " ".join(match.group().lower().split())
            label = self.surfaces.get(surface)
            if label is not None and surface not in self.ignored:
                words.append(Word(label, *match.span()))
        return [word for word in words if not self._is_colour(word, text, words)]

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        longest_first = sorted({*self.surfaces, *self.ignored}, key=len, reverse=True)
        alternatives = (re.escape(s).replace(r"\ ", r"\s+") for s in longest_first)
        return re.compile(rf"(?<![\w-])(?:{'|'.join(alternatives)})(?![\w-])", re.IGNORECASE)

    def _is_colour(self, word: Word, text: str, words: list[Word]) -> bool:
        """`orange` right before another object word ("an orange cat") is its colour."""
        return word.name == "orange" and any(
            other.start > word.end and not text[word.end : other.start].strip() for other in words
        )


def _plural(singular: str) -> str:
    """The plural of a name; of a name of several words, of its last one."""
    head, space, last = singular.rpartition(" ")
    if last in _PLURALS:
        last = _PLURALS[last]
    elif last.endswith(("s", "x", "z", "ch", "sh")):
        last += "es"
    elif last.endswith("y") and last[-2:-1] not in "aeiou":
        last = last[:-1] + "ies"
    elif last.endswith("man"):
        last = last[:-3] + "men"
    else:
        last += "s"
    return head + space + last


_PLURALS = {
    "knife": "knives", "child": "children", "person": "people", "sheep": "sheep", "mouse": "mice",
    "skis": "skis", "scissors": "scissors", "aircraft": "aircraft", "calf": "calves",
    "goose": "geese", "broccoli": "broccoli", "luggage": "luggage", "cattle": "cattle",
    "ox": "oxen", "bison": "bison",
}  # fmt: skip

_ANIMALS = ("bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe")

# Surfaces whose last or first word would be read as another class.
_COCO_PHRASES = {
    "computer mouse": "mouse", "computer mice": "mouse", "carrot cake": "cake",
    "carrot cakes": "cake", "pizza oven": "oven", "toaster oven": "oven",
    **{f"{age} {animal}": animal for age in ("baby", "adult") for animal in _ANIMALS},
    **{f"{age} {_plural(animal)}": animal for age in ("baby", "adult") for animal in _ANIMALS},
}  # fmt: skip

# Phrases that hold a surface and name no object of its class.
_COCO_IGNORED = """
train station, train stations, train track, train tracks, bus stop, bus stops, bus station,
home plate, car park, car seat, car seats, toilet paper, toilet seat, flower bed, flower beds,
bird house, dog house, bottle cap, cup holder, orange juice, apple juice, boat house, pizza box,
pizza boxes, cake stand, remote area, remote location, remote village, hot dog stand, book shelf,
book shelves
"""

# One line a class, its everyday synonyms after it.
_COCO = """
person, man, woman, boy, girl, child, kid, baby, toddler, lady, guy, adult, pedestrian, passenger, player, rider, skier, snowboarder, skateboarder, surfer, chef, officer, worker, gentleman, driver, cyclist, bicyclist, biker, student, teenager, mother, father, doctor, soldier, policeman, cop, skater, bride, groom, cowboy
bicycle, bike, cycle
car, automobile, sedan, suv, taxi, cab, van, minivan, hatchback, jeep, coupe, limo
motorcycle, motorbike, moped, scooter, motor bike
airplane, plane, aeroplane, aircraft, jet, jetliner, airliner, seaplane, biplane
bus, minibus, double-decker
train, locomotive, tram
truck, lorry, pickup, pickup truck, fire truck, firetruck
boat, ship, sailboat, canoe, kayak, yacht, ferry, rowboat, motorboat, speedboat, houseboat, barge, tugboat, lifeboat, dinghy, catamaran
traffic light, traffic signal, stoplight, stop light, street light, streetlight
fire hydrant, hydrant
stop sign
parking meter
bench, pew
bird, seagull, gull, pigeon, duck, goose, swan, parrot, sparrow, owl, crow, turkey, rooster, pelican, flamingo, peacock, ostrich, heron, raven, falcon
cat, kitten, tabby, feline
dog, puppy, pup, hound, terrier, poodle, labrador, beagle, bulldog, husky, retriever, greyhound, corgi, pug, spaniel, sheepdog
horse, pony, foal, stallion, mare
sheep, lamb, ewe, ram, goat
cow, cattle, bull, calf, ox, heifer, bison, buffalo
elephant
bear, polar bear, grizzly, panda
zebra
giraffe
backpack, rucksack, knapsack
umbrella, parasol
handbag, purse, tote bag, wallet
tie, necktie, bow tie
suitcase, luggage, briefcase
frisbee
skis, ski
snowboard
sports ball, ball, football, baseball, basketball, tennis ball, soccer ball
kite
baseball bat
baseball glove, mitt
skateboard
surfboard, longboard
tennis racket, racket, racquet, tennis racquet
bottle
wine glass, wineglass
cup, mug, teacup
fork
knife, pocketknife
spoon
bowl
banana
apple
sandwich, burger, hamburger, cheeseburger
orange
broccoli
carrot
hot dog, hotdog
pizza
donut, doughnut, bagel
cake, cupcake, cheesecake, shortcake, pancake
chair, seat, stool, armchair
couch, sofa, loveseat, futon, recliner, settee
potted plant, houseplant, pot plant
bed
dining table, table, desk
toilet, urinal
tv, television, monitor
laptop, laptop computer, notebook computer, computer, macbook, netbook
mouse
remote, remote control
keyboard
cell phone, cellphone, phone, mobile phone, smartphone, telephone
microwave, microwave oven
oven, stove
toaster
sink, basin
refrigerator, fridge, freezer
book
clock
vase
scissors
teddy bear, teddy
hair drier, hair dryer, hairdryer
toothbrush
"""  # noqa: E501
