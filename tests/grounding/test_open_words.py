"""Every noun that names a thing, measured against the COCO words of real captions."""

from __future__ import annotations

import json
import sys

import pytest

from paths import DATA
from seesay.errors import InputError
from seesay.grounding.vocabulary import Vocabulary
from seesay.grounding.vocabulary.open_nouns import _tagger, is_thing


@pytest.fixture(scope="module")
def nouns() -> Vocabulary:
    pytest.importorskip("HanTa")
    return Vocabulary.named("open")


def named(text: str, vocabulary: Vocabulary) -> list[tuple[str, str]]:
    return [(text[w.start : w.end], w.name) for w in vocabulary.find(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Two knives and a unicorn.", [("knives", "knife"), ("unicorn", "unicorn")]),
        ("The image shows a dining table with dishes.", [
            ("dining table", "dining table"), ("dishes", "dish"),
        ]),
        ("A hot dog and potted plants.", [
            ("hot dog", "hot dog"), ("potted plants", "potted plant"),
        ]),
        ("Giraffes stand near benches.", [("Giraffes", "giraffe"), ("benches", "bench")]),
        ("The scene creates a sense of calm and excitement.", []),
        ("She sees a slice of pizza, pizza slices, and glasses.", [
            ("pizza", "pizza"), ("pizza", "pizza"), ("glasses", "glasses"),
        ]),
        ("A man rides through London on a horse.", [("man", "man"), ("horse", "horse")]),
        ("", []),
        ("   \n", []),
    ],
)  # fmt: skip
def test_nouns(nouns: Vocabulary, text: str, expected: list[tuple[str, str]]) -> None:
    assert named(text, nouns) == expected


def test_it_has_no_list_of_classes(nouns: Vocabulary) -> None:
    assert nouns.classes == frozenset()
    assert nouns is Vocabulary.open()


def test_without_its_tagger_it_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "HanTa.HanoverTagger", None)
    _tagger.cache_clear()
    Vocabulary.open.cache_clear()
    with pytest.raises(InputError, match=r"pip install 'seesay\[open\]'"):
        Vocabulary.open()


@pytest.mark.data("pope/captions_llava.json")
def test_it_finds_what_the_coco_list_finds_in_real_captions(nouns: Vocabulary) -> None:
    captions = DATA / "pope" / "captions_llava.json"
    coco, known, covered = Vocabulary.coco(), 0, 0
    for line in captions.read_text().splitlines()[:250]:
        text = json.loads(line)["text"]
        mentions = nouns.find(text)
        for word in coco.find(text):
            known += 1
            covered += any(m.start <= word.start and word.end <= m.end for m in mentions)
    assert known > 1000
    assert covered / known > 0.98


@pytest.mark.data("amber/annotations.json")
def test_things_that_people_noted_in_pictures_pass_as_things() -> None:
    annotations = DATA / "amber" / "annotations.json"
    rows = json.loads(annotations.read_text())
    noted = [
        word for row in rows for key in ("truth", "hallu") if key in row
        for word in row[key] if row["type"] == "generative"
    ]  # fmt: skip
    assert len(noted) > 10_000
    assert sum(is_thing(word.split()[-1]) for word in noted) / len(noted) > 0.99
