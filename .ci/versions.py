"""The test suite on the oldest, the pinned and the newest versions that seesay may meet.

    python .ci/versions.py [oldest] [pinned] [newest] [--core] [--out docs/versions.md]

Each set of versions gets an environment of its own under .venv-versions, made anew where its
requirements have changed. The oldest is the floor of pyproject.toml, the pinned one
constraints.txt, the newest whatever pip takes today; with --core it keeps the pinned torch, and
runs what a new transformers can break: engine, methods, readout, cache and command line.

A failure ends with status 1, unless it is one of a version newer than the newest tested
(`seesay.models.compat.TESTED`): then a new release came, and the table says what it breaks.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
HOMES = ROOT / ".venv-versions"
SETS = ("oldest", "pinned", "newest")
LIBRARIES = ("transformers", "torch")
CORE = ["tests/engine", "tests/methods", "tests/models", "tests/testing", "tests/cli"]


@dataclass(frozen=True)
class Outcome:
    """What a set's tests said. `versions` by library; `failed` the names of failing tests; `newer`
    the libraries that are newer than what was tested."""

    name: str
    versions: dict[str, str]
    passed: int
    skipped: int
    failed: list[str]
    newer: list[str]

    @property
    def ours(self) -> bool:
        """Whether a failure is ours to mend now."""
        return bool(self.failed) and not self.newer


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="*", help=f"among {', '.join(SETS)}; all if none is named")
    parser.add_argument("--core", action="store_true", help="the core tests, with the pinned torch")
    parser.add_argument("--out", type=Path, help="write the table there too")
    given = parser.parse_args()
    if unknown := set(given.sets) - set(SETS):
        parser.error(f"unknown set {', '.join(sorted(unknown))}; known: {', '.join(SETS)}")
    outcomes = [tried(name, given.core) for name in given.sets or SETS]
    table = "\n".join(lines(outcomes))
    print(table, flush=True)
    if given.out:
        given.out.write_text(PAGE.format(table=table), encoding="utf-8")
    for outcome in outcomes:
        for test in outcome.failed:
            print(f"{outcome.name}: {test} failed")
        if outcome.failed and outcome.newer:
            print(f"{outcome.name}: a new release came ({', '.join(outcome.newer)}); not our tests")
        if not outcome.passed:
            print(f"{outcome.name}: no test passed")
    return int(any(outcome.ours or not outcome.passed for outcome in outcomes))


PAGE = """# Versions

Written by `make test-versions`: the whole test suite on the oldest versions that `pyproject.toml`
allows, on the pinned ones, and on what pip took that day. A newer minor version than these runs
with one warning; what does not run there as it does here is refused, with the version named.

{table}
"""


def lines(outcomes: list[Outcome]) -> list[str]:
    """The table of all sets."""
    rows = []
    for o in outcomes:
        versions = (o.versions[name] for name in (*LIBRARIES, "python"))
        counts = map(str, (o.passed, len(o.failed), o.skipped))
        rows.append([o.name, *versions, *counts])
    head = ["set", *LIBRARIES, "Python", "passed", "failed", "skipped"]
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def tried(name: str, core: bool) -> Outcome:
    """Make the environment of a set, and run its tests."""
    python = environment(name, core)
    report = HOMES / f"{name}.xml"
    report.unlink(missing_ok=True)
    tests = CORE if core else []
    spread = ["-n", "auto", "--dist", "worksteal"]
    command = [python, "-m", "pytest", *spread, f"--junit-xml={report}", *tests]
    print(f"{name}: testing", file=sys.stderr, flush=True)
    with (HOMES / f"{name}.log").open("w", encoding="utf-8") as log:
        subprocess.run(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, check=False)
    versions = versions_of(python)
    newer = asked(python, "import seesay.models.compat as c; "
                  "print(*(n for n in c.TESTED if c.untested(n)))").split()  # fmt: skip
    if not report.is_file():
        print((HOMES / f"{name}.log").read_text(encoding="utf-8")[-3000:])
        return Outcome(name, versions, 0, 0, ["the test run itself"], newer)
    cases = list(ElementTree.parse(report).iter("testcase"))
    bad = [case for case in cases if {"failure", "error"} & {part.tag for part in case}]
    skipped = sum(case.find("skipped") is not None for case in cases)
    failed = sorted({f"{case.get('classname')}::{case.get('name')}" for case in bad})
    return Outcome(name, versions, len(cases) - len(bad) - skipped, skipped, failed, newer)


def environment(name: str, core: bool) -> Path:
    """The Python of a set's environment, which is made first if it is not there as wanted."""
    home = HOMES / name
    python = home / "bin" / "python"
    wanted = "\n".join([*requirements(name, core), (ROOT / "pyproject.toml").read_text()])
    stamp = home / "wanted"
    fresh = stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted
    if fresh and name != "newest":
        return python
    print(f"{name}: setting up", file=sys.stderr, flush=True)
    HOMES.mkdir(exist_ok=True)
    constraints = HOMES / f"{name}.txt"
    constraints.write_text("\n".join(requirements(name, core)) + "\n", encoding="utf-8")
    if not python.is_file():
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    upgrade = ["--upgrade", *LIBRARIES] if name == "newest" else []
    given = ["--constraint", constraints, *upgrade, "--editable", f"{ROOT}[dev]"]
    subprocess.run([*pip, *given], check=True)
    stamp.write_text(wanted, encoding="utf-8")
    return python


def requirements(name: str, core: bool) -> list[str]:
    """What pip is held to in a set."""
    pinned = re.findall(r"^[\w.-]+==\S+$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    if name == "pinned":
        return pinned
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    floors = [line for line in project["dependencies"] if line.partition(">=")[0] in LIBRARIES]
    if name == "oldest":
        others = [line for line in pinned if line.partition("==")[0] not in LIBRARIES]
        return [f"{line.replace('>=', '==')}.*" for line in floors] + others
    kept = ("torch", *TOOLS) if core else TOOLS
    return [line for line in pinned if line.partition("==")[0] in kept]


TOOLS = ("typer", "rich", "HanTa")
"""Pinned in every set: pages that are compared are written with them."""


def versions_of(python: Path) -> dict[str, str]:
    code = "; ".join(
        ["import platform, importlib.metadata as m", "print(platform.python_version())"]
        + [f"print(m.version({name!r}))" for name in LIBRARIES]
    )
    return dict(zip(("python", *LIBRARIES), asked(python, code).split(), strict=True))


def asked(python: Path, code: str) -> str:
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    sys.exit(main())
