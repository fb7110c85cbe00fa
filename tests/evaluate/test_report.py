"""What a report says: gains, what explains them, what is no evidence; on made-up models."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from little import Captions, Questions, caption, captions, replies
from seesay.errors import InputError
from seesay.evaluate.report import cells, data, formatting
from seesay.evaluate.report.content import Answered, Beside, Gathered, Measured
from seesay.evaluate.report.table_builder import account, assemble, table
from seesay.statistics.intervals import Compared, Interval, compare

PICTURES, ASKED = Captions(pictures=200), Questions(pictures=120)
SAMPLES, QUESTIONS = PICTURES.samples(), ASKED.samples()
PLAIN = captions(SAMPLES, 0.8, 0.3, 0)
REPLIES = replies(QUESTIONS, 1.0, 1.0, 0)


def entry(label, answers, role="method", **fields):
    return Answered(label, role, f"{label}()", answers, pace=0.002, **fields)


def captioned(*others, **fields):
    measured = Measured("m", PICTURES, SAMPLES, [entry("plain", PLAIN, "plain"), *others])
    return table(measured, resamples=400, **fields)


def asked(*others):
    measured = Measured("m", ASKED, QUESTIONS, [entry("plain", REPLIES, "plain"), *others])
    return table(measured, resamples=400)


def line(shown, label):
    return next(line for line in shown.lines if line.label == label)


def test_a_method_equal_to_plain_gets_no_evidence_everywhere():
    same = line(captioned(entry("same", PLAIN)), "same")
    assert {one.verdict for one in same.compared.values()} == {"no evidence"}
    assert same.account == "no gain to explain"
    assert all(one.explains is None for one in same.beside)
    same = line(asked(entry("same", REPLIES)), "same")
    assert same.mcnemar == (0, 0, 1.0)
    assert same.account == "no gain to explain"
    assert "no evidence" in cells.gains(asked(entry("same", REPLIES))).rows[1][2].text


def test_a_method_that_sees_better_is_explained_by_no_control():
    better = line(captioned(entry("better", captions(SAMPLES, 0.8, 0.1, 1))), "better")
    assert better.compared["CHAIR_I"].verdict == "better"
    assert better.account == "explained by no control here"
    assert [one.explains for one in better.beside] == [False, False]


def test_a_method_that_only_stops_early_is_explained_by_length():
    """It says plain's text and stops in the middle; there plain's inventions lie further on."""
    order = {s.id: k for k, s in enumerate(SAMPLES)}
    rng = np.random.default_rng(2)
    long, short = {}, {}
    for sample in SAMPLES:
        right = [name for name in sample.truth["objects"] if rng.random() < 0.9]
        wrong = [n for n in ("car", "plate", "spoon") if n not in sample.truth["objects"]][:1]
        filler = ["so"] * (3 + order[sample.id] % 5)
        long[sample.id] = caption(sample.id, [*right, *filler, *wrong])
        short[sample.id] = caption(sample.id, [*right, *filler])
    measured = Measured("m", PICTURES, SAMPLES, [entry("plain", long, "plain"),
                                                 entry("short", short)])  # fmt: skip
    found = line(table(measured, resamples=400), "short")
    assert found.compared["CHAIR_I"].verdict == "better"
    length = next(one for one in found.beside if one.name == "length")
    plain = PICTURES.metrics["CHAIR_I"].of(PICTURES.score(SAMPLES, long).totals)
    # Ranks mix texts up a little, so that some inventions stay.
    assert length.figure.value < float(plain) / 5
    assert length.share == pytest.approx((float(plain) - length.figure.value) / float(plain))
    assert found.account.endswith(f"in part by length ({length.share:.0%})")


def test_a_method_that_only_says_less_is_explained_by_recall():
    quiet = {}
    for key, answer in PLAIN.items():
        words = [m for m in answer.mentions if m.logprob > -1.0]
        kept = ["a", "scene", *(m.name for m in words)]
        quiet[key] = caption(key, kept)
    found = line(captioned(entry("quiet", quiet)), "quiet")
    assert found.compared["CHAIR_I"].verdict == "better"
    assert found.compared["recall"].verdict == "worse"
    assert "by recall" in found.account


def test_a_method_that_only_says_no_more_often_is_explained_by_yes_shift():
    shifted = {k: replace(a, text="Yes" if a.yes >= 0.8 else "No") for k, a in REPLIES.items()}
    shown = asked(entry("shifted", shifted), entry("sharper", replies(QUESTIONS, 2.0, 1.0, 3)))
    found = line(shown, "shifted")
    assert found.compared["accuracy"].verdict == "better"
    assert found.account == "explained by yes-shift"
    assert found.beside[0].difference == (0, 0, 0)
    sharper = line(shown, "sharper")
    assert sharper.beside[0].explains is False
    assert sharper.account.startswith("explained in part by yes-shift")


def test_a_worse_method_and_missing_controls_are_told():
    worse = line(captioned(entry("worse", captions(SAMPLES, 0.8, 0.5, 4))), "worse")
    assert worse.account == "worse than plain"
    blind = {k: replace(a, mentions=()) for k, a in PLAIN.items()}
    better = entry("better", captions(SAMPLES, 0.8, 0.1, 1))
    measured = Measured("m", PICTURES, SAMPLES, [entry("plain", blind, "plain"), better])
    found = line(table(measured, resamples=200), "better")
    assert found.account == "explained by no control here (not made: recall)"
    bare = captioned(entry("better", captions(SAMPLES, 0.8, 0.1, 1)), controlled=False)
    assert line(bare, "better").beside == ()
    assert line(bare, "better").account == "no control was made"
    assert bare.dropping == ()


def test_controls_with_records_of_their_own_stand_beside_their_method_only():
    gain = captions(SAMPLES, 0.8, 0.1, 5)
    shown = captioned(
        entry("a", gain),
        entry("b", captions(SAMPLES, 0.8, 0.1, 6)),
        entry("a: strength 0", PLAIN, "control", control="strength-0", of="a"),
        entry("a: same stream", gain, "control", control="same-stream", of="a"),
        entry("plain, greedy", PLAIN, "control", control="plain-greedy"),
    )
    names = {one.name: one for one in line(shown, "a").beside}
    assert names.keys() == {"strength-0", "same-stream", "plain-greedy", "length", "recall"}
    assert "200 of 200" in names["strength-0"].what
    assert line(shown, "a").account == "explained by second stream := first"
    assert {one.name for one in line(shown, "b").beside} == {"plain-greedy", "length", "recall"}


def test_holm_is_over_the_methods_alone():
    others = [entry(f"m{k}", captions(SAMPLES, 0.8, 0.26, 10 + k)) for k in range(3)]
    steps = [
        entry(f"s{k}", captions(SAMPLES, 0.8, 0.2, 20 + k), "sweep", swept=("a", "alpha", k / 10))
        for k in range(4)
    ]
    shown = captioned(*others, *steps)
    alone = compare(
        PICTURES.score(SAMPLES, PLAIN),
        {one.label: PICTURES.score(SAMPLES, one.answers) for one in others},
        PICTURES.metrics,
        400,
    )
    for one in others:
        assert line(shown, one.label).compared == alone[one.label]


def test_mcnemar_counts_questions():
    flipped = dict(REPLIES)
    won = lost = 0
    for sample in QUESTIONS[:40]:
        was = REPLIES[sample.id].text.lower() == sample.truth["label"]
        other = "No" if REPLIES[sample.id].text == "Yes" else "Yes"
        flipped[sample.id] = replace(REPLIES[sample.id], text=other)
        won, lost = won + (not was), lost + was
    flipped[QUESTIONS[50].id] = replace(REPLIES[QUESTIONS[50].id], text="Who knows")
    lost += REPLIES[QUESTIONS[50].id].text.lower() == QUESTIONS[50].truth["label"]
    found = line(asked(entry("flipped", flipped)), "flipped")
    assert found.mcnemar[:2] == (lost, won)
    assert found.remarks == {"unparsed": 1}


def test_cost_is_beside_plain_of_the_same_run():
    slow = {k: replace(a, seconds=0.03 * a.tokens, tokens=a.tokens) for k, a in PLAIN.items()}
    found = line(captioned(entry("slow", slow)), "slow").cost
    assert found.ratio == pytest.approx(15)  # 0.03 over the run's 0.002
    mean = sum(a.tokens for a in PLAIN.values()) / len(PLAIN)
    assert found.tokens == pytest.approx(mean)
    assert found.seconds == pytest.approx(0.03 * mean)


def test_the_curve_of_plain_goes_down_in_recall():
    recalls = [recall for recall, _ in captioned().dropping]
    assert recalls == sorted(recalls, reverse=True)
    assert len(recalls) > 5
    assert recalls[-1] < recalls[0] - 20


def test_lines_stand_in_order_and_plain_is_needed():
    shown = captioned(
        entry("s", PLAIN, "sweep", swept=("a", "alpha", 0.1)),
        entry("c", PLAIN, "control", control="strength-0", of="m"),
        entry("m", PLAIN),
    )
    assert [one.label for one in shown.lines] == ["plain", "m", "c", "s"]
    with pytest.raises(InputError, match="no plain run"):
        table(Measured("m", PICTURES, SAMPLES, [entry("m", PLAIN)]))


def test_json_says_all_and_no_nan():
    silent = {k: replace(a, text="", mentions=()) for k, a in PLAIN.items()}
    gathered = Gathered(
        [Measured("m", PICTURES, SAMPLES, [entry("plain", PLAIN, "plain"),
                                           entry("silent", silent)], {"scorer": "little"})],
        {"runs/a": {"seed": 0}},
    )  # fmt: skip
    report = assemble(gathered, resamples=200)
    read = json.loads(data.render(report))
    assert read["schema"] == data.SCHEMA
    assert read["runs"] == ["runs/a"]
    (shown,) = read["tables"]
    assert shown["metrics"]["CHAIR_I"] == {"better": "lower", "unit": "%"}
    assert shown["lines"][1]["figures"]["CHAIR_I"]["value"] is None
    assert shown["lines"][1]["compared"]["CHAIR_I"]["verdict"] == "not defined"
    plain = PICTURES.metrics["CHAIR_I"].of(PICTURES.score(SAMPLES, PLAIN).totals)
    assert shown["lines"][0]["figures"]["CHAIR_I"]["value"] == float(plain)


def test_progress_counts_lines():
    told = []
    gathered = Gathered([Measured("m", PICTURES, SAMPLES, [entry("plain", PLAIN, "plain"),
                                                           entry("b", PLAIN)])])  # fmt: skip
    assemble(gathered, 100, on_line=lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]


def test_words_for_what_explains():
    def said(verdict, *beside):
        around = Interval(-1, -2, -0.5)
        return account(Compared(around, around, 0.01, 0.01, verdict), beside)

    yes = Beside("length", "", Interval(1, 0, 2), Interval(0, -1, 1), True)
    also = replace(yes, name="recall")
    no, none = replace(yes, explains=False), Beside("recall", "")
    assert said("better", yes, also) == "explained by length and by recall"
    assert said("better", yes, none) == "explained by length (not made: recall)"
    assert said("better", no) == "explained by no control here"
    part = replace(no, name="recall", share=0.4)
    assert said("better", part, no) == "explained in part by recall (40%)"
    assert said("better", yes, part) == "explained by length; in part by recall (40%)"
    assert said("better") == said("better", none) == "no control was made"
    assert said("too few pictures", yes) == "too few pictures"


def test_numbers_are_written_with_care():
    assert formatting.number(-0.04) == "0.0"
    assert formatting.number(-3.25) == "−3.2"
    assert formatting.number(math.nan) == "–"
    assert [formatting.signed(v) for v in (1.26, -1.26, 0.01)] == ["+1.3", "−1.3", "0.0"]
    assert [formatting.probability(p) for p in (0.0002, 0.0421, 1.0)] == ["< .001", ".042", "1"]
