"""Make a reference: what a model's scores look like for objects that truly are in the picture.

    python -m seesay.evaluate.reference [--model FOLDER] [--scenes 600]

Describes drawn scenes of both splits whose seeds nobody trained on or measured with (from
`FIRST_SEED`), keeps the mentions of objects that are there, and writes seesay-reference.json into
the model's folder, where `load` finds it. Prints how well each score separates invented mentions
from true ones (AUROC) and what the mark catches, on other scenes than those the reference was made
from.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from seesay import toy
from seesay.errors import InputError, SeesayError
from seesay.grounding.risk import MARK, REFERENCE_FILE, Reference
from seesay.grounding.scores import svar_layers
from seesay.toy.world import Split
from seesay.vlm import VLM, load

SPLITS: tuple[Split, ...] = ("kept", "broken")
FIRST_SEED = 7_000_000
CHECK_SEED = 7_500_000
FEWEST = 200


class Case(NamedTuple):
    """One mention: its scores and whether its object is in the picture."""

    split: str
    scores: dict[str, float]
    there: bool


def make(vlm: VLM, scenes: int, first_seed: int = FIRST_SEED) -> Reference:
    """A reference from `scenes` scenes of each split.

    Raises:
        InputError: fewer than `FEWEST` mentions of true objects came out.
    """
    true = [case.scores for case in cases(vlm, scenes, first_seed) if case.there]
    if len(true) < FEWEST:
        raise InputError(
            f"{len(true)} mentions of true objects are too few for ranks; {FEWEST} are the least: "
            "take more scenes"
        )
    last = first_seed + scenes - 1
    return Reference.fit(
        true,
        model=vlm.id,
        revision=vlm.revision,
        layers=vlm.reference.layers if vlm.reference else svar_layers(vlm.view.n_layers),
        made_from=f"drawn scenes kept and broken, seeds {first_seed} to {last}",
    )


def cases(vlm: VLM, scenes: int, first_seed: int) -> Iterator[Case]:
    """Every object word of the plain model's greedy texts on scenes of both splits."""
    for split in SPLITS:
        drawn = [toy.scene(split, first_seed + k) for k in range(scenes)]
        for seen in vlm.describe(drawn, batch_size=32, max_new_tokens=128):
            there = seen.present or frozenset()
            for mention in seen.mentions:
                yield Case(split, dict(mention.scores), mention.name in there)


def auroc(invented: Sequence[float], true: Sequence[float]) -> float:
    """The chance that an invented mention scores higher than a true one; ties count half."""
    if not invented or not true:
        return float("nan")
    wins = sum((i > t) + (i == t) / 2 for i in invented for t in true)
    return wins / (len(invented) * len(true))


def table(found: Sequence[Case], reference: Reference) -> Iterator[str]:
    """How well each score separates, by split, and what the mark catches."""
    scores: dict[str, Callable[[dict[str, float]], float]] = {
        "risk": reference.risk,
        "log-probability": lambda s: -s["logprob"],
        "entropy": lambda s: s["entropy"],
        "SVAR": lambda s: -s["svar"],
        "position": lambda s: s["position"],
    }
    yield "| AUROC | " + " | ".join(SPLITS) + " |"
    yield "|---|" + "---|" * len(SPLITS)
    for name, doubt in scores.items():
        cells = []
        for split in SPLITS:
            mine = [case for case in found if case.split == split]
            wrong = [doubt(case.scores) for case in mine if not case.there]
            right = [doubt(case.scores) for case in mine if case.there]
            cells.append(f"{auroc(wrong, right):.3f}")
        yield f"| {name} | " + " | ".join(cells) + " |"
    for split in SPLITS:
        for there, kind in ((False, "invented"), (True, "true")):
            risks = [
                reference.risk(c.scores) for c in found if (c.split, c.there) == (split, there)
            ]
            share = sum(risk >= MARK for risk in risks) / max(len(risks), 1)
            yield f"{split}: {share:.1%} of {len(risks)} {kind} mentions are marked"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m seesay.evaluate.reference", description=__doc__
    )
    parser.add_argument("--model", help="a model folder; default: the bundled model")
    parser.add_argument("--scenes", type=int, default=600, help="scenes of each split")
    given = parser.parse_args(arguments)
    if given.model is None:
        torch.set_num_threads(1)  # threads cost so small a model more than they bring
    try:
        vlm = load(given.model)
        folder = toy.MODEL_DIR if given.model is None else Path(given.model)
        if not folder.is_dir():
            raise InputError(
                f"{given.model!r} is no folder, so the reference has no place to lie in"
            )
        reference = make(vlm, given.scenes)
        (folder / REFERENCE_FILE).write_text(reference.model_dump_json() + "\n", encoding="utf-8")
        lines = table(list(cases(vlm, max(given.scenes // 2, 1), CHECK_SEED)), reference)
        sys.stdout.write("\n".join([*lines, f"wrote {folder / REFERENCE_FILE}", ""]))
    except SeesayError as error:
        sys.stderr.write(f"seesay: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
