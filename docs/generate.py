"""Writes the generated parts of the documentation: `make docs`, or `--check` that they are current.

The README's table of methods comes from the registry, docs/cli.md from the command line's own help.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from seesay.methods import REGISTRY

ROOT = Path(__file__).parents[1]
COMMANDS = [
    "", "describe", "ask", "compare", "audit", "methods", "show", "lens", "evaluate", "report",
    "calibrate", "diagnose", "doctor", "demo",
]  # fmt: skip
MARKS = re.compile(r"(<!-- methods:[^\n]*-->\n).*?(<!-- end of methods -->)", re.DOTALL)


def method_table() -> str:
    rows = ["| method | what it does | paper |", "|---|---|---|"]
    for name, kind in sorted(REGISTRY.items()):
        link = re.sub(r"arXiv (\d+\.\d+)", r"[arXiv \1](https://arxiv.org/abs/\1)", kind.paper)
        rows.append(f"| `{name}` | {kind.summary} | {link} |")
    return "\n".join(rows) + "\n"


def command_line() -> str:
    parts = ["# The command line\n\nWritten by `make docs` from the commands' own help.\n"]
    plain = {**os.environ, "COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}
    for command in COMMANDS:
        call = [sys.executable, "-m", "seesay", *command.split(), "--help"]
        text = subprocess.run(call, capture_output=True, text=True, check=True, env=plain).stdout
        lines = "\n".join(line.rstrip() for line in text.strip().splitlines())
        parts.append(f"## seesay {command}".rstrip() + f"\n\n```\n{lines}\n```\n")
    return "\n".join(parts)


def main() -> int:
    readme = ROOT / "README.md"
    wanted = {
        readme: MARKS.sub(lambda m: m[1] + method_table() + m[2], readme.read_text()),
        ROOT / "docs" / "cli.md": command_line(),
    }
    stale = [p for p, text in wanted.items() if not p.is_file() or p.read_text() != text]
    if "--check" in sys.argv:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is not current; run make docs", file=sys.stderr)
        return 1 if stale else 0
    for path in stale:
        path.write_text(wanted[path])
        print(f"wrote {path.relative_to(ROOT)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
