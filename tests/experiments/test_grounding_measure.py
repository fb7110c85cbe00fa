"""The measurement of scores: which way each points, first mentions, the page."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from experiments.grounding.__main__ import FIRST_SEED, main
from experiments.grounding.given import given, section, text_of
from experiments.grounding.measure import (
    CHECKED_RISK,
    RISK,
    Said,
    differences,
    doubt,
    layer_curve,
    names,
    rows,
    said,
    spent,
)
from seesay import load
from seesay.errors import InputError
from seesay.evaluate import calibrate as calibrating
from seesay.evaluate.calibrate import scenes
from seesay.grounding import Vocabulary
from seesay.grounding.scores import DOUBTFUL_HIGH


def word(k: int, invented: bool, first: bool = True, **scores: float) -> Said:
    return Said(f"p{k}", "kept", first, k % 7, invented, scores, (0.1, 0.9 - invented), (0.5, 0.5))


@pytest.fixture(scope="module")
def bundled():
    return load()


@pytest.fixture(scope="module")
def words(bundled):
    return said(bundled, scenes(12, FIRST_SEED), batch_size=8)


def test_scores_are_turned_so_that_high_means_doubt() -> None:
    for name in [*DOUBTFUL_HIGH, RISK, CHECKED_RISK, "svar, by depth"]:
        high = DOUBTFUL_HIGH.get(name, name in (RISK, CHECKED_RISK))
        given = [word(k, k < 10, **{name: float(k < 10) if high else float(k >= 10)})
                 for k in range(30)]  # fmt: skip
        (row,) = rows(given, resamples=20)
        assert (row.name, row.auroc.value, row.precision.value) == (name, 1.0, 1.0)


def test_a_score_that_falls_along_a_text_says_nothing_within_position() -> None:
    given = [word(k, k % 7 > 3, position=float(k % 7)) for k in range(140)]
    (row,) = rows(given, resamples=20)
    assert row.auroc.value == 1.0
    assert not row.within.value > 0.5  # within a bin all are alike; bins of one kind count nothing


def test_later_mentions_count_in_the_last_column_alone() -> None:
    firsts = [word(k, k % 2 == 0, svar=float(k % 2)) for k in range(40)]
    later = [word(k, k % 2 == 0, first=False, svar=9.0) for k in range(40)]
    (row,) = rows(firsts + later, resamples=20)
    assert (row.items, row.auroc.value) == (40, 1.0)
    assert row.every == 0.625  # of 1600 pairs 800 right, 400 alike


def test_a_score_that_some_words_lack_is_taken_of_the_others() -> None:
    given = [word(k, k % 2 == 0, svar=float(k)) for k in range(20)]
    given += [word(k, True, svar=float("nan")) for k in range(5)] + [word(40, True)]
    (row,) = rows(given, resamples=20)
    assert row.items == 20


def test_a_risk_is_held_against_the_best_score_that_costs_no_more() -> None:
    given = [
        word(k, k % 4 == 0, svar=float(k % 4 > 0), entropy=float(k % 3), self_check=float(k % 2),
             **{RISK: float(k % 4 == 0), CHECKED_RISK: float(k % 2 == 0)})
        for k in range(48)
    ]  # fmt: skip
    single, over_one_pass, checked = differences(given, resamples=50)
    assert (single.risk, single.best, single.difference.value) == (RISK, "svar", 0.0)
    assert (over_one_pass.risk, over_one_pass.best) == (CHECKED_RISK, "svar")
    assert over_one_pass.difference.value < 0
    assert (checked.risk, checked.best) == (CHECKED_RISK, "svar")


def test_what_is_said_of_scenes_is_what_describing_gives(bundled, words) -> None:
    assert {w.split for w in words} == {"kept", "broken"}
    one = words[0]
    seen = bundled.describe(f"toy:{one.picture}", self_check=True)
    mine = [w for w in words if w.picture == one.picture]
    assert [w.invented for w in mine] == [m.name not in seen.present for m in seen.mentions]
    for w, mention in zip(mine, seen.mentions, strict=True):
        assert w.scores[CHECKED_RISK] == pytest.approx(mention.risk, abs=1e-4)
        assert w.scores["logprob"] == pytest.approx(mention.scores["logprob"], abs=1e-4)
    single = bundled.describe(f"toy:{one.picture}")
    for w, mention in zip(mine, single.mentions, strict=True):
        assert w.scores[RISK] == pytest.approx(mention.risk, abs=1e-4)
    missing = {*DOUBTFUL_HIGH, RISK, CHECKED_RISK} - set(names(words))
    assert missing == {"disagreement"}  # a plain caption has no second stream
    assert len(list(layer_curve(words))) == 6
    assert len(doubt(words, "svar")[1]) == len(words)


def test_given_texts_hold_what_is_there_and_what_is_not(bundled) -> None:
    pictures = scenes(8, FIRST_SEED)
    for known in pictures:
        text = text_of(known)
        assert text == text_of(known)
        named = {word.name for word in Vocabulary.toy().find(text)}
        assert known.objects < named
        assert len(named - known.objects) == 2
    found = given(bundled, pictures[:3])
    assert sum(word.invented for word in found) == 6
    heading = "\n".join(section(found, 3))
    assert "3 lists" in heading
    assert f"of the {len(found)} words" in heading
    # The wording is not the model's own, so that all its words are doubted more than captions are.
    own = said(bundled, pictures[:3])
    assert max(w.scores[RISK] for w in own if not w.invented) < 0.9
    assert min(w.scores[RISK] for w in found if not w.invented) > 0.2


def test_the_costs_of_each_batch_count_once(bundled) -> None:
    cost = spent(bundled, scenes(5, FIRST_SEED), batch_size=4)
    texts = [bundled.describe(one.picture, self_check=True) for one in scenes(5, FIRST_SEED)]
    assert cost.captions == 10
    assert cost.check.questions == sum(seen.check.questions for seen in texts)
    assert cost.caption_tokens == sum(len(seen.tokens) + 1 for seen in texts)
    assert cost.check.forwards < len(texts)
    assert cost.check.image_passes == 0
    assert cost.caption_seconds > 0 < cost.check.seconds


def test_seeds_are_disjoint_from_those_of_calibration() -> None:
    assert calibrating.FIRST_SEED + calibrating.SCENES < FIRST_SEED


def test_the_page_says_how_it_was_made(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("experiments.grounding.measure.RESAMPLES", 30)
    out = tmp_path / "deep" / "page.md"
    main(["--scenes", "6", "--first-seed", "8500000", "--out", str(out)])
    text = out.read_text(encoding="utf-8")
    assert "`python -m experiments.grounding --scenes 6 --out docs/grounding.md`" in text
    assert "seeds 8500000 to 8500005 of" in text
    for name in (*DOUBTFUL_HIGH, RISK, CHECKED_RISK):
        assert (f"| `{name}` |" in text) == (name != "disagreement")
    for line in text.splitlines():
        if line.startswith("|"):
            assert line.endswith("|")
    tables = re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE)
    for table in tables:
        assert len({line.count("|") for line in table.strip().splitlines()}) == 1
    assert "nan" not in text


def test_an_uncalibrated_model_is_refused(bundled) -> None:
    for calibration in (None, bundled.calibration.model_copy(update={"checked": None})):
        with pytest.raises(InputError, match="no calibration with self-check to measure"):
            said(replace(bundled, calibration=calibration), scenes(1))
    with pytest.raises(InputError, match="--scenes 0 measures nothing"):
        main(["--scenes", "0"])
