"""Is what was named there? Questions, their answers, and models that cannot be asked."""

from __future__ import annotations

import re
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

import families
from forks import batch_of, precise
from seesay import load, toy
from seesay.bundled import presence_exam
from seesay.engine.method import Stack
from seesay.engine.prefix import CachedPrefix
from seesay.errors import EngineError, InputError, ModelError
from seesay.grounding.qualification import Qualification, can_answer
from seesay.grounding.questions import attribute, count, presence, with_article
from seesay.grounding.self_check import ask, ask_yes, blurred, corrected, habit, yes_no_tokens
from seesay.grounding.vocabulary import Vocabulary
from seesay.models.processors import inputs_for
from seesay.vlm import PROMPT


@pytest.fixture(scope="module")
def vlm():
    return load()


def encode(vlm):
    return partial(inputs_for, vlm.model, vlm.processor)


class TestQuestions:
    def test_the_bundled_model_is_asked_in_the_form_it_was_trained_on(self):
        assert [presence(name) for name in toy.OBJECTS] == list(map(toy.question, toy.OBJECTS))

    @pytest.mark.parametrize(
        ("name", "asked"),
        [
            ("apple", "Is there an apple in the image?"),
            ("skis", "Are there skis in the image?"),
            ("scissors", "Are there scissors in the image?"),
            ("broccoli", "Is there broccoli in the image?"),
            ("wine glass", "Is there a wine glass in the image?"),
            ("glass of water", "Is there a glass of water in the image?"),
            ("pair of scissors", "Is there a pair of scissors in the image?"),
            ("tv", "Is there a tv in the image?"),
            ("bus", "Is there a bus in the image?"),
        ],
    )
    def test_number(self, name, asked):
        assert presence(name) == asked

    @pytest.mark.parametrize(
        "phrase",
        ["a unicorn", "a uniform", "an umbrella", "an urn", "a urinal", "an hourglass", "a house",
         "a European road sign", "a one-way sign", "an onion", "an oven", "an X-ray", "a UFO",
         "an LED lamp", "a hat", "a utensil", "an unopened box", "a USB stick", "an office"],
    )  # fmt: skip
    def test_articles_go_by_sound(self, phrase):
        assert with_article(phrase.partition(" ")[2]) == phrase

    def test_every_class_of_coco_makes_a_question(self):
        for name in Vocabulary.coco().classes:
            assert presence(name).endswith(f" {name} in the image?")

    def test_attributes_and_counts(self):
        assert attribute("fork", "red") == "Is the fork red?"
        assert attribute("skis", "red") == "Are the skis red?"
        assert count("knife", 2) == "Are there two knives in the image?"
        assert count("knife", 1) == "Is there one knife in the image?"
        with pytest.raises(InputError, match="count of 0"):
            count("knife", 0)


class TestAnswers:
    NAMES = (["dog", "cat", "dog"], [], ["fork"])

    def fork(self):
        view = precise("llava")
        texts = ["what is in the picture ?", "a dog", "how many people are in this image ?"]
        pictures = [families.pictures(1), families.pictures(1, seed=2), families.pictures(1, 3)]
        batch = batch_of(view, "llava", texts, pictures)
        return view, pictures, CachedPrefix.fresh(view, batch, texts)

    def test_probabilities_are_those_of_the_whole_prompt(self):
        view, pictures, fork = self.fork()
        found = ask_yes(fork, self.NAMES, "is there a {} in the image ?".format)
        assert [list(its) for its in found] == [["dog", "cat"], [], ["fork"]]
        ids = view.processor.tokenizer.convert_tokens_to_ids
        for row, its in enumerate(found):
            for name, answer in its.items():
                question = f"is there a {name} in the image ?"
                batch = batch_of(view, "llava", [question], [pictures[row]])
                p = view.model(**batch).logits[0, -1].softmax(-1)
                yes, no = p[ids("yes")].item(), p[ids("no")].item()
                assert answer.p_yes == pytest.approx(yes / (yes + no), rel=1e-6)
                assert answer.logit == pytest.approx(np.log(yes / no), rel=1e-6)
                assert answer.mass == pytest.approx(yes + no, rel=1e-6)

    def test_one_check_an_object_in_one_forward_unless_there_are_too_many(self):
        _, _, fork = self.fork()
        together = ask_yes(fork, self.NAMES)
        assert (fork.cost.questions, fork.cost.forwards) == (3, 2)  # the first read the prompts
        apart = ask_yes(fork, self.NAMES, at_once=1)
        assert (fork.cost.questions, fork.cost.forwards) == (6, 4)
        for one, other in zip(together, apart, strict=True):
            assert one.keys() == other.keys()
            for name in one:
                assert one[name].gaze is other[name].gaze is None
                assert one[name][:3] == pytest.approx(other[name][:3], rel=1e-9)

    def test_nothing_to_ask(self):
        _, _, fork = self.fork()
        assert ask(fork, [[], [], []]) == [[], [], []]
        assert fork.cost.forwards == 0

    def test_the_bundled_model_after_a_caption(self, vlm):
        """What is plainly there is affirmed, and what lives elsewhere is denied."""
        scenes = [toy.scene("kept", seed) for seed in range(200, 220)]
        inputs = encode(vlm)([scene.image for scene in scenes], PROMPT)
        with Stack()(vlm.model, processor=vlm.processor) as session:
            session.generate(**inputs, max_new_tokens=4, do_sample=False)
            fork = CachedPrefix.after(session, inputs, PROMPT)
        there = [[o.name for o in scene.objects if not o.hard] for scene in scenes]
        elsewhere = [
            [name for name in toy.OBJECTS if name not in toy.CONTEXTS[s.context]
             and name not in s.present]
            for s in scenes
        ]  # fmt: skip
        for names, right in ((there, lambda p: p > 0.5), (elsewhere, lambda p: p < 0.5)):
            answers = [a.p_yes for its in ask_yes(fork, names) for a in its.values()]
            assert np.mean(list(map(right, answers))) > 0.9
        assert fork.cost.image_passes == 0


class TestHabits:
    def test_the_mean_logit_where_an_object_is_absent(self):
        means = habit([("fork", -1.0), ("knife", 2.0), ("fork", -3.0)])
        assert means == {"fork": -2.0, "knife": 2.0}
        assert habit([]) == {}

    def test_a_correction_takes_the_habit_away(self):
        assert corrected(3.0, 2.0, weight=1.0) == 1.0
        assert corrected(3.0, 2.0, weight=0.0) == 3.0

    def test_blurring_keeps_the_colours_and_takes_the_shapes(self):
        board = np.indices((64, 64)).sum(0) // 4 % 2 * 255
        picture = Image.fromarray(board.astype(np.uint8)).convert("RGB")
        soft = np.asarray(blurred(picture), float)
        assert soft.shape == (64, 64, 3)
        assert abs(soft.mean() - board.mean()) < 3
        assert soft[8:-8, 8:-8].std() < board.std() / 10


class TestExam:
    def test_the_bundled_model_passes(self, vlm):
        exam = can_answer(vlm.view, encode(vlm), presence_exam())
        assert exam.reason is None
        assert exam.pairs > 0.9

    def test_a_model_that_guesses_is_told_with_its_accuracy(self, vlm):
        blind = load()
        with torch.no_grad():
            for parameter in blind.model.model.multi_modal_projector.parameters():
                parameter.zero_()
        exam = can_answer(blind.view, encode(blind), presence_exam())
        assert exam.reason is not None
        assert f"{exam.pairs:.0%} of 16 pairs" in exam.reason

    def test_a_model_that_says_something_else(self):
        assert "got 1.0% of the probability" in (Qualification(16, 1.0, 1.0, 0.01).reason or "")
        assert Qualification(16, 0.75, 0.5, 0.9).reason is None

    def test_a_family_that_reads_its_prompt_both_ways_is_refused(self, vlm, monkeypatch):
        """If a question changed what the picture left in the cache, forks would be wrong."""
        exact = CachedPrefix.logits
        monkeypatch.setattr(
            CachedPrefix, "logits", lambda self, asked: [row.flip(-1) for row in exact(self, asked)]
        )
        with pytest.raises(EngineError, match="otherwise from its cached prompt"):
            can_answer(vlm.view, encode(vlm), presence_exam())


class TestTokens:
    def words(self, *words, unknown="<unk>"):
        class Tokenizer:
            unk_token_id = 0
            known = (unknown, *words)

            def convert_tokens_to_ids(self, token):
                return self.known.index(token) if token in self.known else 0

            def __call__(self, text, add_special_tokens):
                pieces = re.findall("Y|N|es|.", text.replace(" ", "▁"))
                return {"input_ids": [self.convert_tokens_to_ids(p) for p in pieces]}

        return Tokenizer()

    def test_every_spelling_that_is_one_token(self):
        yes, no = yes_no_tokens(self.words("ĠYes", "Yes", "ĠNo", "▁no", "Not"))
        assert (yes, no) == ([1, 2], [3, 4])

    def test_first_pieces_where_words_are_split_and_shared_ones_dropped(self):
        assert yes_no_tokens(self.words("▁", "Y", "N", "es", "o")) == ([2], [3])

    def test_a_tokenizer_without_them_is_refused(self):
        with pytest.raises(ModelError, match="tell yes from no"):
            yes_no_tokens(self.words("▁"))

    def test_the_bundled_tokenizer(self, vlm):
        tokens = vlm.processor.tokenizer.convert_ids_to_tokens
        yes, no = yes_no_tokens(vlm.processor.tokenizer)
        assert {token.strip("Ġ").lower() for token in tokens(yes)} == {"yes"}
        assert {token.strip("Ġ").lower() for token in tokens(no)} == {"no"}
