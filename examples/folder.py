"""Describe a folder of pictures into rows, then read them back. Runs offline as it stands."""

import json
import sys
import tempfile
from pathlib import Path

import seesay
from seesay import toy
from seesay.runs.folder import describe_folder

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

with out.open(encoding="utf-8") as rows:
    for row in map(json.loads, rows):
        mentions = row.get("mentions", ())  # error rows have none
        for mention in sorted(mentions, key=lambda mention: -mention["risk"])[:1]:
            print(f"{row['picture']}: least supported is {mention['word']}, {mention['risk']:.2f}")
