"""POPE: is there a … in the image? (Li et al., "Evaluating Object Hallucination in Large
Vision-Language Models", 2023)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from seesay.errors import InputError, nearest
from seesay.evaluate.benchmark import Sample
from seesay.evaluate.benchmarks.files import digest, find_file, read_rows
from seesay.evaluate.benchmarks.files import field as value_of
from seesay.evaluate.benchmarks.listed import picture_path
from seesay.evaluate.benchmarks.yes_no import YesNo

SAMPLINGS: Final = ("random", "popular", "adversarial")
SOURCES: Final = ("coco", "aokvqa", "gqa")


@dataclass(frozen=True, kw_only=True)
class Pope(YesNo):
    """Questions about objects, half of them absent.

    Attributes:
        sampling: how absent objects were chosen: "random", "popular" or "adversarial".
        source: whose pictures: "coco", "aokvqa" or "gqa".
        folder: with `{source}_pope_{sampling}.json` (JSON lines: question_id, image, text, label),
            there or in folders below, as the authors and VCD publish them. Not needed to score.
        images: the folder of the pictures; else they are looked for in `folder`.
        suffix: what is added to each question, such as lmms-eval's "\\nAnswer the question using a
            single word or phrase."
    """

    sampling: str = "random"
    source: str = "coco"
    folder: Path | None = None
    images: Path | None = None
    suffix: str = ""
    name: str = field(default="", init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        for what, value, known in (
            ("sampling", self.sampling, SAMPLINGS),
            ("source", self.source, SOURCES),
        ):
            if value not in known:
                raise InputError(f"unknown {what} {value!r}; {nearest(value, known)}")
        source = "" if self.source == "coco" else f"{self.source}-"
        object.__setattr__(self, "name", f"pope-{source}{self.sampling}")

    def listed(self) -> Iterator[Sample]:
        path = self._file()
        for row in read_rows(path):
            number = value_of(row, ("question_id", "id"), path)
            question = str(value_of(row, ("text", "question"), path))
            label = str(value_of(row, ("label", "answer"), path)).strip().lower()
            if label not in ("yes", "no"):
                raise InputError(
                    f"{path}: question {number} has the label {label!r}, not yes or no"
                )
            image = str(value_of(row, ("image",), path))
            yield Sample(
                id=str(number),
                picture=picture_path(image, self.images, self.folder),
                prompt=question + self.suffix,
                cluster=image,
                truth={"label": label},
            )

    def protocol(self) -> dict[str, Any]:
        """Parser, what is added to the question, and the digest of the file."""
        return {
            "benchmark": self.name,
            **self.parsing(),
            "suffix": self.suffix,
            "limit": self.limit,
            "data": digest([self._file()]) if self.folder else None,
        }

    def _file(self) -> Path:
        if self.folder is None:
            raise InputError(f"{self.name} needs a folder with POPE's questions (--data)")
        stem = f"{self.source}_pope"
        patterns = [f"{stem}_{self.sampling}.json", f"{stem}*_{self.sampling}.json"]
        patterns += [f"**/{pattern}" for pattern in patterns]
        return find_file(self.folder, patterns, f"file of questions for {self.name}")
