"""What the engine and each method cost, as ratios to plain `generate` in the same run.

    python bench/decode.py [--rounds 6] [--tokens 24] [--threads 1]

The reference shape: a decoder of 8 layers, hidden 1024, 16 heads; 576 image tokens and 100 of text.
Absolute times mean little on a shared machine, so every round times plain generation and each
method in turn, in shuffled order, and a method's ratio is that of the lower-quartile step times.
Peak memory is that of a fresh process for each.
"""

from __future__ import annotations

import argparse
import random
import re
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    StoppingCriteria,
)

from seesay.methods import parse

IMAGE_TOKENS, TEXT_TOKENS = 576, 100
UNTOUCHED = "untouched"
# What is timed against plain generate, and the ratio that a decode step should stay under.
CASES = {
    "plain": 1.02,  # a session without methods
    "attention-lens": 1.05,
    "farsight": 1.06,
    "attention-lens + farsight": None,
    "agla": None,
}
MEMORY_TARGET = 1.05


def reference_model() -> Any:
    torch.manual_seed(0)
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=64,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            image_size=336,
            patch_size=14,
        ),
        text_config=LlamaConfig(
            vocab_size=8000,
            hidden_size=1024,
            intermediate_size=2816,
            num_hidden_layers=8,
            num_attention_heads=16,
        ),
        image_token_index=7999,
    )
    model = LlavaForConditionalGeneration(config).eval().requires_grad_(False)
    model.generation_config.update(eos_token_id=None, pad_token_id=0)
    return model


def reference_inputs() -> dict[str, torch.Tensor]:
    text = torch.randint(10, 7000, (1, TEXT_TOKENS), generator=torch.Generator().manual_seed(0))
    image = torch.full((1, IMAGE_TOKENS), 7999)
    ids = torch.cat([text[:, :20], image, text[:, 20:]], 1)
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "pixel_values": torch.randn(1, 3, 336, 336, generator=torch.Generator().manual_seed(1)),
    }


class Clock(StoppingCriteria):
    """Notes the time after every token."""

    def __init__(self) -> None:
        self.ticks = [time.perf_counter()]

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        self.ticks.append(time.perf_counter())
        return torch.zeros(len(input_ids), dtype=torch.bool)


def generate(model: Any, case: str, tokens: int) -> list[float]:
    """Seconds of the prompt and of each further token."""
    clock = Clock()
    options = {"max_new_tokens": tokens, "do_sample": False, "stopping_criteria": [clock]}
    if case == UNTOUCHED:
        model.generate(**reference_inputs(), **options)
    else:
        with parse(case)(model):
            clock.ticks[0] = time.perf_counter()
            model.generate(**reference_inputs(), **options)
    return [after - before for before, after in pairwise(clock.ticks)]


def timings(rounds: int, tokens: int) -> dict[str, tuple[float, float]]:
    """Case -> lower-quartile seconds of (prompt, token)."""
    model = reference_model()
    cases = [UNTOUCHED, *CASES]
    seen: dict[str, list[list[float]]] = {case: [] for case in cases}
    for case in cases:  # warm-up
        generate(model, case, 3)
    order = random.Random(0)
    for done in range(rounds):
        order.shuffle(cases)
        for case in cases:
            seen[case].append(generate(model, case, tokens))
        print(f"round {done + 1} of {rounds}", file=sys.stderr)
    return {
        case: (
            _quartile([run[0] for run in runs]),
            _quartile([step for run in runs for step in run[1:]]),
        )
        for case, runs in seen.items()
    }


def _quartile(values: list[float]) -> float:
    return sorted(values)[len(values) // 4]


def peak_memory(case: str) -> float:
    """Peak resident kB of a fresh process that generates under `case` (Linux)."""
    out = subprocess.run(
        [sys.executable, __file__, "--peak", case], capture_output=True, text=True, check=True
    )
    return float(out.stdout)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=6)
    arguments.add_argument("--tokens", type=int, default=24)
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--peak", metavar="CASE", help="print this process's peak memory")
    given = arguments.parse_args()
    torch.set_num_threads(given.threads)
    if given.peak:
        model = reference_model()
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak of building the model
        generate(model, given.peak, 8)
        print(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[0])
        return
    found = timings(given.rounds, given.tokens)
    base = peak_memory(UNTOUCHED)
    prompt, token = found[UNTOUCHED]
    print(f"torch {torch.__version__}, {given.threads} thread(s), float32, 8 layers x 1024")
    print(f"{'':28}{'token':>8}{'target':>8}{'prompt':>8}{'memory':>8}")
    print(f"{UNTOUCHED:28}{1:8.2f}{'':8}{1:8.2f}{1:8.2f}")
    for case, target in CASES.items():
        first, step = found[case]
        aim = "" if target is None else f"<= {target}"
        memory = peak_memory(case) / base
        name = "engine, no method" if case == "plain" else case
        print(f"{name:28}{step / token:8.3f}{aim:>8}{first / prompt:8.2f}{memory:8.3f}")
    print(f"memory target <= {MEMORY_TARGET}; agla runs a second stream, so twice the rows")


if __name__ == "__main__":
    main()
