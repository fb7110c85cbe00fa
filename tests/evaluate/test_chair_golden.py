"""CHAIR against what the published scorers gave."""

from __future__ import annotations

import json

import pytest

from paths import DATA, GOLDEN
from seesay.evaluate.benchmark import Answer, Sample
from seesay.evaluate.benchmarks.chair import Chair
from seesay.evaluate.benchmarks.chair_read import READERS
from seesay.evaluate.benchmarks.chair_words import NODES, PATTERN, WORDS

CASES = json.loads((GOLDEN / "chair_cases.json").read_text())
FORMS = json.loads((GOLDEN / "chair_singularize_forms.json").read_text())["forms"]
SYNONYMS = DATA / "coco" / "synonyms.txt"


@pytest.mark.parametrize("scorer", ["pattern", "nltk"])
def test_objects_of_each_caption(scorer):
    wrong = {}
    for case in CASES["cases"]:
        found = READERS[scorer](case["caption"])
        said = {
            "words": [m.word for m in found],
            "node_words": [m.object for m in found],
            "idxs": [m.place for m in found],
            "hallucinated": [
                [m.word, m.object] for m in found if m.object not in case["gt_objects"]
            ],
        }
        off = {name: value for name, value in said.items() if value != case[scorer][name]}
        wrong |= {case["image_id"]: off} if off else {}
    assert CASES["cases"]
    assert not wrong


@pytest.mark.parametrize(("scorer", "scale"), [("pattern", 100), ("nltk", 1)])
def test_figures_over_all_captions(scorer, scale):
    cases = CASES["cases"]
    samples = [
        Sample(str(c["image_id"]), "", "", str(c["image_id"]), {"objects": c["gt_objects"]})
        for c in cases
    ]
    answers = {str(c["image_id"]): Answer(str(c["image_id"]), c["caption"]) for c in cases}
    score = Chair(scorer=scorer).score(samples, answers)
    expected = CASES["overall"][scorer]
    for name, key in (("CHAIR_S", "CHAIRs"), ("CHAIR_I", "CHAIRi"), ("recall", "Recall")):
        figure = Chair.metrics[name].of(score.totals)
        assert figure == pytest.approx(scale * expected[key], abs=1e-9)


def test_singulars_of_the_vocabulary():
    both = {form: (PATTERN.get(form, form), published) for form, published in FORMS.items()}
    # Forms that no rule looks at may stay as they are.
    wrong = {
        form: (ours, published)
        for form, (ours, published) in both.items()
        if ours != published and {ours, published} & WORDS
    }
    assert len(both) > 1600
    assert not wrong


@pytest.mark.data("coco/synonyms.txt")
def test_vocabulary_is_the_published_one():
    rows = [line.strip().split(", ") for line in SYNONYMS.read_text().splitlines()]
    published = {word: row[0] for row in rows for word in row if not word.startswith(" ")}
    assert published == NODES
