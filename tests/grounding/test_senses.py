"""What a COCO word names where it stands, and whether a text says that it is there."""

from __future__ import annotations

import time

import pytest

from seesay.grounding.negation import reading
from seesay.grounding.vocabulary import Vocabulary
from seesay.grounding.vocabulary.language import looks_english

COCO = Vocabulary.coco()


def names(text: str) -> list[str]:
    return [word.name for word in COCO.find(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # another thing, or none
        ("An empty train platform and two bus depots.", []),
        ("Toilet brushes and a toilet paper roll.", []),
        ("The toilet bowl is clean, the bowl is not.", ["toilet", "bowl"]),
        ("A luggage carousel, bottle openers, chair lifts and phone booths.", []),
        ("Cowboy hats and a chef hat.", []),
        ("He wears a baseball cap, ski boots and a bike helmet.", []),
        ("Two dog beds and a cat tree.", []),
        ("A hot dog stand. Hot dog stands.", []),
        ("A dog stands near a bench. Two dogs stand.", ["dog", "bench", "dog"]),
        ("The bed covers most of the room; a train stops at the corner.", ["bed", "train"]),
        ("A pizza slice and orange slices.", ["pizza", "orange"]),
        ("A kite flying high above.", ["kite"]),
        ("The bus driver and a truck driver wave.", ["person", "person"]),
        # parts of speech
        ("They tie the knot, he ties her shoes.", []),
        ("A man in a tie and a red tie on the bed.", ["person", "tie", "tie", "bed"]),
        ("The paper ship sinks. Two kitchen sinks.", ["boat", "sink"]),
        ("She skis down the slope on her skis.", ["skis"]),
        ("Two share a bear hug. The fork in the road is near a fork.", ["fork"]),
        ("The train of her dress is long.", []),
        # people and animals
        ("A mother elephant and her calf; a father giraffe.", ["elephant", "giraffe"]),
        ("A cow and her calf.", ["cow", "cow"]),
        ("The elephants walk. The mother is beside the baby.", ["elephant"]),
        ("A mother holds a baby. A cat sleeps.", ["person", "person", "cat"]),
        ("A crowd of individuals, a family and a couple of cups.", ["person"] * 3 + ["cup"]),
        ("A family of elephants.", ["elephant"]),
        ("Motorcyclists, visitors, customers, a firefighter and passers-by.", ["person"] * 5),
        # spelling and emphasis
        ("A surf board, **cup** and _fork_.", ["surfboard", "cup", "fork"]),
        ("The variable cup_holder or my_fork.", []),
        # seats
        ("The bathroom has a toilet. Three seats face the stage.", ["toilet", "chair"]),
        ("A toilet. The seat is up.", ["toilet"]),
        ("A toilet with its seat down.", ["toilet"]),
    ],
)  # fmt: skip
def test_words_mean_what_their_place_makes_of_them(text: str, expected: list[str]) -> None:
    assert names(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Auf dem Bild sitzt eine Person neben einem Sofa und ein Bus steht auf der Straße.",
        "Une personne est assise sur un banc avec une orange et un bus dans la rue.",
        "На картине кошка и bus.",
        "图片中有一只猫和一辆 bus。",
    ],
)
def test_another_language_is_not_misread(text: str) -> None:
    assert not looks_english(text)
    assert names(text) == []
    own = Vocabulary.of({"Person": [], "bus": []})
    assert own.find("Eine Person und ein Bus sind auf dem Bild."), "own words are of any language"


@pytest.mark.parametrize(
    "text", ["", "cat", "a dog", "A man in a bus.", "Café, taxi, piñata.", "12 34"]
)
def test_short_texts_are_english(text: str) -> None:
    assert looks_english(text)


@pytest.mark.parametrize(
    ("plural", "singular"),
    [
        ("bookshelves", "bookshelf"), ("scarves", "scarf"), ("scarfs", "scarf"),
        ("volcanoes", "volcano"), ("volcanos", "volcano"), ("penknives", "penknife"),
        ("buffaloes", "buffalo"), ("cacti", "cactus"), ("cactuses", "cactus"),
        ("mothers-in-law", "mother-in-law"), ("passers-by", "passer-by"), ("quizzes", "quiz"),
        ("roofs", "roof"), ("hooves", "hoof"), ("snowmen", "snowman"),
        ("salespeople", "salesperson"), ("boxes", "box"), ("geese", "goose"),
    ],
)  # fmt: skip
def test_every_plural_that_people_write_is_found(plural: str, singular: str) -> None:
    assert [w.name for w in Vocabulary.of({singular: []}).find(f"Two {plural}.")] == [singular]


# ---- negation --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("There is no [fork] in the picture.", "negated"),
        ("No, there is no [fork].", "negated"),
        ("There are no cups, plates or [forks].", "negated"),
        ("There is neither a cup nor a [fork].", "negated"),
        ("I cannot see any [forks].", "negated"),
        ("The image does not show a red [fork].", "negated"),
        ("There isn't a [fork].", "negated"),
        ("A table without any [forks].", "negated"),
        ("He uses a spoon instead of a [fork].", "negated"),
        ("A [fork] is not visible in the image.", "negated"),
        ("The [fork] cannot be seen.", "negated"),
        ("There is no fork on the [table].", "asserted"),
        ("No, there is a [fork].", "asserted"),
        ("It is not a spoon but a [fork].", "asserted"),
        ("There is no cup. A [fork] lies here.", "asserted"),
        ("There is no doubt that a [fork] is here.", "asserted"),
        ("The [dog] is not looking at the camera.", "asserted"),
        ("No one sits on the [bench].", "asserted"),
        ("It could be a [fork].", "uncertain"),
        ("Perhaps a [fork].", "uncertain"),
        ("If there were a [fork], he would eat.", "uncertain"),
        ("Is there a [fork]? No.", "uncertain"),
        ("A man holds a [fork].", "asserted"),
    ],
)
def test_what_a_text_says_of_an_object(text: str, expected: str) -> None:
    start, end = text.index("["), text.index("]") - 1
    plain = text.replace("[", "").replace("]", "")
    assert reading(plain, start, end) == expected


@pytest.mark.parametrize("size", [1_000, 100_000])
def test_words_and_negation_take_time_linear_in_the_text(size: int) -> None:
    text = ("no dog and no cat nor any bus " * (size // 30 + 1))[:size]
    begun = time.perf_counter()
    for word in COCO.find(text):
        reading(text, word.start, word.end)
    assert time.perf_counter() - begun < 0.5 + size / 20_000
