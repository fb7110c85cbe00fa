"""For command lines: what a model's folder holds is read once, as no command changes a model."""

from __future__ import annotations

from functools import cache

import pytest

from seesay.models.loading import load_model

_read = cache(load_model)


@pytest.fixture(autouse=True)
def _read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seesay.vlm.load_model", _read)
