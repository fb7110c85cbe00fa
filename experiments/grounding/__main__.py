"""Measure scores and risks: ``python -m experiments.grounding --out docs/grounding.md``."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

import torch

from experiments.grounding.given import given
from experiments.grounding.measure import said, spent
from experiments.grounding.page import page
from seesay.errors import InputError
from seesay.evaluate.calibrate import scenes
from seesay.vlm import load

log = logging.getLogger("experiments.grounding")

FIRST_SEED = 8_000_000
COSTED = 128
"""Scenes of each kind on which times are taken, and of which texts are given."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=1000, help="held-out scenes of each kind")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED, help="of the first scene")
    parser.add_argument(
        "--out", type=Path, default=Path("docs/grounding.md"), help="the page to write"
    )
    chosen = parser.parse_args(arguments)
    logging.basicConfig(format="%(message)s")
    log.setLevel(logging.INFO)
    if chosen.scenes < 1:
        raise InputError(f"--scenes {chosen.scenes} measures nothing: give 1 or more")

    torch.set_num_threads(1)  # threads cost so small a model more than they bring
    vlm = load()
    seeds = range(chosen.first_seed, chosen.first_seed + chosen.scenes)
    pictures = scenes(chosen.scenes, chosen.first_seed)

    def progress(done: int, total: int) -> None:
        if done % 320 == 0:
            log.info("%d of %d scenes", done, total)

    words = said(vlm, pictures, on_picture=progress)
    log.info("%d object words; given texts, and what the checks cost", len(words))
    fewer = scenes(min(COSTED, chosen.scenes), chosen.first_seed)
    others, cost = given(vlm, fewer), spent(vlm, fewer)
    log.info("figures and intervals")
    text = page(vlm, words, others, cost, seeds)
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(text, encoding="utf-8")
    log.info("written: %s", chosen.out)


if __name__ == "__main__":
    main()
