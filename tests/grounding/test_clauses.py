"""Leaving clauses out: fixed sentences, rule by rule."""

from __future__ import annotations

import pytest

from seesay.errors import InputError
from seesay.grounding.clauses import leave_out, sentences
from seesay.grounding.vocabulary import Vocabulary

COCO = Vocabulary.coco()


def without(text: str, *failing: str) -> str:
    """`text` without the mentions of the failing classes."""
    words = COCO.find(text)
    assert {word.name for word in words} >= set(failing), "the test names what the text does not"
    spans = [(w.start, w.end) for w in words if w.name in failing]
    others = [(w.start, w.end) for w in words if w.name not in failing]
    return leave_out(text, spans, others).text


@pytest.mark.parametrize(
    ("text", "failing", "expected"),
    [
        # lists
        ("I see a fork, a knife and a cup.", "knife", "I see a fork and a cup."),
        ("I see a fork, a knife, and a cup.", "cup", "I see a fork and a knife."),
        ("I see a fork, a knife, and a cup.", "fork", "I see a knife and a cup."),
        ("A cat, a dog, a bird, and a horse are here.", "bird",
         "A cat, a dog, and a horse are here."),
        ("A cat, a dog, a bird, and a horse are here.", "horse",
         "A cat, a dog, and a bird are here."),
        ("The fork and knife are clean.", "fork", "The knife is clean."),
        ("Perhaps a bench or umbrella is there.", "bench", "Perhaps an umbrella is there."),
        ("A bowl of oranges and an apple are on a tray.", "orange",
         "A bowl and an apple are on a tray."),
        ("There are shelves with forks, as well as cups.", "cup", "There are shelves with forks."),
        # number
        ("A fork and a knife are on a tray.", "knife", "A fork is on a tray."),
        ("A dog and a cat sit on the grass.", "cat", "A dog sits on the grass."),
        ("A dog and two cats sit on the grass.", "dog", "Two cats sit on the grass."),
        ("There are two dogs and a cat on a mat.", "dog", "There is a cat on a mat."),
        ("There is a dog and two cats on a mat.", "dog", "There are two cats on a mat."),
        ("Both a fork and a knife are visible.", "knife", "A fork is visible."),
        ("A man and a dog are looking at each other.", "dog", ""),
        ("A few cups and a fork are on a tray.", "fork", "A few cups are on a tray."),
        ("In addition to a man and a cow, there are many trees.", "cow",
         "In addition to a man, there are many trees."),
        # existence
        ("There is a dog. The grass is green.", "dog", "The grass is green."),
        ("The image shows a sea with a man riding a wave. As he glides, it breaks.", "person",
         "The image shows a sea."),
        ("A man is near a dog. While he waits, it barks.", "dog",
         "There is a man. While he waits, it barks."),
        ("There are several cats on a wall.", "cat", ""),
        ("There are at least two dogs in view.", "dog", ""),
        # prepositions
        ("A man with a dog walks by.", "dog", "A man walks by."),
        ("The man is sitting on a bench.", "bench", "The man is sitting."),
        ("A cup is placed on a table next to a bowl.", "dining table",
         "A cup is placed next to a bowl."),
        ("A cup is placed next to a bowl.", "bowl", "There is a cup."),
        ("The cup is placed next to a bowl.", "bowl", ""),
        ("On the table is a fork.", "dining table", "There is a fork."),
        ("In front of the couch, a dog is sleeping.", "couch", "A dog is sleeping."),
        ("He stands between a chair and a couch.", "couch", "He stands."),
        ("A man stands to the left of the car.", "car", "A man stands."),
        ("There are tools, including a knife and a fork.", "knife",
         "There are tools, including a fork."),
        ("Some things such as a cup and a bowl can be seen.", "cup",
         "Some things such as a bowl can be seen."),
        ("Three cars stand here, each with a person nearby.", "person", "Three cars stand here."),
        ("There are machines and a chair, and a bottle is visible.", "chair",
         "There are machines, and a bottle is visible."),
        ("People gather around a table full of food.", "dining table", "People gather."),
        ("On it are a cup by the wall and two forks lying or standing around.", "fork",
         "On it is a cup by the wall."),
        # verbs
        ("A man holding a phone is walking.", "cell phone", "A man is walking."),
        ("The man is holding a phone and wearing a tie.", "cell phone",
         "The man is wearing a tie."),
        ("The man is holding a phone and wearing a tie.", "tie", "The man is holding a phone."),
        ("A man is riding a horse.", "horse", "There is a man."),
        ("Sitting on a bench, a man is reading.", "bench", "A man is reading."),
        ("A man stands still, holding a bat and about to use his phone.", "cell phone",
         "A man stands still, holding a bat."),
        ("She has a racket, ready to hit the ball.", "sports ball", "She has a racket."),
        ("A boy stands there, holding a kite and about to fly it.", "kite", "A boy stands there."),
        ("The man is holding a cup, suggesting that he is thirsty.", "cup", ""),
        ("Many visitors came, some of them carrying handbags.", "handbag", "Many visitors came."),
        ("Six men came, with some sitting in chairs and others standing.", "chair",
         "Six men came, with some sitting and others standing."),
        ("It is a hill where people can rest and perhaps ski.", "person", "It is a hill."),
        ("The tracks and the station suggest that this train is old.", "train", ""),
        ("The rider sits on the horse's back and smiles.", "horse", "The rider sits and smiles."),
        # clauses
        ("A man who is holding a phone is walking.", "cell phone", "A man is walking."),
        ("The couch, which has two cats on it, is red.", "cat", "The couch is red."),
        ("A dog is on the left, while a cat is on the right.", "dog", "A cat is on the right."),
        ("A dog is on the left, while a cat is on the right.", "cat", "A dog is on the left."),
        ("While a man is sitting, a dog is lying on a mat.", "dog", "A man is sitting."),
        ("A man is smiling, and a dog is running behind him.", "dog", "A man is smiling."),
        ("The player, a young man, is tired.", "person", ""),
        ("The walls are red, and there is a sink in the room.", "sink", "The walls are red."),
        ("A cat and the man's dog are here.", "dog", "A cat is here."),
        ("A man wearing a tie and a woman with a bag are talking.", "tie",
         "A man and a woman with a bag are talking."),
    ],
)  # fmt: skip
def test_the_smallest_clause_goes_and_the_rest_is_mended(
    text: str, failing: str, expected: str
) -> None:
    assert without(text, failing) == expected


@pytest.mark.parametrize(
    ("text", "failing", "expected"),
    [
        ("A knife lies here. It is red. The wall is white.", {"knife"}, "The wall is white."),
        ("A knife lies here. It is red. It shines.", {"knife"}, ""),
        ("The man holds a cup. He smiles.", {"cup"}, "He smiles."),
        ("A man holds a cup. He smiles.", {"person", "cup"}, ""),
        ("There is a bus. Overall, it looks like a city.", {"bus"},
         "Overall, it looks like a city."),
        ("There are two cats. One of them is on a chair.", {"cat"}, ""),
        ("A cat sits here.\n\nA dog sits there.\nA cow stands.", {"dog"},
         "A cat sits here.\n\nA cow stands."),
    ],
)  # fmt: skip
def test_sentences_and_those_that_lean_on_them(text: str, failing: set[str], expected: str) -> None:
    assert without(text, *failing) == expected


def test_all_items_of_a_list_leave_no_trace() -> None:
    text = "The room has a lamp, and some items such as a cup, a bottle, and a bowl can be seen."
    assert without(text, "cup", "bottle", "bowl") == (
        "The room has a lamp, and some items can be seen."
    )


def test_what_went_and_what_is_where() -> None:
    text = "A man with a dog is near a cat. A bird sings."
    dog, cat, bird = ((text.index(w), text.index(w) + len(w)) for w in ("dog", "cat", "bird"))
    left = leave_out(text, [dog], [cat, bird])
    assert left.text == "A man is near a cat. A bird sings."
    assert [text[r.start : r.end] for r in left.removed] == ["with a dog"]
    assert left.removed[0].rule == "preposition"
    assert left.lost == ()
    assert left.moved(dog) is None
    for span in (cat, bird):
        moved = left.moved(span)
        assert moved is not None
        assert left.text[slice(*moved)] == text[slice(*span)]


def test_innocent_mentions_that_go_along_are_told() -> None:
    text = "The dog is next to a cat."
    left = leave_out(text, [(4, 7)], [(21, 24)])
    assert left.text == ""
    assert left.lost == (0,)
    assert left.moved((21, 24)) is None


@pytest.mark.parametrize("text", ["", "   ", "A dog.", "A dog.\n\n Two  cats,, .", "!?"])
def test_nothing_to_leave_out_changes_nothing(text: str) -> None:
    left = leave_out(text, [])
    assert (left.text, left.removed, left.lost) == (text, (), ())


@pytest.mark.parametrize("span", [(-1, 2), (3, 3), (4, 2), (0, 99)])
def test_spans_outside_the_text_are_refused(span: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="empty or outside"):
        leave_out("A dog is here.", [span])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Mr. Fox has 3.5 cats. They sleep!", ["Mr. Fox has 3.5 cats.", "They sleep!"]),
        ("Fruit, e.g. apples, is here. Yes?  No.", [
            "Fruit, e.g. apples, is here.", "Yes?", "No.",
        ]),
        ("He said \"Stop.\" Then he left", ["He said \"Stop.\"", "Then he left"]),
        ("Wait... what? A dog", ["Wait... what?", "A dog"]),
        ("One\n\nTwo\n- a cat\n- a dog", ["One", "Two", "- a cat", "- a dog"]),
        ("1. A cat.\n2. A dog.", ["1. A cat.", "2. A dog."]),
        ("Cups, plates, etc. The end.", ["Cups, plates, etc.", "The end."]),
        ("J. Smith waits. A dog.", ["J. Smith waits.", "A dog."]),
        ("", []),
        (" \n ", []),
    ],
)  # fmt: skip
def test_sentences(text: str, expected: list[str]) -> None:
    assert [text[slice(*span)] for span in sentences(text)] == expected
