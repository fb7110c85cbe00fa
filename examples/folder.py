"""Describe a folder of pictures into rows, then read them back. Runs offline as it stands."""

import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

import seesay
from seesay import toy
from seesay.folder import describe_folder

if len(sys.argv) > 1:
    photos, out = Path(sys.argv[1]), Path("rows.jsonl")
else:  # no folder given: draw one
    photos = Path(tempfile.mkdtemp())
    out = photos / "rows.jsonl"
    for seed in range(12):
        toy.scene("broken", seed).image.save(photos / f"{seed:02}.png")

vlm = seesay.load()  # or a Hugging Face id, or a folder
tally = describe_folder(vlm, photos, out)
print(f"{tally.described} described, {tally.kept} were there, {len(tally.failed)} failed: {out}")

doubted = Counter()
with out.open(encoding="utf-8") as rows:
    for row in map(json.loads, rows):
        for mention in row.get("mentions", ()):  # error rows have none
            doubted[mention["class"]] += mention["doubtful"]
for name, times in doubted.most_common(5):
    print(f"{times:3} x {name}")
