"""Measure Look Again: ``python -m experiments.look_again --out docs/look-again.md``.

About twenty minutes of one core. With ``--runs FOLDER`` the texts are kept there, and a second call
reads them, so that a run that was cut goes on and the page can be made again.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from experiments.look_again import cost, plot
from experiments.look_again.details import Details
from experiments.look_again.details import measure as measure_details
from experiments.look_again.page import page
from experiments.look_again.runs import DETAILS, FIRST_SEED, LONGEST, SPLITS, drawn, kept, wanted
from experiments.look_again.split import SHOWN_ADD, Measured, measure
from seesay.errors import InputError
from seesay.methods import LookAgain
from seesay.models.compat import versions
from seesay.verification.policy import Policy
from seesay.vlm import PROMPT, VLM, load

log = logging.getLogger("experiments.look_again")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=600, help="fresh scenes a split")
    parser.add_argument("--out", type=Path, default=Path("docs/look-again.md"), help="the page")
    parser.add_argument("--runs", type=Path, help="a folder that keeps the texts")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(format="%(message)s")
    log.setLevel(logging.INFO)
    if chosen.scenes < 1:
        raise InputError(f"--scenes {chosen.scenes} measures nothing: give 1 or more")
    torch.set_num_threads(1)  # threads cost so small a model more than they bring
    vlm = load()
    with tempfile.TemporaryDirectory() as scratch:
        folder = chosen.runs or Path(scratch)
        splits: dict[str, Measured] = {}
        details: dict[str, Details] = {}
        for split in SPLITS:
            runs = {}
            for method in wanted():
                log.info("%d scenes of split %r: %s", chosen.scenes, split, method)
                runs[method] = kept(folder, method, split, chosen.scenes, vlm)
            scenes = drawn(split, chosen.scenes)
            splits[split] = measure(runs, [scene.present for scene in scenes], vlm.calibration)
            details[split] = measure_details(vlm, runs[DETAILS], scenes)
            typical = cost.typical(runs["plain"])
        log.info("the cost of a caption, on %d of them", len(typical))
        costs = cost.measure(vlm, SPLITS[-1], typical)
    figure = chosen.out.with_suffix(".svg")
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    figure.write_text(plot.draw(splits, costs), encoding="utf-8")
    facts = dict(_facts(vlm, chosen.scenes))
    chosen.out.write_text(page(facts, splits, details, costs, figure.name), encoding="utf-8")
    log.info("written: %s and %s", chosen.out, figure)


def _facts(vlm: VLM, scenes: int) -> Iterator[tuple[str, str]]:
    yield (
        "command",
        f"`python -m experiments.look_again --scenes {scenes} --out docs/look-again.md`",
    )
    yield "model", f"`{vlm.id}`, revision `{vlm.revision}`"
    looker = Policy.of(vlm, LookAgain())
    yield "default", f"`{None if looker is None else looker.look}`: what the calibration gives"
    yield "adding", f"shown at `add={SHOWN_ADD}`, what `stricter` asks of new objects too"
    yield "risk", vlm.scale
    last = FIRST_SEED + scenes - 1
    yield (
        "scenes",
        f"{scenes} of each split, seeds {FIRST_SEED} to {last}: not trained or calibrated on, no "
        "threshold was chosen on them; the first 40 were looked at while `mode=rewrite` was "
        "shaped, the first 200 while `add`, `habit` and `attributes` were written",
    )
    yield "prompt", f"“{PROMPT}”"
    yield "decoding", f"greedy, at most {LONGEST} tokens, {vlm.model.dtype}, {vlm.model.device}"
    yield "versions", ", ".join(f"{name} {version}" for name, version in versions().items())


if __name__ == "__main__":
    main()
