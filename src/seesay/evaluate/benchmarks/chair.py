"""CHAIR: which of the objects that a caption names are in the picture, on COCO (Rohrbach et al.,
"Object Hallucination in Image Captioning", 2018)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, ClassVar

from seesay.errors import InputError, nearest
from seesay.evaluate.benchmark import Answer, Kind, Sample
from seesay.evaluate.benchmarks.captions import COLUMNS, METRICS, count_caption, finished
from seesay.evaluate.benchmarks.chair_read import READERS, SCORER_VERSION
from seesay.evaluate.benchmarks.coco import annotation_files, read_coco
from seesay.evaluate.benchmarks.files import digest, find_files, read_rows
from seesay.evaluate.benchmarks.files import field as value_of
from seesay.evaluate.benchmarks.listed import Counted, ListedQuestions, picture_path, tally
from seesay.statistics.metrics import Metric, Score

PROMPT = "Please describe this image in detail."


@dataclass(frozen=True, kw_only=True)
class Chair(ListedQuestions):
    """Captions of COCO images.

    Attributes:
        folder: with COCO's `instances_*2014.json` and `captions_*2014.json`, or with `chair.jsonl`
            (image_id, image, objects). Not needed to score.
        images: the folder of the pictures; else they are looked for in `folder`.
        scorer: "pattern", "nltk" or "clean"; see `chair_read`.
        size: how many images, drawn at random from `seed`. The usual protocol is 500 of val2014,
            but each paper has its own 500: publish the list.
        ids: a file with the image ids to take instead, one a line (any text around the last number
            is ignored, so file names do).
        cut_unfinished: leave out a last sentence that the token limit cut; see `finished`.
    """

    folder: Path | None = None
    images: Path | None = None
    scorer: str = "pattern"
    size: int = 500
    seed: int = 0
    ids: Path | None = None
    cut_unfinished: bool = False
    max_new_tokens: int = 512
    name: str = field(default="chair", init=False)
    kind: ClassVar[Kind] = "caption"
    metrics: ClassVar[Mapping[str, Metric]] = METRICS

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scorer not in READERS:
            raise InputError(f"unknown scorer {self.scorer!r}; {nearest(self.scorer, READERS)}")
        if self.size < 1:
            raise InputError(f"size={self.size} takes no image; give 1 or more")

    def listed(self) -> Iterator[Sample]:
        if self.folder is None:
            raise InputError("chair needs a folder with COCO's annotations of 2014 (--data)")
        listed = find_files(self.folder, ("chair.jsonl",))
        yield from self._from_list(listed[0]) if listed else self._from_coco(self.folder)

    def score(self, samples: Sequence[Sample], answers: Mapping[str, Answer]) -> Score:
        """Count; `sample.truth["objects"]` are the classes in the picture."""
        read = READERS[self.scorer]

        def count(sample: Sample, answer: Answer) -> Counted:
            text = finished(answer) if self.cut_unfinished else answer.text
            return count_caption(text, [m.named for m in read(text)], sample.truth["objects"])

        return tally(samples, answers, COLUMNS, count)

    def protocol(self) -> dict[str, Any]:
        """Scorer, prompt, which images, and digests of the files."""
        return {
            "benchmark": self.name,
            "scorer": self.scorer,
            "scorer_version": SCORER_VERSION,
            "cut_unfinished": self.cut_unfinished,
            "prompt": PROMPT,
            "images": str(self.ids) if self.ids else f"{self.size} at random, seed {self.seed}",
            "limit": self.limit,
            "data": self._data(),
        }

    def _from_coco(self, folder: Path) -> Iterator[Sample]:
        coco = read_coco(folder)
        read = READERS[self.scorer]
        for image in self._chosen(coco.file_names):
            name = coco.file_names[image]
            there = coco.objects(image, lambda text: (mention.object for mention in read(text)))
            yield self._sample(image, picture_path(name, self.images, folder), there)

    def _from_list(self, path: Path) -> Iterator[Sample]:
        rows = read_rows(path)
        by_id = {int(value_of(row, ("image_id",), path)): row for row in rows}
        if len(by_id) != len(rows):
            raise InputError(f"{path}: {len(rows) - len(by_id)} image ids stand there twice")
        for image in self._chosen(by_id):
            name = str(value_of(by_id[image], ("image",), path))
            there = value_of(by_id[image], ("objects",), path)
            yield self._sample(image, picture_path(name, self.images, path.parent), there)

    def _sample(self, image: int, picture: str, there: Sequence[str]) -> Sample:
        return Sample(str(image), picture, PROMPT, str(image), {"objects": list(there)})

    def _chosen(self, known: Mapping[int, Any]) -> list[int]:
        if self.ids is None:
            everything = sorted(known)
            if self.size >= len(everything):
                return everything
            return sorted(Random(f"chair:{self.seed}").sample(everything, self.size))
        chosen = _read_ids(self.ids)
        unknown = [image for image in chosen if image not in known]
        if unknown:
            raise InputError(
                f"{self.ids}: {len(unknown)} ids are not in the annotations, such as {unknown[0]}"
            )
        return chosen

    def _data(self) -> dict[str, str] | None:
        if self.folder is None:
            return None
        listed = find_files(self.folder, ("chair.jsonl",))
        files = listed or [path for paths in annotation_files(self.folder) for path in paths]
        return digest([*files, *([self.ids] if self.ids else [])])


def _read_ids(path: Path) -> list[int]:
    """Image ids of a text file, in its order: the last digits of each line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the image ids {str(path)!r} cannot be read: {error}") from error
    chosen = []
    for line in lines:
        digits = re.findall(r"\d+", line)
        if digits:
            chosen.append(int(digits[-1]))
    if not chosen:
        raise InputError(f"{path} holds no image ids; write one a line")
    return chosen
