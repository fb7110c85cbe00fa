"""Object words, the tokens that wrote them, and how much to doubt each."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from seeing import calibration, logistic, record
from seesay.errors import InputError
from seesay.grounding import Vocabulary, Word, read
from seesay.grounding.risk import MARK_PROBABILITY, weigh
from seesay.grounding.scored_text import checked, decode
from seesay.grounding.scores import alignment, tokens_of

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


# ---- from a record to words ----------------------------------------------------------------


def test_reading_stops_at_the_end_of_the_text_and_scores_first_tokens() -> None:
    tokenizer = byte_tokenizer()
    ids = tokenizer("a fork, cats", add_special_tokens=False)["input_ids"]
    made = record([*ids, 0, 0])
    reading = read(
        made, 0, tokenizer=tokenizer, end_ids=frozenset([0]), vocabulary=COCO, calibration=None
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
    cut = read(made, 0, tokenizer=tokenizer, end_ids=frozenset(), vocabulary=COCO, calibration=None)
    assert not cut.ended


# ---- how much to doubt ---------------------------------------------------------------------


def test_without_calibration_ranks_stay_within_the_text() -> None:
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


def test_an_object_has_the_risk_of_its_first_mention() -> None:
    """Later mentions repeat the text and look safe whether or not the object is there."""
    text = "cat dog cats"
    words = [Word("cat", 0, 3), Word("dog", 4, 7), Word("cat", 8, 12)]
    scores = [{"logprob": lp, "svar": 1.0} for lp in (-3.0, -1.0, -0.001)]
    for fitted in (None, calibration()):
        cat, dog, again = weigh(text, words, [0, 1, 2], scores, fitted)
        assert (again.risk, again.doubtful) == (cat.risk, cat.doubtful)
        assert cat.risk > dog.risk
        assert cat.doubtful
        assert [m.scores["position"] for m in (cat, dog, again)] == [0, 1, 2]
        assert again.scores["logprob"] == -0.001  # its own scores stay


def test_a_calibrated_risk_is_the_logistic_and_marks_from_its_threshold_on() -> None:
    fitted = calibration(single=logistic(("svar", "position"), (-2.0, 0.5), threshold=0.4))
    words = [Word("cat", 0, 3), Word("dog", 4, 7)]
    for svar in (-1.0, 0.0, 0.3, 0.5, 2.0):
        scores = [{"logprob": -9.0, "svar": svar}, {"logprob": -9.0, "svar": svar}]
        for k, mention in enumerate(weigh("cat dog", words, [0, 1], scores, fitted)):
            by_hand = 1 / (1 + math.exp(2 * svar / 2 - 0.5 * k / 2))
            assert mention.risk == pytest.approx(by_hand, abs=1e-12)
            assert mention.doubtful == (by_hand >= 0.4)
            assert mention.calibrated


def test_a_checked_word_is_weighed_by_the_checked_model_and_keeps_what_it_looked_at() -> None:
    fitted = calibration(checked=logistic(("self_check",), (-2.0,), threshold=0.9))
    tokenizer = byte_tokenizer()
    ids = tokenizer("a fork, cats", add_special_tokens=False)["input_ids"]
    reading = read(
        record([*ids, 0]), 0, tokenizer=tokenizer, end_ids=frozenset([0]), vocabulary=COCO,
        calibration=fitted,
    )  # fmt: skip
    grid = np.ones((2, 2), np.float32)
    fork, cats = checked(reading, {"fork": 0.02}, fitted, {"fork": grid}).mentions
    before, _ = reading.mentions
    assert fork.scores == {**before.scores, "self_check": 0.02}
    assert fork.risk == pytest.approx(1 / (1 + math.exp(math.log(0.02 / 0.98))), abs=1e-9)
    assert fork.doubtful
    assert fork.layers == before.layers
    assert fork.own_layers == before.own_layers is not None
    assert (fork.heatmap, fork.heatmap_again) == (before.heatmap, grid)
    assert cats.heatmap_again is None
    assert cats == reading.mentions[1]  # not asked after: the single model still weighs it
    ranked = checked(reading, {"fork": 0.02, "cat": 0.9}, None).mentions
    assert not any(mention.calibrated for mention in ranked)
    assert {mention.risk for mention in ranked} == {0.0, 1.0}
