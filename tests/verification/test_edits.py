"""Taking mentions out of a text: what is left is English, says nothing new, and takes no time."""

from __future__ import annotations

import math
import random
import re
import time

import pytest

from seesay.errors import InputError
from seesay.grounding.sentences import sentences, settled
from seesay.grounding.vocabulary import Vocabulary
from seesay.verification.edits import refers, remove_mentions
from seesay.verification.judge import by_likelihood, naturalness

COCO = Vocabulary.coco()


def without(text: str, *failing: str, judge=None) -> str:
    """`text` without the mentions of the failing classes."""
    words = COCO.find(text)
    assert {word.name for word in words} >= set(failing), "the test names what the text does not"
    spans = [(w.start, w.end) for w in words if w.name in failing]
    others = [(w.start, w.end) for w in words if w.name not in failing]
    return remove_mentions(text, spans, others, judge).text


@pytest.mark.parametrize(
    ("text", "failing", "expected"),
    [
        # an item of a list
        ("I see a fork, a knife and a cup.", "knife", "I see a fork and a cup."),
        ("I see a fork, a knife, and a cup.", "cup", "I see a fork and a knife."),
        ("I see a fork, a knife, and a cup.", "fork", "I see a knife and a cup."),
        ("A cat, a dog, a bird, and a horse are here.", "bird",
         "A cat, a dog, and a horse are here."),
        ("A cat, a dog, a bird, and a horse are here.", "horse",
         "A cat, a dog, and a bird are here."),
        ("A fork and a knife are on a tray.", "knife", "A fork is on a tray."),
        ("A dog and a cat sit on the grass.", "cat", "A dog sits on the grass."),
        ("There are two dogs and a cat on a mat.", "dog", "There is a cat on a mat."),
        ("There is a dog and two cats on a mat.", "dog", "There are two cats on a mat."),
        ("There are tools, including a knife and a fork.", "knife",
         "There are tools, including a fork."),
        ("A modern, well-lit room featuring a sofa and sink.", "sink",
         "A modern, well-lit room featuring a sofa."),
        # a modifier, with all that hangs on it
        ("A man with a dog walks by.", "dog", "A man walks by."),
        ("The man is sitting on a bench.", "bench", "The man is sitting."),
        ("A man stands to the left of the car.", "car", "A man stands."),
        ("He stands between a chair and a couch.", "couch", "He stands."),
        ("A man holding a phone is walking.", "cell phone", "A man is walking."),
        ("The man is holding a phone and wearing a tie.", "tie", "The man is holding a phone."),
        ("She wears a hat, and has a book in her hand.", "book", "She wears a hat."),
        ("A man sits at a desk, holding a cup.", "dining table", "A man sits, holding a cup."),
        ("It is a hill where people can rest.", "person", "It is a hill."),
        ("A girl is sitting at a desk with a cup, a glass of milk, and a lamp.", "dining table",
         "A girl is sitting."),
        # what leads in, and clauses
        ("In front of the couch, a dog is sleeping.", "couch", "A dog is sleeping."),
        ("On the table, there is a fork.", "dining table", "There is a fork."),
        ("A dog is on the left, while a cat is on the right.", "dog", "A cat is on the right."),
        ("A dog is on the left, while a cat is on the right.", "cat", "A dog is on the left."),
        ("A man is smiling, and a dog is running behind him.", "dog", "A man is smiling."),
        ("There are machines and a chair, and a bottle is visible.", "chair",
         "There are machines, and a bottle is visible."),
        ("There is a plate on the table and a towel on the chair.", "chair",
         "There is a plate on the table and a towel."),
        ("There is a plate on the table and a towel on the shelf.", "dining table",
         "There is a plate."),
    ],
)  # fmt: skip
def test_the_smallest_safe_part_goes(text: str, failing: str, expected: str) -> None:
    assert without(text, failing) == expected


@pytest.mark.parametrize(
    ("text", "failing"),
    [
        # what stays would be attached to the wrong thing
        ("A cup is placed next to a bowl.", "bowl"),
        ("A man is on a horse.", "horse"),
        # the rest would say more
        ("There is no table with a cup.", "cup"),
        ("All people on the bench are sitting.", "bench"),
        ("Signs say that no bikes and motorcycles are allowed.", "bicycle"),
        # something counts what would go
        ("Two animals are in the field, a horse and a cow.", "cow"),
        ("The three things on the desk are a laptop, a mouse and a keyboard.", "mouse"),
        ("A man and a dog are looking at each other.", "dog"),
        ("Both a fork and a knife are visible.", "knife"),
        # a word would lose what it stands for
        ("Some of the birds are on the fence, while others fly.", "bird"),
        ("A knife is on the left, and it is sharp.", "knife"),
        # no English sentence would be left
        ("The man is holding a phone.", "cell phone"),
        ("The tracks and the station suggest that this train is old.", "train"),
        ("The image features a large, black and white bowl.", "bowl"),
        ("The blue vase or bottle as a backdrop creates calm.", "vase"),
    ],
)
def test_where_no_part_is_safe_the_sentence_goes(text: str, failing: str) -> None:
    assert without(f"It rains. {text}", failing) in ("It rains.", "It rains. A cat sleeps.")


@pytest.mark.parametrize(
    ("text", "failing", "expected"),
    [
        ("No. A cat sits on the couch.", "cat", "No."),
        ("A knife lies here. It is red. The wall is white.", "knife", "The wall is white."),
        ("A baby lies in a pram. The old man feeds a bird. He has a beard.", "bird",
         "A baby lies in a pram."),
        ("There are two cats. One of them is on a chair. The end.", "cat", "The end."),
        ("There is a bus. Overall, it looks like a city.", "bus", "Overall, it looks like a city."),
        ("A cat sits.\n\nA dog sits.\nA cow stands.", "dog", "A cat sits.\n\nA cow stands."),
        ("- a cat\n- a dog\n- a bird", "dog", "- a cat\n- a bird"),
        ("a) A dog\nb) A cat\nc) A tree", "cat", "a) A dog\nc) A tree"),
        ("There are three animals:\n- a dog\n- a cat\n- a cow", "cat",
         "There are animals:\n- a dog\n- a cow"),
        ("It shows:\n- a dog\nThe sky is blue.", "dog", "The sky is blue."),
        ("| thing | colour |\n|---|---|\n| dog | red |\n| cat | blue |", "dog",
         "| thing | colour |\n|---|---|\n| cat | blue |"),
        ("A cat sleeps.\n```\ndog = 1\ncat = 2\n```\nIt is day.", "dog", "A cat sleeps."),
    ],
)  # fmt: skip
def test_a_unit_goes_alone_with_those_that_lean_on_it(
    text: str, failing: str, expected: str
) -> None:
    assert without(text, failing) == expected


@pytest.mark.parametrize(
    "sentence",
    [
        "It is red.",
        "Behind him, a dog barks.",
        "The other one sits.",
        "Both sleep.",
        "Their coats shine.",
        "One of them runs.",
    ],
)
def test_a_sentence_that_leans_on_the_one_before(sentence: str) -> None:
    assert refers(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "A dog is red.",
        "It seems that it rains.",
        "The dog wags its tail.",
        "One dog sleeps.",
        "Overall, the scene is calm.",
    ],
)
def test_a_sentence_that_stands_alone(sentence: str) -> None:
    assert not refers(sentence)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Mr. Fox has 3.5 cats. They sleep!", ["Mr. Fox has 3.5 cats.", "They sleep!"]),
        ("Fruit, e.g. apples, is here. Yes?  No. Hm.", [
            "Fruit, e.g. apples, is here.", "Yes?", "No.", "Hm.",
        ]),
        ('He said "Stop." Then he left', ['He said "Stop."', "Then he left"]),
        ("Wait... what? A dog", ["Wait... what?", "A dog"]),
        ("One\n\nTwo\n- a cat\n- a dog", ["One", "Two", "- a cat", "- a dog"]),
        ("1. A cat.\n2. A dog.", ["1. A cat.", "2. A dog."]),
        ("Cups, plates, etc. The end.", ["Cups, plates, etc.", "The end."]),
        ("J. Smith waits. A dog.", ["J. Smith waits.", "A dog."]),
        ("It is size M. The shirt fits.", ["It is size M.", "The shirt fits."]),
        ("She stands in St. Peter. He lives on Main St. The sky is blue.", [
            "She stands in St. Peter.", "He lives on Main St.", "The sky is blue.",
        ]),
        ("No, there isn't. A dog.", ["No, there isn't.", "A dog."]),
        ("See no. 5 and fig. 2 here. End.", ["See no. 5 and fig. 2 here.", "End."]),
        ("a dog sits. a cat sleeps.", ["a dog sits.", "a cat sleeps."]),
        ("一只猫。一只狗！好", ["一只猫。", "一只狗！", "好"]),
        ("A line that was\nbroken in two. Next.", ["A line that was\nbroken in two.", "Next."]),
        ("→ a dog\n→ a cat", ["→ a dog", "→ a cat"]),
        ("🐶 a dog\n🐱 a cat", ["🐶 a dog", "🐱 a cat"]),
        ('{\n "a": "dog. cat"\n}\nEnd.', ['{\n "a": "dog. cat"\n}', "End."]),
        ("", []),
        (" \n ", []),
    ],
)  # fmt: skip
def test_units(text: str, expected: list[str]) -> None:
    assert [text[slice(*span)] for span in sentences(text)] == expected


def test_what_went_and_what_is_where() -> None:
    text = "A man with a dog is near a cat. A bird sings."
    dog, cat, bird = ((text.index(w), text.index(w) + len(w)) for w in ("dog", "cat", "bird"))
    edited = remove_mentions(text, [dog], [cat, bird])
    assert edited.text == "A man is near a cat. A bird sings."
    assert [text[r.start : r.end].strip() for r in edited.removed] == ["with a dog"]
    assert edited.removed[0].kind == "modifier"
    assert edited.lost == ()
    assert edited.moved(dog) is None
    for span in (cat, bird):
        moved = edited.moved(span)
        assert moved is not None
        assert edited.text[slice(*moved)] == text[slice(*span)]
    assert remove_mentions("A dog is on a cat.", [(2, 5)], [(14, 17)]).lost == (0,)


@pytest.mark.parametrize("text", ["", "   ", "A dog.", "A dog.\n\n Two  cats,, .", "!?"])
def test_nothing_to_remove_changes_nothing(text: str) -> None:
    edited = remove_mentions(text, [])
    assert (edited.text, edited.removed, edited.lost) == (text, (), ())


@pytest.mark.parametrize("span", [(-1, 2), (3, 3), (4, 2), (0, 99)])
def test_spans_outside_the_text_are_refused(span: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="empty or outside"):
        remove_mentions("A dog is here.", [span])


WORDS = [
    *"a the two dog cats and , . ; : on with of is are sitting parked which it".split(),  # noqa: SIM905
    *'no both there man table in front next to - ( ) " 猫 。 ! e.g. 3.5 { | ``` has large'.split(),  # noqa: SIM905
    "\n", "\t", "\u202e", "\x00",
]  # fmt: skip


@pytest.mark.parametrize("judge", [None, lambda _b, _s, edited: [0.0] * len(edited)])
def test_no_text_is_an_exception_and_nothing_is_put_in(judge) -> None:
    rng = random.Random(1)
    for _ in range(400):
        text = " ".join(rng.choice(WORDS) for _ in range(rng.randrange(1, 40)))
        spans = []
        for _ in range(rng.randrange(1, 5)):
            start = rng.randrange(len(text))
            spans.append((start, rng.randrange(start + 1, min(len(text), start + 9) + 1)))
        edited = remove_mentions(text, spans[:2], spans[2:], judge)
        said = set(re.findall(r"\w+", text.lower()))
        put = set(re.findall(r"\w+", edited.text.lower())) - said
        assert put <= {"and", "is", "are", "has"}
        assert len(edited.text.split()) <= len(text.split()) + len(put)
        assert all(edited.text[place:].strip() for _, _, place in edited.pieces)


@pytest.mark.parametrize(
    "loop", ["a dog and ", "a cat on a mat, ", "there is a dog. ", "- a dog\n", "dog "]
)
def test_it_takes_time_linear_in_the_text(loop: str) -> None:
    seconds = []
    for size in (10_000, 100_000):
        text = (loop * (size // len(loop) + 1))[:size]
        spans = [(m.start(), m.end()) for m in re.finditer("dog|cat", text)]
        begun = time.perf_counter()
        remove_mentions(text, spans[::3], spans[1::3])
        seconds.append(time.perf_counter() - begun)
    assert seconds[1] < 40 * seconds[0] + 0.5


def test_what_was_settled_is_never_taken_back() -> None:
    text = ("A man rides a horse. It is brown. There are three animals:\n- a dog\n- a cat\n"
            "- a cow\n"
            "No. A dog, a cat, and a bird sleep near J. Smith. They dream. The end.")  # fmt: skip
    for name in ("horse", "dog", "cat", "bird", "person"):
        told = ""
        for end in range(1, len(text) + 1):
            part = text[: settled(text[:end])] if end < len(text) else text
            words = COCO.find(part)
            failing = [(w.start, w.end) for w in words if w.name == name]
            others = [(w.start, w.end) for w in words if w.name != name]
            edited = remove_mentions(part, failing, others).text
            assert edited.startswith(told)
            told = edited


# ---- the judge -------------------------------------------------------------------------------


def test_a_judge_that_gives_no_number_leaves_the_floor() -> None:
    text = "It rains. I see a fork, a knife and a cup."
    assert (
        without(text, "knife", judge=lambda _b, _s, edited: [math.nan] * len(edited)) == "It rains."
    )
    assert without(text, "knife", judge=lambda _b, _s, edited: [-9.0] * len(edited)) == "It rains."


def test_a_judge_may_take_what_is_not_safe() -> None:
    text = "While a man sits, a cat, a dog and a bird lie on a mat, and a cup is near."
    asked = []

    def judge(before, sentence, edited):
        asked.append((before, sentence, list(edited)))
        return [0.0] * len(edited)

    assert without(f"It rains. {text}", "person", judge=judge).startswith("It rains. A ")
    assert asked[0][:2] == ("It rains.", text)
    more = "Two hold no cup in one hand and a phone in the other."
    assert without(more, "cell phone", judge=judge) == "", "it would say more"


def test_naturalness_is_that_of_the_words_behind_the_cut() -> None:
    whole = [("a", -1.0), ("dog", -2.0), ("and", -1.0), ("cat", -2.0), (".", -0.5)]
    same = [("a", -1.0), ("dog", -2.0), (".", -0.5)]
    worse = [("a", -1.0), ("dog", -2.0), (".", -4.5)]
    assert naturalness(whole, same) == 0
    assert naturalness(whole, worse) == -4
    assert math.isnan(naturalness(whole, [("a", -1.0), (".", math.nan)]))
    judge = by_likelihood(lambda _before, _sentences: [whole, same, worse])
    assert judge("", "", ["", ""]) == [0, -4]
