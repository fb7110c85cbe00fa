"""The drawn scenes as benchmarks."""

from __future__ import annotations

import json

import pytest

from seesay import toy
from seesay.errors import InputError
from seesay.evaluate.benchmark import Answer
from seesay.evaluate.benchmarks import suite
from seesay.evaluate.benchmarks.toy import FIRST_SEED, ToyCaptions, ToyPope


@pytest.mark.parametrize("split", ["kept", "broken"])
def test_captions_know_what_is_drawn(split):
    benchmark = ToyCaptions(split=split, scenes=4, first_seed=11)
    samples = benchmark.samples()
    assert [s.picture for s in samples] == [f"toy:{split}/{seed}" for seed in range(11, 15)]
    for sample in samples:
        scene = toy.scene(split, int(sample.id))
        assert sample.truth == {"objects": sorted(scene.present)}
        assert sample.cluster == sample.picture
    assert benchmark.name == f"toy-captions-{split}"


def test_a_caption_is_counted_by_its_words():
    benchmark = ToyCaptions(scenes=1)
    (sample,) = benchmark.samples()
    there = sample.truth["objects"]
    missing = next(name for name in toy.OBJECTS if name not in there)
    text = f"There is a {there[0]} and a {there[0]}. There are two {toy.plural(missing)}. A dragon."
    score = benchmark.score([sample], {sample.id: Answer(sample.id, text)})
    assert score.totals["mentions"] == 3
    assert score.totals["hallucinated"] == score.totals["hallucinated_captions"] == 1
    assert score.totals["found"] == 1
    assert score.totals["there"] == len(there)
    assert score.parsed[sample.id]["invented"] == [[toy.plural(missing), missing]]


@pytest.mark.parametrize("sampling", ["random", "popular", "adversarial"])
@pytest.mark.parametrize("split", ["kept", "broken"])
def test_questions_are_true_and_balanced_in_every_prefix(sampling, split):
    samples = ToyPope(sampling=sampling, split=split, questions=42).samples()
    assert len(samples) == 42
    for sample in samples:
        scene = toy.scene(split, int(sample.id.split("-")[0]))
        assert (sample.truth["object"] in scene.present) == (sample.truth["label"] == "yes")
        assert sample.prompt == toy.question(sample.truth["object"])
    labels = [sample.truth["label"] for sample in samples]
    assert all(labels[:n].count("yes") == n // 2 for n in range(0, 43, 2))


def test_a_limit_gives_the_beginning_of_the_whole():
    whole = ToyPope(sampling="popular", questions=30).samples()
    assert ToyPope(sampling="popular", questions=30, limit=11).samples() == whole[:11]
    assert ToyPope(sampling="popular", questions=11).samples() == whole[:11]


def test_samplings_ask_the_same_about_what_is_there():
    asked = [ToyPope(sampling=s, questions=20).samples()[::2] for s in ("random", "adversarial")]
    assert asked[0] == asked[1]


def test_answers_are_read_strictly():
    benchmark = ToyPope(questions=4)
    samples = benchmark.samples()
    texts = ["Yes.", "No.", "Yes, there is.", "Perhaps."]
    answers = {s.id: Answer(s.id, text) for s, text in zip(samples, texts, strict=True)}
    totals = benchmark.score(samples, answers).totals
    assert (totals["right"], totals["unparsed"]) == (3, 1)


def test_the_suite_has_its_size_and_its_own_seeds():
    built = suite("toy")
    assert [len(b.samples()) for b in built] == [500] * 8
    seeds = {int(s.picture.rpartition("/")[2]) for b in built for s in b.samples()}
    assert min(seeds) == FIRST_SEED == 2_000_000
    assert max(seeds) < 7_000_000
    for benchmark in built:
        assert json.loads(json.dumps(benchmark.protocol()))["first_seed"] == FIRST_SEED


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ToyCaptions(split="brokn"), "unknown split 'brokn'; did you mean broken"),
        (lambda: ToyPope(sampling="randm"), "did you mean random"),
        (lambda: ToyPope(questions=0), "questions=0 is too small"),
        (lambda: ToyPope(first_seed=-1), "first_seed=-1"),
    ],
)
def test_options_are_checked(make, message):
    with pytest.raises(InputError, match=message):
        make()
