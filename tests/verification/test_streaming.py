"""Risks arrive with the words, and what was said is never taken back."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

import families
from seeing import WORDS, calibration, vlm_of
from seesay import load
from seesay.errors import InputError
from seesay.grounding import Vocabulary
from seesay.options import held_back, settled
from seesay.vlm import VLM


def followed(vlm: VLM, picture, **options):
    """The calls of on_text, and what was returned."""
    calls = []
    seen = vlm.describe(picture, on_text=lambda text, said: calls.append((text, said)), **options)
    return calls, seen


def assert_never_taken_back(calls, seen, *, calibrated=True) -> None:
    texts = [text for text, _ in calls]
    assert texts[-1] == seen.text
    for before, after in pairwise(texts):
        assert after.startswith(before)
        assert before != after or after == seen.text
    for text, said in calls:
        expected = [m for m in seen.mentions if m.span[1] <= len(text)]
        assert [m.span for m in said] == [m.span for m in expected]
        for mine, final in zip(said, expected, strict=True):
            assert mine.doubtful == final.doubtful
            if calibrated:
                assert mine.risk == pytest.approx(final.risk, abs=1e-6)
                assert mine.scores == pytest.approx(final.scores, abs=1e-6, nan_ok=True)


OPTIONS = [
    {}, {"method": "attention-lens"}, {"do_sample": True, "seed": 3}, {"aggregate": "mean"},
    {"deep": True},
]  # fmt: skip


@pytest.mark.parametrize("options", OPTIONS)
def test_words_come_settled_with_their_final_risks(family, options) -> None:
    vlm = vlm_of(family, calibration=calibration())
    picture = families.pictures(1)[0]
    plain = vlm.describe(picture, max_new_tokens=14, vocabulary=WORDS, **options)
    calls, seen = followed(vlm, picture, max_new_tokens=14, vocabulary=WORDS, **options)
    assert seen.text == plain.text
    assert len(calls) > 5
    assert sum(bool(said) for _, said in calls[:-1]) > 2, "risks came only at the end"
    assert_never_taken_back(calls, seen)


@pytest.mark.parametrize("seed", range(4))
def test_a_text_that_ends_is_told_to_its_end(seed) -> None:
    calls, seen = followed(load(), f"toy:broken/{seed}")
    assert seen.ended
    assert len(calls) > 5
    assert_never_taken_back(calls, seen)


def test_ranks_may_change_but_marks_stay(llava) -> None:
    calls, seen = followed(
        vlm_of(llava), families.pictures(1)[0], max_new_tokens=14, vocabulary=WORDS
    )
    assert_never_taken_back(calls, seen, calibrated=False)


def test_self_check_comes_after_the_text() -> None:
    calls, seen = followed(load(), "toy:broken/2", self_check=True)
    assert calls[-1][0] == seen.text
    assert all("self_check" not in m.scores for _, said in calls for m in said)
    assert all("self_check" in m.scores for m in seen.mentions)


@pytest.mark.parametrize(
    ("vocabulary", "text"),
    [
        (Vocabulary.coco(), "I see a hot dog beside a hot plate, a dining  table and an orange "
                            "cat, a teddy bear at the train station and a traffic light."),
        (Vocabulary.of({"glass": [], "glass of warm water": [], "ice cream-cone": []}),
         "A glass of warm water, a glass of warm milk, and ice cream cone or ice cream."),
    ],
)  # fmt: skip
def test_whatever_has_settled_keeps_its_words(vocabulary, text) -> None:
    """Letter by letter, as the slowest tokenizer would write it."""
    final = [word for word in vocabulary.find(text) if word.end != len(text)]
    held, reached = held_back(vocabulary), 0
    for length in range(1, len(text) + 1):
        so_far = text[:length]
        end = settled(so_far, vocabulary, held)
        assert end >= reached
        reached = end
        said = [word for word in vocabulary.find(so_far) if word.end <= end]
        assert said == [word for word in final if word.end <= end]
        assert not any(word.start < end < word.end for word in final)
    assert reached > len(text) / 2


def test_a_tagger_reads_by_the_sentence() -> None:
    tagger = Vocabulary("open", {})
    assert settled("A fork lies there", tagger, 2) == 0
    assert settled("A fork lies there.", tagger, 2) == 0  # "3." may go on with a digit
    assert settled("A fork lies there. It", tagger, 2) == len("A fork lies there.")


def test_the_longest_name_is_held_back() -> None:
    assert held_back(Vocabulary.coco()) == max(
        len(re.split(r"[\s-]+", name))
        for name in (*Vocabulary.coco().surfaces, *Vocabulary.coco().ignored)
    )
    assert held_back(Vocabulary.of({"cat": []})) == 2


def test_one_picture_and_no_beams(llava) -> None:
    vlm = vlm_of(llava)
    for picture, options in (("toy:kept/1", {"num_beams": 2}), (families.pictures(2), {})):
        with pytest.raises(InputError, match="on_text follows one text"):
            vlm.describe(picture, on_text=lambda text, said: None, **options)
