"""What the engine and each method cost, as ratios to plain `generate` in the same run.

    python bench/decode.py [--rounds 6] [--tokens 24] [--threads 1] [--kv-heads 16]
    python bench/decode.py --tiled        # 2,880 image tokens, where a sparse cache should pay

The reference shape: a decoder of 8 layers, hidden 1024, 16 heads; 576 image tokens and 100 of text.
Absolute times mean little on a shared machine, so every round times plain generation and each
method in turn, in shuffled order, and a method's ratio is that of the lower-quartile step times.
With one thread the process's own CPU time is counted: waiting for others is no cost of a method.
Peak memory is that of fresh processes, the least of three for each.
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
from typing import Any, NamedTuple

import torch
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    StoppingCriteria,
)

from seesay.methods import parse

UNTOUCHED, READOUT = "untouched", "readout of all layers"
STORED = "transformers' output_attentions=True, eager"  # the same rows, and every map kept
PATCH, TEXT_TOKENS = 14, 100
SQUARE, TILED = (24, 24), (72, 40)  # 576 and 2,880 image tokens


class Target(NamedTuple):
    """The ratio that a decoded token, the prompt and peak memory should stay under."""

    token: float | None = None
    prompt: float | None = None
    memory: float | None = 1.05


CASES = {
    "plain": Target(1.02),  # a session without methods
    "attention-lens": Target(1.05, 1.05),
    "farsight": Target(1.06, 1.10),
    "attention-lens + farsight": Target(1.10),
    "eah": Target(1.01, 1.15),
    READOUT: Target(1.05),
    STORED: Target(memory=None),
    "vasparse(select=False)": Target(1.06),  # contrast and penalty
    "agla": Target(1.90, memory=None),  # a second stream: twice the rows
}
KEPT = "vasparse(candidates='all', keep=0.25, every=512, lam=0.0, contrast=False, penalise=False)"
TILED_CASES = {
    KEPT.replace("lam=0.0", "aggregate=False, lam=0.0"): Target(1.0, memory=None),
    KEPT: Target(1.0, memory=None),
}


def reference_model(kv_heads: int = 16) -> Any:
    torch.manual_seed(0)
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=64,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            image_size=PATCH * 24,
            patch_size=PATCH,
        ),
        text_config=LlamaConfig(
            vocab_size=8000,
            hidden_size=1024,
            intermediate_size=2816,
            num_hidden_layers=8,
            num_attention_heads=16,
            num_key_value_heads=kv_heads,
            max_position_embeddings=8192,
        ),
        image_token_index=7999,
    )
    model = LlavaForConditionalGeneration(config).eval().requires_grad_(False)
    model.generation_config.update(eos_token_id=None, pad_token_id=0)
    return model


def reference_inputs(grid: tuple[int, int] = SQUARE) -> dict[str, torch.Tensor]:
    """A prompt of text, image and text; a tiled image comes as squares of 576 tokens."""
    generator = torch.Generator().manual_seed(0)
    text = torch.randint(10, 7000, (1, TEXT_TOKENS), generator=generator)
    squares = grid[0] * grid[1] // 576
    ids = torch.cat([text[:, :20], torch.full((1, 576 * squares), 7999), text[:, 20:]], 1)
    pixels = torch.randn(squares, 3, PATCH * 24, PATCH * 24, generator=generator)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "pixel_values": pixels}


class Clock(StoppingCriteria):
    """Notes the time after every token."""

    def __init__(self) -> None:
        self.now = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
        self.ticks = [self.now()]

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        self.ticks.append(self.now())
        return torch.zeros(len(input_ids), dtype=torch.bool)


def generate(model: Any, case: str, inputs: dict[str, torch.Tensor], tokens: int) -> list[float]:
    """Seconds of the prompt and of each further token."""
    clock = Clock()
    options = {"max_new_tokens": tokens, "do_sample": False, "stopping_criteria": [clock]}
    if case == UNTOUCHED:
        model.generate(**inputs, **options)
    elif case == STORED:
        decoder = model.get_decoder()
        decoder.set_attn_implementation("eager")
        try:
            clock.ticks[0] = clock.now()
            model.generate(
                **inputs, **options, output_attentions=True, return_dict_in_generate=True
            )
        finally:
            decoder.set_attn_implementation("sdpa")
    else:
        readout = case == READOUT
        with parse("plain" if readout else case)(model, readout=readout):
            clock.ticks[0] = clock.now()
            model.generate(**inputs, **options)
    return [after - before for before, after in pairwise(clock.ticks)]


def timings(
    model: Any, cases: list[str], inputs: dict[str, torch.Tensor], rounds: int, tokens: int
) -> dict[str, tuple[float, float]]:
    """Case -> lower-quartile seconds of (prompt, token)."""
    cases = [UNTOUCHED, *cases]
    seen: dict[str, list[list[float]]] = {case: [] for case in cases}
    for case in cases:  # warm-up
        generate(model, case, inputs, 3)
    order = random.Random(0)
    for done in range(rounds):
        order.shuffle(cases)
        for case in cases:
            seen[case].append(generate(model, case, inputs, tokens))
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


def peak_memory(case: str, given: argparse.Namespace) -> float:
    """Peak resident kB of a fresh process that generates under `case` (Linux): the least of three,
    since what the allocator adds differs by 4 % from process to process."""
    call = [sys.executable, __file__, "--peak", case, "--kv-heads", str(given.kv_heads)]
    call += ["--threads", str(given.threads), *(["--tiled"] if given.tiled else [])]
    runs = (subprocess.run(call, capture_output=True, text=True, check=True) for _ in range(3))
    return min(float(run.stdout) for run in runs)


def table(given: argparse.Namespace) -> None:
    grid, cases = (TILED, TILED_CASES) if given.tiled else (SQUARE, CASES)
    inputs = reference_inputs(grid)
    found = timings(
        reference_model(given.kv_heads), list(cases), inputs, given.rounds, given.tokens
    )
    base = peak_memory(UNTOUCHED, given)
    prompt, token = found[UNTOUCHED]
    print(
        f"torch {torch.__version__}, {given.threads} thread(s), float32, 8 layers x 1024, 16 heads "
        f"({given.kv_heads} key heads), {grid[0] * grid[1]} image + {TEXT_TOKENS} text tokens\n"
    )
    print("| | token | target | prompt | target | memory | target |\n|---|---|---|---|---|---|---|")
    print(f"| {UNTOUCHED} | 1 | | 1 | | 1 | |")
    for case, target in cases.items():
        first, step = found[case]
        memory = peak_memory(case, given) / base
        name = "engine, no method" if case == "plain" else case
        cells = [(step / token, target.token), (first / prompt, target.prompt)]
        cells.append((memory, target.memory))
        row = " | ".join(f"{v:.3f} | {'' if t is None else f'≤ {t:.2f}'}" for v, t in cells)
        print(f"| {name} | {row} |")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=6)
    arguments.add_argument("--tokens", type=int, default=24)
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--kv-heads", type=int, default=16)
    arguments.add_argument("--tiled", action="store_true")
    arguments.add_argument("--peak", metavar="CASE", help="print this process's peak memory")
    given = arguments.parse_args()
    torch.set_num_threads(given.threads)
    if not given.peak:
        table(given)
        return
    model = reference_model(given.kv_heads)
    inputs = reference_inputs(TILED if given.tiled else SQUARE)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of building the model
    generate(model, given.peak, inputs, 8)
    print(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[0])


if __name__ == "__main__":
    main()
