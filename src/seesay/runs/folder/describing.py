"""Pictures of a folder into rows, a batch at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
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
    job = FolderRun(vlm, Folder.of(folder), prompt, options, max_pixels)
    with RowFile(out) as file:
        file.check(job.folder)
        return job.into(file, on_progress)


@dataclass(frozen=True)
class FolderRun:
    """A run over a folder: which model, which pictures, asked how. Fields as `describe_folder`."""

    vlm: VLM
    folder: Folder
    prompt: str = PROMPT
    options: Options = field(default_factory=Options)
    max_pixels: int = MAX_PIXELS

    def into(self, file: RowFile, on_progress: OnProgress | None = None) -> Tally:
        """Append the rows that a file lacks."""
        file.require(self.protocol())
        file.begin()
        described, failed = 0, {}
        for row in self.rows(file.done, on_progress):
            file.append(row)
            if row["schema"] == ERROR_SCHEMA:
                failed[row["picture"]] = row["error"]
            else:
                described += 1
        return Tally(described, len(file.done), failed)

    def protocol(self) -> dict[str, Any]:
        """What the protocol of every row will say.

        One token about a drawn scene is asked for. So what no picture could be described with is
        refused here, once, and what fails later is the picture's own.
        """
        probe: Options = {**self.options, "max_new_tokens": 1, "on_token": None}
        seen = self.vlm.describe(toy.scene("kept", 0).image, prompt=self.prompt, **probe)
        said = seen.protocol.model_copy(update={"decoding": self._asked.decoding}).record()
        return {name: value for name, value in said.items() if name not in LEFT_OPEN}

    def rows(
        self, done: Collection[str] = (), on_progress: OnProgress | None = None
    ) -> Iterator[Row]:
        """The rows of all pictures but those `done`: described ones in the folder's order, then
        errors. No more pictures than a batch holds are in memory at once."""
        left = [name for name in self.folder.pictures if name not in done]
        total = len(self.folder.pictures)
        asked, failed = self._asked, []
        alone = asked.decoding["do_sample"] or one_by_one(asked.method)
        size = 1 if alone else asked.batch_size
        for first in range(0, len(left), size):
            if on_progress is not None:
                on_progress(total - len(left) + first, total)
            for row in self._batch(left[first : first + size]):
                if row["schema"] == ERROR_SCHEMA:
                    failed.append(row)
                else:
                    yield row
        if on_progress is not None:
            on_progress(total, total)
        yield from failed

    @property
    def _asked(self) -> GenerationOptions:
        return GenerationOptions.of(self.prompt, **self.options)

    def _batch(self, names: Sequence[str]) -> Iterator[Row]:
        opened = []
        for name in names:
            try:
                opened.append(self._open(name))
            except Exception as error:  # noqa: BLE001  whatever a file holds, the others go on
                yield _error(name, error)
        yield from self._described(opened)

    def _open(self, name: str) -> _Picture:
        path = self.folder.root / name
        picture = open_picture(path, max_pixels=self.max_pixels)
        # The protocol is text; a file name need not be.
        text = os.fsencode(name).decode("utf-8", "backslashreplace")
        return _Picture(name, replace(picture, name=text), Stamp.of(path))

    def _described(self, batch: Sequence[_Picture]) -> Iterator[Row]:
        """Rows of a batch. One that fails is halved, until what failed is one picture, or what
        did not fit into memory fits."""
        if not batch:
            return
        options: Options = {**self.options, "batch_size": len(batch)}
        try:
            texts = self.vlm.describe([one.opened for one in batch], prompt=self.prompt, **options)
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
