"""Versions: what is refused or said where transformers does not run as the tested ones do."""

from __future__ import annotations

import logging
import math
import re
import tomllib
import warnings
from importlib.metadata import version

import pytest
import torch

from families import CACHE
from paths import ROOT
from seeing import calibration, logistic
from seesay.engine import Stack, parse
from seesay.engine.readout import Readout
from seesay.errors import EngineError, InputError, UntestedVersionWarning
from seesay.grounding.risk import weigh
from seesay.grounding.vocabulary import Word
from seesay.models import compat

GREEDY = {"max_new_tokens": 3, "do_sample": False}
PARTS = ["plain", "attention-lens(alpha=0.6, layers=(0, 3))", "agla", "vasparse(every=1)"]


def opened(family, text="plain"):
    return parse(text)(family.model, processor=family.processor, readout=True)


# ---- the plumbing --------------------------------------------------------------------------


class OtherName:
    """A model whose forward calls its cache something else, as a coming version might."""

    def __init__(self, model):
        self.model, self.config = model, model.config

    def forward(self, input_ids=None, attention_mask=None, memory=None, **kwargs):
        return self.model(input_ids, attention_mask, **{CACHE: memory}, **kwargs)


def test_a_cache_of_another_name_is_refused_before_anything_runs(llava, monkeypatch) -> None:
    other = OtherName(llava.model)
    monkeypatch.setitem(vars(llava.model), "forward", other.forward)
    with pytest.raises(EngineError) as caught:
        opened(llava)
    for part in ("Llava", "cache", version("transformers"), compat.TESTED["transformers"][1]):
        assert part in str(caught.value)


def test_the_older_name_of_a_cache_is_still_understood(llava) -> None:
    """A user's own loop may still say past_key_values where transformers calls it cache."""
    step = {"input_ids": torch.tensor([[7]] * 3)}
    logits = []
    for name in {CACHE, "past_key_values"}:
        with opened(llava, PARTS[1]), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # transformers' word on the older name
            first = llava.model(**llava.batch())
            logits.append(llava.model(**step, **{name: first[CACHE]}).logits)
    assert all(torch.equal(one, logits[0]) for one in logits)


@pytest.mark.parametrize("text", PARTS)
def test_a_step_without_its_cache_is_refused(llava, monkeypatch, text) -> None:
    monkeypatch.setattr(compat, "cache_in", lambda arguments: None)
    with opened(llava, text), pytest.raises(EngineError, match=r"without its cache of \d+ columns"):
        llava.model.generate(**llava.batch(), **GREEDY)


def test_a_decoder_that_ignores_its_attention_function_is_refused(llava, monkeypatch) -> None:
    decoder = llava.view.decoder
    monkeypatch.setitem(vars(decoder), "set_attn_implementation", lambda name: None)
    with opened(llava), pytest.raises(EngineError, match="without the attention function"):
        llava.model.generate(**llava.batch(), **GREEDY)


@pytest.mark.parametrize("verb", ["take_row", "take_logits"])
def test_a_token_that_was_not_read_is_no_record(llava, monkeypatch, verb) -> None:
    monkeypatch.setattr(Readout, verb, lambda *given: None)
    with opened(llava), pytest.raises(EngineError, match=r"read without its (var|plain_logprob)"):
        llava.model.generate(**llava.batch(), **GREEDY)


def test_pixels_without_an_image_token_are_refused(llava) -> None:
    batch = llava.batch()
    batch["input_ids"] = batch["input_ids"].masked_fill(
        llava.view.image_columns(batch["input_ids"]), 7
    )
    with opened(llava), pytest.raises(InputError, match="holds no image token"):
        llava.model.generate(**batch, **GREEDY)


def test_a_model_without_a_cache_runs(llava) -> None:
    batch = llava.batch()
    with Stack()(llava.model):
        without = llava.model.generate(**batch, **GREEDY, use_cache=False)
    assert without.equal(llava.model.generate(**batch, **GREEDY))


# ---- risk ----------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [{}, {"svar": math.nan}, {"svar": math.inf}])
def test_no_risk_comes_of_a_score_that_is_missing(known) -> None:
    fitted = calibration(single=logistic(("svar", "position"), (-1.5, 0.25)))
    words = [Word("dog", 0, 3), Word("cat", 4, 7)]
    scores = [{"svar": 0.4, "logprob": -0.1}, {**known, "logprob": -9.0}]
    dog, cat = weigh("dog cat", words, [0, 1], scores, fitted)
    assert dog.calibrated
    assert (cat.calibrated, cat.risk) == (False, 1.0)  # its rank: the least probable of two


# ---- versions ------------------------------------------------------------------------------


def test_an_untested_version_is_one_warning_that_names_the_newest_tested(llava, monkeypatch):
    monkeypatch.setattr(compat, "TESTED", {"transformers": ("4.0", "4.9"), "torch": ("2.0", "2.1")})
    compat.check_versions.cache_clear()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        opened(llava)
        opened(llava)
    compat.check_versions.cache_clear()
    [one] = caught
    assert one.category is UntestedVersionWarning
    for part in (version("transformers"), "newer than 4.9", "2.1", "tested"):
        assert part in str(one.message)
    assert "\n" not in str(one.message)


def test_an_older_version_is_refused_with_the_remedy(llava, monkeypatch):
    monkeypatch.setattr(
        compat, "TESTED", {"transformers": ("99.1", "99.2"), "torch": ("2.0", "99")}
    )
    compat.check_versions.cache_clear()
    with pytest.raises(EngineError, match=r"older than 99\.1.*pip install 'transformers>=99\.1'"):
        opened(llava)


def test_this_version_is_tested_unless_newer(llava) -> None:
    for name, (oldest, newest) in compat.TESTED.items():
        assert compat.minor(oldest) <= compat.minor(version(name))
        assert compat.untested(name) is (compat.minor(version(name)) > compat.minor(newest))


@pytest.mark.parametrize(
    ("number", "parts"),
    [("5.24.0", (5, 24)), ("5.24", (5, 24)), ("2.13.0+cpu", (2, 13)), ("6.0.0.dev0", (6, 0))],
)
def test_minor(number, parts) -> None:
    assert compat.minor(number) == parts


def test_the_floors_that_pip_reads_are_the_ones_that_were_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for name, (oldest, _) in compat.TESTED.items():
        assert f"{name}>={oldest}" in project["dependencies"]


def test_nothing_that_we_call_is_deprecated(llava, caplog) -> None:
    """transformers logs what is deprecated where it does not warn."""
    with caplog.at_level(logging.WARNING), opened(llava, "agla + vasparse(every=1)"):
        llava.model.generate(**llava.batch(), **GREEDY, num_beams=2)
        llava.model(**llava.batch())
    assert not [line.message for line in caplog.records if "deprecated" in line.message]


def test_transformers_inner_parts_are_imported_in_one_module() -> None:
    inner = re.compile(r"^\s*from transformers\.(?!utils|generation)", re.MULTILINE)
    found = {
        str(path.relative_to(ROOT / "src/seesay"))
        for path in (ROOT / "src/seesay").rglob("*.py")
        if inner.search(path.read_text(encoding="utf-8"))
    }
    assert found == {"models/compat.py"}
