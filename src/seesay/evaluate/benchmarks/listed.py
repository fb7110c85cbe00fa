"""What all benchmarks here share: samples from a list, counts by picture, pictures that exist."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seesay.errors import InputError
from seesay.evaluate.benchmark import Answer, Benchmark, Sample
from seesay.statistics.metrics import Score

_SHOWN = 5
DRAWN = "toy:"


class Counted(NamedTuple):
    """What one answer adds: column → count, and what was read out of it (JSON types)."""

    counts: Mapping[str, float]
    parsed: Any


@dataclass(frozen=True, kw_only=True)
class ListedQuestions(Benchmark):
    """A benchmark whose samples are listed one by one.

    Attributes:
        limit: only the first so many samples; None takes all.

    Folders and files may be given as texts.
    """

    limit: int | None = None

    def __post_init__(self) -> None:
        for known in fields(self):
            value = getattr(self, known.name, None)
            if str(known.type).startswith("Path") and isinstance(value, str):
                object.__setattr__(self, known.name, Path(value).expanduser())
        if self.limit is not None and self.limit < 1:
            raise InputError(f"limit={self.limit} leaves nothing to ask; give 1 or more")

    def samples(self) -> list[Sample]:
        """What is asked; see `Benchmark.samples`."""
        samples = list(islice(self.listed(), self.limit))
        twice = [id for id, times in Counter(sample.id for sample in samples).items() if times > 1]
        if twice:
            raise InputError(
                f"{self.name}: {len(twice)} ids stand there twice, such as {twice[0]!r}; repair "
                "the file, since an answer must belong to one question"
            )
        return samples

    @abstractmethod
    def listed(self) -> Iterator[Sample]:
        """All samples in order, before the limit."""


def tally(
    samples: Sequence[Sample],
    answers: Mapping[str, Answer],
    columns: Sequence[str],
    count: Callable[[Sample, Answer], Counted],
) -> Score:
    """Add up what each answer counts, one row a picture, in the samples' order.

    Samples without an answer, and answers that are errors, are left out and remarked.
    """
    rows: dict[str, dict[str, float]] = {}
    parsed: dict[str, Any] = {}
    remarks: Counter[str] = Counter()
    for sample in samples:
        answer = answers.get(sample.id)
        if answer is None or answer.error is not None:
            remarks["missing" if answer is None else "errors"] += 1
            continue
        counted = count(sample, answer)
        parsed[sample.id] = counted.parsed
        row = rows.setdefault(sample.cluster, dict.fromkeys(columns, 0.0))
        for column, value in counted.counts.items():
            row[column] += value
    counts = np.array([[row[c] for c in columns] for row in rows.values()], dtype=np.float64)
    return Score(
        clusters=tuple(rows),
        columns=tuple(columns),
        counts=counts.reshape(len(rows), len(columns)),
        parsed=parsed,
        remarks=dict(remarks),
    )


def present_pictures(
    samples: Sequence[Sample], *, skip_missing: bool = False
) -> tuple[list[Sample], list[str]]:
    """The samples whose picture is there, and the files that are not, each once.

    Raises:
        InputError: files are missing and `skip_missing` is not set; or all are.
    """
    there: dict[str, bool] = {}
    for sample in samples:
        if sample.picture not in there:
            drawn = sample.picture.startswith(DRAWN)
            there[sample.picture] = drawn or Path(sample.picture).is_file()
    missing = [picture for picture, found in there.items() if not found]
    kept = [sample for sample in samples if there[sample.picture]]
    if missing and (not skip_missing or not kept):
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise InputError(
            f"{len(missing)} of {len(there)} pictures are missing: "
            f"{', '.join(missing[:_SHOWN])}{more}; put them there, name their folder "
            "(images='FOLDER' in the suite's brackets)"
            + ("" if skip_missing else ", or skip them (--skip-missing)")
        )
    return kept, missing


def picture_path(name: str, images: Path | None, folder: Path | None) -> str:
    """Where a picture named in a file lies: under `images`, else beside the file or in one of the
    folders that publishers use."""
    if images is not None:
        return str(images / name)
    if folder is None:
        return name
    for place in _PLACES:
        path = folder / place / name
        if path.is_file():
            return str(path)
    return str(folder / "images" / name)


_PLACES = ("images", "image", "val2014", "train2014", ".")
