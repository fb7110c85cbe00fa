"""Every method of the registry keeps the contract, and the contract can be broken."""

from __future__ import annotations

import runpy
from dataclasses import dataclass, replace

import pytest
import torch

from paths import ROOT
from seesay.engine import Method, parse
from seesay.engine.method import MODES
from seesay.methods import REGISTRY
from seesay.testing import ContractError, check_method, offline_models

# At its default a method may do next to nothing on one model; these settings do something on both.
SETTINGS = {
    "farsight": "farsight(sigma=0.05)",
    "gate": "gate(attention-lens, below=0.95)",
    "look-again": "look-again(threshold=0.5, evidence=self-check)",
}
LOOKING = [
    "look-again(threshold=0.5, mode=mark)",
    "look-again(threshold=0.5, mode=rewrite)",
    "look-again(threshold=0.5, habit=0.5, attributes=True, counts=True, details=0.9, add=0.6)",
]
GATED_STREAM = "gate(agla, below=0.95)"


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    """A few tokens about two pictures show what a method does on a model this small."""
    monkeypatch.setattr("seesay.testing.steps.NEW_TOKENS", 4)
    monkeypatch.setattr("seesay.testing.texts._PICTURES", ("toy:broken/2", "toy:broken/3"))


@pytest.fixture(scope="module")
def models():
    return offline_models()


@pytest.mark.parametrize("name", ["bundled", "grouped heads"])
@pytest.mark.parametrize(
    "text",
    [
        *(SETTINGS.get(n, n) for n in sorted(REGISTRY)),
        GATED_STREAM,
        *(pytest.param(text, marks=pytest.mark.slow) for text in LOOKING),
    ],
)
def test_the_contract(models, text, name):
    model, processor = models[name]
    checks = check_method(parse(text), model, processor)
    held = {check.name for check in checks if check.outcome == "held"}
    assert {"repr round-trips", "strength 0 is plain", "batch", "no state between generations"} <= (
        held
    )
    assert set(MODES) <= {check.name for check in checks}


@dataclass(frozen=True, repr=False)
class Honest(Method):
    """A small method that keeps the contract."""

    alpha: float = 0.5

    @property
    def active(self):
        return self.alpha != 0

    def at_zero(self):
        return replace(self, alpha=0.0)

    def score_bias(self, call, scores):
        return self.alpha * scores.abs()


def broken(**members):
    """A variant of `Honest` under a name of its own, for the length of one test."""
    return dataclass(frozen=True, repr=False)(
        type("Variant", (Honest,), {"name": "variant"} | members)
    )


REMEMBERED: list[int] = []


def _remembers(self, call, scores):
    REMEMBERED.append(1)
    return scores.abs() * len(REMEMBERED) / 20


def _first_row_only(self, call, scores):
    bias = torch.zeros_like(scores)
    bias[0] = scores[0].abs()
    return bias


def _random(self, call, scores):
    return torch.empty_like(scores).uniform_(0, 9, generator=GENERATOR)


GENERATOR = torch.Generator()


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({}, None),
        ({"name": ""}, "no name"),
        ({"active": True}, None),
        ({"__repr__": lambda self: "farsight"}, "gives farsight"),
        ({"at_zero": lambda self: replace(self, alpha=0.01)}, "should be the plain model"),
        ({"score_bias": lambda self, call, scores: None}, "changes nothing"),
        ({"score_bias": _first_row_only}, "row 1 of a padded batch"),
        ({"score_bias": _remembers}, "another text|remembers|padded batch"),
        ({"score_bias": _random}, "another text|remembers|padded batch"),
        ({"refuses": {"beams": "no"}}, "declares that it refuses beams"),
    ],
)
def test_a_broken_method_is_found(models, members, reason):
    model, processor = models["grouped heads"]
    REGISTRY.pop("variant", None)
    try:
        method = broken(**members)()
        if reason is None:
            check_method(method, model, processor)
        else:
            with pytest.raises(ContractError, match=reason):
                check_method(method, model, processor)
    finally:
        REGISTRY.pop("variant", None)


@pytest.mark.slow
def test_the_example_of_a_method_keeps_the_contract(models):
    path = ROOT / "examples" / "your_method.py"
    assert len(path.read_text().splitlines()) < 60
    members = runpy.run_path(str(path))
    try:
        for model, processor in models.values():
            check_method(members["Focus"](alpha=1.0), model, processor)
    finally:
        REGISTRY.pop("focus")
