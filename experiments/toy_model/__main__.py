"""Measure the bundled model: ``python -m experiments.toy_model --scenes 600 --out docs/toy.md``."""

from __future__ import annotations

import argparse
import hashlib
import logging
import platform
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
import transformers

from experiments.toy_model.measure import Measured, measure
from experiments.toy_model.model_answers import LONGEST, Speaker
from experiments.toy_model.page import page
from seesay.errors import InputError
from seesay.toy import DESCRIBE, MODEL_DIR, scene
from seesay.toy.world import Split

log = logging.getLogger("experiments.toy_model")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=600, help="held-out scenes a split")
    parser.add_argument("--first-seed", type=int, default=0, help="seed of the first scene")
    parser.add_argument("--model", type=Path, default=MODEL_DIR, help="a folder")
    parser.add_argument("--out", type=Path, default=Path("docs/toy.md"), help="the page to write")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(format="%(message)s")
    log.setLevel(logging.INFO)
    if chosen.scenes < 1:
        raise InputError(f"--scenes {chosen.scenes} measures nothing: give 1 or more")

    # The model is so small that threads cost more than they bring, far more on a busy machine.
    torch.set_num_threads(1)
    speaker = Speaker(chosen.model)
    seeds = range(chosen.first_seed, chosen.first_seed + chosen.scenes)
    splits: dict[Split, Measured] = {}
    for split in ("kept", "broken"):
        log.info("%d scenes of split %r", len(seeds), split)
        splits[split] = measure(speaker, [scene(split, seed) for seed in seeds])
    training = chosen.model / "training.log"
    lines = training.read_text().splitlines() if training.exists() else []
    text = page(dict(_facts(speaker, chosen.model, seeds)), list(_abridged(lines)), splits)
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(text)
    log.info("written: %s", chosen.out)


def _facts(speaker: Speaker, folder: Path, seeds: range) -> Iterator[tuple[str, str]]:
    weights = folder / "model.safetensors"
    size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
    count = sum(parameter.numel() for parameter in speaker.model.parameters())
    config = speaker.model.config
    vision, text = config.vision_config, config.text_config
    yield "command", f"`python -m experiments.toy_model --scenes {len(seeds)} --out docs/toy.md`"
    yield (
        "model",
        f"`LlavaForConditionalGeneration`, {count:,} parameters, {size:.1f} MB in float16",
    )
    yield (
        "architecture",
        f"CLIP tower of {vision.num_hidden_layers} layers, width {vision.hidden_size}, images of "
        f"{vision.image_size} pixels in patches of {vision.patch_size} (64 image tokens); Llama of "
        f"{text.num_hidden_layers} layers, width {text.hidden_size}, {text.num_attention_heads} "
        f"heads, {text.vocab_size} tokens",
    )
    yield "weights, SHA-256", f"`{hashlib.sha256(weights.read_bytes()).hexdigest()[:16]}…`"
    yield (
        "training",
        "`python -m experiments.toy_model.train`, one run from nothing; its log is below",
    )
    yield (
        "scenes",
        f"held out, seeds {seeds.start} to {seeds.stop - 1} of each split; training and validation "
        "draw from other seeds by construction",
    )
    yield "prompt", f"“{DESCRIBE}”"
    yield "decoding", f"greedy, at most {LONGEST} tokens, float32, CPU"
    yield (
        "questions",
        "up to two a scene about what is there, as many about what is not: random, the most "
        "frequent (popular), or those that most often come with what is there (adversarial); an "
        "answer counts by its first word and must be Yes or No",
    )
    yield (
        "versions",
        f"torch {torch.__version__.split('+')[0]}, transformers {transformers.__version__}, "
        f"Python {platform.python_version()}",
    )


def _abridged(lines: Sequence[str]) -> Iterator[str]:
    """Every line that tells no progress, and every tenth that does."""
    progress = 0
    for line in lines:
        if re.search(r" \d+/\d+ ", line):
            progress += 1
            if progress % 10:
                continue
        yield line


if __name__ == "__main__":
    main()
