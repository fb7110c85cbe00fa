"""A given text is read as if the model had said it, and a text that cannot be is refused."""

from __future__ import annotations

import pytest

import families
from seeing import WORDS, calibration, vlm_of
from seesay import load
from seesay.errors import InputError, ModelError
from seesay.grounding import Vocabulary
from seesay.vlm import VLM

PICTURE = families.pictures(1)[0]


@pytest.fixture(scope="module")
def bundled() -> VLM:
    return load()


def assert_same_mentions(audited, said) -> None:
    assert [m.word for m in audited.mentions] == [m.word for m in said.mentions]
    assert said.mentions
    for mine, theirs in zip(audited.mentions, said.mentions, strict=True):
        assert (mine.span, mine.token, mine.name) == (theirs.span, theirs.token, theirs.name)
        assert mine.scores == pytest.approx(theirs.scores, abs=1e-4, nan_ok=True)
        assert mine.layers == pytest.approx(theirs.layers, abs=1e-5)
        assert mine.heatmap == pytest.approx(theirs.heatmap, abs=1e-5)


@pytest.mark.parametrize("scene", ["toy:kept/4", "toy:broken/2", "toy:broken/9"])
@pytest.mark.parametrize("options", [{}, {"aggregate": "min", "deep": True, "self_check": True}])
def test_reading_what_the_bundled_model_said_gives_its_own_scores(bundled, scene, options) -> None:
    said = bundled.describe(scene, **options)
    assert said.ended
    audited = bundled.audit(scene, said.text, **options)
    assert audited.text == said.text
    assert audited.ended
    assert_same_mentions(audited, said)
    assert [t.id for t in audited.tokens] == [t.id for t in said.tokens]
    told = (
        said.protocol.risk + "; of a given text: self-check" if options else "ranks within the text"
    )
    assert audited.protocol.risk.startswith(told)
    for mention in audited.mentions:  # another's wording says nothing: the answer alone counts
        assert mention.calibrated == ("self_check" in options)
        if mention.calibrated:
            assert mention.risk == bundled.calibration.asked.risk(mention.scores)
    assert (audited.method, audited.protocol.method) == ("given text", "given text")
    if "self_check" in options:
        assert all("self_check" in m.scores for m in audited.mentions)
        assert audited.check is not None
        assert audited.check.questions == len({m.name for m in audited.mentions})


@pytest.mark.parametrize("name", [*families.FAMILIES, "instructblip"])
def test_reading_what_a_saved_model_said_gives_its_own_scores(checkpoints, name) -> None:
    vlm = load(checkpoints(name))
    said = vlm.describe(PICTURE, max_new_tokens=10, vocabulary=WORDS, deep=True)
    if "<" in said.text:
        pytest.skip("the random model wrote a mark of its own")
    audited = vlm.audit(PICTURE, said.text, vocabulary=WORDS, deep=True)
    # The text was cut when it was generated: its last token's own row was not computed then.
    assert [t.id for t in audited.tokens] == [t.id for t in said.tokens]
    assert [m.span for m in audited.mentions] == [m.span for m in said.mentions]
    known = [m for m in said.mentions if m.own_layers is not None]
    assert known
    for mine, theirs in zip(audited.mentions, known, strict=False):
        assert mine.scores == pytest.approx(theirs.scores, abs=1e-4)


def test_another_text_about_the_same_picture_has_its_own_risks(llava) -> None:
    vlm = vlm_of(llava, calibration=calibration())
    one = vlm.audit(PICTURE, "a dog and a cat", vocabulary=WORDS)
    other = vlm.audit(PICTURE, "a cat and a dog", vocabulary=WORDS)
    assert [m.name for m in one.mentions if m.name in ("dog", "cat")] == ["dog", "cat"]
    first, second = ({m.name: m.risk for m in seen.mentions} for seen in (one, other))
    assert first["dog"] != second["dog"]
    for seen in (one, other):
        for mention in seen.mentions:
            assert not mention.calibrated  # nothing was asked: ranks
            start, end = mention.span
            assert seen.text[start:end] == mention.word


def test_a_text_without_object_words_and_words_that_the_model_has_no_token_for(bundled) -> None:
    nothing = bundled.audit("toy:kept/1", "It is what it is.")
    assert nothing.mentions == ()
    assert nothing.text == "It is what it is."
    strange = bundled.audit(
        "toy:kept/1",
        "A zyzzyva, a fork and 日本 🙂.",
        vocabulary=Vocabulary.of({"zyzzyva": [], "fork": []}),
    )
    assert [m.word for m in strange.mentions] == ["zyzzyva", "fork"]
    for mention in strange.mentions:
        assert mention.scores["logprob"] < 0
        assert mention.scores["svar"] > 0


def test_white_space_around_a_text_is_nothing_and_inside_it_stays(bundled) -> None:
    bare = bundled.audit("toy:kept/1", "There is a fork.")
    padded = bundled.audit("toy:kept/1", "\n  There is a fork. \n")
    assert padded.text == bare.text
    assert_same_mentions(padded, bare)
    inside = bundled.audit("toy:kept/1", "There is\n\n a fork.")
    assert [m.word for m in inside.mentions] == ["fork"]
    start, end = inside.mentions[0].span
    assert inside.text[start:end] == "fork"


@pytest.mark.parametrize("text", ["", "  \n\t"])
def test_an_empty_text_is_refused(llava, text) -> None:
    with pytest.raises(InputError, match="the text to audit is empty"):
        vlm_of(llava).audit(PICTURE, text)


def test_too_long_a_text_is_refused_with_its_numbers(family) -> None:
    vlm = vlm_of(family)
    with pytest.raises(InputError, match=r"has \d+ tokens and its prompt \d+.*takes 1024 in all"):
        vlm.audit(PICTURE, "dog " * 1200, vocabulary=WORDS)
    assert vlm.identity() == 0.0


@pytest.mark.parametrize("mark", ["<image>", "</s>"])
def test_a_text_with_the_models_own_marks_is_refused(llava, mark) -> None:
    with pytest.raises(InputError, match=f"the text holds '{mark}'"):
        vlm_of(llava).audit(PICTURE, f"a dog {mark} and a cat", vocabulary=WORDS)


def test_a_method_has_no_place_in_a_given_text(llava) -> None:
    with pytest.raises(InputError, match="read by the plain model"):
        vlm_of(llava).audit(PICTURE, "a dog", method="farsight")


def test_a_model_that_cannot_answer_is_not_asked(llava) -> None:
    """A random model's yes means nothing; saying so is better than a number."""
    vlm = vlm_of(llava)
    with pytest.raises(ModelError, match=r"cannot check what it says.*leave out self-check"):
        vlm.audit(PICTURE, "a dog", vocabulary=WORDS, self_check=True)
    with pytest.raises(ModelError, match="leave out self-check"):
        vlm.describe(PICTURE, max_new_tokens=3, self_check=True)


def test_self_check_in_batches_and_beams(bundled) -> None:
    """The same picture's answers do not hang on how its text was found or what stood beside it."""
    scenes = [f"toy:broken/{seed}" for seed in range(3)]
    for beams in (1, 3):
        options = {"self_check": True, "num_beams": beams}
        singly = [bundled.describe(scene, **options) for scene in scenes]
        together = bundled.describe(scenes, batch_size=2, **options)
        for one, other in zip(singly, together, strict=True):
            assert one.text == other.text
            assert one.mentions
            assert one.check is not None
            for mine, theirs in zip(one.mentions, other.mentions, strict=True):
                assert mine.scores["self_check"] == pytest.approx(
                    theirs.scores["self_check"], abs=1e-4
                )
                asked = bundled.ask(one.protocol.picture, f"Is there a {mine.name} in the image?")
                if mine.name[0] not in "aeiou":
                    assert mine.scores["self_check"] == pytest.approx(asked.yes, abs=1e-4)
