"""docs/json.md names every field that is written, and no other."""

from __future__ import annotations

import json
import re

import pytest

from paths import ROOT
from seesay import load
from seesay.grounding.scores import DOUBTFUL_HIGH

PAGE = (ROOT / "docs" / "json.md").read_text(encoding="utf-8")


def documented(section: str) -> dict[str, list[str]]:
    """Field → its other cells, of the table under a heading."""
    part = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", part, re.MULTILINE)
    return {name: [cell.strip() for cell in rest.split(" | ")] for name, rest in rows}


@pytest.fixture(scope="module")
def records():
    vlm = load()
    options = {"self_check": True, "deep": True}
    return [
        vlm.describe("toy:broken/2", **options).to_dict(),
        vlm.audit("toy:broken/2", "A fork and a cow.", **options).to_dict(),
        vlm.describe("toy:kept/2", max_new_tokens=13, seed=1).to_dict(),
        vlm.describe("toy:broken/9", method="look-again(attributes=True)").to_dict(),
        vlm.describe("toy:broken/7", method="look-again").to_dict(),
    ]


KINDS = {
    "string": str, "bool": bool, "int": int, "number": (int, float), "array": list, "object": dict,
    "[int, int]": list,
}  # fmt: skip


@pytest.mark.parametrize(
    ("section", "of"),
    [
        ("A text", lambda r: [r]),
        ("A mention", lambda r: r["mentions"]),
        ("A detail", lambda r: [d for m in r["mentions"] for d in m["details"]]),
        ("What was withheld", lambda r: r["withheld"]),
        ("A token", lambda r: r["tokens"]),
        ("What checking cost", lambda r: [r["check"]] if r["check"] else []),
        ("The protocol", lambda r: [r["protocol"]]),
    ],
)
def test_every_field_is_documented_with_its_type(records, section, of) -> None:
    table = documented(section)
    found = [one for record in records for one in of(json.loads(json.dumps(record)))]
    assert found
    for one in found:
        assert set(one) == set(table)
        for name, value in one.items():
            kinds = table[name][0].split(" or ")
            if value is None:
                assert "null" in kinds, name
                continue
            assert any(isinstance(value, KINDS[k]) for k in kinds if k != "null"), (name, value)
            assert isinstance(value, bool) == ("bool" in kinds), name


def test_every_score_is_documented_with_its_direction(records) -> None:
    table = documented("Scores")
    assert {name: cells[0] == "high" for name, cells in table.items()} == DOUBTFUL_HIGH
    written = {name for record in records for m in record["mentions"] for name in m["scores"]}
    assert written == set(table) - {"disagreement"}
    plain = {name for m in records[2]["mentions"] for name in m["scores"]}
    on_request = {name for name, cells in table.items() if "only with" in cells[1]}
    assert set(table) - plain == {"disagreement", *on_request}


def test_the_schema_is_the_documented_one(records) -> None:
    for record in records:
        assert f"`{record['schema']}`" in documented("A text")["schema"][1]
