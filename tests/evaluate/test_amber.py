"""AMBER against what the published script counted and printed, its real files and its refusals."""

from __future__ import annotations

import json

import pytest

from paths import DATA, GOLDEN
from seesay.errors import InputError
from seesay.evaluate.benchmark import Answer, Sample
from seesay.evaluate.benchmarks.amber import AmberGenerative, VocabularyNouns
from seesay.evaluate.benchmarks.amber_yes_no import AmberDiscriminative

GOLDEN = json.loads((GOLDEN / "amber_cases.json").read_text())
DATA = DATA / "amber"
real = pytest.mark.data("amber")

# Published counter → our column; published denominators begin with 0.001.
COUNTERS = {
    "chair_score": "hallucinated",
    "chair_num": "nouns",
    "safe_cover_score": "covered",
    "safe_cover_num": "truths",
    "hallu_cover_score": "hit",
    "hallu_cover_num": "targets",
    "non_hallu_score": "clean",
    "non_hallu_num": "captions",
}
LIKENESS = {frozenset((a, b)): value for a, b, value in GOLDEN["similarity_table"]}


def alike(one, other):
    return 1.0 if one == other else LIKENESS.get(frozenset((one, other)), 0.0)


def generative(cases, similarity):
    nouns = {case["response"]: case["nouns"] for case in GOLDEN["generative"]}
    amber = AmberGenerative(folder=DATA, similarity=similarity, nouns=nouns.__getitem__)
    samples = [
        Sample(str(c["id"]), "", "", str(c["id"]), {"truth": c["truth"], "hallu": c["hallu"]})
        for c in cases
    ]
    return amber.score(samples, {str(c["id"]): Answer(str(c["id"]), c["response"]) for c in cases})


def agrees(score, expected):
    for counter, column in COUNTERS.items():
        start = 0.001 if counter.endswith("_num") else 0
        assert score.totals[column] + start == pytest.approx(expected["counters"][counter])
    for name, printed in expected["printed"].items():
        assert round(float(AmberGenerative.metrics[name].of(score.totals)), 1) == printed


@real
@pytest.mark.parametrize(("mode", "similarity"), [("exact", None), ("table", alike)])
@pytest.mark.parametrize("case", GOLDEN["generative"], ids=lambda case: case["id"])
def test_each_description_as_published(case, mode, similarity):
    score = generative([case], similarity)
    agrees(score, case[mode])
    assert score.parsed[str(case["id"])]["nouns"] == case["vocab_nouns"]


@real
@pytest.mark.parametrize(("mode", "similarity"), [("exact", None), ("table", alike)])
def test_all_descriptions_as_published(mode, similarity):
    agrees(generative(GOLDEN["generative"], similarity), GOLDEN["generative_overall"][mode])


@real
def test_nouns_without_a_tagger():
    amber = AmberGenerative(folder=DATA)
    extra = missed = found = 0
    for case in GOLDEN["generative"]:
        sample = Sample("a", "", "", "a", {"truth": case["truth"], "hallu": case["hallu"]})
        score = amber.score([sample], {"a": Answer("a", case["response"])})
        ours, published = score.parsed["a"]["nouns"], case["vocab_nouns"]
        found += len(published)
        missed += sum(published.count(n) > ours.count(n) for n in set(published))
        extra += len(ours) - len(published)
    # The tagger takes eight for verbs or adjectives, such as "ship"; a list of words does not.
    assert (missed, found, extra) == (0, 57, 8)


def test_nouns_of_a_vocabulary():
    nouns = VocabularyNouns(
        ["sky", "bus", "man", "woman", "person", "box", "potato", "can", "vase"]
    )
    text = "Skies and buses. Sky. The woman can see women, men, boxes, potatoes and vases; a man."
    assert nouns(text) == ["bus", "woman", "woman", "box", "potato", "man"]


def discriminative(cases):
    samples = [
        Sample(str(c["id"]), "", "", str(c["id"]), {"label": c["truth"], "type": c["type"]})
        for c in cases
    ]
    answers = {str(c["id"]): Answer(str(c["id"]), c["response"]) for c in cases}
    return AmberDiscriminative().score(samples, answers)


KINDS = {"as": "state", "an": "number", "aa": "action", "asso": "relation", "ha": "existence"}
PARTS = {
    "qa_correct_score": "right",
    "qa_correct_num": "asked",
    "qa_no_score": "true_no",
    "qa_no_num": "is_no",
    "qa_ans_no_score": "true_no",
    "qa_ans_no_num": "says_no",
}


def test_questions_as_published():
    totals = discriminative(GOLDEN["discriminative"]).totals
    expected = GOLDEN["discriminative_overall"]
    for short, kind in KINDS.items():
        for counter, part in PARTS.items():
            start = 0.001 if counter.endswith("_num") else 0
            counted = expected["counters"][f"{short}_{counter}"]
            assert totals[f"{kind} {part}"] + start == pytest.approx(counted)
    assert printed(totals) == expected["printed_text"]


def printed(totals):
    """Our figures in the published script's words."""
    groups = (
        "Descriminative Task",
        "Exsitence",
        "Attribute",
        "State",
        "Number",
        "Action",
        "Relation",
    )
    ours = ("", "existence ", "attribute ", "state ", "number ", "action ", "relation ")
    blocks = []
    for title, prefix in zip(groups, ours, strict=True):
        figures = {
            part: round(float(AmberDiscriminative.metrics[prefix + part].of(totals)), 1)
            for part in ("accuracy", "precision", "recall", "F1")
        }
        blocks.append(
            f"{title}:\nAccuracy:\t {figures['accuracy']}\nPrecision:\t {figures['precision']}\n"
            f"Recall:\t\t {figures['recall']}\nF1:\t\t {figures['F1']} \n"
        )
    return "\n".join(blocks)[:-2] + "\n"


def test_only_the_exact_words_count():
    cases = [
        {"id": i, "response": text, "truth": "no", "type": "relation"}
        for i, text in enumerate(["No", "no", "No.", " No", ""])
    ]
    score = discriminative(cases)
    assert score.totals["relation right"] == 1
    assert AmberDiscriminative.metrics["unparsed"].of(score.totals) == 80


@real
def test_the_real_files():
    samples = AmberGenerative(folder=DATA).samples()
    assert len(samples) == 1004
    assert samples[0].prompt == "Describe this image."
    asked = AmberDiscriminative(folder=DATA, suffix=" Answer yes or no.").samples()
    assert len(asked) == 14216
    assert asked[0].prompt == "Is the sky sunny in this image? Answer yes or no."
    score = AmberDiscriminative().score(asked, {s.id: Answer(s.id, "No") for s in asked})
    assert score.totals["existence is_no"] == score.totals["existence asked"] == 4924
    assert (score.totals["state asked"], score.totals["number asked"]) == (4764, 2072)
    assert (score.totals["action asked"], score.totals["relation asked"]) == (792, 1664)
    assert len(score.clusters) == 1004


@real
def test_a_thousand_descriptions():
    amber = AmberGenerative(folder=DATA)
    samples = amber.samples()
    text = " ".join(case["response"] for case in GOLDEN["generative"])
    answers = {sample.id: Answer(sample.id, text) for sample in samples}
    score = amber.score(samples, answers)
    assert score.totals["captions"] == 1004


def little(folder, **changed):
    """A folder in AMBER's format, in the layout of its repository."""
    files = {
        "query/query_generative.json": [{"id": 1, "image": "AMBER_1.jpg", "query": "Describe."}],
        "query/query_discriminative.json": [{"id": 2, "image": "AMBER_1.jpg", "query": "Is it?"}],
        "annotations.json": [
            {"id": 1, "type": "generative", "truth": ["man", "dog"], "hallu": ["cat"]},
            {"id": 2, "type": "relation", "truth": "yes"},
        ],
        "relation.json": {"man": ["person"], "person": ["man"], "dog": ["pet"], "cat": ["pet"]},
        **changed,
    }
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    (folder / "safe_words.txt").write_text("light\n")
    return folder


def test_the_layout_of_the_repository(tmp_path):
    amber = AmberGenerative(folder=little(tmp_path), images=tmp_path / "image")
    (sample,) = amber.samples()
    assert sample.picture == str(tmp_path / "image" / "AMBER_1.jpg")
    score = amber.score([sample], {"1": Answer("1", "A person with a pet and two cats.")})
    assert score.parsed["1"] == {"nouns": ["person", "pet", "cat"], "invented": ["cat"]}
    assert score.totals["hit"] == 1
    assert amber.protocol()["similarity"] == "exact"
    assert "not tagged" in amber.protocol()["nouns"]
    assert AmberGenerative(folder=tmp_path, similarity=alike).protocol()["similarity"] == "alike"
    json.dumps(amber.protocol())
    json.dumps(AmberDiscriminative(folder=tmp_path).protocol())
    assert [s.truth["label"] for s in AmberDiscriminative(folder=tmp_path).samples()] == ["yes"]


def test_a_related_word_covers_the_first_that_it_fits(tmp_path):
    truth = {"truth": ["person", "man"], "hallu": []}
    amber = AmberGenerative(folder=little(tmp_path))
    score = amber.score([Sample("1", "", "", "1", truth)], {"1": Answer("1", "A man.")})
    assert score.totals["covered"] == 1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"annotations.json": []}, "question 1 has no generative annotation"),
        ({"annotations.json": [{"id": 1}, {"id": 1}]}, "1 ids stand there twice"),
        (
            {"query/query_generative.json": [{"id": 1, "image": "a", "query": "?"}] * 2},
            "1 ids stand there twice, such as '1'",
        ),
        ({"annotations.json": [{"type": "generative"}]}, "no field 'id'"),
    ],
)
def test_broken_files(tmp_path, changed, message):
    with pytest.raises(InputError, match=message):
        AmberGenerative(folder=little(tmp_path, **changed)).samples()


def test_no_folder(tmp_path):
    for amber in (AmberGenerative(), AmberDiscriminative()):
        with pytest.raises(InputError, match="needs a folder with AMBER's data"):
            amber.samples()
    with pytest.raises(InputError, match=r"no annotations in .*looked for annotations\.json"):
        AmberGenerative(folder=tmp_path).samples()
    little(tmp_path, **{"annotations.json": [{"id": 2, "type": "generative", "truth": []}]})
    with pytest.raises(InputError, match="question 2 has no yes/no annotation"):
        AmberDiscriminative(folder=tmp_path).samples()
