"""Suites by name, options in brackets, folders, missing pictures, and what benchmarks share."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from seesay.errors import InputError
from seesay.evaluate.benchmark import Answer, Sample
from seesay.evaluate.benchmarks import SUITES, present_pictures, suite
from seesay.evaluate.benchmarks.captions import METRICS as CAPTION_METRICS
from seesay.evaluate.benchmarks.files import find_files, read_json, read_rows
from seesay.evaluate.benchmarks.yes_no import METRICS as YES_NO_METRICS

ROW = {"image": "a.jpg", "text": "Is there a dog in the image?", "label": "yes"}


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "pope"
    folder.mkdir()
    rows = [json.dumps({"question_id": number, **ROW}) for number in range(4)]
    for sampling in ("random", "popular", "adversarial"):
        (folder / f"coco_pope_{sampling}.json").write_text("\n".join(rows))
    return tmp_path


def names(benchmarks):
    return [benchmark.name for benchmark in benchmarks]


def test_every_name_builds_what_it_says(tmp_path):
    for name, known in SUITES.items():
        built = suite(name, data=tmp_path)
        assert names(built) == list(known.members)
        assert known.needs_data == any(hasattr(b, "folder") for b in built)
        for benchmark in built:
            assert next(iter(benchmark.metrics))
            assert benchmark.kind in ("caption", "yes-no")


def test_names_options_and_order(data):
    text = "pope-popular(parser=lmms-eval, suffix='\\nOne-word.'), toy_captions(scenes=7), chair"
    popular, kept, broken, chair = suite(text, data=data, limit=3)
    assert names([popular, kept, broken, chair]) == [
        "pope-popular",
        "toy-captions-kept",
        "toy-captions-broken",
        "chair",
    ]
    assert (popular.parser, popular.suffix) == ("lmms-eval", "\nOne-word.")
    assert (kept.scenes, broken.scenes, chair.limit) == (7, 7, 3)
    assert len(popular.samples()) == len(kept.samples()) == 3


def test_an_option_goes_to_the_members_that_have_it():
    built = {b.name: b for b in suite("toy(parser=vcd, scenes=9, first_seed=5)")}
    assert built["toy-pope-random-kept"].parser == "vcd"
    assert built["toy-captions-broken"].scenes == 9
    assert {b.first_seed for b in built.values()} == {5}


def test_folders(tmp_path, data):
    (direct,) = suite("pope-random", data=data / "pope")
    (below,) = suite("pope-random", data=str(data))
    (mapped,) = suite("pope-random", data={"pope": data / "pope"})
    (written,) = suite(f"pope-random(folder='{data}/pope', images='{data}/x')", data=tmp_path)
    assert direct.samples()[0] == below.samples()[0] == mapped.samples()[0]
    assert written.samples()[0].picture == str(data / "x" / "a.jpg")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pop", "unknown suite 'pop'; did you mean pope"),
        ("toy-pope-rare-kept", "did you mean toy-pope"),
        ("pope(parsr=strict)", "unknown option 'parsr'; did you mean parser"),
        ("pope(parser=strickt)", "unknown parser 'strickt'; did you mean strict"),
        ("chair(scorer=nlkt)", "did you mean nltk"),
        ("chair(size=many)", "size='many' is not a whole number"),
        ("chair(size=True)", "size=True is not a whole number"),
        ("chair(cut_unfinished=1)", "cut_unfinished=1 is not True or False"),
        ("chair(folder=3)", "folder=3 is not a path"),
        ("pope(parser=[x])", "is not a plain value"),
        ("toy(scenes=0)", "scenes=0 is too small"),
        ("toy(first_seed=-1)", "first_seed=-1 is too small"),
        ("toy, toy-captions-kept", "names toy-captions-kept twice"),
        ("toy pope", "is not of the form"),
        ("toy + pope", "is not of the form"),
        ("pope('strict')", "is not of the form"),
        ("", "is not of the form"),
        ("amber(similarity=exact)", "unknown option 'similarity'"),
    ],
)
def test_texts_that_cannot_be_used(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        suite(text, data=tmp_path)


@pytest.mark.parametrize("data", [None, {}, {"pope": "x"}])
def test_a_suite_without_its_folder(data):
    with pytest.raises(InputError, match="chair needs a folder with its data: --data FOLDER or"):
        suite("chair", data=data)
    assert len(suite("toy", data=data)) == 8


def test_a_limit_below_one():
    with pytest.raises(InputError, match="limit=0 leaves nothing to ask"):
        suite("toy", limit=0)


def test_pictures_that_are_missing(tmp_path):
    (tmp_path / "a.jpg").touch()
    files = [str(tmp_path / name) for name in ("a.jpg", "b.jpg", "c.jpg", "b.jpg")]
    samples = [Sample(str(i), picture, "", picture) for i, picture in enumerate(files)]
    samples.append(Sample("drawn", "toy:kept/1", "", "toy:kept/1"))
    kept, missing = present_pictures(samples, skip_missing=True)
    assert [sample.id for sample in kept] == ["0", "drawn"]
    assert missing == files[1:3]
    with pytest.raises(
        InputError, match=r"2 of 4 pictures are missing: .*b\.jpg, .*c\.jpg; .*skip"
    ):
        present_pictures(samples)
    with pytest.raises(InputError, match="1 of 1 pictures are missing"):
        present_pictures(samples[1:2], skip_missing=True)
    many = [Sample(str(i), f"/none/{i}", "", "") for i in range(9)]
    with pytest.raises(InputError, match="and 4 more"):
        present_pictures(many)


def test_metrics_take_arrays_of_sums(data):
    """As the bootstrap gives them: one sum a draw."""
    rng = np.random.default_rng(0)
    for benchmark in (*suite("toy-captions-kept"), *suite("pope-random,amber,mme", data=data)):
        columns = _columns(benchmark)
        draws = {column: rng.integers(1, 50, size=(3, 4)).astype(float) for column in columns}
        one = {column: values[1, 2] for column, values in draws.items()}
        for metric in benchmark.metrics.values():
            assert metric.of(draws).shape == (3, 4)
            assert metric.of(draws)[1, 2] == pytest.approx(metric.of(one), nan_ok=True)


def _columns(benchmark):
    from seesay.evaluate.benchmarks import amber, amber_yes_no, captions, mme, yes_no

    known = (captions.COLUMNS, yes_no.COLUMNS, amber.COLUMNS, amber_yes_no.COLUMNS, mme.COLUMNS)
    return [column for columns in known for column in columns]


def test_benchmarks_without_any_answer_have_no_rows():
    for benchmark in suite("toy", limit=2):
        score = benchmark.score(benchmark.samples(), {})
        assert score.counts.shape[0] == 0
        assert score.remarks == {"missing": 2}
        known = CAPTION_METRICS if benchmark.kind == "caption" else YES_NO_METRICS
        for metric in known.values():
            assert np.isnan(metric.of(score.totals))


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_json(tmp_path / "none.json")
    (tmp_path / "list.json").write_text("[1]")
    with pytest.raises(InputError, match="record 1: 1 is no object"):
        read_rows(tmp_path / "list.json")
    with pytest.raises(InputError, match="no folder"):
        find_files(tmp_path / "none", ["*"])


def test_naming_suites_needs_no_model_library():
    code = (
        "import sys; from seesay.evaluate.benchmarks import suite; suite('toy, chair', data='.')\n"
        "sys.exit(bool({'torch', 'transformers', 'nltk', 'datasets'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_answers_of_another_order_give_the_same_score():
    (benchmark,) = suite("toy-captions-kept", limit=3)
    samples = benchmark.samples()
    answers = {s.id: Answer(s.id, "There is a cow and a fork.") for s in samples}
    forth = benchmark.score(samples, answers)
    back = benchmark.score(samples, dict(reversed(answers.items())))
    assert forth.clusters == back.clusters == tuple(s.cluster for s in samples)
    assert (forth.counts == back.counts).all()
