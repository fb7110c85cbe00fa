"""Workers on Ray: one machine's or a cluster's. The only file that knows Ray.

Every machine needs seesay, and the pictures and the model under the same paths; answers come back
to the process that asked, which alone writes records.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from seesay.errors import InputError, SeesayError
from seesay.runs.setup import Setup
from seesay.runs.worker_pool import LostWorkerError, Make, RemoteWorker

PATIENCE = 10.0
"""Seconds in which somebody must answer at a cluster's address."""


@dataclass(eq=False)
class RayWorker:
    """An actor that is a `RemoteWorker`, and the call that it is at."""

    actor: Any
    call: Any = None


class RayBackend:
    """A workplace of Ray actors.

    Args:
        address: of a cluster: "auto", "10.0.0.1:6379", "ray://…"; None starts one on this machine,
            which ends with the run.
        workers: how many actors a cluster of our own must hold.
        gpus: GPUs of each worker. None: one if the cluster has any and the device is not named
            otherwise, else none.

    Raises:
        InputError: Ray is not installed.
        SeesayError: no cluster at that address, or one without the GPUs.
    """

    def __init__(
        self,
        make: Make,
        setup: Setup,
        *,
        address: str | None,
        workers: int,
        gpus: float | None = None,
    ) -> None:
        # Ray warns that it will stop hiding GPUs from workers that ask for none; we ask for ours.
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        try:
            import ray
        except ImportError as error:
            raise InputError(
                "--engine ray needs Ray: pip install 'seesay[ray]', or leave --engine out"
            ) from error
        self._ray = ray
        self._ours = not ray.is_initialized()
        if self._ours:
            _connect(ray, address, workers)
        there = float(ray.cluster_resources().get("GPU", 0))
        if gpus is None:
            gpus = 1.0 if there and setup.device in (None, "cuda") else 0.0
        if gpus > there:
            self.close()
            raise SeesayError(
                f"a worker is to have {gpus:g} GPUs and the cluster has {there:g}; set "
                "--gpus-per-worker, or --address for another cluster"
            )
        # Ray shows a worker its own GPUs only, as the first ones.
        setup = replace(setup, device="cuda") if gpus else setup
        self._make, self._setup, self._gpus = make, setup, gpus

    def hire(self, rank: int) -> RayWorker:
        kind = self._ray.remote(num_gpus=self._gpus, num_cpus=1, max_restarts=0)(RemoteWorker)
        return RayWorker(kind.remote(self._make, self._setup))

    def send(self, worker: RayWorker, call: str, argument: Any) -> None:
        worker.call = worker.actor.call.remote(call, argument)

    def ready(self, workers: Sequence[RayWorker]) -> Sequence[RayWorker]:
        calls = [worker.call for worker in workers]
        done, _ = self._ray.wait(calls, num_returns=1)
        return [worker for worker in workers if worker.call in done]

    def receive(self, worker: RayWorker) -> Any:
        try:
            outcome = self._ray.get(worker.call)
        except self._ray.exceptions.RayActorError as error:
            raise LostWorkerError(str(error).splitlines()[0]) from None
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def dismiss(self, workers: Sequence[RayWorker]) -> None:
        for worker in workers:
            self._ray.kill(worker.actor)

    def close(self) -> None:
        """Leave the cluster, and end it if it is our own."""
        if self._ours:
            self._ray.shutdown()


def _connect(ray: Any, address: str | None, workers: int) -> None:
    if address not in (None, "auto"):
        _knock(str(address))  # Ray itself would wait for many minutes
    own = {"num_cpus": workers, "include_dashboard": False} if address is None else {}
    try:
        ray.init(
            address="local" if address is None else address,
            log_to_driver=False,
            logging_level="ERROR",
            **own,
        )
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        raise _unreachable(address, error) from error


def _knock(address: str) -> None:
    """See whether anybody listens at "host:port" or "ray://host:port"."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    try:
        socket.create_connection((host, int(port)), PATIENCE).close()
    except (OSError, ValueError) as error:
        raise _unreachable(address, error) from error


def _unreachable(address: str | None, error: Exception) -> SeesayError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return SeesayError(
        f"no Ray cluster at {address or 'this machine'} ({reason}); start one with `ray start "
        "--head`, check --address (with RAY_AUTH_MODE=token where it asks for one), "
        "or leave it out for one on this machine"
    )
