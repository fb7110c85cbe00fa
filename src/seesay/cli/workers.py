"""Where a command's workers live: in this process, in others, on a Ray cluster."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seesay.cli.options import Engine
from seesay.cli.output import say, working
from seesay.errors import InputError

if TYPE_CHECKING:
    from seesay.runs.setup import Setup
    from seesay.runs.worker_pool import Make, WorkerPool


@dataclass(frozen=True)
class Placement:
    """The options --engine, --workers, --address, --gpus-per-worker.

    Raises:
        InputError: options of a cluster without one.
    """

    engine: Engine
    workers: int
    address: str | None
    gpus: float | None

    def __post_init__(self) -> None:
        if self.engine is Engine.LOCAL and (self.address is not None or self.gpus is not None):
            raise InputError("--address and --gpus-per-worker are for --engine ray; add it")

    @property
    def here(self) -> bool:
        """Whether this process does the work."""
        return self.engine is Engine.LOCAL and self.workers == 1

    @contextmanager
    def pool(self, make: Make, setup: Setup) -> Iterator[WorkerPool[Any]]:
        """The workers. While they are there, `sys.stdout` is stderr: Ray tells of lost workers on
        stdout, which is for results."""
        from seesay.runs.worker_pool import InProcess, ProcessBackend, WorkerPool

        place: Any = InProcess(make, setup) if self.here else ProcessBackend(make, setup)
        if self.engine is Engine.RAY:
            from seesay.runs.ray_backend import RayBackend

            with working("joining the cluster"):
                place = RayBackend(
                    make, setup, address=self.address, workers=self.workers, gpus=self.gpus
                )
        with redirect_stdout(sys.stderr), WorkerPool(place, self.workers, say) as pool:
            yield pool


def setup_of(
    model: str | None,
    dtype: str | None,
    device: str | None,
    revision: str | None,
    trust_remote_code: bool,
) -> Setup:
    """How a command's model is loaded."""
    from seesay.runs.setup import Setup

    # Threads cost so small a model as the bundled one more than they bring.
    threads = 1 if model is None else None
    return Setup(model, dtype, device, revision, trust_remote_code, threads)


def greet(pool: WorkerPool[Any], model: str | None) -> None:
    """Have the first worker load the model; says what its user should know."""
    with working(f"loading {model or 'the bundled model'}"):
        remark = pool.call("remark")
    if remark:
        say(remark)
