"""What leaving clauses out of real captions costs, and edited sentences to read.

    python bench/clauses.py CAPTIONS [--seed 1] [--read 20]

CAPTIONS is a file of JSON lines with a field `text`, such as POPE's captions_llava.json. Of each
caption's COCO objects some are drawn to fail, a tenth to a half of them. Printed are how many of
the sentences that lose something go whole, how many of the mentions that should stay go along, and
some sentences before and after: whether those are English only a reader can say.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from random import Random

from seesay.grounding.clauses import leave_out, sentences
from seesay.grounding.vocabulary import Vocabulary

DENSITIES = (0.1, 0.2, 0.3, 0.5)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("captions", type=Path)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--read", type=int, default=20, help="edited sentences to print")
    given = arguments.parse_args()
    words, rng = Vocabulary.coco(), Random(given.seed)
    touched = whole = innocent = lost = 0
    edited = []
    for line in given.captions.read_text(encoding="utf-8").splitlines():
        text = json.loads(line)["text"]
        found = words.find(text)
        share = rng.choice(DENSITIES)
        names = sorted({word.name for word in found})
        failing = {name for name in names if rng.random() < share}
        spans = [(w.start, w.end) for w in found if w.name in failing]
        others = [(w.start, w.end) for w in found if w.name not in failing]
        left = leave_out(text, spans, others)
        innocent, lost = innocent + len(others), lost + len(left.lost)
        for start, end in sentences(text):
            gone = [r for r in left.removed if start <= r.start < end]
            kept = [p for p in left.pieces if start <= p[0] < end]
            touched, whole = touched + bool(gone), whole + (bool(gone) and not kept)
            if gone and kept:
                after = left.text[kept[0][2] : kept[-1][2] + kept[-1][1] - kept[-1][0]]
                edited.append((text[start:end], after))
    print(f"sentences that lose something: {touched}, of these whole: {whole / touched:.1%}")
    print(f"mentions that should stay: {innocent}, of these lost: {lost / innocent:.1%}\n")
    for before, after in rng.sample(edited, min(given.read, len(edited))):
        print(f"- {before}\n+ {after}\n")


if __name__ == "__main__":
    main()
