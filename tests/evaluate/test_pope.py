"""POPE's four parsers against the published scripts, its files and its refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from paths import DATA, GOLDEN
from seesay.errors import InputError
from seesay.evaluate.benchmark import Answer, Sample
from seesay.evaluate.benchmarks.pope import SAMPLINGS, Pope
from seesay.evaluate.benchmarks.yes_no import PARSERS

GOLDEN = json.loads((GOLDEN / "pope_cases.json").read_text())
DATA = DATA / "pope"
FIGURES = ("accuracy", "precision", "recall", "f1", "yes_ratio")
NAMES = {"f1": "F1", "yes_ratio": "yes-ratio"}


def scored(answers, labels, parser):
    samples = [Sample(str(i), "", "", str(i // 6), {"label": x}) for i, x in enumerate(labels)]
    score = Pope(parser=parser).score(
        samples, {str(i): Answer(str(i), text) for i, text in enumerate(answers)}
    )
    return score, {name: float(m.of(score.totals)) for name, m in Pope.metrics.items()}


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: repr(case["answer"]))
def test_each_answer_as_the_published_parsers_read_it(case):
    assert PARSERS["official"](case["answer"], case["label"]).said == case["parsed_official"]
    whole = case["parsed_lmms_eval"]
    expected = whole if whole in ("yes", "no") else "other"
    assert PARSERS["lmms-eval"](case["answer"], case["label"]).said == expected


@pytest.mark.parametrize("parser", ["official", "lmms-eval"])
def test_figures_of_the_published_scripts(parser):
    answers, labels = zip(*((c["answer"], c["label"]) for c in GOLDEN["cases"]), strict=True)
    score, found = scored(answers, labels, parser)
    expected = GOLDEN["overall"][parser.replace("-", "_")]
    for key in FIGURES:
        assert found[NAMES.get(key, key)] == pytest.approx(100 * expected[key], abs=1e-9)
    for key in {"TP", "FP", "TN", "FN"} & set(expected):
        assert score.totals[key.lower()] == expected[key]
    assert len(score.clusters) == 7  # 40 questions, six a picture


@pytest.mark.parametrize("edge", GOLDEN["edge_sets"])
def test_where_the_published_script_divides_by_zero(edge):
    score, found = scored(edge["answers"], edge["labels"], "official")
    assert [score.parsed[str(i)]["said"] for i in range(len(edge["parsed"]))] == edge["parsed"]
    if edge["metrics"] is None:
        assert np.isnan(found["F1"])
    else:
        for key in FIGURES:
            assert found[NAMES.get(key, key)] == pytest.approx(100 * edge["metrics"][key])


@pytest.mark.parametrize(
    ("text", "label", "said", "clear"),
    [
        ("I know it", "no", "no", True),
        ("I know it", "yes", "no", True),
        ("Yes, not", "no", "no", True),
        ("Yes, not", "yes", "yes", True),
        ("Sure", "yes", "no", False),
        ("Sure", "no", "yes", False),
        ("YES", "no", "yes", True),
    ],
)
def test_vcd_looks_for_the_label_anywhere(text, label, said, clear):
    assert PARSERS["vcd"](text, label) == (said, clear)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Yes", "yes"),
        ("**No**", "no"),
        (' "Yes, there is."', "yes"),
        ("NO!", "no"),
        ("None", "other"),
        ("Yesterday", "other"),
        ("The answer is no", "other"),
        ("", "other"),
    ],
)
def test_strict_takes_the_first_word(text, said):
    assert PARSERS["strict"](text, "no").said == said
    assert PARSERS["strict"](text, "yes").clear == (said != "other")


def test_strict_counts_what_says_neither_as_wrong_and_missed():
    score, found = scored(["Yes", "Maybe", "Maybe", "No"], ["yes", "yes", "no", "no"], "strict")
    assert found["accuracy"] == 50
    assert found["precision"] == 100
    assert found["recall"] == 50
    assert found["F1"] == pytest.approx(200 / 3)
    assert (found["yes-ratio"], found["unparsed"]) == (25, 50)
    assert score.parsed["1"] == {"said": "other", "right": False}


def test_official_takes_silence_for_yes_and_says_so():
    _, found = scored(["", "Sure", "No", "Yes."], ["no", "yes", "no", "yes"], "official")
    assert (found["yes-ratio"], found["unparsed"]) == (75, 50)


def write(folder, rows, name="coco_pope_random.json"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(map(json.dumps, rows)))


ROW = {"question_id": 1, "image": "a.jpg", "text": "Is there a dog in the image?", "label": "yes"}


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("coco", "coco_pope_random.json"),
        ("coco", "output/coco/coco_pope_random.json"),
        ("aokvqa", "aokvqa/aokvqa_pope_random.json"),
        ("aokvqa", "output/seem/aokvqa/aokvqa_pope_seem_random.json"),
        ("gqa", "gqa_pope_seem_random.json"),
    ],
)
def test_files_where_publishers_put_them(tmp_path, source, name):
    write(tmp_path, [ROW], name)
    pope = Pope(source=source, folder=tmp_path, suffix="\nOne word.")
    (sample,) = pope.samples()
    assert sample.prompt == "Is there a dog in the image?\nOne word."
    assert sample.truth == {"label": "yes"}
    assert sample.picture == str(tmp_path / "images" / "a.jpg")
    assert sample.cluster == "a.jpg"
    assert pope.name == ("pope-random" if source == "coco" else f"pope-{source}-random")
    assert set(pope.protocol()["data"]) == {Path(name).name}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([ROW, ROW], "1 ids stand there twice, such as '1'"),
        ([{**ROW, "label": "maybe"}], "label 'maybe'"),
        ([{"question_id": 1}], "no field 'text' or 'question'"),
        (["text"], "is no object"),
    ],
)
def test_broken_questions(tmp_path, rows, message):
    write(tmp_path, rows)
    with pytest.raises(InputError, match=message):
        Pope(folder=tmp_path).samples()


def test_a_broken_line_is_named(tmp_path):
    write(tmp_path, [ROW])
    with (tmp_path / "coco_pope_random.json").open("a") as file:
        file.write('\n{"question_id": 2, "ima')
    with pytest.raises(InputError, match=r"coco_pope_random\.json, line 2: not JSON"):
        Pope(folder=tmp_path).samples()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parser": "stric"}, "did you mean strict"),
        ({"sampling": "rare"}, "unknown sampling 'rare'"),
        ({"source": "cocoo"}, "did you mean coco"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(InputError, match=message):
        Pope(**options)
    assert Pope(parser="lmms_eval").parser == "lmms-eval"


def test_no_folder(tmp_path):
    with pytest.raises(InputError, match="pope-popular needs a folder"):
        Pope(sampling="popular").samples()
    with pytest.raises(InputError, match="file of questions for pope-random"):
        Pope(folder=tmp_path).samples()


@pytest.mark.data("pope")
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_the_real_questions(sampling):
    pope = Pope(sampling=sampling, folder=DATA)
    samples = pope.samples()
    assert len(samples) == 3000
    labels = [sample.truth["label"] for sample in samples]
    assert (labels.count("yes"), len({s.cluster for s in samples})) == (1500, 500)
    answers = {s.id: Answer(s.id, "Yes." if int(s.id) % 4 else "No.") for s in samples}
    score = pope.score(samples, answers)
    assert Pope.metrics["yes-ratio"].of(score.totals) == 75
    assert score.counts.shape == (500, 8)
    assert (score.counts[:, 0] == 6).all()
