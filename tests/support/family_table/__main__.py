"""Drive every family, print the table and write it as a page.

    python -m family_table [NAME ...] [--jobs 2] [--rows FILE] [--out docs/models.md] [--list]

A name may end with *. Rows are kept in FILE as they are done; an interrupted run goes on with it. The
exit status is the number of rows that crash, are wrong or do nothing.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import traceback
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from family_table.builders import BUILDERS, METHODS
from family_table.check import Check, Row
from seesay.models.compat import versions

COLUMNS = {
    "load": "load", "identity": "identity", **{name: name for name in METHODS},
    "read": "readout", "var": "VAR", "audit": "audit", "look-again": "look again",
    "fork": "questions", "grid": "heat map", "deep": "deep", "head": "logit lens",
    "beams": "beams", "static": "static cache", "compare": "compare all",
}  # fmt: skip


def driven(name: str) -> Row:
    """The row of one family."""
    try:
        return Check(name, BUILDERS[name](), list(BUILDERS).index(name)).run()
    except Exception as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        why = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        return Row(name, {"load": "?build"}, [f"build: {why} @ {Path(at.filename).name}"])


def table(rows: list[Row]) -> list[str]:
    found = [["family", *COLUMNS.values()], ["---"] * (len(COLUMNS) + 1)]
    found += [[row.name, *(row.cells.get(column, "") for column in COLUMNS)] for row in rows]
    return [f"| {' | '.join(cells)} |" for cells in found]


def reasons(rows: list[Row]) -> list[str]:
    """What is refused and why, families with the same reason together."""
    by_reason: dict[str, list[str]] = {}
    for row in rows:
        for error in row.errors:
            said = re.sub(r"\S*/fam-\w+", "MODEL", error.replace("|", "/"))
            by_reason.setdefault(said, []).append(row.name)
    return [f"* {reason} ({', '.join(names)})" for reason, names in sorted(by_reason.items())]


PAGE = """# Models

Written by `make test-families`: a tiny model with random weights of every family that transformers
maps for image-and-text, driven as a user would, in float32 on a CPU, with {versions}. Nothing here
is a statement about what a trained model says; it says whether seesay computes what it claims.

* **load** ok: saved, and loaded by `seesay.load`; hand: driven without its processor.
* **ok** equals a naive oracle on the family's own eager attention, and a left-padded batch equals
  its prompts one by one; **ok~** moves, and batch equals one by one, no oracle; **R** refused by
  name (see below); **?** could not be judged, mostly the family itself; **-** not asked.
* Windows: rows named "crossed" and "grows across" have texts longer than the model's window.
* **heat map**: cells and image tokens. Where no layout is written down it is probed.

{table}

## What is refused, and why

{reasons}
"""


def coverage() -> None:
    known = MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
    built: set[str] = set()
    for name, build in BUILDERS.items():
        try:
            built.add(build().model.config.model_type)
        except Exception as error:
            print(f"{name}: cannot be built here: {' '.join(str(error).split())[:120]}")
    print(f"{len(known.keys() & built)} of {len(known)} families have a builder that works here")
    print("without one:", ", ".join(sorted(known.keys() - built)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="families; all if none is named")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument(
        "--rows",
        type=Path,
        default=Path("/dev/null"),
        help="keep rows there, and go on with those it has",
    )
    parser.add_argument("--out", type=Path, help="write the page there")
    parser.add_argument("--list", action="store_true", help="which families have a builder")
    given = parser.parse_args()
    if given.list:
        coverage()
        return 0
    chosen = [name for name in BUILDERS if not given.names or any(map(_names(name), given.names))]
    kept = given.rows.read_text(encoding="utf-8").splitlines() if given.rows.is_file() else []
    done = {row.name: row for row in (Row(**json.loads(line)) for line in kept)}
    with ProcessPoolExecutor(given.jobs) as pool:
        for row in pool.map(driven, [name for name in chosen if name not in done]):
            done[row.name] = row
            with given.rows.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(row)) + "\n")
            print(f"{row.name}: {row.cells}", file=sys.stderr, flush=True)
            for error in row.errors:
                print(f"    {error}", file=sys.stderr, flush=True)
    rows = [done[name] for name in chosen]
    print("\n".join([*table(rows), "", *reasons(rows)]))
    if given.out:
        at_work = ", ".join(f"{name} {number}" for name, number in versions().items())
        parts = {"table": "\n".join(table(rows)), "reasons": "\n".join(reasons(rows))}
        given.out.write_text(PAGE.format(versions=at_work, **parts), encoding="utf-8")
    bad = [row.name for row in rows if row.bad()]
    print(f"{len(rows)} rows, {len(bad)} wrong, without effect or broken: {', '.join(bad)}")
    return min(len(bad), 120)


def _names(name: str):
    return lambda one: name == one or (one.endswith("*") and name.startswith(one[:-1]))


if __name__ == "__main__":
    sys.exit(main())
