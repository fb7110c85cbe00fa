"""What a caption costs: forwards, tokens and time of one picture at a time, beside plain."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from experiments.look_again.runs import FIRST_SEED, LONGEST, PLAIN, REWRITE, SWEEPS, Text
from seesay.methods import parse
from seesay.toy.world import Split
from seesay.vlm import VLM

MEASURED: Final = (
    PLAIN, "look-again", "look-again(evidence=risk)", "look-again(add=0.9)",
    "look-again(attributes=True, counts=True)", "look-again(habit=0.5)", REWRITE,
    *(name for name in SWEEPS),
)  # fmt: skip
_CAPTIONS, _TURNS = 12, 3


@dataclass(frozen=True)
class Cost:
    """A caption's means: the decoder's forwards, rows times columns it read, and CPU seconds."""

    forwards: float
    tokens: float
    seconds: float


def typical(texts: Sequence[Text]) -> list[int]:
    """Scenes whose plain caption has three object words and 22 to 28 words."""
    fitting = [
        k
        for k, text in enumerate(texts)
        if len(text.reading.mentions) == 3 and 22 <= len(text.reading.text.split()) <= 28
    ]
    return fitting[:_CAPTIONS]


def measure(vlm: VLM, split: Split, scenes: Sequence[int]) -> dict[str, Cost]:
    """The cost of each method on these scenes, one picture at a time; the median of a few turns
    through all of them, methods taking turns, so that a busy machine slows all alike."""
    pictures = [f"toy:{split}/{FIRST_SEED + k}" for k in scenes]
    seconds: dict[str, list[float]] = {method: [] for method in MEASURED}
    read: dict[str, tuple[int, int]] = {}
    vlm.describe(pictures[0], method="look-again", max_new_tokens=LONGEST)  # examined, warm
    for _ in range(_TURNS):
        for method in MEASURED:
            counter = _Counter()
            hook = vlm.view.decoder.register_forward_pre_hook(counter, with_kwargs=True)
            started = time.process_time()
            for picture in pictures:
                vlm.describe(picture, method=parse(method), max_new_tokens=LONGEST)
            seconds[method].append((time.process_time() - started) / len(pictures))
            hook.remove()
            read[method] = counter.forwards, counter.tokens
    count = len(pictures)
    return {
        method: Cost(
            read[method][0] / count, read[method][1] / count, statistics.median(seconds[method])
        )
        for method in MEASURED
    }


class _Counter:
    """Counts a decoder's forwards, and rows times columns of its input."""

    def __init__(self) -> None:
        self.forwards = self.tokens = 0

    def __call__(self, decoder: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given = kwargs.get("inputs_embeds", kwargs.get("input_ids"))
        given = args[0] if given is None else given
        self.forwards += 1
        self.tokens += given.shape[0] * given.shape[1]
