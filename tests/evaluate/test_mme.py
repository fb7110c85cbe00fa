"""MME's hallucination subset: Otter's parser, its layouts and its figures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from paths import GOLDEN
from seesay.errors import InputError
from seesay.evaluate.benchmark import Answer
from seesay.evaluate.benchmarks.mme import CATEGORIES, Mme, read_answer

CASES = json.loads((GOLDEN / "pope_cases.json").read_text())["cases"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: repr(case["answer"]))
def test_each_answer_as_the_published_parser_reads_it(case):
    assert read_answer(case["answer"]) == case["parsed_mme"]


@pytest.mark.parametrize(("text", "said"), [("y", "yes"), (" N. ", "no"), ("yn", "other")])
def test_single_letters(text, said):
    assert read_answer(text) == said


def rows(pictures=2):
    return [
        {
            "category": kind,
            "image": f"{number}.jpg",
            "question": f"Is it {answer}? Please answer yes or no.",
            "answer": answer.title(),
        }
        for kind in CATEGORIES
        for number in range(pictures)
        for answer in ("yes", "no")
    ]


def as_records(folder):
    noise = {"category": "OCR", "image": "0.jpg", "question": "?", "answer": "Yes"}
    (folder / "mme.jsonl").write_text("\n".join(map(json.dumps, [*rows(), noise])))


def as_folders(folder):
    for row in rows():
        path = folder / row["category"] / row["image"].replace(".jpg", ".txt")
        path.parent.mkdir(exist_ok=True)
        path.with_suffix(".jpg").touch()
        with path.open("a") as file:
            file.write(f"{row['question']}\t{row['answer']}\n")


def as_deep_folders(folder):
    for row in rows():
        deep = folder / row["category"] / "questions_answers_YN"
        deep.mkdir(parents=True, exist_ok=True)
        (deep.parent / "images").mkdir(exist_ok=True)
        (deep.parent / "images" / row["image"]).touch()
        with (deep / row["image"].replace(".jpg", ".txt")).open("a") as file:
            file.write(f"{row['question']}\t{row['answer']}\n")


def as_lists(folder):
    for row in rows():
        with (folder / f"{row['category']}.txt").open("a") as file:
            file.write(f"{row['image']}\t{row['question']}\t{row['answer']}\n")


@pytest.mark.parametrize("write", [as_records, as_folders, as_deep_folders, as_lists])
def test_layouts(tmp_path, write):
    write(tmp_path)
    mme = Mme(folder=tmp_path)
    samples = mme.samples()
    assert len(samples) == 16
    assert samples[1].prompt == "Is it no? Please answer yes or no."
    assert samples[1].truth == {"label": "no", "category": "existence"}
    assert [s.id for s in samples[:3]] == [
        f"existence/{n}" for n in ("0.jpg#1", "0.jpg#2", "1.jpg#1")
    ]
    assert len({s.cluster for s in samples}) == 8
    if write in (as_folders, as_deep_folders):
        assert all(Path(sample.picture).is_file() for sample in samples)
    assert json.loads(json.dumps(mme.protocol()))["data"]


def figures(tmp_path, texts):
    as_records(tmp_path)
    samples = Mme(folder=tmp_path).samples()
    answers = {s.id: Answer(s.id, text) for s, text in zip(samples, texts, strict=False)}
    score = Mme().score(samples, answers)
    return score, {name: float(m.of(score.totals)) for name, m in Mme.metrics.items()}


def test_scores_add_shares_of_questions_and_of_pictures(tmp_path):
    texts = [
        "Yes",
        "No",
        "Yes",
        "Yes",
        *["Yes.", "no"] * 2,
        *["Sure", "Sure"] * 2,
        *["No", "No"] * 2,
    ]
    score, found = figures(tmp_path, texts)
    assert (found["existence acc"], found["existence acc+"], found["existence"]) == (75, 50, 125)
    assert (found["count"], found["position"], found["color"]) == (200, 0, 50)
    assert found["score"] == 375
    assert score.remarks == {"unparsed": 4}


def test_a_picture_with_one_answer_is_left_out_of_pairs(tmp_path):
    score, found = figures(tmp_path, ["Yes"])
    assert found["existence acc"] == 100
    assert np.isnan(found["existence acc+"])
    assert score.remarks == {"missing": 15, "unparsed": 0, "pictures with one answer": 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (rows()[:1], "1 pictures have not exactly two questions, such as existence/0.jpg with 1"),
        ([{**rows()[0], "answer": "maybe"}], "answer 'maybe', not yes or no"),
        ([{"category": "count"}], "no field 'image' or 'question_id'"),
    ],
)
def test_broken_questions(tmp_path, content, message):
    (tmp_path / "mme.jsonl").write_text("\n".join(map(json.dumps, content)))
    with pytest.raises(InputError, match=message):
        Mme(folder=tmp_path).samples()


def test_folders_without_questions(tmp_path):
    with pytest.raises(InputError, match="mme needs a folder"):
        Mme().samples()
    with pytest.raises(InputError, match=r"no mme\.jsonl and no existence/\*\.txt"):
        Mme(folder=tmp_path).samples()
    (tmp_path / "count.txt").write_text("a.jpg\tIs it?\n")
    with pytest.raises(InputError, match=r"count\.txt, line 1: not tab-separated"):
        Mme(folder=tmp_path).samples()
