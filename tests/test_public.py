"""The public surface, and how light it is to import."""

from __future__ import annotations

import subprocess
import sys

import pytest

import seesay
from seesay.errors import SeesayError

SURFACE = {
    "AGLA",
    "AttentionLens",
    "Calibration",
    "EAH",
    "EngineError",
    "FarSight",
    "Gate",
    "InputError",
    "LookAgain",
    "Mention",
    "Method",
    "MethodError",
    "ModelError",
    "ModelView",
    "PAI",
    "Record",
    "Response",
    "SeesayError",
    "Session",
    "Stack",
    "UntestedVersionWarning",
    "VASparse",
    "VCD",
    "VLM",
    "Vocabulary",
    "load",
    "parse",
}


def python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


def test_the_surface_is_exactly_this() -> None:
    assert set(seesay.__all__) == SURFACE
    assert set(seesay._HOME) == SURFACE


@pytest.mark.parametrize("name", sorted(SURFACE))
def test_every_name_loads_and_says_what_it_is(name: str) -> None:
    value = getattr(seesay, name)
    assert value.__doc__
    assert name in dir(seesay)


def test_every_method_is_exported() -> None:
    from seesay.methods import REGISTRY

    ours = [kind for kind in REGISTRY.values() if kind.__module__.startswith("seesay.")]
    assert {kind.__name__ for kind in ours} <= SURFACE
    assert len(ours) >= 9


def test_unknown_names_raise_as_they_do_elsewhere() -> None:
    with pytest.raises(AttributeError, match="no attribute 'describe'"):
        seesay.describe  # noqa: B018
    assert not hasattr(seesay, "nothing")


def test_errors_are_one_tree() -> None:
    errors = [getattr(seesay, name) for name in SURFACE if name.endswith("Error")]
    assert all(issubclass(error, SeesayError) for error in errors)
    assert {error.exit_code for error in errors} == {1, 2}


def test_the_version_is_the_packages() -> None:
    from importlib.metadata import version

    assert seesay.__version__ == version("seesay")


def test_import_is_light() -> None:
    loaded = python("import sys, seesay; print(*sys.modules)").split()
    assert not {"torch", "transformers", "numpy", "PIL", "pydantic"} & set(loaded)


def test_parsing_a_method_needs_no_torch() -> None:
    loaded = python(
        "import sys, seesay; seesay.parse('agla + farsight(sigma=0.2)'); print(*sys.modules)"
    ).split()
    assert "torch" not in loaded


def test_help_and_methods_are_light() -> None:
    """What takes long to import is not imported; seconds would measure the machine."""
    heavy = "torch transformers numpy PIL jinja2 scipy ray datasets".split()  # noqa: SIM905
    for arguments in (["--help"], ["describe", "--help"], ["evaluate", "--help"], ["methods"]):
        loaded = python(
            "import sys\n"
            "from seesay.cli import run\n"
            f"assert run({arguments}) == 0\n"
            "print('modules:', *sys.modules)"
        )
        assert not set(heavy) & set(loaded.rpartition("modules:")[2].split()), arguments
