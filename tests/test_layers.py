"""Imports go down only: the layers of docs/design.md, read from the source itself."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import paths

ROOT = paths.ROOT / "src" / "seesay"
LAYERS = [
    {"errors", "models", "statistics", "storage", "toy"},
    {"engine"},
    {"methods", "grounding", "render"},
    {"vlm", "bundled", "options", "pipeline", "verification", "response", "pictures", "runs"},
    {"evaluate", "explain", "testing"},
    {"cli", "__main__", "integrations"},
]
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
# Methods know neither what is grounded nor what is drawn; render draws what grounding found.
SIDEWAYS = {("render", "grounding"), ("explain", "evaluate")}
FILES = sorted(ROOT.rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Dotted seesay modules that a file imports anywhere, TYPE_CHECKING blocks included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name.startswith("seesay.")}


def upward(path: Path) -> list[str]:
    """What is wrong with a file's imports."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    room = parts[0]
    if room == "__init__":
        return []  # the package's own names point everywhere, lazily
    if room not in LEVEL:
        return [f"{room} stands in no layer; give it one here and in docs/design.md"]
    wrong = []
    for name in imported(path):
        other = name.split(".")[1]
        if other == room or other not in LEVEL:
            continue
        below = LEVEL[other] < LEVEL[room] or (room, other) in SIDEWAYS
        # The ground, the face and the command line are each one room of several files.
        if not (below or LEVEL[room] == LEVEL[other] in (0, 3, 5)):
            wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    return wrong


def test_files_import_only_from_below():
    assert not [line for path in FILES for line in upward(path)]


def test_nothing_that_ships_imports_an_experiment():
    found = [node for path in FILES for node in ast.walk(ast.parse(path.read_text()))]
    names = {node.module for node in found if isinstance(node, ast.ImportFrom)}
    assert not {name for name in names if name and name.startswith("experiments")}


def test_no_class_name_is_defined_twice():
    homes = {}
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, set()).add(str(path.relative_to(ROOT)))
    assert not {name: files for name, files in homes.items() if len(files) > 1}


def test_methods_do_not_know_each_other():
    room = ROOT / "methods"
    shared = {"published", "originals"}  # no methods: what methods share
    names = {path.name.removesuffix(".py") for path in room.iterdir() if path.suffix != ".pyc"}
    names -= {*shared, "__init__", "__pycache__"}
    for path in room.rglob("*.py"):
        own = path.relative_to(room).parts[0].removesuffix(".py")
        others = {f"seesay.methods.{other}" for other in names - {own}}
        assert own == "__init__" or not imported(path) & others


@pytest.mark.parametrize("room", ["errors", "storage", "toy"])
def test_what_stands_on_nothing(room):
    for path in [ROOT / "errors.py", *(ROOT / room).rglob("*.py")]:
        rooms = {name.split(".")[1] for name in imported(path)}
        assert rooms <= {"errors", room}, path
