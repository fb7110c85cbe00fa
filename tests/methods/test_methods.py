"""How methods are written, named, checked and settled for a model."""

from __future__ import annotations

import copy
import math

import pytest

import oracles
from seesay.engine import Stack, parse
from seesay.errors import MethodError
from seesay.methods import AGLA, EAH, REGISTRY, AttentionLens, FarSight, published
from seesay.models.view import ModelView

WRITTEN = [
    "plain",
    "attention-lens",
    "attention-lens(alpha=0.4)",
    "attention-lens(alpha=-0.3, layers=(2, 5))",
    "farsight(sigma=0.1, registers='square', per_head=True)",
    "farsight(registers=7)",
    "agla(alpha=0.5, beta=0.1) + attention-lens + farsight",
]


@pytest.mark.parametrize("text", WRITTEN)
def test_repr_is_what_parse_reads(text):
    method = parse(text)
    assert repr(method) == text
    assert parse(repr(method)) == method


@pytest.mark.parametrize("kind", sorted(REGISTRY.values(), key=lambda k: k.name))
def test_every_method_says_what_it_is(kind):
    assert kind.summary
    assert kind.paper
    assert (kind.__doc__ or "").count(":") >= 1, "its fields stand in its docstring"
    if kind.standalone:
        assert repr(kind()) == kind.name


def test_names_are_forgiving_where_nothing_is_ambiguous():
    assert parse("AttentionLens(alpha=0.4)") == AttentionLens(alpha=0.4)
    assert parse("attention_lens + FarSight") == AttentionLens() + FarSight()
    assert parse(" farsight ( sigma = 0.1 ) ") == FarSight(sigma=0.1)
    assert parse("plain + farsight") == FarSight() + Stack()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("farsigt", "did you mean farsight"),
        ("nothing-like-it", "known: "),
        ("farsight(sigm=1)", "did you mean sigma"),
        ("farsight(1)", "fields go by name"),
        ("farsight(sigma=x)", "sigma='x' must be a finite number"),
        ("farsight(sigma=2*3)", "not a plain value"),
        ("farsight(sigma", "not of the form"),
        ("farsight - agla", "not of the form"),
        ("", "not of the form"),
        ("plain(alpha=1)", "no fields"),
        ("farsight + farsight(sigma=1)", "stands twice"),
        ("__import__('os')", "fields go by name|unknown method"),
    ],
)
def test_texts_that_are_no_method(text, reason):
    with pytest.raises(MethodError, match=reason):
        parse(text)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: AttentionLens(alpha=math.nan), "alpha=nan must be a finite number"),
        (lambda: AttentionLens(alpha="a"), "alpha='a' must be a finite number"),
        (lambda: AttentionLens(alpha=True), "alpha=True"),
        (lambda: AttentionLens(layers=5), "two whole numbers"),
        (lambda: AttentionLens(layers=(5, 2)), "upwards"),
        (lambda: AttentionLens(layers=(-1, 2)), "upwards from 0"),
        (lambda: FarSight(sigma=0), "sigma=0 must be a finite number above 0"),
        (lambda: FarSight(sigma=math.inf), "sigma=inf"),
        (lambda: FarSight(registers=-1), "registers=-1 must be"),
        (lambda: FarSight(registers="square "), "registers='square ' must be"),
        (lambda: FarSight(per_head=1), "True or False"),
        (lambda: AGLA(alpha=-1), "alpha=-1 must be a finite number from 0"),
        (lambda: AGLA(beta=1.5), "from 0 to 1"),
        (lambda: AGLA(matcher="slef"), "did you mean self"),
    ],
)
def test_fields_out_of_range(make, reason):
    with pytest.raises(MethodError, match=reason):
        make()


@pytest.mark.parametrize(
    ("name", "alpha", "layers"),
    [
        ("llava-hf/llava-1.5-7b-hf", 0.5, (5, 18)),
        ("org/Shikra-7B-delta", 0.55, (3, 13)),
        ("some/model", 0.5, (0, 2)),  # 5 and 18 of 32, in 4 layers
    ],
)
def test_open_fields_are_filled_by_the_model(name, alpha, layers):
    view = named(name)
    assert AttentionLens().resolved_for(view) == AttentionLens(alpha=alpha, layers=layers)
    given = AttentionLens(alpha=0.1, layers=(1, 1))
    assert given.resolved_for(view) == given


def named(name: str) -> ModelView:
    """A small model that was loaded under another one's name."""
    model = copy.copy(oracles.built("llava")[0])
    model.config = copy.copy(model.config)
    model.config.name_or_path = name
    return ModelView.of(model)


@pytest.mark.parametrize(
    ("row", "name"), [(row, name) for row in published.TABLE for name in row.models]
)
def test_every_published_setting_is_what_the_model_gets(row, name):
    settled = REGISTRY[row.method]().resolved_for(named(f"some/{name}-hf"))
    assert {field: getattr(settled, field) for field in row.settings} == row.settings


def test_a_threshold_of_ones_own_wins_over_the_published_one():
    assert EAH(threshold=0.1).resolved_for(named("instructblip-7b")) == EAH(layer=1, threshold=0.1)
    assert EAH().resolved_for(named("some/model")) == EAH(layer=1)


def test_a_session_says_what_it_runs():
    model, _, _ = oracles.built("llava")
    with AttentionLens()(model) as session:
        assert repr(session.stack) == "attention-lens(alpha=0.5, layers=(0, 2))"


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package that brings a method by entry point, as pip would leave it."""
    (tmp_path / "brought.py").write_text(
        "from dataclasses import dataclass\n"
        "from seesay.engine import Method\n"
        "@dataclass(frozen=True, repr=False)\n"
        "class Brought(Method):\n"
        "    name = 'brought'\n"
    )
    info = tmp_path / "brought-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: brought\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[seesay.methods]\nbrought = brought\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield info
    REGISTRY.pop("brought", None)


def test_an_installed_package_brings_its_method(installed):
    assert "brought" not in REGISTRY
    assert parse("brought + farsight").methods[0].name == "brought"


def test_an_installed_method_that_cannot_be_imported_is_named(installed):
    (installed / "entry_points.txt").write_text("[seesay.methods]\ngone = nowhere.at_all\n")
    with pytest.raises(MethodError, match=r"'gone'.*cannot be imported"):
        parse("brought")
    assert parse("farsight") == FarSight()
