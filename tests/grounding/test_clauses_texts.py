"""Leaving clauses out of many texts: the bundled model's grammar, real captions, any words."""

from __future__ import annotations

import json
import random
import re

import pytest

from experiments.toy_model.captions import caption, well_formed, well_formed_parts
from paths import DATA
from seesay.grounding.clauses import Left, leave_out, sentences
from seesay.grounding.vocabulary import Vocabulary, Word
from seesay.toy import scene

TOY, COCO = Vocabulary.toy(), Vocabulary.coco()


def leave(text: str, words: list[Word], failing: set[str]) -> Left:
    spans = [(w.start, w.end) for w in words if w.name in failing]
    others = [(w.start, w.end) for w in words if w.name not in failing]
    left = leave_out(text, spans, others)
    agrees(text, left, spans, others)
    return left


def agrees(
    text: str, left: Left, spans: list[tuple[int, int]], others: list[tuple[int, int]]
) -> None:
    """What the result says of itself is so."""
    assert all(left.moved(span) is None for span in spans)
    for k, span in enumerate(others):
        moved = left.moved(span)
        assert (moved is None) == (k in left.lost)
        if moved is not None:
            assert left.text[slice(*moved)].lower() == text[slice(*span)].lower()
    end = 0
    for removal in left.removed:
        assert end <= removal.start < removal.end
        end = removal.end


def toy_captions(count: int) -> list[tuple[str, list[Word], set[str]]]:
    """Captions of drawn scenes, their words, and some of their classes at random."""
    drawn = []
    for seed in range(count):
        rng = random.Random(seed)
        text = caption(scene(rng.choice(["kept", "broken"]), seed), rng)
        words = TOY.find(text)
        share = rng.choice([0.1, 0.3, 0.5, 0.8])
        drawn.append((text, words, {w.name for w in words if rng.random() < share}))
    return drawn


def test_the_bundled_grammar_stays_well_formed_and_loses_no_innocent_object() -> None:
    drawn = toy_captions(600)
    spoken = 0
    for text, words, failing in drawn:
        assert well_formed(text)
        left = leave(text, words, failing)
        kept = {word.name for word in TOY.find(left.text)}
        assert kept == {word.name for word in words} - failing
        if left.text:
            spoken += 1
            assert well_formed_parts(left.text), (text, failing, left.text)
    assert spoken > 500


def test_parts_of_the_grammar_know_what_is_broken() -> None:
    assert well_formed_parts("The image shows a kitchen scene. There is a red fork.")
    for broken in ("There is.", "The image shows a kitchen scene with.", "A red fork is.", ""):
        assert not well_formed_parts(broken)


def test_a_growing_text_only_grows() -> None:
    for text, words, failing in toy_captions(100):
        whole = leave(text, words, failing).text
        for _, end in sentences(text):
            begun = leave(text[:end], [w for w in words if w.end <= end], failing).text
            assert whole.startswith(begun)


def test_twice_is_once() -> None:
    for text, words, failing in toy_captions(100):
        left = leave(text, words, failing)
        again = TOY.find(left.text)
        assert leave(left.text, again, failing).text == left.text


def real_captions() -> list[str]:
    path = DATA / "pope" / "captions_llava.json"
    if not path.exists():
        pytest.skip("the real captions are not here")
    return [json.loads(line)["text"] for line in path.read_text().splitlines()]


# No English sentence has these: a word that opens something before a stop, two articles, commas
# with nothing between.
BROKEN = re.compile(
    r"\b(?:of|with|from|between|and|or|the|a|an|is|are|to|that|which|while|as|including|such as)"
    r"[.;]"
    r"|\b(?:an?|the) (?:an?|the|of|with|on|and|is|are|that|which|by)\b|\b(\w+) \1\b"
    r"|,\s*[,.]|\s[,.]|\bis (?:and|or|while|but)\b|\(\s*\)|  ",
    re.IGNORECASE,
)


def test_real_captions_show_no_known_break() -> None:
    rng = random.Random(11)
    breaks, touched = [], 0
    for text in real_captions()[::4]:
        words = COCO.find(text)
        failing = {name for name in sorted({w.name for w in words}) if rng.random() < 0.3}
        left = leave(text, words, failing)
        touched += bool(left.removed)
        here = BROKEN.search(left.text)
        if here and not BROKEN.search(text):
            breaks.append(left.text[max(0, here.start() - 40) : here.end() + 20])
        for a, b in sentences(left.text):
            assert left.text[a:b][0] == left.text[a:b][0].upper()
    assert touched > 200
    assert len(breaks) <= 0.01 * touched, breaks


def test_any_words_in_any_order_are_survived() -> None:
    rng = random.Random(0)
    pieces = re.findall(
        r"\S+",
        "a the two of with and or , . ; ( ) \" ' 's is are there it who which that while as to on "
        "in next between both either holding placed sits sit dog cats fork man's tables red not",
    )
    for _ in range(1500):
        text = " ".join(rng.choice(pieces) for _ in range(rng.randrange(1, 30)))
        words = COCO.find(text)
        left = leave(text, words, {"dog", "fork", "person"})
        assert not {"dog", "fork", "person"} & {word.name for word in COCO.find(left.text)}
