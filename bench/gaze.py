"""Where the bundled model looks when it is asked again, and what that depends on.

    python bench/gaze.py [--scenes 80]

Of each object that a caption names: the map of attention over the patches of the row that wrote its
word, of the word's row in the question whether it is there, and of the row that answers. Likeness
is the correlation of the maps of two objects of one picture; the object's share is the attention on
the patches that its boxes touch, over those patches' share of the picture, 1 for looking anywhere.
"""

from __future__ import annotations

import argparse
from itertools import combinations

import numpy as np
import torch

import seesay
from seesay import toy
from seesay.engine.prefix import CachedPrefix
from seesay.grounding.scored_text import on_grid
from seesay.grounding.self_check import ask
from seesay.models.image_geometry import patch_grids
from seesay.toy.scenes import GRID, PATCH_SIZE
from seesay.vlm import PROMPT

ROWS = ("the word, as it was written", "the word in the question", "the answer")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--scenes", type=int, default=80)
    given = arguments.parse_args()
    torch.set_num_threads(1)
    vlm = seesay.load()
    likeness = {row: [] for row in ROWS}
    shares = {row: [] for row in ROWS}
    for k in range(given.scenes):
        split = ("kept", "broken")[k % 2]
        scene = toy.scene(split, 100 + k)
        seen = vlm.describe(f"toy:{split}/{100 + k}", self_check=True)
        firsts = {}
        for mention in seen.mentions:
            firsts.setdefault(mention.name, mention)
        inputs = vlm.encode([scene.image], PROMPT)
        questions = [[toy.question(name) for name in firsts]]
        answering = [[""] * len(firsts)]
        answers = ask(CachedPrefix.fresh(vlm.view, inputs, PROMPT), questions, about=answering)[0]
        cells = patch_grids(vlm.view, inputs, [scene.image])[0].cells
        maps = {
            ROWS[0]: [mention.heatmap for mention in firsts.values()],
            ROWS[1]: [mention.heatmap_again for mention in firsts.values()],
            ROWS[2]: [on_grid(answer.gaze, cells) for answer in answers],
        }
        places = [place(scene, name) for name in firsts]
        for row, its in maps.items():
            pairs = combinations(its, 2)
            likeness[row] += [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in pairs]
            shares[row] += [
                one[where].sum() / one.sum() / where.mean()
                for one, where in zip(its, places, strict=True)
                if where.any()
            ]
    print(f"{given.scenes} scenes, half of each split, seeds from 100 on\n")
    print("| row | likeness, median | the object's share, mean |\n|---|---|---|")
    for row in ROWS:
        print(f"| {row} | {np.median(likeness[row]):.2f} | {np.mean(shares[row]):.2f} |")


def place(scene: toy.Scene, name: str) -> np.ndarray:
    """(rows, columns) bool, the patches that the object's boxes touch."""
    where = np.zeros((GRID, GRID), bool)
    for placed in scene.objects:
        for left, top, right, bottom in placed.boxes if placed.name == name else ():
            rows = slice(top // PATCH_SIZE, (bottom - 1) // PATCH_SIZE + 1)
            where[rows, left // PATCH_SIZE : (right - 1) // PATCH_SIZE + 1] = True
    return where


if __name__ == "__main__":
    main()
