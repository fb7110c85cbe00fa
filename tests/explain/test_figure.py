"""`seesay show`: it measures what the engine records, and draws what it measured."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

import families
from seesay.cli import run
from seesay.engine import Method, Stack, parse
from seesay.engine.kv_cache import KeptEntries
from seesay.errors import MethodError
from seesay.explain.trace import trace
from seesay.grounding import Vocabulary
from seesay.methods import REGISTRY
from seesay.models import patch_layout
from seesay.models.processors import inputs_for
from seesay.models.view import ModelView
from seesay.render import figure
from seesay.vlm import VLM

WORDS = Vocabulary.of({word: [] for word in families._WORDS if word.isalpha()})
PROMPT = "what is in the picture ?"
# Settings under which a method has something to show in a short text, and methods that need one.
SETTINGS = {
    "farsight": "farsight(sigma=0.05)",
    "gate": "gate(attention-lens, below=0.9)",
    "vasparse": "vasparse(every=4, keep=0.5, candidates='all')",
}
METHODS = [
    SETTINGS.get(name, name)
    for name, kind in sorted(REGISTRY.items())
    if kind.acts_on == "steps"  # the others ask a model that can answer: tests/test_look_again.py
]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def forgetful():
    """A method from outside: it keeps every second cache entry once the prompt is read."""

    @dataclass(frozen=True, repr=False)
    class Forgetful(Method):
        name: ClassVar[str] = "forgetful"
        summary: ClassVar[str] = "keeps every second entry"

        def prune_cache(self, layer, run):
            if run.seen != run.length:
                return None
            keys = run.cache.layers[layer].keys
            entries = torch.arange(0, keys.shape[2], 2).expand(*keys.shape[:2], -1)
            merged = keys.mean(2, keepdim=True)
            return KeptEntries(entries, merged, merged)

    yield Forgetful()
    del REGISTRY["forgetful"]


def vlm_of(family) -> VLM:
    view = ModelView.of(family.model, family.processor)
    return VLM(family.model, family.processor, view, family.name, vocabulary=WORDS)


def traced(family, method, tokens=10):
    picture = families.pictures(1)[0]
    return trace(vlm_of(family), picture, method, prompt=PROMPT, max_new_tokens=tokens)


def recorded(family, method, tokens=10):
    """A readout of a free generation, and the session's image tokens on the patch grid."""
    inputs = inputs_for(family.model, family.processor, families.pictures(1), PROMPT)
    with method(family.model, processor=family.processor, readout=True) as session:
        session.generate(**inputs, max_new_tokens=tokens, do_sample=False)
    tile = next(t for t in patch_layout.split(family.view, inputs)[0] if t.whole)
    return session.record, tile.tokens


def panels(drawn: str) -> dict[str, ElementTree.Element]:
    root = ElementTree.fromstring(drawn)
    return {g.get("data-panel"): g for g in root.iter(f"{SVG}g") if g.get("data-panel")}


def titles(element, tag):
    """The numbers that the marks of an element stand for, in the order of drawing."""
    marks = [mark.find(f"{SVG}title") for mark in element.iter(SVG + tag)]
    return [float(m.text.rpartition(": ")[2]) for m in marks if m is not None]


def near(numbers, values):
    """Figures write four digits."""
    np.testing.assert_allclose(np.ravel(numbers), np.ravel(values), rtol=1e-3, atol=1e-12)


# ---- what is measured ----------------------------------------------------------------------


def test_plain_attention_is_the_records(family) -> None:
    shown = traced(family, "attention-lens")
    record, cells = recorded(family, Stack())
    token = shown.moment.token
    near(shown.gaze.plain, record.image_attention[0, token][cells])
    near(shown.gaze.plain_var, record.var[0, token].mean(-1))


@pytest.mark.parametrize("text", METHODS)
def test_watching_changes_nothing(llava, text) -> None:
    """The texts are `describe`'s; behind the same words, so are odds and attention."""
    shown = traced(llava, text)
    seen = vlm_of(llava).describe(
        families.pictures(1)[0], prompt=PROMPT, method=text, max_new_tokens=10
    )
    assert shown.panel.accounts[1].text == seen.text
    free, cells = recorded(llava, parse(text))
    plain, _ = recorded(llava, Stack())
    token = shown.moment.token
    assert shown.odds.shares[0, shown.odds.said] == pytest.approx(
        float(plain.logprob[0, token].exp()), rel=1e-4
    )
    if torch.equal(free.tokens[0, : token + 1], plain.tokens[0, : token + 1]):
        share = float(free.logprob[0, token].exp())
        assert shown.odds.shares[-1, shown.odds.said] == pytest.approx(share, rel=1e-4)
    if shown.gaze is not None and torch.equal(free.tokens[0, :token], plain.tokens[0, :token]):
        looked = free.image_attention[0, token]
        if not looked.isnan().any():  # a compacted cache is not in the record
            near(shown.gaze.changed, looked[cells])
        near(shown.gaze.changed_var, free.var[0, token].mean(-1))


def test_the_moment_is_where_the_texts_part(llava) -> None:
    shown = traced(llava, "attention-lens")
    plain, other = (account.text.split() for account in shown.panel.accounts)
    start = len(shown.panel.accounts[0].text[: shown.moment.span[0]].split())
    if shown.moment.parting:
        assert plain[:start] == other[:start]
        assert plain[start] != other[start]
    assert plain[start] == shown.moment.word


def test_a_sink_leaves_less_than_one(llava) -> None:
    sink = traced(llava, "farsight(sigma=0.05)").sink
    assert ((sink.layers > 0) & (sink.layers < 1)).all()
    # With every row the same sink, the first row has one key to hold against it.
    assert sink.rows[0] == sink.rows.min()
    assert (sink.rows < 1).all()


def test_registers_that_end_with_the_prompt_are_seen_in_its_rows(llava) -> None:
    sink = traced(llava, "farsight(registers='square', sigma=0.05)").sink
    assert sink.rows[-1] == pytest.approx(1)
    assert sink.rows[:-1].max() < 1


def test_a_cache_that_forgets_is_shown(llava, forgetful) -> None:
    shown = traced(llava, forgetful)
    columns = prompt_length(llava)
    assert set(shown.cache.kinds) == {"image", "prompt", "generated"}
    assert (shown.cache.kept[:, :columns:2] == 1).all()
    assert (shown.cache.kept[:, 1:columns:2] == 0).all()
    assert (shown.cache.merged == 1).all()
    assert "cache" in panels(figure.draw(shown))


def prompt_length(family) -> int:
    inputs = inputs_for(family.model, family.processor, families.pictures(1), PROMPT)
    return int(inputs["input_ids"].shape[1])


def test_a_second_picture_is_shown_as_the_model_sees_it(family) -> None:
    (stream,) = traced(family, "vcd(noise_step=999)", tokens=4).streams
    assert stream.picture.size == traced(family, "vcd", tokens=1).seen.size
    assert "100% of the pixel values differ" in stream.note
    (closed,) = traced(family, "pai", tokens=4).streams
    assert closed.picture is None
    assert "no access" in closed.note


def test_strength_zero_has_nothing_but_the_odds(llava) -> None:
    shown = traced(llava, replace(parse("attention-lens"), alpha=0.0))
    assert set(panels(figure.draw(shown))) == {"texts", "odds"}
    assert shown.parts[0].verbs == ()
    near(shown.odds.shares[0], shown.odds.shares[1])


def test_plain_has_nothing_to_show(llava) -> None:
    with pytest.raises(MethodError, match="plain changes nothing"):
        traced(llava, "plain")


def test_watched_methods_do_not_enter_the_registry(llava) -> None:
    before = dict(REGISTRY)
    traced(llava, "agla + attention-lens", tokens=2)
    assert before == REGISTRY


# ---- what is drawn -------------------------------------------------------------------------


@pytest.mark.parametrize("text", [*METHODS, "gate(agla, below=0.9)", "agla + attention-lens + vcd"])
def test_the_figure_of_every_method(llava, text) -> None:
    """Well-formed, with the panels that the verbs call for, and with the trace's numbers."""
    shown = traced(llava, text)
    drawn = figure.draw(shown)
    found = panels(drawn)
    verbs = {verb for part in shown.parts for verb in part.verbs}
    attention = {"score_bias", "key_scale", "sink_logit", "shared_head"}
    wanted = {"texts", "odds"} | {
        panel
        for panel, calls in {
            "gaze": attention,
            "sink": {"sink_logit"},
            "keys": {"key_scale"},
            "shared": {"shared_head"},
            "streams": {"second_input"},
            "cache": {"prune_cache"},
        }.items()
        if calls & verbs
    }
    assert set(found) == wanted
    words = "".join(ElementTree.fromstring(drawn).itertext())
    assert all(figure.DOES[verb] in words for verb in verbs)
    assert all(part.summary in words for part in shown.parts)
    near(titles(found["odds"], "rect"), shown.odds.shares)
    if "gaze" in found:
        maps = [g for g in found["gaze"].iter(f"{SVG}g") if g.get("data-map")]
        changes = shown.gaze.changed - shown.gaze.plain
        for one, values in zip(maps, (shown.gaze.plain, shown.gaze.changed, changes), strict=True):
            near(titles(one, "rect"), values)
        near(titles(found["gaze"], "circle"), [*shown.gaze.plain_var, *shown.gaze.changed_var])
    if "sink" in found:
        near(titles(found["sink"], "circle"), [*shown.sink.layers, *shown.sink.rows])


def test_what_a_user_wrote_cannot_break_the_figure(llava) -> None:
    picture, prompt = families.pictures(1)[0], "what <b> & \x07 is ' \" in the picture ?"
    shown = trace(vlm_of(llava), picture, "farsight", prompt=prompt, max_new_tokens=3)
    assert prompt.replace("\x07", "\N{REPLACEMENT CHARACTER}") in "".join(
        ElementTree.fromstring(figure.draw(shown)).itertext()
    )


def test_the_same_figure_twice(llava) -> None:
    assert figure.draw(traced(llava, "vcd")) == figure.draw(traced(llava, "vcd"))


# ---- the command ---------------------------------------------------------------------------


@pytest.fixture
def seesay(capsys, monkeypatch, tmp_path, checkpoints):
    monkeypatch.setattr("seesay.cli.output.FIRST_WORD", 60.0)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        model = ["--model", str(checkpoints("llava")), "--max-new-tokens", "4"]
        status = run(["show", *arguments, *model])
        return status, *capsys.readouterr()

    return call


def test_show_writes_a_figure(seesay, tmp_path) -> None:
    status, out, err = seesay("attention-lens(alpha=0.4)")
    assert status == 0, err
    assert out.startswith("At “")
    assert "wrote attention-lens-alpha-0.4.svg" in err
    assert panels((tmp_path / "attention-lens-alpha-0.4.svg").read_text())
    assert seesay("farsight", "--out", "a.svg", "--picture", "toy:kept/3")[0] == 0
    assert (tmp_path / "a.svg").is_file()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["farsigt"], "did you mean farsight?"),
        (["farsight(sigma=0)"], "must be a finite number above 0"),
        (["plain"], "plain changes nothing"),
        (["farsight", "--out", "a.png"], "figures are SVG"),
        (["farsight", "--out", "missing/a.svg"], "there is no folder"),
        (["farsight", "--picture", "toy:bent/1"], "no drawn scene"),
        (["farsight", "--picture", "none.jpg"], "none.jpg"),
    ],
)
def test_bad_input_is_refused_in_one_line(seesay, tmp_path, arguments, reason) -> None:
    status, out, err = seesay(*arguments)
    assert (status, out) == (2, "")
    assert reason in err
    assert err.count("\n") == 1
    assert not list(tmp_path.glob("*.svg"))
