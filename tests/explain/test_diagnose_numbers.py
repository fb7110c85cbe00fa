"""What a diagnosis notes is what transformers' own eager attention says, in every family."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import families
from seeing import vlm_of
from seesay.engine import Stack
from seesay.explain.diagnose.attention_shares import HALVES, AttentionShares, Distances, Fading
from seesay.explain.diagnose.heads import HeadMaps
from seesay.explain.diagnose.object_attention import ObjectAttention, ObjectLens
from seesay.explain.diagnose.sinks import IMAGE_TOKENS, THRESHOLD, SinkColumns
from seesay.explain.diagnose.sparsity import GRID, HELD, SINK, Sorted, TextSinks
from seesay.explain.diagnose.text_probe import Batch, read
from seesay.explain.diagnose.token_types import BACKGROUND, KINDS, PICTURE, kinds
from seesay.explain.diagnose.types import DescribedImage, NamedWord
from seesay.methods import EAH, FarSight

PROMPT = "what is in the picture ?"
NEAR = {"rtol": 0, "atol": 1e-5}
TEXTS = ((20, 31, 108, 42, 25, 60, 108, 77, 33), (50, 21, 64), ())
WORDS = ((0, 4), (1,), ())


class Read:
    """Three pictures, texts of nine, three and no tokens, and the eager model's own outputs."""

    def __init__(self, family) -> None:
        told = [
            DescribedImage(
                str(k),
                ids,
                tuple(NamedWord("cup", at, n + 1, bool(n)) for n, at in enumerate(own)),
                1,
            )
            for k, (ids, own) in enumerate(zip(TEXTS, WORDS, strict=True))
        ]
        self.view = family.view
        self.batch = Batch.of(vlm_of(family), told, families.pictures(3), PROMPT)
        decoder, before = self.view.decoder, self.view.decoder.config._attn_implementation
        decoder.set_attn_implementation("eager")
        try:
            with torch.no_grad():
                out = family.model(
                    **self.batch.inputs, output_attentions=True, output_hidden_states=True
                )
        finally:
            decoder.set_attn_implementation(before)
        self.maps = torch.stack(out.attentions).double().numpy()  # (layers, rows, heads, r, c)
        self.states = out.hidden_states
        self.image = self.batch.image.numpy()
        self.real = self.batch.real.numpy()
        self.length = self.batch.length

    def notes(self, *probes):
        read(self.batch, probes)
        rows = [probe.results() for probe in probes]
        return [{k: v for row in rows for k, v in row[n].items()} for n in range(len(TEXTS))]

    def rows(self, picture):
        """(row that predicts, columns in sight of it) of each token."""
        for t in range(len(TEXTS[picture])):
            at = self.length - 1 + t
            yield at, np.flatnonzero(self.real[picture, : at + 1])


@pytest.fixture
def reading(family) -> Read:
    return Read(family)


def near(found, expected) -> None:
    np.testing.assert_allclose(np.array(found, float), expected, **NEAR)


def test_words_look_where_the_eager_map_does(reading) -> None:
    notes = reading.notes(ObjectAttention(reading.batch), HeadMaps(reading.batch))
    for picture, own in enumerate(WORDS):
        assert len(notes[picture]["var"]) == len(own)
        for k, token in enumerate(own):
            maps = reading.maps[:, picture, :, reading.length - 1 + token]
            seen = maps[..., reading.image[picture]]  # (layers, heads, image tokens)
            near(notes[picture]["var"][k], seen.sum(-1))
            for layer, heads in enumerate(seen):
                pairs = np.corrcoef(heads)[np.triu_indices(len(heads), 1)]
                near(notes[picture]["agreement"][k][layer], pairs.mean())
                share = heads.mean(0) / heads.mean(0).sum()
                spread = -(share * np.log(share)).sum() / math.log(len(share))
                near(notes[picture]["entropy"][k][layer], spread)


def test_attention_adds_what_its_projection_puts_out(reading) -> None:
    """The residual stream after a layer is what came in, what attention added and the MLP's part;
    here the attention modules are asked themselves."""
    view, added = reading.view, {}
    hooks = [
        layer.self_attn.register_forward_hook(lambda m, a, out, k=k: added.update({k: out[0]}))
        for k, layer in enumerate(view.layers)
    ]
    with torch.no_grad():
        view.model(**reading.batch.inputs)
    for hook in hooks:
        hook.remove()
    notes = reading.notes(ObjectAttention(reading.batch))
    for picture, own in enumerate(WORDS):
        for k, token in enumerate(own):
            for layer in range(view.n_layers):
                state = added[layer][picture, reading.length - 1 + token]
                expected = view.head(state)[TEXTS[picture][token]].item()
                assert notes[picture]["added"][k][layer] == pytest.approx(expected, abs=1e-4)


def test_the_logit_lens_reads_the_models_hidden_states(reading) -> None:
    notes = reading.notes(ObjectLens(reading.batch))
    view, layer = reading.view, 1
    said = [{TEXTS[p][t] for t in at} for p, at in enumerate(WORDS)]

    def loud(picture, entry):
        states = reading.states[layer + 1][picture][reading.batch.image[picture]]
        return view.read_hidden(states).softmax(-1)[:, entry].max().item()

    for picture, own in enumerate(WORDS):
        states = reading.states[layer + 1][picture][reading.batch.image[picture]]
        shares = view.read_hidden(states).softmax(-1)
        for k, token in enumerate(own):
            entry = TEXTS[picture][token]
            near(notes[picture]["sure"][k][layer], shares[:, entry].max().item())
            silent = [p for p, ids in enumerate(said) if entry not in ids]
            near(notes[picture]["elsewhere"][k][layer], np.mean([loud(p, entry) for p in silent]))
            hits = (shares.argmax(-1) == entry).float().mean().item()
            near(notes[picture]["reads"][k][layer], hits)


def test_shares_by_kind_of_token(reading) -> None:
    notes = reading.notes(AttentionShares(reading.batch))
    table, known = kinds(reading.batch)
    assert known
    assert (table[reading.batch.image] >= BACKGROUND).all()
    assert set(table[reading.batch.image].tolist()) <= {BACKGROUND, PICTURE}
    assert (table[~reading.batch.real] == -1).all()
    for picture in (0, 1):
        kind = table[picture].numpy()
        rows = list(reading.rows(picture))
        for k in range(len(KINDS)):
            of = [reading.maps[:, picture, :, at][..., kind == k].sum(-1) for at, _ in rows]
            near(np.array(notes[picture]["shares"])[:, k], np.mean(of, (0, 2)))
            even = np.mean([(kind[sight] == k).mean() for _, sight in rows])
            near(notes[picture]["even"][k], even)
        near(np.sum(notes[picture]["shares"], 1), 1.0)


def test_the_picture_by_generated_token_and_by_distance(reading) -> None:
    notes = reading.notes(Fading(reading.batch), Distances(reading.batch))
    for picture in (0, 1):
        image = np.flatnonzero(reading.image[picture])
        far, pairs = (np.zeros(len(notes[picture]["far"])) for _ in range(2))
        for t, (at, sight) in enumerate(reading.rows(picture)):
            own = reading.maps[:, picture, :, at].mean((0, 1))
            near(notes[picture]["fading"][t], own[image].sum())
            near(notes[picture]["even_picture"][t], len(image) / len(sight))
            for column in image:
                k = math.floor(HALVES * math.log2(at - column) + 1e-4)
                far[k] += own[column] * len(sight)
                pairs[k] += 1
        np.testing.assert_allclose(notes[picture]["far"], far, rtol=1e-5, atol=1e-4)
        near(notes[picture]["pairs"], pairs)
    assert notes[2]["fading"] == []


def test_registers_give_what_a_session_under_farsight_gives(reading) -> None:
    """Layers change with registers in them, so the reference is FarSight at work, its newest row
    read out, on the prompt and the first tokens alone."""
    method = FarSight(sigma=0.1)
    notes = reading.notes(Fading(reading.batch, method))
    model, length = reading.view.model, reading.length
    inputs = dict(reading.batch.prompt_inputs)
    with torch.no_grad(), method(model, readout=True) as session:
        model.generate(**inputs, max_new_tokens=1, do_sample=False)
    var = session.record.var[:, 0].mean((1, 2))
    near([notes[k]["registers"][0] for k in (0, 1)], var[:2].numpy())
    plain = reading.notes(Fading(reading.batch))
    assert abs(plain[0]["fading"][0] - notes[0]["registers"][0]) > 1e-4
    assert length == inputs["input_ids"].shape[1]


def test_sinks_are_those_of_the_eager_prompt(reading) -> None:
    notes = reading.notes(SinkColumns(reading.batch))
    for picture in range(3):
        prompt = reading.maps[:, picture, :, : reading.length]
        image = np.flatnonzero(reading.image[picture])
        bound = THRESHOLD * IMAGE_TOKENS / len(image)
        assert notes[picture]["threshold"] == pytest.approx(bound)
        density = np.stack([prompt[:, :, c + 1 :, c].mean(-1) for c in image], -1)
        clear = np.abs(density - bound) > 1e-6  # no column so near the bound that rounding decides
        assert clear.all()
        sinks = (density > bound).sum(-1)
        near(notes[picture]["sinks"], sinks)
        most = [int(row.argmax()) if row.max() else -1 for row in sinks]
        assert notes[picture]["densest"] == most
        visible = np.cumsum(reading.real[picture])[: reading.length]
        even = np.mean([(1 / visible[c + 1 :]).mean() for c in image])
        near(notes[picture]["even"], even)


def test_the_threshold_is_the_methods_own(llava) -> None:
    reading = Read(llava)
    seen = []

    class Noting(EAH):
        def shared_head(self, call):
            head = super().shared_head(call)
            seen.append(head)
            return head

    notes = reading.notes(SinkColumns(reading.batch))
    with torch.no_grad(), Noting(layer=2)(reading.view.model):
        reading.view.model(**reading.batch.prompt_inputs)
    expected = [one["densest"][2] for one in notes]
    assert seen[0] is None or seen[0].tolist() == expected
    assert seen[0] is not None or expected == [-1] * 3


def test_sorted_attention_and_types(reading) -> None:
    notes = reading.notes(Sorted(reading.batch))
    for picture in (0, 1):
        rows = list(reading.rows(picture))
        curve, held = [], []
        for at, sight in rows:
            total = np.sort(reading.maps[:, picture, :, at][..., sight])[..., ::-1].cumsum(-1)
            n = len(sight)
            curve.append([total[..., max(1, math.ceil(g * n - 1e-6)) - 1].mean(1) for g in GRID])
            held.append(np.minimum((total < HELD).sum(-1) + 1, n).mean(1) / n)
        near(notes[picture]["curve"], np.mean(curve, 0).T)
        near(notes[picture]["held"], np.mean(held, 0))
        columns = np.arange(reading.real.shape[1])
        types = (
            reading.image[picture],
            (columns < reading.length) & ~reading.image[picture],
            columns >= reading.length,
        )
        for k, which in enumerate(types):
            of = [reading.maps[:, picture, :, at][..., which].sum(-1).mean(1) for at, _ in rows]
            near(np.array(notes[picture]["mass"])[:, k], np.mean(of, 0))
    assert notes[2]["rows"] == 0


def test_text_sinks(reading) -> None:
    notes = reading.notes(TextSinks(reading.batch))
    rows = list(reading.rows(0))
    level = np.zeros((reading.view.n_layers, reading.real.shape[1]))
    for column in range(level.shape[1]):
        below = [(at, sight) for at, sight in rows if at >= column]
        if len(below) >= 5 and reading.real[0, column] and not reading.image[0, column]:
            each = [reading.maps[:, 0, :, at, column].mean(1) * len(s) for at, s in below]
            level[:, column] = np.mean(each, 0)
    np.testing.assert_allclose(notes[0]["level"], level.max(1), rtol=1e-5, atol=1e-4)
    assert notes[0]["sinks"] == (level > SINK).sum(1).tolist()
    assert notes[1]["level"] == [0.0] * reading.view.n_layers  # three rows are too few


def test_reading_changes_nothing(llava) -> None:
    reading = Read(llava)
    model, inputs = reading.view.model, reading.batch.prompt_inputs
    with torch.no_grad():
        before = model(**inputs).logits
        read(
            reading.batch,
            [ObjectAttention(reading.batch), ObjectLens(reading.batch), SinkColumns(reading.batch)],
        )
        assert torch.equal(model(**inputs).logits, before)
        with Stack()(model):
            assert torch.equal(model(**inputs).logits, before)
