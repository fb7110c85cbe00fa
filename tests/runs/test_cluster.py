"""Runs on a local Ray cluster: the same records as here, also where a worker is killed."""

from __future__ import annotations

import os
import signal
import sys

import pytest

import run_kit
from paths import TESTS
from run_kit import SETUP, run
from seesay import toy
from seesay.errors import InputError, SeesayError
from seesay.evaluate.records import open_run
from seesay.evaluate.worker import ModelWorker
from seesay.runs.folder import Folder, FolderRun, FolderWorker
from seesay.runs.ray_backend import RayBackend
from seesay.runs.setup import Setup
from seesay.runs.worker_pool import InProcess, WorkerPool


def test_without_ray_the_remedy_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install 'seesay\[ray\]'"):
        RayBackend(ModelWorker, SETUP, address=None, workers=1)


@pytest.fixture(scope="module")
def ray():
    ray = pytest.importorskip("ray")
    here = str(TESTS / "support")
    os.environ["PYTHONPATH"] = os.pathsep.join([here, *sys.path])  # for the workers
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield ray
    ray.shutdown()


pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning")


class Murderous(RayBackend):
    """Kills the process of a worker as soon as the third batch has been given to it."""

    killed, said = False, 0

    def __init__(self, *args, kills_at, **more):
        super().__init__(*args, **more)
        self.kills_at, self.processes = kills_at, {}

    def hire(self, rank):
        worker = super().hire(rank)
        ask = worker.actor.__ray_call__.remote(lambda seat: os.getpid())
        self.processes[worker] = self._ray.get(ask)
        return worker

    def send(self, worker, call, argument):
        super().send(worker, call, argument)
        if call == self.kills_at and not self.killed:
            self.said += 1
            self.killed = self.said == 3
            if self.killed:
                os.kill(self.processes[worker], signal.SIGKILL)


def test_a_cluster_says_the_same_and_a_worker_may_be_killed(tmp_path, ray):
    run(tmp_path / "here", "agla + eah", benchmarks=[run_kit.Captions(scenes=24)])
    notes = []
    place = Murderous(ModelWorker, SETUP, address=None, workers=2, kills_at="answer")
    run(
        tmp_path / "there",
        "agla + eah",
        benchmarks=[run_kit.Captions(scenes=24)],
        place=place,
        size=2,
        notes=notes,
    )
    assert place.killed
    assert any("was lost" in note for note in notes)
    assert run_kit.recorded(tmp_path / "there") == run_kit.recorded(tmp_path / "here")
    assert run_kit.lines_of(tmp_path / "there") == 48
    assert open_run(tmp_path / "there").plan == open_run(tmp_path / "here").plan


def test_a_cluster_describes_the_same_and_a_worker_may_be_killed(tmp_path, ray):
    (tmp_path / "photos").mkdir()
    for seed in range(6):
        toy.scene("broken", seed).image.save(tmp_path / "photos" / f"{seed}.png")
    job = FolderRun(Folder.of(tmp_path / "photos"), options={"max_new_tokens": 6, "batch_size": 1})
    make, rows = FolderWorker.of(job.asked), []
    there = Murderous(make, SETUP, address=None, workers=2, kills_at="describe")
    for place, size in ((InProcess(make, SETUP), 1), (there, 2)):
        with WorkerPool(place, size, lambda _: None) as pool:
            rows.append([{**row, "seconds": 0} for row in job.rows(pool)])
    assert there.killed
    assert [row["picture"] for row in rows[1]] == list(job.folder.pictures)
    assert rows[1] == rows[0]


def test_what_a_worker_refuses_is_told_as_it_was(tmp_path, ray):
    place = RayBackend(
        ModelWorker, Setup(model=str(tmp_path / "no-such-model")), address=None, workers=1
    )
    with pytest.raises(SeesayError, match="no-such-model"):
        run(tmp_path / "a", place=place)


@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:9", "nowhere"])
def test_a_cluster_that_is_not_there_is_told_at_once(monkeypatch, address):
    ray = pytest.importorskip("ray")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(SeesayError, match=f"no Ray cluster at {address} .*check --address"):
        RayBackend(ModelWorker, SETUP, address=address, workers=1)


def test_gpus_that_are_not_there_are_told(ray):
    with pytest.raises(SeesayError, match="2 GPUs and the cluster has"):
        RayBackend(ModelWorker, SETUP, address=None, workers=1, gpus=2)
