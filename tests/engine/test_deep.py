"""The deep readout against loops over transformers' own hidden states and maps; texts that are read
against the same texts generated."""

from __future__ import annotations

import math

import pytest
import torch

import families
import oracles
from seesay.engine import Stack
from seesay.engine.deep import dispersion, neighbours
from seesay.engine.readout import divergence
from seesay.engine.state import ImageColumns
from seesay.errors import EngineError, InputError
from seesay.methods import AGLA, AttentionLens, VASparse
from seesay.models.view import ModelView

FAMILY = pytest.mark.parametrize("name", families.ALL)
GREEDY = {"max_new_tokens": 6, "do_sample": False}


@FAMILY
def test_a_text_is_read_as_it_was_written(name):
    model, processor = families.build(name)
    prompts = families.inputs(name, model, processor, ["a dog ?"], [families.pictures(1)])
    with Stack()(model, readout="deep") as session:
        sequences = model.generate(**prompts, **GREEDY)
        said = session.record
        tokens = sequences[0, prompts["input_ids"].shape[1] :]
        read = session.read(tokens, **prompts)
    assert torch.equal(read.tokens, said.tokens)
    for field in (
        "logprob", "plain_logprob", "entropy", "first", "var", "image_attention",
        "text_attention", "dispersion", "consistency", "confidence",
    ):  # fmt: skip
        own, other = getattr(said, field), getattr(read, field)
        if field == "dispersion" and name in families.Q_FORMERS:
            assert own is other is None  # nothing of a query lies somewhere on the picture
            continue
        assert own.shape == other.shape, field
        assert (own - other).abs().nan_to_num().max() < 1e-4, field
        assert torch.equal(own.isnan(), other.isnan()), field
    assert not said.var.isnan().any()
    assert said.text_attention[0, 0] == 0
    assert (said.text_attention[0, 1:] > 0).all()


@FAMILY
@pytest.mark.parametrize("beams", [1, 3])
def test_hidden_states_are_read_as_the_papers_say(name, beams):
    model, _, batch = oracles.built(name)
    view = ModelView.of(model)
    with Stack()(model, readout="deep") as session:
        sequences = model.generate(**batch, **GREEDY, num_beams=beams)
        record = session.record
    start = batch["input_ids"].shape[1]
    truth = forced(model, batch, sequences)
    image = view.image_columns(sequences)
    for row in range(len(sequences)):
        columns = image[row].nonzero()[:, 0]
        best = torch.zeros(view.vocabulary)
        for layer in range(view.n_layers):
            states = truth[layer][row]
            for column in columns:
                share = view.head(view.lens.norm(states[column])).softmax(-1)
                best = torch.maximum(best, share)
            for step in range(record.tokens.shape[1]):
                own = states[start - 1 + step]
                cosines = torch.cosine_similarity(own[None], states[columns])
                wanted = cosines.sort(descending=True).values[:5].mean()
                assert abs(wanted - record.consistency[row, step, layer]) < 1e-4
        assert (record.confidence[row] - best[record.tokens[row]]).abs().max() < 1e-4


def forced(model, batch, sequences):
    """Each layer's output over the whole text, by hooks of the test's own."""
    from test_readout import teacher_forced

    found = {}
    hooks = [
        layer.register_forward_hook(
            lambda _, __, out, i=i: found.update({i: out[0] if isinstance(out, tuple) else out})
        )
        for i, layer in enumerate(ModelView.of(model).layers)
    ]
    try:
        teacher_forced(model, batch, sequences)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def groups(grid):
    """Connected groups (eight neighbours) of the true cells of a grid, by flood fill."""
    left, found = {tuple(c) for c in grid.nonzero().tolist()}, []
    while left:
        todo, group = [left.pop()], set()
        while todo:
            y, x = todo.pop()
            group.add((y, x))
            near = {(y + a, x + b) for a in (-1, 0, 1) for b in (-1, 0, 1)} & left
            left -= near
            todo += near
        found.append(group)
    return found


def grid_neighbours(height, width):
    at = torch.arange(height * width).view(height, width)
    out = torch.full((1, height * width, 8), -1)
    steps = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if a or b]
    for y in range(height):
        for x in range(width):
            for k, (a, b) in enumerate(steps):
                if 0 <= y + a < height and 0 <= x + b < width:
                    out[0, at[y, x], k] = at[y + a, x + b]
    return out


@pytest.mark.parametrize("seed", range(6))
def test_dispersion_is_the_flood_fill(seed):
    generator = torch.Generator().manual_seed(seed)
    height, width = (6, 9) if seed % 2 else (10, 10)
    values = torch.rand(1, 3, height * width, generator=generator) ** 3
    got = dispersion(
        values, grid_neighbours(height, width), torch.ones(1, height * width, dtype=torch.bool)
    )
    for layer in range(3):
        flat = values[0, layer]
        count = math.ceil(height * width / 10)
        top = flat >= flat.sort(descending=True).values[count - 1]
        kept = [g for g in groups(top.view(height, width)) if len(g) > 1]
        mass = sum(float(flat[y * width + x]) for g in kept for y, x in g) / float(flat.sum())
        rest = flat[~top] / flat[~top].sum()
        assert abs(got[0, layer, 0] - mass) < 1e-5
        assert abs(got[0, layer, 1] + (rest * rest.log()).sum()) < 1e-4


@pytest.mark.parametrize("name", families.FAMILIES)
def test_patches_touch_within_their_crop(name):
    model, processor = families.build(name)
    batch = families.batch_of_three(name, model, processor)
    view = ModelView.of(model, processor)
    image = ImageColumns.of(view.image_columns(**batch))
    found = neighbours(view, batch, image)
    for row in range(len(found)):
        for place in range(found.shape[1]):
            for other in found[row, place]:
                if other >= 0:  # touching goes both ways, between image columns
                    assert place in found[row, other]
                    assert image.mask[row, image.start + other]


def test_disagreement_is_the_divergence_of_the_streams():
    model, _, batch = oracles.built("llava")
    with AGLA()(model, readout=True) as session:
        model.generate(**batch, **GREEDY)
        streams = session.record.disagreement
    assert ((streams > 0) & (streams < math.log(2) + 1e-5)).all()
    with Stack()(model, readout=True) as session:
        model.generate(**batch, **GREEDY)
        assert session.record.disagreement is None
    p, q = torch.tensor([[0.5, 0.5, 0.0]]), torch.tensor([[0.1, 0.2, 0.7]])
    m = (p + q) / 2
    wanted = sum((x * (x / m).log()).nansum() for x in (p, q)) / 2
    assert abs(divergence(p.log(), q.log())[0] - wanted) < 1e-6


def test_what_cannot_be_read_is_refused():
    model, _, batch = oracles.built("llava")
    tokens = torch.tensor([5, 6, 7])
    one = {name: value[:1] for name, value in batch.items()}
    refused = pytest.raises(EngineError, match="one new token at a time")
    with AttentionLens()(model, readout=True) as session, refused:
        session.read(tokens, **one)
    with Stack()(model, readout=True) as session:
        with pytest.raises(InputError, match="one prompt at a time"):
            session.read(tokens, **batch)
        with pytest.raises(InputError, match="split the text"):
            session.read(torch.zeros(100_000, dtype=torch.long), **one)


def test_under_a_compacted_cache_the_rest_is_still_read():
    model, _, batch = oracles.built("llava")
    method = VASparse(candidates="all", keep=0.5, every=2)
    with method(model, readout="deep") as session:
        model.generate(**batch, **GREEDY)
        record = session.record
    assert not record.consistency.isnan().any()
    assert record.image_attention[:, -1].isnan().all()
