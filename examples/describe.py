"""Describe a picture, look at the doubtful words, write a report. Runs offline as it stands."""

import sys

import seesay

picture = sys.argv[1] if len(sys.argv) > 1 else "toy:broken/7"
vlm = seesay.load()  # or a Hugging Face id, or a folder
seen = vlm.describe(picture, method="attention-lens(alpha=0.4)")
print(seen.text)
for mention in seen.mentions:
    mark = "?" if mention.doubtful else " "
    print(f"{mark} {mention.word:12} rank {mention.risk:.2f}  span {mention.span}")
print("wrote", seen.save("report.html"))
