"""CHAIR's samples, options and refusals; the published figures are in test_chair_golden."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from paths import DATA
from seesay.errors import InputError
from seesay.evaluate.benchmark import Answer, Sample
from seesay.evaluate.benchmarks.captions import finished, split_sentences
from seesay.evaluate.benchmarks.chair import Chair
from seesay.evaluate.benchmarks.files import read_json

CAPTIONS = DATA / "pope" / "captions_llava.json"
NAMES = {7: "COCO_val2014_000000000007.jpg", 9: "COCO_val2014_000000000009.jpg"}


@pytest.fixture
def coco(tmp_path):
    """Two images: 7 with an outlined dog and captions that name a bench, 9 with nothing."""
    instances = {
        "images": [{"id": i, "file_name": name} for i, name in NAMES.items()],
        "categories": [{"id": 1, "name": "dog"}, {"id": 2, "name": "bus"}],
        "annotations": [{"image_id": 7, "category_id": 1}, {"image_id": 7, "category_id": 1}],
    }
    captions = {
        "annotations": [
            {"image_id": 7, "caption": "A puppy on two benches."},
            {"image_id": 7, "caption": "Animals at a bus stop."},
        ]
    }
    folder = tmp_path / "annotations"
    folder.mkdir()
    (folder / "instances_val2014.json").write_text(json.dumps(instances))
    (folder / "captions_val2014.json").write_text(json.dumps(captions))
    return tmp_path


def test_the_truth_is_outlined_or_told(coco):
    first, second = Chair(folder=coco).samples()
    assert first.truth == {"objects": ["bench", "dog"]}
    assert second.truth == {"objects": []}
    assert first.picture.endswith(NAMES[7])
    assert first.prompt == "Please describe this image in detail."


def test_the_truth_is_told_in_the_scorers_own_reading(coco):
    # A "bus" counts for nltk, never for pattern; a bus stop is no bus for clean.
    truths = {s: Chair(folder=coco, scorer=s).samples()[0].truth["objects"] for s in SCORERS}
    assert [("bus" in truths[s]) for s in SCORERS] == [False, True, False]


SCORERS = ("pattern", "nltk", "clean")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A hot dog on a bench near a bus.", ["hot dog", "bench", "bus"]),
        ("Men with ties and vases.", ["person", "tie", "vase"]),
        ("A person seated in canoes.", ["person", "boat"]),
    ],
)
def test_clean_makes_none_of_the_mistakes(text, expected):
    score = Chair(scorer="clean").score([sample(["dog"])], {"a": Answer("a", text)})
    assert score.parsed["a"]["objects"] == expected


def sample(objects):
    return Sample("a", "", "", "a", {"objects": objects})


def figures(text, objects, **options):
    score = Chair(**options).score([sample(objects)], {"a": Answer("a", text, ended=False)})
    return {name: float(metric.of(score.totals)) for name, metric in Chair.metrics.items()}


def test_what_each_figure_counts():
    text = "A dog and a dog and a cat. A tree. a tree!"
    assert figures(text, ["dog", "car"]) == pytest.approx(
        {
            "CHAIR_I": 100 / 3,
            "CHAIR_S": 100,
            "recall": 50,
            "F1": 100 * 2 * (2 / 3) * (1 / 2) / (2 / 3 + 1 / 2),
            "words": 12,
            "repeated": 100 / 3,
        }
    )


def test_a_text_without_objects_has_no_chair_i():
    found = figures("Nothing.", ["dog"])
    assert np.isnan(found["CHAIR_I"])
    assert np.isnan(found["F1"])
    assert (found["CHAIR_S"], found["recall"]) == (0, 0)


def test_an_unfinished_sentence_is_cut_on_request():
    text = "A dog runs. A cat and a"
    assert figures(text, ["dog"])["CHAIR_S"] == 100
    assert figures(text, ["dog"], cut_unfinished=True)["CHAIR_S"] == 0
    assert finished(Answer("a", text, ended=True)) == text
    assert finished(Answer("a", "A cat and a", ended=False)) == "A cat and a"
    assert finished(Answer("a", 'It is 5.5 "m." Then', ended=False)) == 'It is 5.5 "m."'


def test_sentences():
    assert split_sentences("A dog.  A  dog! e.g a 5.5 m cat") == [
        "a dog",
        "a dog",
        "e.g a 5.5 m cat",
    ]


def test_answers_that_are_missing_or_errors_are_remarked():
    samples = [Sample(i, "", "", i, {"objects": ["dog"]}) for i in "abc"]
    score = Chair().score(samples, {"a": Answer("a", "A cat."), "b": Answer("b", "", error="x")})
    assert score.clusters == ("a",)
    assert score.remarks == {"missing": 1, "errors": 1}


def test_images_by_list_by_chance_and_from_another_place(coco, tmp_path):
    listed = tmp_path / "ids.txt"
    listed.write_text("COCO_val2014_000000000009.jpg\n7\n")
    chair = Chair(folder=coco, ids=listed, images=tmp_path / "pictures")
    assert [s.id for s in chair.samples()] == ["9", "7"]
    assert chair.samples()[1].picture == str(tmp_path / "pictures" / NAMES[7])
    assert len(Chair(folder=coco, size=1).samples()) == 1
    assert Chair(folder=coco, size=1).samples() == Chair(folder=coco, size=1).samples()
    listed.write_text("8\n")
    with pytest.raises(InputError, match="1 ids are not in the annotations, such as 8"):
        chair.samples()


def test_validation_images_come_before_training_ones(coco):
    """Five hundred of val2014 are the usual images, also where all annotations lie together."""
    annotations = coco / "annotations"
    for kind in ("instances", "captions"):
        text = (annotations / f"{kind}_val2014.json").read_text()
        (annotations / f"{kind}_train2014.json").write_text(text.replace('"id": 7', '"id": 8'))
    assert [s.id for s in Chair(folder=str(coco)).samples()] == ["7", "9"]
    for kind in ("instances", "captions"):
        (annotations / f"{kind}_val2014.json").unlink()
    assert [s.id for s in Chair(folder=coco).samples()] == ["8", "9"]


def test_outlines_are_not_kept(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"annotations": [{"image_id": 1, "segmentation": [[1, 2]]}]}')
    assert read_json(path, without=["segmentation"]) == {"annotations": [{"image_id": 1}]}


def test_a_ready_list_of_objects(tmp_path):
    rows = [{"image_id": 3, "image": "3.jpg", "objects": ["cat"]}]
    (tmp_path / "chair.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "images").mkdir()
    chair = Chair(folder=tmp_path)
    assert chair.samples()[0].truth == {"objects": ["cat"]}
    assert chair.samples()[0].picture == str(tmp_path / "images" / "3.jpg")
    assert set(chair.protocol()["data"]) == {"chair.jsonl"}
    (tmp_path / "chair.jsonl").write_text("\n".join(map(json.dumps, rows * 2)))
    with pytest.raises(InputError, match="twice"):
        chair.samples()


def test_the_protocol_names_scorer_and_files(coco):
    protocol = Chair(folder=coco, scorer="nltk").protocol()
    assert protocol["scorer"] == "nltk"
    assert set(protocol["data"]) == {"instances_val2014.json", "captions_val2014.json"}
    json.dumps(protocol)


def test_pickles_are_refused(tmp_path, coco):
    (tmp_path / "cache").mkdir()
    pickled = tmp_path / "cache" / "chair.pkl"
    pickled.write_bytes(pickle.dumps({}))
    with pytest.raises(InputError, match=r"chair\.pkl is a pickle, .*runs code"):
        Chair(folder=tmp_path / "cache").samples()
    with pytest.raises(InputError, match=r"chair\.pkl is a pickle: opening one runs"):
        Chair(folder=pickled).samples()
    (coco / "annotations" / "captions_val2014.json").write_bytes(pickle.dumps({}))
    with pytest.raises(InputError, match=r"captions_val2014\.json is a pickle"):
        Chair(folder=coco).samples()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "has no 'images'"),
        ('{"images": []}', "has no 'categories'"),
        (
            '{"images": [], "categories": [{"id": 1, "name": "unicorn"}], "annotations": []}',
            "no COCO class: unicorn",
        ),
        (
            json.dumps(
                {"images": [{"id": 1, "file_name": "a"}] * 2, "categories": [], "annotations": []}
            ),
            "image 1 stands there twice",
        ),
    ],
)
def test_broken_annotations(coco, content, message):
    (coco / "annotations" / "instances_val2014.json").write_text(content)
    with pytest.raises(InputError, match=message):
        Chair(folder=coco).samples()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scorer": "patern"}, "did you mean pattern"),
        ({"size": 0}, "size=0"),
        ({"limit": 0}, "limit=0"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(InputError, match=message):
        Chair(**options)


def test_no_folder(tmp_path):
    with pytest.raises(InputError, match="needs a folder"):
        Chair().samples()
    with pytest.raises(InputError, match="no folder"):
        Chair(folder=tmp_path / "nowhere").samples()
    with pytest.raises(InputError, match=r"no instances_\*2014\.json"):
        Chair(folder=tmp_path).samples()


@pytest.mark.data("pope/captions_llava.json")
@pytest.mark.parametrize("scorer", SCORERS)
def test_two_thousand_real_captions(scorer):
    texts = [json.loads(line)["text"] for line in CAPTIONS.read_text().splitlines()]
    samples = [Sample(str(i), "", "", str(i), {"objects": ["person"]}) for i in range(2000)]
    answers = {str(i): Answer(str(i), text) for i, text in enumerate(texts)}
    assert len(answers) == 2000
    score = Chair(scorer=scorer).score(samples, answers)
    assert Chair.metrics["words"].of(score.totals) == pytest.approx(64.3, abs=0.05)
