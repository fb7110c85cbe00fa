"""English questions about objects: whether one is there, what it is like, how many there are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from seesay.errors import InputError
from seesay.grounding.vocabulary import pluralized

NUMBERS: Final = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def presence(name: str) -> str:
    """ "Is there a fork in the image?", the form that most models were tuned and tested on.

    Names that are plural ("scissors") or have no plural ("broccoli") are asked after as such.
    """
    if _head(name) in PLURALS:
        return f"Are there {name} in the image?"
    if _head(name) in _UNCOUNTED:
        return f"Is there {name} in the image?"
    return f"Is there {with_article(name)} in the image?"


def attribute(name: str, value: str, *, many: bool = False) -> str:
    """ "Is the fork red?", "Is the table made of glass?"

    Args:
        many: whether several are meant: "Are the forks red?".
    """
    value = f"made of {value}" if value in MATERIALS else value
    if _head(name) in PLURALS:
        return f"Are the {name} {value}?"
    many = many and _head(name) not in _UNCOUNTED
    return f"Are the {pluralized(name)} {value}?" if many else f"Is the {name} {value}?"


def count(name: str, number: int) -> str:
    """ "Are there two forks in the image?"

    Args:
        number: 1 to 10.
    """
    if not 1 <= number <= len(NUMBERS):
        raise InputError(f"a count of {number} has no question; ask for 1 to {len(NUMBERS)}")
    if number == 1:
        return f"Is there one {name} in the image?"
    return f"Are there {NUMBERS[number - 1]} {pluralized(name)} in the image?"


def existence(names: Sequence[str], *, also: bool = True) -> str:
    """ "There is also a fork, a cup and a plate."

    Args:
        names: at least one.
        also: whether other things were named before.
    """
    things = [name if _head(name) in PLURALS | _UNCOUNTED else with_article(name) for name in names]
    listed = " and ".join(filter(None, [", ".join(things[:-1]), things[-1]]))
    be = "are" if _head(names[0]) in PLURALS else "is"
    return f"There {be} {'also ' * also}{listed}."


def with_article(name: str) -> str:
    """The name after its indefinite article, by sound: "an apple", "a unicorn", "an hourglass"."""
    vowel = _LIKE_A_VOWEL.match(name) and not _LIKE_A_CONSONANT.match(name)
    return f"{'an' if vowel or _SPELT_OUT.match(name) else 'a'} {name}"


def _head(name: str) -> str:
    """The word that a name's number hangs on: "glass" of "glass of water"."""
    return name.lower().partition(" of ")[0].rpartition(" ")[2]


_LIKE_A_VOWEL: Final = re.compile(r"[aeiou]|hour|heir|honest|honou?r|x-", re.IGNORECASE)
_LIKE_A_CONSONANT: Final = re.compile(
    r"uni(?!n|m)|us[aeu]|uten|ukul|uran|ur[ei]n|ufo\b|usb\b|eu|ewe|on(?:e|ce)\b", re.IGNORECASE
)
_SPELT_OUT: Final = re.compile(r"[FHLMNRSX][A-Z]+\b")  # "an LED lamp"

PLURALS: Final = frozenset(
    """
    skis scissors people sunglasses glasses goggles binoculars pants trousers jeans shorts tights
    leggings pajamas pyjamas tongs pliers tweezers shears headphones earphones stairs blinds
    groceries fries noodles chopsticks clothes cattle police
    """.split()  # noqa: SIM905
)
MATERIALS: Final = frozenset("metal plastic glass stone brick leather".split())  # noqa: SIM905
_UNCOUNTED: Final = frozenset(
    """
    broccoli luggage baggage furniture silverware cutlery tableware glassware jewelry jewellery
    clothing food fruit rice bread pasta cheese meat butter sugar salt water milk coffee tea
    juice wine beer grass sand snow ice mud smoke fire fog rain traffic paper wood hay equipment
    machinery graffiti
    """.split()  # noqa: SIM905
)
