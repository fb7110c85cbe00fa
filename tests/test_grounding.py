"""Object words, their scores and their ranks."""

from __future__ import annotations

import itertools
import json
import math
import random

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from seesay.engine import Record
from seesay.errors import InputError, ModelError
from seesay.grounding import Reference, Vocabulary, Word, read
from seesay.grounding.reading import decode
from seesay.grounding.risk import MARK, MARK_PROBABILITY, REFERENCE_FILE, weigh
from seesay.grounding.scores import alignment, score_token, svar_layers, tokens_of

COCO = Vocabulary.coco()


def found(text: str, vocabulary: Vocabulary = COCO) -> list[tuple[str, str]]:
    return [(text[w.start : w.end], w.name) for w in vocabulary.find(text)]


# ---- words ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A fork.", [("fork", "fork")]),
        ("Two KNIVES and three Mice", [("KNIVES", "knife"), ("Mice", "mouse")]),
        ("a hot dog near a dog", [("hot dog", "hot dog"), ("dog", "dog")]),
        ("dining  tables", [("dining  tables", "dining table")]),
        ("a dining\ntable", [("dining\ntable", "dining table")]),
        ("forklift, carpet, man-made, buses", [("buses", "bus")]),
        ("a train station", []),
        ("an orange cat", [("cat", "cat")]),
        ("an orange and a cat", [("orange", "orange"), ("cat", "cat")]),
        ("a baby elephant", [("baby elephant", "elephant")]),
        ("a teddy bear, a bear", [("teddy bear", "teddy bear"), ("bear", "bear")]),
        ("policemen? two women", [("policemen", "person"), ("women", "person")]),
        ("wine glasses, scissors, skis", [
            ("wine glasses", "wine glass"), ("scissors", "scissors"), ("skis", "skis"),
        ]),
        ("a double-decker; a car-like cat", [("double-decker", "bus"), ("cat", "cat")]),
        ("", []),
    ],
)  # fmt: skip
def test_coco_words(text: str, expected: list[tuple[str, str]]) -> None:
    assert found(text) == expected


def test_coco_has_its_eighty_classes_and_each_is_found_by_its_name() -> None:
    assert len(COCO.classes) == 80
    for name in COCO.classes:
        assert found(f"There is a {name} here.") == [(name, name)]


def test_every_toy_surface_is_found_as_its_class() -> None:
    toy = Vocabulary.toy()
    for surface, name in toy.surfaces.items():
        assert found(f"Here: {surface}.", toy) == [(surface, name)]


def test_spans_never_overlap_and_point_at_the_surface() -> None:
    rng = random.Random(0)
    surfaces = sorted(COCO.surfaces)
    text = ", ".join(rng.choice(surfaces) for _ in range(400))
    words = COCO.find(text)
    assert len(words) > 380  # the rest are colours and phrases
    for word, following in itertools.pairwise(words):
        assert word.end <= following.start
    for word in words:
        assert COCO.surfaces[text[word.start : word.end]] == word.name


def test_own_vocabulary(tmp_path: object) -> None:
    own = Vocabulary.of({"unicorn": ["magic horse"], "berry": []})
    assert found("Two unicorns, a magic horse, berries", own) == [
        ("unicorns", "unicorn"),
        ("magic horse", "unicorn"),
        ("berries", "berry"),
    ]


def test_vocabulary_from_a_file(tmp_path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("widget, gizmo\n\ndoodad\n", encoding="utf-8")
    vocabulary = Vocabulary.read(file)
    assert vocabulary.name == "mine"
    assert found("gizmos and a doodad", vocabulary) == [("gizmos", "widget"), ("doodad", "doodad")]
    file.write_text("\n", encoding="utf-8")
    with pytest.raises(InputError, match="no classes"):
        Vocabulary.read(file)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot read the vocabulary"):
        Vocabulary.read(file)
    with pytest.raises(InputError, match=r"nope\.txt"):
        Vocabulary.read(tmp_path / "nope.txt")


# ---- tokens --------------------------------------------------------------------------------


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level pieces: " fork" is one token, everything else goes byte by byte."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("Ġ", "f"), ("Ġf", "o"), ("Ġfo", "r"), ("Ġfor", "k"), ("c", "a")]
    words = ["</s>", *alphabet, *("".join(pair) for pair in merges)]
    model = models.BPE({word: index for index, word in enumerate(words)}, merges)
    backend = Tokenizer(model)
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="</s>")


@pytest.mark.parametrize("text", ["a café 🙂 fork.", "fork", "日本 fork 語", " padded fork ", ""])
def test_token_spans_tile_the_text(text: str) -> None:
    tokenizer = byte_tokenizer()
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    written, spans = decode(tokenizer, ids)
    assert written == text.strip()
    assert len(spans) == len(ids)
    assert "".join(written[start:end] for start, end in spans) == written
    assert all(before[1] == after[0] for before, after in itertools.pairwise(spans))


def test_a_words_tokens_are_those_that_wrote_it() -> None:
    tokenizer = byte_tokenizer()
    text = "é🙂 fork forks"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    written, spans = decode(tokenizer, ids)
    pieces = tokenizer.convert_ids_to_tokens(ids)
    for word in Vocabulary.of({"fork": []}).find(written):
        tokens = tokens_of((word.start, word.end), spans)
        assert pieces[tokens.start] == "Ġfork"
        joined = "".join(written[slice(*spans[k])] for k in tokens)
        assert joined.strip() == written[word.start : word.end]


def test_special_tokens_inside_a_text_write_nothing() -> None:
    tokenizer = byte_tokenizer()
    ids = tokenizer("a fork", add_special_tokens=False)["input_ids"]
    written, spans = decode(tokenizer, [ids[0], 0, *ids[1:]])
    assert written == "a fork"
    assert spans == [(0, 1), (1, 1), (1, 6)]


def test_alignment_of_a_decoder_that_rewrites_its_end() -> None:
    # While a character is incomplete, decoders show a replacement character in its place.
    assert alignment(["a", "a\ufffd", "a\ufffd", "aé", "aéb"]) == [
        (0, 1), (1, 1), (1, 1), (1, 2), (2, 3),
    ]  # fmt: skip
    assert alignment([]) == []


# ---- scores --------------------------------------------------------------------------------


def record(tokens: list[int], layers: int = 4, heads: int = 2) -> Record:
    generator = torch.Generator().manual_seed(3)
    shape = (1, len(tokens))
    return Record(
        tokens=torch.tensor([tokens]),
        logprob=-torch.rand(shape, generator=generator),
        plain_logprob=-torch.rand(shape, generator=generator),
        entropy=torch.rand(shape, generator=generator),
        var=torch.rand(*shape, layers, heads, generator=generator),
        image_attention=torch.rand(*shape, 16, generator=generator),
    )


@pytest.mark.parametrize(
    ("layers", "expected"), [(32, (5, 18)), (40, (6, 22)), (8, (1, 4)), (4, (0, 2)), (1, (0, 0))]
)
def test_svar_layers_follow_relative_depth(layers: int, expected: tuple[int, int]) -> None:
    assert svar_layers(layers) == expected


def test_scores_of_a_token_by_hand() -> None:
    made = record([5, 6, 7])
    scores = score_token(made, 0, 1, (1, 2))
    by_hand = sum(made.var[0, 1, layer, head].item() / 2 for layer in (1, 2) for head in (0, 1))
    assert scores["svar"] == pytest.approx(by_hand, abs=1e-6)
    assert scores["logprob"] == made.plain_logprob[0, 1].item()  # the model's own, not the fold's
    assert scores["entropy"] == made.entropy[0, 1].item()
    with pytest.raises(InputError, match="layers 1 to 4 are outside the model's 4 layers"):
        score_token(made, 0, 1, (1, 4))


def test_reading_stops_at_the_end_of_the_text_and_scores_first_tokens() -> None:
    tokenizer = byte_tokenizer()
    ids = tokenizer("a fork, cats", add_special_tokens=False)["input_ids"]
    made = record([*ids, 0, 0])
    reading = read(
        made, 0, tokenizer=tokenizer, end_ids=frozenset([0]), vocabulary=COCO, reference=None
    )
    assert reading.text == "a fork, cats"
    assert reading.ended
    assert [token.id for token in reading.tokens] == ids
    fork, cats = reading.mentions
    assert (fork.word, fork.name, fork.span, fork.token) == ("fork", "fork", (2, 6), 1)
    assert (cats.word, cats.name, cats.span) == ("cats", "cat", (8, 12))
    assert tokenizer.decode([ids[cats.token]]) == "ca"  # its first piece, not the last one
    assert cats.scores["logprob"] == made.plain_logprob[0, cats.token].item()
    assert (fork.scores["position"], cats.scores["position"]) == (0, 1)
    cut = read(made, 0, tokenizer=tokenizer, end_ids=frozenset(), vocabulary=COCO, reference=None)
    assert not cut.ended


# ---- ranks ---------------------------------------------------------------------------------


def true_scores(count: int, seed: int = 0) -> list[dict[str, float]]:
    rng = random.Random(seed)
    return [
        {"logprob": math.log(rng.random() + 1e-9), "svar": rng.gauss(1, 0.2)} for _ in range(count)
    ]


def reference(count: int = 4000, revision: str | None = "r1") -> Reference:
    return Reference.fit(
        true_scores(count), model="m", revision=revision, layers=(0, 2), made_from="a test"
    )


def test_risk_is_a_rank_among_true_mentions() -> None:
    fitted = reference()
    fresh = [fitted.risk(scores) for scores in true_scores(4000, seed=1)]
    # Ranks of more true mentions are uniform, so the mark takes about 1 - MARK of them.
    assert sum(risk >= MARK for risk in fresh) / len(fresh) == pytest.approx(1 - MARK, abs=0.02)
    assert sum(risk < 0.5 for risk in fresh) / len(fresh) == pytest.approx(0.5, abs=0.03)


def test_risk_falls_with_probability_and_with_attention_and_stays_in_range() -> None:
    fitted = reference()
    grid = [[fitted.risk({"logprob": lp, "svar": sv}) for sv in (0.2, 0.9, 1.1, 1.8)]
            for lp in (-9.0, -2.0, -0.5, -0.01)]  # fmt: skip
    for row in grid:
        assert row == sorted(row, reverse=True)
    for column in zip(*grid, strict=True):
        assert list(column) == sorted(column, reverse=True)
    assert fitted.risk({"logprob": -99.0, "svar": -9.0}) == 1.0
    assert fitted.risk({"logprob": 0.0, "svar": 9.0}) == 0.0
    assert fitted.risk({"logprob": math.nan, "svar": math.nan}) == 1.0  # no evidence, full doubt


def test_reference_round_trip_and_revision(tmp_path) -> None:
    fitted = reference()
    (tmp_path / REFERENCE_FILE).write_text(fitted.model_dump_json(), encoding="utf-8")
    assert Reference.find(tmp_path, "r1") == fitted
    assert Reference.find(tmp_path, "r2") is None  # other weights: its ranks would mean nothing
    assert Reference.find(tmp_path / "elsewhere", "r1") is None
    assert "not probabilities" in str(fitted)


@pytest.mark.parametrize(
    "damage",
    [
        lambda r: "{",
        lambda r: "[]",
        lambda r: json.dumps({**r, "svar": r["svar"][::-1]}),
        lambda r: json.dumps({**r, "logprob": []}),
        lambda r: json.dumps({k: v for k, v in r.items() if k != "doubt"}),
        lambda r: json.dumps({**r, "mentions": 0}),
    ],
)
def test_a_damaged_reference_is_refused_with_a_remedy(tmp_path, damage) -> None:
    file = tmp_path / REFERENCE_FILE
    file.write_text(damage(reference().model_dump(mode="json")), encoding="utf-8")
    with pytest.raises(ModelError, match="make it anew") as caught:
        Reference.find(tmp_path, "r1")
    assert "\n" not in str(caught.value)


def test_without_reference_ranks_stay_within_the_text() -> None:
    text = "cat dog cow"
    words = [Word("cat", 0, 3), Word("dog", 4, 7), Word("cow", 8, 11)]
    logprobs = [-0.1, -5.0, -1.0]
    scores = [{"logprob": lp, "entropy": 1.0, "svar": 1.0} for lp in logprobs]
    cat, dog, cow = weigh(text, words, [0, 1, 2], scores, None)
    assert (cat.risk, dog.risk, cow.risk) == (0.0, 1.0, 0.5)
    assert [m.doubtful for m in (cat, dog, cow)] == [False, True, False]
    assert not any(m.calibrated for m in (cat, dog, cow))
    assert math.exp(-1.0) > MARK_PROBABILITY > math.exp(-5.0)
    (only,) = weigh(text, words[:1], [0], scores[:1], None)
    assert only.risk == 0.5  # a rank among one says nothing
    same = weigh(text, words, [0, 1, 2], [scores[0]] * 3, None)
    assert {m.risk for m in same} == {0.5}


def test_with_reference_the_mark_is_the_rank() -> None:
    fitted = reference()
    words = [Word("cat", 0, 3), Word("dog", 4, 7)]
    scores = [{"logprob": -0.01, "entropy": 0.1, "svar": 1.4},
              {"logprob": -6.0, "entropy": 2.0, "svar": 0.6}]  # fmt: skip
    cat, dog = weigh("cat dog", words, [0, 1], scores, fitted)
    assert not cat.doubtful
    assert dog.doubtful
    assert dog.risk >= MARK > cat.risk
    # Just above the mark and just below it.
    steps = [{"logprob": -k / 100, "entropy": 0.1, "svar": 1.0} for k in range(1, 900)]
    mentions = [weigh("cat", words[:1], [0], [step], fitted)[0] for step in steps]
    assert {m.doubtful for m in mentions} == {True, False}
    assert all(m.doubtful == (m.risk >= MARK) for m in mentions)
    assert any(MARK <= m.risk < MARK + 0.05 for m in mentions)
