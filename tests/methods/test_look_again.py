"""Look Again leaves out what fails and nothing else, and never takes back what it has shown."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

import families
import seesay
from experiments.toy_model.captions import well_formed_parts
from seeing import vlm_of
from seesay.engine import Stack, parse
from seesay.errors import EngineError, InputError, MethodError, ModelError
from seesay.grounding import Mention, ScoredText, Vocabulary
from seesay.grounding.negation import reading as meaning
from seesay.grounding.qualification import Qualification
from seesay.grounding.scored_text import Token
from seesay.methods import LookAgain
from seesay.verification.policy import Policy

PICTURES = [f"toy:broken/{seed}" for seed in range(12)]
SURE = "look-again(threshold=0.5, evidence=self-check)"


@pytest.fixture(scope="module")
def vlm():
    return seesay.load()


@pytest.fixture(scope="module")
def plain(vlm):
    return vlm.describe(PICTURES, self_check=True)


@pytest.fixture(scope="module")
def said(vlm):
    return vlm.describe(PICTURES, method=SURE)


# ---- what is written of it -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "method"),
    [
        ("look-again", LookAgain()),
        ("LookAgain(mode=mark)", LookAgain(mode="mark")),
        ("look-again(evidence=self-check, threshold=0.4)", LookAgain(0.4, "self-check")),
        ("look-again(otherwise='Nothing.')", LookAgain(otherwise="Nothing.")),
    ],
)
def test_it_is_read_from_text_with_and_without_quotes(text, method):
    assert parse(text) == method
    assert parse(repr(method)) == method


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("look-again(threshold=1.2)", "threshold=1.2 must be a finite number from 0 to 1"),
        ("look-again(threshold=-0.1)", "from 0 to 1"),
        ("look-again(threshold=True)", "from 0 to 1"),
        ("look-again(evidence=selfcheck)", "did you mean self-check"),
        ("look-again(mode=delete)", "is unknown"),
        ("look-again(tries=0)", "1 or more"),
        ("look-again(otherwise=3)", "must be a text"),
        ("gate(look-again)", "acts on finished texts"),
    ],
)
def test_settings_that_mean_nothing_are_refused(text, reason):
    with pytest.raises(MethodError, match=reason):
        parse(text)


# ---- what it does --------------------------------------------------------------------------------


def test_what_fails_is_left_out_and_everything_else_stays(plain, said):
    withheld = 0
    for before, after in zip(plain, said, strict=True):
        failing = {m.name for m in before.mentions if m.scores["self_check"] <= 0.5}
        assert after.draft == before.text
        assert not failing & {m.name for m in after.mentions}
        assert {one.mention.name for one in after.withheld if one.beside is None} == failing
        assert well_formed_parts(after.text) or after.text == LookAgain().otherwise
        for mention in after.mentions:
            assert after.text[slice(*mention.span)] == mention.word
            token = after.tokens[mention.token]
            assert after.text[slice(*token.span)].strip() == mention.word
        if not failing:
            assert after.text == before.text
        withheld += len(failing)
    assert withheld > 3, "these scenes must hold something to leave out"


def test_the_story_is_kept(said):
    one = next(w for seen in said for w in seen.withheld)
    assert f'thought "{one.mention.word}", looked again (P(yes) ' in str(one)
    assert str(one).endswith("did not say it")
    assert one.mention.heatmap is not None
    assert one.looked.doubt == pytest.approx(1 - one.mention.scores["self_check"])
    assert one.mention.word in one.sentence
    for seen in said:
        record = json.loads(seen.to_json())
        assert record["draft"] == seen.draft
        assert [w["story"] for w in record["withheld"]] == [str(w) for w in seen.withheld]


def test_marking_changes_no_text(vlm, plain):
    marked = vlm.describe(
        PICTURES, method="look-again(threshold=0.5, mode=mark, evidence=self-check)"
    )
    for before, after in zip(plain, marked, strict=True):
        assert after.text == before.text
        assert not after.withheld
        for mention in after.mentions:
            assert mention.doubtful == (mention.scores["self_check"] <= 0.5)


def test_checks_are_a_few_tokens_without_a_second_look_at_pixels(said):
    cost = said[0].check
    gone = sum(one.beside is None for seen in said[:8] for one in seen.withheld)
    assert cost.forwards <= 1 + gone, (
        "the objects at once, then what is left without each failing one"
    )
    assert cost.image_passes == 0
    assert cost.tokens <= 12 * cost.questions + 150 * gone
    names = sum(len({w.mention.name for w in s.withheld} | {m.name for m in s.mentions})
                for s in said[:8])  # fmt: skip
    assert cost.questions == names, "one check an object and picture, those of the first batch"


@pytest.mark.parametrize(
    "method",
    [
        "look-again",
        SURE,
        "attention-lens + look-again",
        "agla + look-again",
        "look-again(attributes=True, add=0.5, habit=0.5)",
    ],
)
def test_what_is_streamed_is_never_taken_back(vlm, method):
    shown, some = 0, [PICTURES[k] for k in (0, 4, 7, 8, 9)]
    whole = vlm.describe(some, method=method, batch_size=1)
    for picture, expected in zip(some, whole, strict=True):
        calls = []
        seen = vlm.describe(picture, method=method, on_text=lambda t, _, c=calls: c.append(t))
        assert calls[-1] == seen.text == expected.text
        assert seen.draft == expected.draft, "a question in the middle must not disturb the text"
        assert all(after.startswith(before) for before, after in pairwise(calls))
        shown += len(calls) - 1
    assert shown > 5, "sentences must come before the end"


def test_a_rewritten_text_names_none_of_the_failed_words(vlm, plain):
    method = "look-again(mode=rewrite, evidence=self-check)"
    one_more = "toy:broken/9000000"  # a scene whose ball becomes something that is found
    first = vlm.describe(one_more, self_check=True)
    again = vlm.describe([*PICTURES, one_more], method=method)
    replaced = 0
    for before, after in zip([*plain, first], again, strict=True):
        first = {m.name for m in before.mentions}
        for mention in after.mentions:
            sure = 0.9 if mention.name not in first else 0.35
            assert mention.scores["self_check"] >= sure
        replaced += sum(one.forbidden for one in after.withheld)
        if not after.withheld:
            assert after.text == before.text
    assert replaced, "some sentence must have been written anew"


def test_beams_are_checked_at_the_end_and_cannot_be_rewritten(vlm):
    plain = vlm.describe(PICTURES[:4], num_beams=3)
    seen = vlm.describe(PICTURES[:4], num_beams=3, method=SURE)
    assert [one.draft for one in seen] == [one.text for one in plain]
    assert any(one.withheld for one in seen)
    with pytest.raises(EngineError, match="beams"):
        vlm.describe(PICTURES[0], num_beams=3, method="look-again(mode=rewrite)")


def test_nothing_left_is_an_honest_sentence(vlm):
    seen = vlm.describe(PICTURES[:6], method="look-again(threshold=0)")
    empty = [one for one in seen if one.text == "I am not sure what is in this picture."]
    assert empty
    assert not any(one.mentions for one in seen)
    own = vlm.describe(PICTURES[:6], method="look-again(threshold=0, otherwise='')")
    assert "" in [one.text for one in own]


def test_a_text_without_object_words_is_left_alone(vlm):
    words = Vocabulary.of({"zebra": []})
    seen = vlm.describe(PICTURES[0], method=SURE, vocabulary=words)
    assert seen.text == seen.draft
    assert seen.check.questions == 0


# ---- evidence ------------------------------------------------------------------------------------


def test_without_a_calibration_it_goes_by_self_check_and_says_so(vlm):
    bare = replace(vlm, calibration=None)
    seen = bare.describe(PICTURES[0], method="look-again")
    assert seen.protocol.method == "look-again(threshold=0.65, evidence='self-check')"
    assert "no calibration" in seen.protocol.risk
    with pytest.raises(MethodError, match="seesay calibrate"):
        bare.describe(PICTURES[0], method="look-again(evidence=risk)")


def test_with_a_calibration_the_threshold_is_where_f1_peaks(vlm):
    if vlm.calibration is None:
        pytest.fail("the bundled model comes calibrated")
    best = vlm.calibration.checked.strongest()
    seen = vlm.describe(PICTURES[0], method="look-again + attention-lens")
    assert f"look-again(threshold={best})" in seen.protocol.method
    risk = vlm.describe(PICTURES[0], method="look-again(evidence=risk)")
    assert risk.check is None
    assert f"threshold={vlm.calibration.single.strongest()}" in risk.protocol.method


def test_a_model_that_cannot_be_asked_is_refused(vlm):
    mute = replace(vlm)
    vars(mute)["exam"] = Qualification(pictures=16, pairs=0.5, accuracy=0.5, mass=0.9)
    with pytest.raises(ModelError, match="cannot look again: its yes and no say nothing"):
        mute.describe(PICTURES[0], method="look-again")
    assert "cannot look again" in mute.fits("look-again")
    assert mute.describe(PICTURES[0], method="look-again(threshold=1)").text


def test_a_class_that_the_tokenizer_cannot_spell_is_refused(llava):
    other = vlm_of(llava)  # its tokenizer knows a few whole words
    vars(other)["exam"] = Qualification(pictures=16, pairs=1.0, accuracy=1.0, mass=1.0)
    said = other.describe(families.pictures(1)[0], max_new_tokens=12).text.split()
    words = Vocabulary.of({"okapi": said})
    with pytest.raises(InputError, match="cannot spell 'okapi'"):
        other.describe(families.pictures(1)[0], method=SURE, vocabulary=words, max_new_tokens=12)


def test_words_that_the_calibration_does_not_know_are_said(vlm):
    words = Vocabulary.of({"boat": [], "ball": []})
    seen = vlm.describe(PICTURES[0], method="look-again", vocabulary=words)
    assert "calibration was made with the words of 'toy'" in seen.protocol.risk


# ---- sessions ------------------------------------------------------------------------------------


def test_a_bare_generate_is_refused_with_what_to_call(vlm):
    with pytest.raises(EngineError, match=r"describe\(picture, method='look-again'\)"), \
            LookAgain()(vlm.model):  # fmt: skip
        vlm.model.generate()
    with LookAgain().at_zero()(vlm.model), pytest.raises(Exception, match="input_ids"):
        vlm.model.generate()


def test_a_session_stands_aside_and_goes_on(vlm):
    from seesay.models.processors import inputs_for
    from seesay.pictures import open_picture

    image = open_picture(PICTURES[0]).image
    inputs = inputs_for(vlm.model, vlm.processor, [image], "Describe.")
    with torch.no_grad():
        plain = vlm.model(**inputs).logits
        with parse("attention-lens(alpha=1.0) + farsight(sigma=0.1)")(vlm.model) as session:
            inside = vlm.model(**inputs).logits
            run = session.run
            with session.suspended():
                assert torch.allclose(vlm.model(**inputs).logits, plain, atol=1e-5)
            assert session.run is run
            assert torch.equal(vlm.model(**inputs).logits, inside)
        assert not torch.allclose(inside, plain, atol=1e-3)
        with Stack()(vlm.model) as session, pytest.raises(ZeroDivisionError), session.suspended():
            raise ZeroDivisionError
        assert torch.equal(vlm.model(**inputs).logits, plain)


# ---- on given words ------------------------------------------------------------------------------


def reading(text, *words, p_yes):
    """A reading whose tokens are its words, with blanks before them as models write them."""
    tokens, mentions, at = [], [], 0
    for k, word in enumerate(text.split(" ")):
        start = at - (k > 0)
        tokens.append(Token(k, (start, at + len(word)), -0.1))
        bare = word.strip(".,")
        if bare in words:
            scores = {"logprob": -0.1, "self_check": p_yes[bare]}
            span = (at, at + len(bare))
            said = meaning(text, *span)
            mentions.append(Mention(bare, bare, span, k, scores, 0.5, False, meaning=said))
        at += len(word) + 1
    return ScoredText(text, tuple(tokens), tuple(mentions), ended=True)


def test_a_denied_object_is_no_invention():
    text = "There is no fork on the table, without a knife. There is a cup next to a spoon."
    p_yes = {"fork": 0.01, "knife": 0.01, "cup": 0.9, "spoon": 0.1}
    given = reading(text, *p_yes, p_yes=p_yes)
    revised = Policy(LookAgain(0.65, "self-check")).revised(given)
    assert revised.reading.text.startswith("There is no fork on the table, without a knife.")
    assert [one.mention.name for one in revised.withheld] == ["spoon"]


def test_true_words_that_go_along_are_told_apart():
    text = "A ball is placed next to a cup."
    given = reading(text, "ball", "cup", p_yes={"ball": 0.1, "cup": 0.99})
    revised = Policy(LookAgain(0.65, "self-check")).revised(given)
    kept = {m.name for m in revised.reading.mentions}
    beside = {one.mention.name: one.beside for one in revised.withheld}
    assert beside["ball"] is None
    assert ("cup" in kept) != (beside.get("cup") == "ball")
