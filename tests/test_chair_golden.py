"""CHAIR against what the published scorers gave."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from seesay.evaluate.benchmark import Answer, Sample
from seesay.evaluate.benchmarks.chair import Chair
from seesay.evaluate.benchmarks.chair_read import READERS
from seesay.evaluate.benchmarks.chair_words import NODES, PATTERN, WORDS

GOLDEN = Path(__file__).parent / "golden"
CASES = json.loads((GOLDEN / "chair_cases.json").read_text())
FORMS = json.loads((GOLDEN / "chair_singularize_forms.json").read_text())["forms"]
DATA = Path(os.environ.get("SEESAY_DATA", Path(__file__).parents[2] / "shared" / "data"))
SYNONYMS = DATA / "coco" / "synonyms.txt"


@pytest.mark.parametrize("scorer", ["pattern", "nltk"])
@pytest.mark.parametrize("case", CASES["cases"], ids=lambda case: case["image_id"])
def test_objects_of_each_caption(scorer, case):
    expected = case[scorer]
    found = READERS[scorer](case["caption"])
    assert [m.word for m in found] == expected["words"]
    assert [m.object for m in found] == expected["node_words"]
    assert [m.place for m in found] == expected["idxs"]
    invented = [[m.word, m.object] for m in found if m.object not in case["gt_objects"]]
    assert invented == expected["hallucinated"]


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


@pytest.mark.parametrize("form", FORMS)
def test_singulars_of_the_vocabulary(form):
    published, ours = FORMS[form], PATTERN.get(form, form)
    # Forms that no rule looks at may stay as they are.
    assert ours == published or not {ours, published} & WORDS


@pytest.mark.skipif(not SYNONYMS.is_file(), reason="no shared data")
def test_vocabulary_is_the_published_one():
    rows = [line.strip().split(", ") for line in SYNONYMS.read_text().splitlines()]
    published = {word: row[0] for row in rows for word in row if not word.startswith(" ")}
    assert published == NODES
