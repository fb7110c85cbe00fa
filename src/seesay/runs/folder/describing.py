"""Pictures of a folder into rows, a batch at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Unpack

from seesay import toy
from seesay.engine.state import one_by_one
from seesay.errors import SeesayError
from seesay.models.images import MAX_PIXELS
from seesay.options import GenerationOptions, Options
from seesay.pictures import Opened, open_picture
from seesay.runs.folder.listing import Folder, Stamp
from seesay.runs.folder.rows import ERROR_SCHEMA, LEFT_OPEN, Row, RowFile
from seesay.runs.setup import Setup
from seesay.runs.worker_pool import WorkerPool
from seesay.vlm import PROMPT, VLM

OnProgress = Callable[[int, int], None]  # (pictures done, of how many)


@dataclass(frozen=True)
class Tally:
    """What a run over a folder came to, in pictures.

    `described` now, `kept` from an earlier run, and those that `failed`: picture → reason.
    """

    described: int
    kept: int
    failed: dict[str, str]

    @property
    def pictures(self) -> int:
        return self.described + self.kept + len(self.failed)


def describe_folder(
    vlm: VLM,
    folder: str | Path,
    out: str | Path,
    *,
    prompt: str = PROMPT,
    max_pixels: int = MAX_PIXELS,
    on_progress: OnProgress | None = None,
    **options: Unpack[Options],
) -> Tally:
    """Describe every picture of a folder into a file of rows, or go on with such a file.

    Args:
        vlm: the model.
        folder: looked through with the folders in it; see `Folder.of` for what counts.
        out: the file. One that is there must be of the same folder, model, method, prompt and
            decoding; its rows are kept.
        prompt, options: as for `VLM.describe`. With `do_sample`, and under a method that acts
            otherwise in a batch, pictures are described singly, so that no text depends on where
            an earlier run was stopped.
        max_pixels: larger pictures are refused before they are decoded.
        on_progress: called with (pictures done, of how many) after each batch.

    Raises:
        InputError, MethodError: a folder, file, number or method that cannot be used.
        EngineError, ModelError: a method or way of decoding that the model cannot carry.
        SeesayError: the file cannot be written, as on a full disk.
    """
    run = FolderRun(Folder.of(folder), prompt, options, max_pixels)
    pool = WorkerPool.alone(FolderWorker(vlm, run.asked))
    with RowFile(out) as file:
        file.check(run.folder)
        return run.into(file, pool, on_progress)


@dataclass(frozen=True)
class FolderRun:
    """A run over a folder: which pictures, asked how. Fields as `describe_folder`.

    Its pool has workers that `FolderWorker.of(run.asked)` makes.
    """

    folder: Folder
    prompt: str = PROMPT
    options: Options = field(default_factory=Options)
    max_pixels: int = MAX_PIXELS

    @property
    def asked(self) -> Asked:
        """What workers need to know of it."""
        return Asked(self.folder.root, self.prompt, self.options, self.max_pixels)

    def into(
        self, file: RowFile, pool: WorkerPool[Any], on_progress: OnProgress | None = None
    ) -> Tally:
        """Append the rows that a file lacks."""
        file.require(pool.call("protocol"))
        file.begin()
        described, failed = 0, {}
        for row in self.rows(pool, file.done, on_progress):
            file.append(row)
            if row["schema"] == ERROR_SCHEMA:
                failed[row["picture"]] = row["error"]
            else:
                described += 1
        return Tally(described, len(file.done), failed)

    def rows(
        self,
        pool: WorkerPool[Any],
        done: Collection[str] = (),
        on_progress: OnProgress | None = None,
    ) -> Iterator[Row]:
        """The rows of all pictures but those `done`: described ones in the folder's order, then
        errors. A worker has no more pictures than a batch holds in memory at once."""
        left = [name for name in self.folder.pictures if name not in done]
        total = len(self.folder.pictures)
        now, failed = total - len(left), []
        if on_progress is not None:
            on_progress(now, total)
        options = self.asked.checked
        alone = options.decoding["do_sample"] or one_by_one(options.method)
        size = 1 if alone else options.batch_size
        batches = [FolderBatch(tuple(left[k : k + size])) for k in range(0, len(left), size)]
        for batch, rows in pool.map("describe", batches, ordered=True):
            for row in rows:
                if row["schema"] == ERROR_SCHEMA:
                    failed.append(row)
                else:
                    yield row
            now += len(batch.names)
            if on_progress is not None:
                on_progress(now, total)
        yield from failed


@dataclass(frozen=True)
class Asked:
    """What is asked about the pictures of a folder. Fields as `FolderRun`."""

    root: Path
    prompt: str
    options: Options
    max_pixels: int

    @property
    def checked(self) -> GenerationOptions:
        return GenerationOptions.of(self.prompt, **self.options)


@dataclass(frozen=True)
class FolderBatch:
    """Pictures that are described together, by their paths in the folder."""

    names: tuple[str, ...]

    @property
    def description(self) -> str:
        return ", ".join(self.names)


class FolderWorker:
    """A model that describes batches of a folder's pictures."""

    def __init__(self, vlm: VLM, asked: Asked) -> None:
        self.vlm, self.asked = vlm, asked

    @classmethod
    def of(cls, asked: Asked) -> Callable[[Setup], FolderWorker]:
        """Makes workers."""
        return partial(_made, asked)

    def remark(self, _: None) -> str:
        """What a user of the model should know."""
        return self.vlm.remark

    def protocol(self, _: None) -> dict[str, Any]:
        """What the protocol of every row will say.

        One token about a drawn scene is asked for. So what no picture could be described with is
        refused here, once, and what fails later is the picture's own.
        """
        asked = self.asked
        probe: Options = {**asked.options, "max_new_tokens": 1, "on_token": None}
        seen = self.vlm.describe(toy.scene("kept", 0).image, prompt=asked.prompt, **probe)
        said = seen.protocol.model_copy(update={"decoding": asked.checked.decoding}).record()
        return {name: value for name, value in said.items() if name not in LEFT_OPEN}

    def describe(self, batch: FolderBatch) -> list[Row]:
        """The rows of a batch."""
        opened, failed = [], []
        for name in batch.names:
            try:
                opened.append(self._open(name))
            except Exception as error:  # noqa: BLE001  whatever a file holds, the others go on
                failed.append(_error(name, error))
        return [*failed, *self._described(opened)]

    def _open(self, name: str) -> _Picture:
        path = self.asked.root / name
        picture = open_picture(path, max_pixels=self.asked.max_pixels)
        # The protocol is text; a file name need not be.
        text = os.fsencode(name).decode("utf-8", "backslashreplace")
        return _Picture(name, replace(picture, name=text), Stamp.of(path))

    def _described(self, batch: Sequence[_Picture]) -> Iterator[Row]:
        """Rows of a batch. One that fails is halved, until what failed is one picture, or what
        did not fit into memory fits."""
        if not batch:
            return
        options: Options = {**self.asked.options, "batch_size": len(batch)}
        pictures = [one.opened for one in batch]
        try:
            texts = self.vlm.describe(pictures, prompt=self.asked.prompt, **options)
        except Exception as error:  # noqa: BLE001  `protocol` has shown that the run itself works
            if len(batch) == 1:
                yield _error(batch[0].name, error)
                return
        else:
            for one, seen in zip(batch, texts, strict=True):
                said = seen.to_dict()
                head = {"schema": said.pop("schema"), "picture": one.name}
                yield {**head, "file": one.stamp.model_dump(), **said}
            return
        half = len(batch) // 2
        yield from self._described(batch[:half])
        yield from self._described(batch[half:])


def _made(asked: Asked, setup: Setup) -> FolderWorker:
    return FolderWorker(setup.load(), asked)


@dataclass(frozen=True)
class _Picture:
    name: str
    opened: Opened
    stamp: Stamp


def _error(name: str, error: Exception) -> Row:
    reason = " ".join(str(error).split())
    if not isinstance(error, SeesayError):
        reason = f"unexpected {type(error).__name__}: {reason}"
    return {"schema": ERROR_SCHEMA, "picture": name, "error": reason}
