"""Controls from records: what they change, what they match, and what they leave alone."""

from __future__ import annotations

import math
from dataclasses import replace

from little import Captions, Questions, caption, captions, replies
from seesay.evaluate import controls
from seesay.evaluate.benchmark import Answer, NamedObject

PICTURES = Captions()
QUESTIONS = Questions()


def lengths(answers):
    return sorted(len(a.text.split()) for a in answers.values())


def test_texts_are_cut_to_the_others_lengths_by_rank():
    plain = {k: caption(k, ["w"] * n) for k, n in zip("abc", (9, 3, 6), strict=True)}
    short = {k: caption(k, ["w"] * n) for k, n in zip("abc", (2, 5, 7), strict=True)}
    cut = controls.cut_to_lengths(plain, short)
    assert {k: len(a.text.split()) for k, a in cut.items()} == {"a": 7, "b": 2, "c": 5}
    assert not cut["a"].ended
    longer = {k: caption(k, ["w"] * 12) for k in "abc"}
    assert controls.cut_to_lengths(plain, longer) == plain  # never lengthened
    assert controls.cut_to_lengths(plain, {"a": short["a"]}).keys() == {"a"}
    broken = {**short, "b": replace(short["b"], error="unreadable")}
    assert controls.cut_to_lengths(plain, broken).keys() == {"a", "c"}


def test_lengths_have_the_methods_distribution_where_plain_is_longer():
    samples = PICTURES.samples()
    plain = captions(samples, 0.8, 0.2, 1, filler=20)
    method = captions(samples, 0.5, 0.1, 2, filler=0)
    assert lengths(controls.cut_to_lengths(plain, method)) == lengths(method)


def test_a_cut_text_keeps_only_whole_mentions():
    plain = {"a": caption("a", ["a", "fork", "and", "knife"])}
    cut = controls.cut_to_lengths(plain, {"a": caption("a", ["w", "w"])})["a"]
    assert cut.text == "a fork"
    assert [said.name for said in cut.mentions] == ["fork"]
    assert controls.cut_to_lengths(plain, {"a": Answer("a", "")})["a"].text == ""


def test_mentions_are_left_out_with_the_blank_before_them():
    answer = caption("a", ["a", "fork", "and", "knife", "on", "a", "plate"])
    spans = [said.span for said in answer.mentions]
    left = controls.without(answer, [spans[2], spans[0]])
    assert left.text == "a and knife on a."
    (knife,) = left.mentions
    assert left.text[slice(*knife.span)] == "knife"
    assert controls.without(answer, spans).text == "a and on a."
    assert controls.without(answer, []) == answer


def test_the_least_probable_mentions_of_all_captions_go_first():
    plain = {
        "c0": caption("c0", ["fork", "knife"], [-0.1, -3.0]),
        "c1": caption("c1", ["cup", "car"], [-2.0, math.nan]),
    }
    reduced = controls.Reduced(PICTURES, PICTURES.samples()[:2], plain)
    assert reduced.mentions == 4
    said = [
        [word.name for key in ("c0", "c1") for word in reduced.answers(n)[key].mentions]
        for n in range(5)
    ]
    assert said == [["fork", "knife", "cup", "car"], ["fork", "cup", "car"], ["fork", "car"],
                    ["car"], []]  # fmt: skip


def test_recall_is_matched_by_as_few_mentions_as_do():
    samples = PICTURES.samples()
    plain = captions(samples, 0.9, 0.3, 3)
    reduced = controls.Reduced(PICTURES, samples, plain)
    recall = PICTURES.metrics["recall"]

    def after(count):
        return float(recall.of(PICTURES.score(samples, reduced.answers(count)).totals))

    for wanted in (100.0, 85.0, 60.2, 0.0, -1.0):
        first = next((n for n in range(reduced.mentions + 1) if after(n) <= wanted), None)
        assert reduced.down_to("recall", wanted) == (reduced.mentions if first is None else first)


def test_the_recall_control_has_the_methods_recall():
    samples = PICTURES.samples()
    plain, method = captions(samples, 0.9, 0.3, 4), captions(samples, 0.6, 0.1, 5)
    scored = PICTURES.score(samples, method)
    made = {c.name: c for c in controls.controls(PICTURES, samples, plain, method, scored)}
    assert made.keys() == {"length", "recall"}
    recall = PICTURES.metrics["recall"]
    wanted = float(recall.of(scored.totals))
    reached = float(recall.of(made["recall"].score.totals))
    assert wanted - 100 / 180 < reached <= wanted  # one object of 180 at most
    assert "least probable of" in made["recall"].what


def test_controls_that_cannot_be_made_say_why():
    samples = PICTURES.samples()
    plain = {k: replace(a, mentions=()) for k, a in captions(samples, 0.9, 0.3, 6).items()}
    _, recall = controls.controls(PICTURES, samples, plain, plain, PICTURES.score(samples, plain))
    assert recall.score is None
    assert "no mentions" in recall.what
    asked = QUESTIONS.samples()
    blind = {k: replace(a, yes=None) for k, a in replies(asked, 1, 0, 7).items()}
    (shift,) = controls.controls(QUESTIONS, asked, blind, blind, QUESTIONS.score(asked, blind))
    assert shift.score is None
    assert "no P(yes)" in shift.what


def test_a_threshold_makes_as_many_yes_as_it_can():
    plain = {
        k: Answer(k, "Yes", yes=p) for k, p in zip("abcde", (0.9, 0.7, 0.7, 0.4, 0.1), strict=True)
    }

    def said(count):
        shifted, threshold = controls.shift_yes(plain, count)
        by_threshold = "".join(k for k, a in plain.items() if a.yes >= threshold)
        assert by_threshold == "".join(k for k, a in shifted.items() if a.text == "Yes")
        return by_threshold

    assert [said(n) for n in range(6)] == ["", "a", "a", "abc", "abcd", "abcde"]


def test_the_yes_shift_has_the_methods_yes_ratio_and_explains_a_pure_shift():
    asked = QUESTIONS.samples()
    plain = replies(asked, 1.5, 1.5, 8)
    method = {k: replace(a, text="Yes" if a.yes >= 0.8 else "No") for k, a in plain.items()}
    scored = QUESTIONS.score(asked, method)
    (shift,) = controls.controls(QUESTIONS, asked, plain, method, scored)
    assert (shift.score.counts == scored.counts).all()


def test_a_text_that_is_no_answer_is_no_yes():
    assert controls.said_yes({"said": "yes"}) is True
    assert controls.said_yes({"said": "other"}) is False
    assert controls.right({"said": "no", "right": True}) is True
    assert controls.said_yes({}) is controls.right(None) is None


def test_spans_may_touch():
    answer = Answer("a", "forkknife.", mentions=(
        NamedObject("fork", (0, 4), -1, 0), NamedObject("knife", (4, 9), -2, 0)))  # fmt: skip
    assert controls.without(answer, [(0, 4), (4, 9)]).text == "."
