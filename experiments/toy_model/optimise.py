"""The training loop of both stages: two processes, one averaged gradient, exact resumption.

Each process works in one thread on half of every batch; their gradients are averaged as one flat
vector. On two cores this is more than twice as fast as one process with two threads. Weights are
bfloat16 in the forward pass, with float32 masters that take the updates.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

import torch
import torch.distributed as dist
from torch import Tensor, nn

log = logging.getLogger("experiments.toy_model.train")

_REPORT_EVERY: Final = 50
_SAVE_EVERY: Final = 100
_WARM_UP: Final = 100
_LOWEST: Final = 0.02


class Stage(Protocol):
    """What one stage of training trains, and on what."""

    name: str
    steps: int
    learning_rate: float
    weight_decay: float

    @property
    def trained(self) -> nn.Module:
        """What is trained, where it requires a gradient."""
        ...

    def loss(self, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of this process's half of a step's batch, and figures for the log.

        It must depend on the weights and the step alone: so a resumed run repeats itself.
        """
        ...


def optimise(stage: Stage, work: Path) -> None:
    """Train a stage to its last step, from the checkpoint in `work` if there is one.

    Afterwards `stage.trained` holds the float32 masters. All processes of the group call this.
    """
    masters = _Masters(stage)
    checkpoint = work / f"{stage.name}-checkpoint.pt"
    first = masters.restore(checkpoint)
    figures = _Figures(stage, first)
    for step in range(first, stage.steps):
        loss, measured = stage.loss(step)
        loss.backward()  # type: ignore[no-untyped-call]
        masters.update(stage.learning_rate * _schedule(step, stage.steps))
        figures.add(step, measured)
        if (step + 1) % _SAVE_EVERY == 0 or step + 1 == stage.steps:
            masters.save(checkpoint, step + 1)
    masters.settle()


class _Masters:
    """Float32 weights behind a bfloat16 module, their optimizer, and their checkpoint."""

    def __init__(self, stage: Stage) -> None:
        self._module = stage.trained
        chosen = [p for p in stage.trained.parameters() if p.requires_grad]
        self._masters = [nn.Parameter(p.detach().float().clone()) for p in chosen]
        for master in self._masters:
            dist.broadcast(master.data, src=0)
        stage.trained.to(torch.bfloat16)
        self._working = chosen
        self._optimizer = torch.optim.AdamW(
            self._masters, lr=0.0, betas=(0.9, 0.98), weight_decay=stage.weight_decay
        )

    def update(self, learning_rate: float) -> None:
        """One step along the average of all processes' gradients, clipped to length 1."""
        flat = torch.cat([_gradient(p).flatten() for p in self._working])
        dist.all_reduce(flat)
        flat /= dist.get_world_size()
        flat *= (1 / flat.norm()).clamp(max=1)
        parts = torch.split(flat, [p.numel() for p in self._masters])
        for master, part in zip(self._masters, parts, strict=True):
            master.grad = part.view_as(master)
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        self._optimizer.step()
        self._module.zero_grad()
        self._show()

    def settle(self) -> None:
        """Put the masters themselves into the module."""
        self._module.float()
        self._show()

    def save(self, path: Path, step: int) -> None:
        """Write step, masters and optimizer in one move, from the first process."""
        if dist.get_rank() != 0:
            return
        unfinished = path.with_suffix(".unfinished")
        state = {"step": step, "masters": self._masters, "optimizer": self._optimizer.state_dict()}
        torch.save(state, unfinished)
        unfinished.replace(path)

    def restore(self, path: Path) -> int:
        """Take up what `save` wrote; the number of steps done, 0 without a checkpoint."""
        # Nobody may look before the first process of an earlier stage has written.
        dist.barrier()
        if not path.exists():
            return 0
        state = torch.load(path, weights_only=True)
        with torch.no_grad():
            for master, saved in zip(self._masters, state["masters"], strict=True):
                master.copy_(saved)
        self._optimizer.load_state_dict(state["optimizer"])
        self._show()
        return int(state["step"])

    @torch.no_grad()
    def _show(self) -> None:
        for working, master in zip(self._working, self._masters, strict=True):
            working.copy_(master)


class _Figures:
    """Running means of what a stage measures, told by the first process now and then."""

    def __init__(self, stage: Stage, first: int) -> None:
        self._stage, self._first, self._start = stage, first, time.monotonic()
        self._means: dict[str, float] = {}

    def add(self, step: int, measured: dict[str, Tensor]) -> None:
        for name, value in measured.items():
            new = value.item()
            if not math.isnan(new):  # a batch may have none of what is measured
                self._means[name] = 0.97 * self._means.get(name, new) + 0.03 * new
        done = step + 1
        if dist.get_rank() == 0 and (done % _REPORT_EVERY == 0 or done == self._stage.steps):
            seconds = time.monotonic() - self._start
            left = seconds / (done - self._first) * (self._stage.steps - done)
            shown = "  ".join(self._texts())
            log.info(
                "%s %d/%d  %.0f s, %.0f s left  %s",
                self._stage.name, done, self._stage.steps, seconds, left, shown,
            )  # fmt: skip

    def _texts(self) -> Iterator[str]:
        for name, mean in self._means.items():
            yield f"{name} {mean:.3f}"


def _gradient(parameter: nn.Parameter) -> Tensor:
    """A parameter's gradient as float32; zero where this batch did not reach it."""
    if parameter.grad is None:
        return torch.zeros_like(parameter, dtype=torch.float32)
    return parameter.grad.float()


def _schedule(step: int, steps: int) -> float:
    """Warm up, then a cosine down to almost nothing, as a share of the highest rate."""
    cosine = (1 + math.cos(math.pi * step / steps)) / 2
    return min(1.0, (step + 1) / _WARM_UP) * (cosine + _LOWEST)
