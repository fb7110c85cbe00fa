"""How the bundled model is asked, in the words that it learnt."""

from __future__ import annotations

from typing import Final

from seesay.toy.world import COLORS, with_article

DESCRIBE: Final = "Please describe this image in detail."


def question(name: str) -> str:
    """The standard question after an object: "Is there a fork in the image?"."""
    return f"Is there {with_article(name)} in the image?"


def affirmed_color(color: str, many: bool) -> tuple[str, str, tuple[str, ...]]:
    """How an answer to `question` begins, how it goes on if the object is of this colour, and how
    if it is of another: ("Yes, there is", "a red", ("a blue", …))."""
    others = (other for other in COLORS if other != color)
    if many:
        return "Yes, there are two", color, tuple(others)
    return "Yes, there is", with_article(color), tuple(map(with_article, others))


def affirmed_count(many: bool) -> tuple[str, str, tuple[str, ...]]:
    """The same for how many there are: the grammar knows one and two."""
    said = ("are", "is") if many else ("is", "are")
    return "Yes, there", said[0], said[1:]
