"""Fixtures for all tests: tiny models of each family, made once a session, and no network."""

from __future__ import annotations

import os

# Before transformers is imported: it reads this once.
os.environ["HF_HUB_OFFLINE"] = "1"
# Tiny tensors: threads cost more than they bring. Processes that tests start have it from here.
os.environ["OMP_NUM_THREADS"] = "1"

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from multiprocessing import forkserver, get_context
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest
import torch

import families
from browser import CHROMIUM
from paths import DATA
from seesay.models.view import ModelView


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose marks ask for what is not here."""
    for path in (DATA / part for mark in item.iter_markers("data") for part in mark.args):
        if not path.exists():
            pytest.skip(f"{path} is not here; SEESAY_DATA names another folder of public data")
    if item.get_closest_marker("browser") and CHROMIUM is None:
        pytest.skip("Chromium is not here")
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("CUDA is not here")


@dataclass(frozen=True)
class Family:
    """A tiny model of a family; share it, and leave it as it was."""

    name: str
    model: Any
    processor: Any

    @property
    def view(self) -> ModelView:
        return ModelView.of(self.model, self.processor)

    def batch(self) -> dict[str, torch.Tensor]:
        """Three left-padded prompts, four pictures; the second prompt holds two."""
        return families.batch_of_three(self.name, self.model, self.processor)


@cache
def _family(name: str) -> Family:
    return Family(name, *families.build(name))


@pytest.fixture(autouse=True, scope="session")
def _no_calibrations_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tests see what is shipped, whatever has been calibrated on this machine."""
    os.environ["XDG_DATA_HOME"] = str(tmp_path_factory.mktemp("data"))


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def processes() -> ForkServerContext:
    """Processes are forked from one that has read the libraries and no more."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["seesay.vlm", "transformers.models.llava.modeling_llava"])
    forkserver.ensure_running()  # with this directory and these streams, not those of a test
    return context


@pytest.fixture
def quick_workers(processes: ForkServerContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker pool's processes start in no time."""
    monkeypatch.setattr("seesay.runs.worker_pool.get_context", lambda _: processes)


@pytest.fixture(params=families.FAMILIES)
def family(request: pytest.FixtureRequest) -> Family:
    """Each family in turn whose tokens lie somewhere on the picture."""
    return _family(request.param)


@pytest.fixture(params=families.ALL)
def any_family(request: pytest.FixtureRequest) -> Family:
    """Each family in turn, Q-formers too."""
    return _family(request.param)


@pytest.fixture(scope="session")
def families_by_name() -> Callable[[str], Family]:
    """`families_by_name("internvl")`, for what one family alone does."""
    return _family


@pytest.fixture
def llava() -> Family:
    """The simplest family, for what need not be tried on all."""
    return _family("llava")


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`checkpoints(name)` is a folder with that family's saved model and processor."""
    root = tmp_path_factory.mktemp("checkpoints")

    @cache
    def saved(name: str) -> Path:
        return families.save(name, root / name)

    return saved
