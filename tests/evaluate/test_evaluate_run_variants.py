"""From the text of --methods and --sweep to entries and controls."""

from __future__ import annotations

import pickle

import pytest
import torch

import seesay
from seesay.engine import Stack, parse
from seesay.errors import EngineError, InputError, MethodError
from seesay.evaluate.entries import Wanted, sharpening, sweep, variants
from seesay.evaluate.same_stream_control import SameStream, has_stream

DRAWN = {"num_beams": 1, "do_sample": True, "generation": {"temperature": 0.9}}


@pytest.fixture(scope="module")
def vlm():
    return seesay.load()


def labels(vlm, methods, sweeps=(), **more):
    notes = []
    found = variants(vlm, Wanted.of(methods, sweeps, **more), notes.append)
    return [variant.entry.label for variant in found]


def test_plain_always_runs_first(vlm):
    assert labels(vlm, "eah", controls=False) == ["plain", "eah"]
    assert labels(vlm, "eah, plain, eah", controls=False) == ["plain", "eah"]
    assert labels(vlm, "", controls=False) == ["plain"]


def test_all_is_every_method_that_fits(vlm):
    names = [repr(method) for method in vlm.all_methods()]
    assert labels(vlm, "all", controls=False) == names
    assert labels(vlm, "agla + eah; all", controls=False) == ["plain", "agla + eah", *names[1:]]


def test_controls_of_each_method(vlm):
    assert labels(vlm, "attention-lens, agla+eah") == [
        "plain",
        "attention-lens",
        "attention-lens: strength 0",
        "agla + eah",
        "agla + eah: strength 0",
        "agla + eah: second stream := first",
    ]
    assert labels(vlm, "agla; vcd", decoding=DRAWN) == [
        "plain",
        "plain greedy",
        "agla",
        "agla: strength 0",
        "agla: second stream := first",
        "agla: temperature 0.3",
        "vcd",
        "vcd: strength 0",
        "vcd: second stream := first",
    ]


def test_what_a_control_runs(vlm):
    found = {v.entry.label: v for v in variants(vlm, Wanted.of("agla", decoding=DRAWN), print)}
    greedy = found["plain greedy"].entry
    assert (greedy.method, greedy.decoding["do_sample"], greedy.of) == ("plain", False, None)
    cold = found["agla: temperature 0.3"].entry
    assert (cold.method, cold.control, cold.of) == ("plain", "temperature", "agla")
    assert cold.decoding["generation"]["temperature"] == pytest.approx(0.9 / 3)
    assert found["agla: strength 0"].entry.method == "agla(alpha=0.0)"
    same = found["agla: second stream := first"].entry
    assert (same.method, same.control, same.role) == ("same-stream(agla)", "same-stream", "control")


def test_settings_are_settled_on_the_model(vlm):
    entry = variants(vlm, Wanted.of("attention-lens"), print)[1].entry
    assert entry.written == "attention-lens"
    assert entry.method.startswith("attention-lens(alpha=0.5, layers=(")


@pytest.mark.parametrize(
    ("text", "factor"),
    [("agla", 3), ("agla(alpha=0.5, shared_cache=True) + eah", 1.5), ("vcd + pai", 1), ("eah", 1),
     ("gate(agla)", 1)],
)  # fmt: skip
def test_sharpening_of_a_fold(text, factor):
    assert sharpening(parse(text)) == pytest.approx(factor)


@pytest.mark.parametrize(
    ("text", "has"),
    [("agla", 1), ("vcd", 1), ("pai", 1), ("pai(gamma=1.0)", 0), ("vcd(alpha=0)", 0),
     ("vasparse", 0), ("attention-lens", 0), ("gate(vcd)", 1)],
)  # fmt: skip
def test_which_methods_have_a_second_stream(text, has):
    assert has_stream(parse(text)) == bool(has)


@pytest.mark.parametrize("text", ["agla", "vcd", "gate(agla, below=0.5)", "vcd + agla"])
def test_with_its_own_stream_a_fold_says_what_the_plain_model_says(vlm, text):
    """Greedy: sharpened or cut, the likeliest token stays the likeliest."""
    same = Stack(tuple(SameStream.within(part) for part in parse(text).methods))
    pictures = [f"toy:broken/{k}" for k in range(4)]
    plain = [seen.text for seen in vlm.describe(pictures, max_new_tokens=30)]
    under = vlm.describe(pictures, method=same, max_new_tokens=30)
    assert [seen.text for seen in under] == plain
    with_stream = vlm.describe(pictures, method=text, max_new_tokens=30)
    assert [seen.text for seen in with_stream] != plain  # so the control tells something


def test_pai_keeps_its_boost_and_loses_its_contrast(vlm):
    pictures = [f"toy:broken/{k}" for k in range(4)]
    same = SameStream.within(parse("pai(beta=0)"))
    boost = vlm.describe(pictures, method="pai(gamma=1.0)", max_new_tokens=30)
    assert [seen.text for seen in vlm.describe(pictures, method=same, max_new_tokens=30)] == [
        seen.text for seen in boost
    ]


def test_a_method_without_a_second_stream_is_left_as_it_is():
    method = parse("attention-lens(alpha=0.3)")
    assert SameStream.within(method) is method


def test_variants_travel_to_other_processes(vlm):
    found = variants(vlm, Wanted.of("agla + eah, gate(vcd)"), print)
    again = pickle.loads(pickle.dumps(found))
    assert [(v.entry, repr(v.method)) for v in again] == [(v.entry, repr(v.method)) for v in found]


def test_the_fold_of_the_control_gets_the_first_stream():
    plain = torch.tensor([[[1.0, -2.0]]])
    term = SameStream(parse("agla(alpha=2)")).logits_term(plain, None, None)
    assert torch.equal(term, 2 * plain)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("attention-lens.alpha=0.1:0.8:0.1", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]),
        ("farsight.registers=0:6:2", [0, 2, 4, 6]),
        ("agla(beta=0.1).alpha = 1, 2.5", [1.0, 2.5]),
        ("gate(agla).below=0.5:0.5:0.1", [0.5]),
    ],
)
def test_sweeps(text, values):
    points = list(sweep(text))
    assert [point.value for point in points] == values
    assert [type(point.value) for point in points] == [type(value) for value in values]
    assert [getattr(point.method, point.field) for point in points] == values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("attention-lens=0.1:0.8:0.1", "not of the form"),
        ("attention-lens.alpha=0.1:0.8:0", "is no range"),
        ("attention-lens.alpha=0.8:0.1:0.1", "is no range"),
        ("attention-lens.alpha=0.1:0.8", "is no range"),
        ("attention-lens.alpha=low", "is no range"),
        ("attention-lens.alpha=nan", "is no range"),
        ("attention-lens.alpha=0:1:0.0001", "10001 points"),
        ("attention-lens.alfa=0:1:1", "did you mean alpha"),
        ("atention-lens.alpha=0:1:1", "did you mean attention-lens"),
        ("agla + eah.layer=0:1:1", "not a sum"),
        ("agla.beta=0:2:1", "beta=2 must be"),
    ],
)
def test_sweeps_that_mean_nothing(text, message):
    with pytest.raises((InputError, MethodError), match=message):
        list(sweep(text))


def test_sweep_points_stand_behind_the_methods_without_controls(vlm):
    found = variants(vlm, Wanted.of("eah", ["agla.alpha=2:3:1"]), print)
    assert [v.entry.label for v in found][3:] == ["agla.alpha=2", "agla.alpha=3"]
    assert found[-1].entry.role == "sweep"
    assert found[-1].entry.sweep == {"method": "agla", "field": "alpha", "value": 3}
    assert [v.entry.method for v in found[3:]] == ["agla", "agla(alpha=3)"]


@pytest.mark.parametrize(
    ("text", "message"),
    [("atention-lens", "did you mean attention-lens"), ("agla(alpha=1", "not of the form")],
)
def test_unknown_methods_are_told_before_a_model_is_loaded(text, message):
    with pytest.raises(MethodError, match=message):
        Wanted.of(text)


def test_a_named_method_that_does_not_fit_is_refused_and_one_of_all_is_told(vlm):
    wanted = Wanted.of("pai(start_layer=30)")
    with pytest.raises(EngineError, match="cannot run on bundled"):
        variants(vlm, wanted, print)
