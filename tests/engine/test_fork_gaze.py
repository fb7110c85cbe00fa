"""Where the model looks as it is asked is what the whole prompt's own attention maps say."""

from __future__ import annotations

import copy

import pytest
import torch
from transformers import AttentionInterface, AttentionMaskInterface

import families
from families import CACHE
from forks import GREEDY, QUESTIONS, TEXTS, batch_of, images, precise
from seesay.engine.prefix import CachedPrefix
from seesay.engine.probes import Gaze, observed
from seesay.engine.readout import middle_layers
from seesay.engine.state import GenerationState, ImageColumns
from seesay.errors import EngineError
from seesay.methods import AttentionLens, FarSight
from seesay.models.view import ModelView

FAMILY = pytest.mark.parametrize("name", families.FAMILIES)


def eager(view):
    model = copy.deepcopy(view.model)
    model.set_attn_implementation("eager")
    return model


def looked(model, view, name, question, pictures, word=""):
    """The oracle: the whole prompt's maps, each layer's n×n, of which one row is kept: that of
    `word`, or the last one."""
    batch = batch_of(view, name, [question], [pictures])
    maps = model(**batch, output_attentions=True).attentions
    assert len(maps) == 4
    middle = torch.stack([maps[layer][0].mean(0) for layer in (0, 1, 2)]).mean(0)
    ids = batch["input_ids"][0].tolist()
    place = ids.index(view.processor.tokenizer.convert_tokens_to_ids(word)) if word else -1
    return middle[place, view.image_columns(**batch)[0]]


def off(view, name, replies, questions=QUESTIONS, pictures=None, about=None):
    """The largest difference from the oracle, over all rows and questions."""
    model = eager(view)
    differences = []
    words = about or answering(questions)
    rows = zip(replies, pictures or images(name), questions, words, strict=True)
    for reply, its, asked, watched in rows:
        for k, question in enumerate(asked):
            wanted = looked(model, view, name, question, its, watched[k])
            assert reply.gaze[k].shape == wanted.shape
            differences.append((reply.gaze[k] - wanted).abs().max())
    return float(torch.stack(differences).max())


def answering(questions):
    """The row that answers, for every question."""
    return [[""] * len(its) for its in questions]


def attention_of(view):
    return view.decoder.config._attn_implementation


def left_behind():
    return [
        name
        for table in (AttentionInterface, AttentionMaskInterface)
        for name in table._global_mapping
        if name.startswith("seesay")
    ]


@FAMILY
def test_a_padded_batch_with_questions_of_every_length(name):
    view = precise(name)
    batch = batch_of(view, name)
    cache = view.model.generate(**batch, **GREEDY)[CACHE]
    fork = CachedPrefix.of(view, batch, cache, TEXTS)
    before, plain = attention_of(view), fork.logits(QUESTIONS)
    forwards = fork.cost.forwards
    replies = fork.replies(QUESTIONS, about=answering(QUESTIONS))
    assert fork.cost.forwards == forwards + 1
    assert off(view, name, replies) < 1e-5
    assert all(reply.gaze.dtype == torch.float32 for reply in replies)
    # The answers stay bit for bit what they are, and so does the model.
    assert all(torch.equal(r.logits, p) for r, p in zip(replies, plain, strict=True))
    assert attention_of(view) == before
    assert not left_behind()
    # Questions are looked for in different places, so the equality above says something.
    first, second = replies[0].gaze
    assert float((first - second).abs().max()) > 1e-3


@FAMILY
def test_the_row_of_a_word_of_the_question(name):
    view = precise(name)
    fork = CachedPrefix.fresh(view, batch_of(view, name), TEXTS)
    about = [["fork", ""], ["apple", "dog", "image"], ["yes"]]
    replies = fork.replies(QUESTIONS, about=about)
    assert off(view, name, replies, about=about) < 1e-5
    assert off(view, name, replies) > 1e-3, "another row than the one that answers"


def test_unasked_for_there_is_none():
    view = precise("llava")
    fork = CachedPrefix.fresh(view, batch_of(view, "llava"), TEXTS)
    assert [reply.gaze for reply in fork.replies(QUESTIONS)] == [None, None, None]
    asked = [[], ["is there a fork in the image ?"], []]
    replies = fork.replies(asked, about=answering(asked))
    assert [reply.gaze is None for reply in replies] == [True, False, True]
    assert off(view, "llava", replies, asked) < 1e-5


@pytest.mark.parametrize("kernel", ["sdpa", "eager"])
@pytest.mark.parametrize("method", [AttentionLens(alpha=3.0, layers=(0, 3)), FarSight()], ids=repr)
def test_aside_of_a_session(method, kernel):
    view, asked = precise("llava-gqa"), QUESTIONS[1:2]
    # Alone, since eager rows of padding are no numbers in float64.
    batch = batch_of(view, "llava-gqa", TEXTS[1:2], images("llava-gqa")[1:2])
    view.decoder.set_attn_implementation(kernel)
    try:
        with torch.no_grad(), method(view.model, processor=view.processor) as session:
            own = attention_of(view)
            assert own.startswith("seesay-")
            inside = view.model(**batch).logits
            with session.suspended():
                fork = CachedPrefix.fresh(view, batch, TEXTS[1:2])
                plain = fork.logits(asked)
                replies = fork.replies(asked, about=answering(asked))
                assert attention_of(view) == own
            assert torch.equal(view.model(**batch).logits, inside)
        assert attention_of(view) == kernel
        assert not left_behind()
        assert all(torch.equal(r.logits, p) for r, p in zip(replies, plain, strict=True))
        assert off(view, "llava-gqa", replies, asked, images("llava-gqa")[1:2]) < 1e-5
    finally:
        view.decoder.set_attn_implementation("sdpa")


def test_an_exception_leaves_the_model_as_it_was():
    view = precise("llava")
    fork = CachedPrefix.fresh(view, batch_of(view, "llava"), TEXTS)
    fork.logits(QUESTIONS)
    before = attention_of(view)

    def fail(*_):
        assert attention_of(view) != before
        raise ZeroDivisionError

    hook = view.decoder.register_forward_hook(fail)
    try:
        with pytest.raises(ZeroDivisionError):
            fork.replies(QUESTIONS, about=answering(QUESTIONS))
    finally:
        hook.remove()
    assert attention_of(view) == before
    assert not left_behind()


def test_capped_scores_are_refused():
    view = precise("llava")
    layer = view.decoder.layers[0].self_attn
    row = torch.zeros(1, 4, 1, 16, dtype=torch.float64)
    run = GenerationState(view, ImageColumns.of(torch.ones(1, 1, dtype=torch.bool)), 1)
    with observed(view, Gaze(torch.tensor([[0]]), [0]), run):
        attend = AttentionInterface._global_mapping[attention_of(view)]
        with pytest.raises(EngineError, match="caps its scores or has sinks"):
            attend(layer, row, row, row, torch.zeros(1, 1, 1, 1), softcap=30.0)


def test_half_precision_is_summed_in_float32():
    view = precise("llava")
    half = ModelView.of(copy.deepcopy(view.model).to(torch.bfloat16), view.processor)
    batch = batch_of(view, "llava")
    batch["pixel_values"] = batch["pixel_values"].to(torch.bfloat16)
    replies = CachedPrefix.fresh(half, batch, TEXTS).replies(QUESTIONS, about=answering(QUESTIONS))
    for reply in replies:
        assert reply.gaze.dtype == torch.float32
        assert torch.isfinite(reply.gaze).all()
        assert float(reply.gaze.sum(-1).max()) <= 1


@pytest.mark.parametrize(("layers", "first", "last"), [(32, 5, 18), (40, 6, 22), (4, 0, 2)])
def test_the_middle_layers(layers, first, last):
    middle = middle_layers(layers)
    assert (middle.start, middle.stop - 1) == (first, last)
