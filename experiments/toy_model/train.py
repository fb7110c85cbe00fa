"""Train the bundled model from nothing: ``python -m experiments.toy_model.train``.

Draws the training scenes, teaches the vision tower what stands where, then teaches projector and
decoder to speak about it, and writes the model in Hugging Face format. Two processes of one thread
each. A run that was interrupted goes on where it was when the same command is given again.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import spawn

from experiments.toy_model.architecture import build_model, build_processor, build_tokenizer
from experiments.toy_model.dataset import draw_dataset
from experiments.toy_model.language import LanguageStage
from experiments.toy_model.optimise import log, optimise
from experiments.toy_model.vision import VisionStage, found
from seesay.toy import MODEL_DIR

_PROCESSES: Final = 2


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what the model becomes."""

    scenes: int = 48_000
    vision_steps: int = 2_600
    language_steps: int = 4_000
    batch: int = 32
    seed: int = 0


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    default_work = Path(tempfile.gettempdir()) / "seesay-toy"
    parser.add_argument("--work", type=Path, default=default_work, help="scenes and checkpoints")
    parser.add_argument("--out", type=Path, default=MODEL_DIR, help="where the model is written")
    for name, default in vars(Recipe()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
    arguments = vars(parser.parse_args())
    work, out = arguments.pop("work"), arguments.pop("out")
    train(Recipe(**arguments), work, out)


def train(recipe: Recipe, work: Path, out: Path) -> None:
    """Train by the recipe, with scenes and checkpoints in `work`, and write the model to `out`.

    The log goes to stderr and to `training.log`, which ends up beside the weights.
    """
    work.mkdir(parents=True, exist_ok=True)
    _log_to(work)
    started = time.monotonic()
    log.info("%s", recipe)
    draw_dataset(work, "training", recipe.scenes, _PROCESSES)
    draw_dataset(work, "validation", 400, _PROCESSES)
    log.info("%d scenes drawn after %.0f s", recipe.scenes, time.monotonic() - started)
    with tempfile.TemporaryDirectory() as meeting:
        spawn(  # type: ignore[no-untyped-call]
            _process, (recipe, work, out, Path(meeting) / "point"), nprocs=_PROCESSES
        )
    log.info("done after %.0f s", time.monotonic() - started)
    shutil.copy(work / "training.log", out)


def _process(rank: int, recipe: Recipe, work: Path, out: Path, meeting: Path) -> None:
    """One of the two processes, from the first stage to the saved model."""
    _log_to(work)
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{meeting}", rank=rank, world_size=_PROCESSES)
    torch.manual_seed(recipe.seed)
    tokenizer = build_tokenizer()
    model = build_model(tokenizer)
    data = draw_dataset(work, "training", recipe.scenes, 1).share(rank, _PROCESSES)
    # Each process orders its own half of the scenes and adds its own noise.
    own: dict[str, Any] = {
        "batch": recipe.batch // _PROCESSES,
        "seed": recipe.seed * _PROCESSES + rank,
    }

    vision = VisionStage(model.model.vision_tower, data, steps=recipe.vision_steps, **own)
    optimise(vision, work)
    if rank == 0:
        for kind, share in found(vision.trained, draw_dataset(work, "validation", 400, 1)).items():
            log.info("vision finds %.3f of %s objects in validation scenes", share, kind)

    language = LanguageStage(model, tokenizer, data, steps=recipe.language_steps, **own)
    tower = {k: v.clone() for k, v in model.model.vision_tower.state_dict().items()}
    optimise(language, work)
    # The frozen tower went through bfloat16 with the rest; give it its float32 weights back.
    model.model.vision_tower.load_state_dict(tower)
    if rank == 0:
        model.eval().to(torch.float16).save_pretrained(out)
        build_processor(tokenizer).save_pretrained(out)
        log.info("%d parameters written", sum(p.numel() for p in model.parameters()))
    dist.destroy_process_group()


def _log_to(work: Path) -> None:
    logging.basicConfig(
        level=logging.WARNING,
        format="%(asctime)s  %(message)s",
        datefmt="%H:%M:%S",
        handlers=[logging.StreamHandler(sys.stderr), logging.FileHandler(work / "training.log")],
    )
    log.setLevel(logging.INFO)


if __name__ == "__main__":
    main()
