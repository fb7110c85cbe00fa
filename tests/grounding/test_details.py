"""Attributes and counts: found where a text says them, asked after, left out where they fail."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

import seesay
from seesay import toy
from seesay.bundled import attribute_exam, by_going_on
from seesay.engine.prefix import CachedPrefix
from seesay.errors import MethodError, ModelError
from seesay.grounding import Vocabulary
from seesay.grounding.attributes import (
    AttributeQualification,
    Detail,
    by_yes_and_no,
    examine,
    found,
)
from seesay.grounding.forced_choice import ForcedChoice, shares
from seesay.grounding.questions import attribute, count, existence
from seesay.grounding.risk import Mention
from seesay.methods import LookAgain, parse
from seesay.models.processors import answer_lead, chat_prompt
from seesay.response import Response
from seesay.verification.edits import remove_words

COCO = Vocabulary.coco()
ASKING = "look-again(evidence=self-check, attributes=True, counts=True)"


@pytest.fixture(scope="module")
def vlm():
    return seesay.load()


def said_of(text: str) -> dict[str, list[str]]:
    """Class → what the text says of its first mention."""
    mentions = [
        Mention(text[w.start : w.end], w.name, (w.start, w.end), 0, {}, 0.0, doubtful=False)
        for w in COCO.find(text)
    ]
    told: dict[str, list[str]] = {}
    for mention in found(text, mentions, ("attribute", "count")):
        for detail in mention.details:
            assert text[slice(*detail.span)].lower() in (detail.value, "2", "3")
        told.setdefault(mention.name, [detail.value for detail in mention.details])
    return told


# ---- finding -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A red bus is parked.", {"bus": ["red"]}),
        ("Two small red and white buses drive.", {"bus": ["two", "red", "white"]}),
        ("There are 3 cats on a wooden bench.", {"cat": ["three"], "bench": ["wooden"]}),
        ("An open umbrella near the black dog.", {"umbrella": ["open"], "dog": ["black"]}),
        ("A nice old car.", {"car": []}),
        ("One of the two dogs is black.", {"dog": ["two"]}),
        ("Two or three cats sleep.", {"cat": []}),
        ("A red bus window near a green bench.", {"bus": [], "bench": ["green"]}),
        ("The red car's door. A blue car.", {"car": []}),
        ("A dark red, shiny car.", {"car": ["red"]}),
    ],
)
def test_what_is_said_of_an_object_is_found(text, said):
    assert said_of(text) == said


def test_questions_about_details_are_english():
    red, two = Detail("attribute", "red", (0, 3)), Detail("count", "two", (0, 3), many=True)
    assert by_yes_and_no("fork", red) == ForcedChoice("Is the fork red?")
    assert by_yes_and_no("fork", replace(red, many=True)).question == "Are the forks red?"
    assert by_yes_and_no("knife", two).question == count("knife", 2)
    assert attribute("table", "glass") == "Is the table made of glass?"
    assert attribute("scissors", "red", many=True) == "Are the scissors red?"
    assert attribute("broccoli", "green", many=True) == "Is the broccoli green?"


# ---- leaving words out ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words", "left"),
    [
        ("A bright red car and a dog.", ["red"], "A car and a dog."),
        ("An orange cat. Two forks lie here.", ["orange", "Two"], "A cat. Forks lie here."),
        ("It shows an old wooden bench.", ["wooden"], "It shows an old bench."),
        ("A black umbrella is open.", ["black"], "An umbrella is open."),
        ("A red and white bus.", ["red"], "A white bus."),
        ("A red and white bus.", ["white"], "A red bus."),
        ("A red, white and blue bus.", ["red"], "A white and blue bus."),
        ("A red, white and blue bus.", ["white"], "A red and blue bus."),
        ("A red, white and blue bus.", ["blue"], "A red and white bus."),
        ("A red, white and blue bus.", ["white", "blue"], "A red bus."),
        ("A red, white and blue bus.", ["red", "white", "blue"], "A bus."),
    ],
)
def test_words_are_left_out_and_the_rest_mended(text, words, left):
    spans = [(text.index(word), text.index(word) + len(word)) for word in words]
    found_ = remove_words(text, spans)
    assert found_.text == left
    assert all(found_.moved(span) is None for span in spans)
    noun = max(text.split(), key=len).strip(".,")
    if noun.lower() in left.lower() and noun not in words:
        start = text.index(noun)
        moved = found_.moved((start, start + len(noun)))
        assert left[slice(*moved)] == noun


# ---- asking --------------------------------------------------------------------------------------


def whole(vlm, image, question, begun):
    """Log-probabilities of the next token, from the whole prompt alone."""
    text, special = chat_prompt(vlm.processor, question)
    text += answer_lead(text) + begun
    inputs = vlm.processor(
        images=[image], text=[text], add_special_tokens=special, return_tensors="pt"
    )
    with torch.no_grad():
        return vlm.model(**inputs).logits[0, -1].float().log_softmax(-1)


def test_shares_are_those_of_whole_prompts(vlm):
    scenes = [toy.scene("kept", seed) for seed in range(3)]
    prompt = "Please describe this image in detail."
    fork = CachedPrefix.fresh(
        vlm.view, vlm.encode([scene.image for scene in scenes], prompt), prompt
    )
    names = [scene.objects[0].name for scene in scenes]
    red = Detail("attribute", "red", (0, 0))
    asked = [[by_going_on(name, red), by_going_on(name, replace(red, many=True))] for name in names]
    answers = shares(fork, [*asked[:2], []])
    assert answers[2] == []
    ids = vlm.processor.tokenizer.convert_tokens_to_ids
    for scene, name, (one, many) in zip(scenes[:2], names[:2], answers[:2], strict=True):
        article = whole(vlm, scene.image, toy.question(name), "Yes, there is")
        behind = {
            a: whole(vlm, scene.image, toy.question(name), f"Yes, there is {a}")
            for a in ("a", "an")
        }
        weight = {}
        for color in toy.COLORS:
            a = "an" if color == "orange" else "a"
            weight[color] = math.exp(article[ids(f"Ġ{a}")] + behind[a][ids(f"Ġ{color}")])
        assert one == pytest.approx(weight["red"] / sum(weight.values()), abs=1e-4)
        two = whole(vlm, scene.image, toy.question(name), "Yes, there are two").exp()
        total = sum(float(two[ids(f"Ġ{color}")]) for color in toy.COLORS)
        assert many == pytest.approx(float(two[ids("Ġred")]) / total, abs=1e-4)
    assert fork.cost.forwards == 2, "the prompts, and every place where answers part at once"


def test_yes_and_no_are_asked_as_ever(vlm):
    from seesay.grounding.self_check import ask

    image = toy.scene("kept", 1).image
    prompt = "Please describe this image in detail."
    fork = CachedPrefix.fresh(vlm.view, vlm.encode([image], prompt), prompt)
    one = shares(fork, [[ForcedChoice("Is the fork red?")]])[0][0]
    assert one == pytest.approx(ask(fork, [["Is the fork red?"]])[0][0].p_yes)


def test_a_model_is_examined_before_it_is_asked(vlm):
    assert vlm.detail_exam("attribute").reason is None
    untaught = examine(vlm.view, vlm.encode, "attribute", by_yes_and_no, attribute_exam())
    assert untaught.pairs < 0.75, "the bundled model never learnt to be asked so"
    assert "attributes say nothing about the picture" in untaught.reason
    mute = replace(vlm, detail_exams={"count": AttributeQualification("count", 0.5, 32)})
    with pytest.raises(ModelError, match="cannot look again at counts: its answers about counts"):
        mute.describe("toy:broken/3", method="look-again(counts=True)")
    assert mute.describe("toy:broken/3", method="look-again(attributes=True)").text


def test_a_wrong_colour_is_left_out_and_its_object_stays(vlm):
    plain = vlm.describe("toy:broken/9", method="look-again(threshold=1)")
    seen = vlm.describe("toy:broken/9", method=ASKING)
    assert "An orange horse is placed" in plain.text
    assert "A horse is placed" in seen.text
    told = next(one for one in seen.withheld if one.detail is not None)
    assert str(told).startswith('thought "orange" of "horse", looked again (P(yes) .0')
    assert told.beside is None
    assert "horse" in [mention.name for mention in seen.mentions]
    tokens = {seen.text[slice(*token.span)].strip() for token in seen.tokens}
    assert "orange" not in tokens
    for mention in seen.mentions:
        assert seen.text[slice(*mention.span)] == mention.word
        for detail in mention.details:
            assert detail.p_yes > 0.35
            assert seen.text[slice(*detail.span)].lower() == detail.value


def test_marking_marks_a_wrong_colour(vlm):
    from seesay.render import terminal

    seen = vlm.describe("toy:broken/9", method="look-again(attributes=True, mode=mark)")
    assert seen.text == seen.draft
    assert [d.value for m in seen.mentions for d in m.details if d.doubtful] == ["orange"]
    assert "[orange?] horse" in terminal.marked(seen.account()).plain


def test_colours_are_asked_once_and_streamed_texts_are_the_same(vlm):
    for seed in range(6, 10):
        calls: list[str] = []
        picture = f"toy:broken/{seed}"
        seen: Response = vlm.describe(
            picture, method=ASKING, on_text=lambda text, _, c=calls: c.append(text)
        )
        assert vlm.describe(picture, method=ASKING).text == seen.text
        assert all(after.startswith(before) for before, after in pairwise(calls))


# ---- what else is there --------------------------------------------------------------------------


def test_existence_is_english():
    assert existence(["fork"]) == "There is also a fork."
    assert existence(["apple", "cup", "scissors"]) == "There is also an apple, a cup and scissors."
    assert existence(["skis", "dog"], also=False) == "There are skis and a dog."


def test_what_is_affirmed_and_was_not_named_is_said_at_the_end(vlm):
    pictures = [f"toy:kept/{seed}" for seed in range(12)]
    before = vlm.describe(pictures, method="look-again")
    after = vlm.describe(pictures, method="look-again(add=0.8)")
    added = 0
    for one, more in zip(before, after, strict=True):
        new = [m for m in more.mentions if m.token == len(more.tokens)]
        added += len(new)
        assert more.text.startswith(one.text) or not one.mentions
        assert bool(new) == (more.text != one.text)
        failed = {w.mention.name for w in more.withheld if w.beside is None}
        for mention in new:
            assert mention.scores["self_check"] >= 0.8
            assert more.text[slice(*mention.span)] == mention.word
            assert mention.name not in failed | {m.name for m in one.mentions}
        more.to_json()
    assert added
    assert after[0].check.image_passes == 0


def test_nothing_left_and_something_found(vlm):
    seen = vlm.describe("toy:broken/3", method="look-again(threshold=0, add=0.3)")
    assert seen.text.startswith("There is a")
    assert "not sure" not in seen.text


def test_a_model_that_affirms_anything_adds_nothing(vlm):
    assert len(vlm.exam.absent) == 16
    assert vlm.exam.affirms(0.1) is None
    eager = replace(vlm)
    vars(eager)["exam"] = replace(vlm.exam, absent=(0.95,) * 9 + (0.2,) * 7)
    with pytest.raises(ModelError, match="affirms 9 of 16 objects that are not there with P"):
        eager.describe("toy:kept/1", method="look-again(add=0.9)")
    assert eager.describe("toy:kept/1", method="look-again(add=0.99)").text


def test_adding_needs_a_list_of_classes(vlm):
    pytest.importorskip("HanTa")
    with pytest.raises(seesay.InputError, match="has no list of classes"):
        vlm.describe("toy:kept/1", method="look-again(add=0.9)", vocabulary=Vocabulary.open())


# ---- habit ---------------------------------------------------------------------------------------


def test_the_habit_is_the_blurred_pictures_answer(vlm):
    from seesay.grounding.self_check import ask_yes, blurred

    picture = "toy:broken/7"
    seen = vlm.describe(picture, method="look-again(mode=mark, habit=0.5)")
    names = [[mention.name for mention in seen.mentions]]
    prompt = seen.protocol.prompt
    images = [seen.picture], [blurred(seen.picture)]
    sharp, dim = (
        ask_yes(CachedPrefix.fresh(vlm.view, vlm.encode(its, prompt), prompt), names, toy.question)[
            0
        ]
        for its in images
    )
    for mention in seen.mentions:
        odds = sharp[mention.name].logit - 0.5 * dim[mention.name].logit
        assert mention.scores["self_check"] == pytest.approx(1 / (1 + math.exp(-odds)), abs=1e-4)
    assert seen.check.image_passes == 1, "the blurred picture is encoded, the sharp one was"


# ---- settings ------------------------------------------------------------------------------------


def test_options_round_trip_and_strength_zero_is_plain(vlm):
    method = LookAgain(attributes=True, counts=True, details=0.5, add=0.9, habit=0.5)
    assert parse(repr(method)) == method
    assert not method.at_zero().active
    assert LookAgain(threshold=1, add=0.9).active


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("look-again(add=1.5)", "add=1.5 must be a finite number from 0 to 1"),
        ("look-again(add=0.9, mode=mark)", "puts words in"),
        ("look-again(attributes=yes)", "must be True or False"),
        ("look-again(details=-1)", "details=-1"),
        ("look-again(habit=-0.5)", "habit=-0.5"),
    ],
)
def test_settings_that_mean_nothing_are_refused(text, reason):
    with pytest.raises(MethodError, match=reason):
        parse(text)
