"""MME's hallucination subset: existence, count, position, color (Fu et al., "MME: A Comprehensive
Evaluation Benchmark for Multimodal Large Language Models", 2023)."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, NamedTuple, TypeAlias

import numpy as np

from seesay.errors import InputError
from seesay.evaluate.benchmark import Answer, Kind, Sample
from seesay.evaluate.benchmarks.files import digest, find_files, read_rows
from seesay.evaluate.benchmarks.files import field as value_of
from seesay.evaluate.benchmarks.listed import Counted, ListedQuestions, picture_path, tally
from seesay.statistics.metrics import Counts, Metric, Score, Totals, ratio

CATEGORIES: Final = ("existence", "count", "position", "color")
SCORER_VERSION: Final = 1
COLUMNS: Final = (
    *(f"{kind} {what}" for kind in CATEGORIES for what in ("asked", "right", "pictures", "both")),
    "unparsed",
)
_SUFFIXES: Final = (".jpg", ".png", ".jpeg")

Said: TypeAlias = Literal["yes", "no", "other"]


def read_answer(text: str) -> Said:
    """Otter's rule: without case, blanks around it and full stops an answer that is "yes", "y",
    "no" or "n"; else the first four characters are searched for "yes", then for "no"."""
    answer = text.lower().strip().replace(".", "")
    if answer in ("yes", "y"):
        return "yes"
    if answer in ("no", "n"):
        return "no"
    start = answer[:4]
    return "yes" if "yes" in start else "no" if "no" in start else "other"


class _Row(NamedTuple):
    category: str
    picture: str
    question: str
    label: str


def _category(kind: str) -> Callable[[Totals], Counts]:
    """acc + acc+, at most 200."""

    def of(totals: Totals) -> Counts:
        right = ratio(f"{kind} right", f"{kind} asked")(totals)
        return np.asarray(right + ratio(f"{kind} both", f"{kind} pictures")(totals))

    return of


def _score(totals: Totals) -> Counts:
    return np.asarray(np.sum([_category(kind)(totals) for kind in CATEGORIES], axis=0))


def _metrics() -> dict[str, Metric]:
    metrics = {"score": Metric(_score, "higher", "points")}
    for kind in CATEGORIES:
        metrics[kind] = Metric(_category(kind), "higher", "points")
    for kind in CATEGORIES:
        metrics[f"{kind} acc"] = Metric(ratio(f"{kind} right", f"{kind} asked"), "higher")
        metrics[f"{kind} acc+"] = Metric(ratio(f"{kind} both", f"{kind} pictures"), "higher")
    return metrics


@dataclass(frozen=True, kw_only=True)
class Mme(ListedQuestions):
    """Two questions a picture, one to be answered with yes and one with no. A category's score is
    the share of right answers (acc) plus the share of pictures with both right (acc+), the subset's
    their sum, at most 800.

    Three layouts are read, the first that is there:

    * `mme.jsonl`: JSON lines with category, image, question, answer;
    * `existence/*.txt`, and so on (or `existence/questions_answers_YN/*.txt`), one file a picture
      of the same name, each line a question, a tab and the answer;
    * `existence.txt`, and so on, each line a picture, a question and the answer with tabs between.

    Attributes:
        folder: where they are. Not needed to score.
        images: the folder of the pictures; else they are looked for beside the questions, in
            `images` and in a folder with the category's name.
    """

    folder: Path | None = None
    images: Path | None = None
    max_new_tokens: int = 16
    name: str = field(default="mme", init=False)
    kind: ClassVar[Kind] = "yes-no"
    metrics: ClassVar[Mapping[str, Metric]] = _metrics()

    def listed(self) -> Iterator[Sample]:
        asked: Counter[str] = Counter()
        for row in self._rows():
            if row.label not in ("yes", "no"):
                raise InputError(
                    f"mme: {row.question!r} has the answer {row.label!r}, not yes or no"
                )
            cluster = f"{row.category}/{Path(row.picture).name}"
            asked[cluster] += 1
            yield Sample(
                id=f"{cluster}#{asked[cluster]}",
                picture=row.picture,
                prompt=row.question,
                cluster=cluster,
                truth={"label": row.label, "category": row.category},
            )
        uneven = [cluster for cluster, times in asked.items() if times != 2]
        if uneven:
            raise InputError(
                f"mme: {len(uneven)} pictures have not exactly two questions, such as {uneven[0]} "
                f"with {asked[uneven[0]]}; acc+ needs pairs"
            )

    def score(self, samples: Sequence[Sample], answers: Mapping[str, Answer]) -> Score:
        """Count; a picture with one answer only counts for acc, not for acc+, and is remarked."""
        score = tally(samples, answers, COLUMNS, _count)
        counts = score.counts.copy()
        column = {name: at for at, name in enumerate(COLUMNS)}
        single = 0
        for kind in CATEGORIES:
            asked, right = counts[:, column[f"{kind} asked"]], counts[:, column[f"{kind} right"]]
            counts[:, column[f"{kind} pictures"]] = asked == 2
            counts[:, column[f"{kind} both"]] = (asked == 2) & (right == 2)
            single += int((asked == 1).sum())
        remarks = {**score.remarks, "unparsed": int(counts[:, column["unparsed"]].sum())}
        if single:
            remarks["pictures with one answer"] = single
        return Score(score.clusters, COLUMNS, counts, score.parsed, remarks)

    def protocol(self) -> dict[str, Any]:
        """The parser and digests of the files."""
        return {
            "benchmark": self.name,
            "scorer_version": SCORER_VERSION,
            "parser": "otter",
            "limit": self.limit,
            "data": _digests(self.folder) if self.folder else None,
        }

    def _rows(self) -> Iterator[_Row]:
        if self.folder is None:
            raise InputError("mme needs a folder with MME's questions (--data)")
        for path in _files(self.folder):
            if path.suffix == ".jsonl":
                yield from self._from_records(path)
            else:
                yield from self._from_text(path)

    def _from_records(self, path: Path) -> Iterator[_Row]:
        for row in read_rows(path):
            category = str(value_of(row, ("category",), path))
            if category not in CATEGORIES:
                continue  # MME has ten more categories; they are not about hallucination
            image = str(value_of(row, ("image", "question_id"), path))
            label = str(value_of(row, ("answer", "label"), path)).strip().lower()
            question = str(value_of(row, ("question", "text"), path))
            yield _Row(category, picture_path(image, self.images, path.parent), question, label)

    def _from_text(self, path: Path) -> Iterator[_Row]:
        folder = self.folder or path.parent
        whole = path.stem in CATEGORIES and path.parent == folder
        category = path.stem if whole else path.relative_to(folder).parts[0]
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if not line.strip():
                continue
            parts = [part.strip() for part in line.split("\t")]
            if len(parts) != (3 if whole else 2):
                raise InputError(f"{path}, line {number}: not tab-separated, or parts are missing")
            image = parts[0] if whole else _picture_of(path)
            picture = self._picture(category, image)
            yield _Row(category, picture, parts[-2], parts[-1].lower())

    def _picture(self, category: str, image: str) -> str:
        folder = self.folder or Path()
        if self.images is None:
            for place in (folder / category, folder / category / "images"):
                if (place / image).is_file():
                    return str(place / image)
        return picture_path(image, self.images, folder / category)


def _picture_of(path: Path) -> str:
    """The name of the picture that a text file belongs to."""
    for place in (path.parent, path.parent.parent / "images"):
        for suffix in _SUFFIXES:
            if (place / path.stem).with_suffix(suffix).is_file():
                return path.stem + suffix
    return path.stem + _SUFFIXES[0]


def _files(folder: Path) -> list[Path]:
    listed = find_files(folder, ("mme.jsonl",))
    if listed:
        return listed
    files: list[Path] = []
    for kind in CATEGORIES:
        patterns = (f"{kind}/questions_answers_YN/*.txt", f"{kind}/*.txt", f"{kind}.txt")
        files += find_files(folder, patterns)
    if not files:
        raise InputError(
            f"no mme.jsonl and no {CATEGORIES[0]}/*.txt in {folder}; see Mme for the layouts"
        )
    return files


def _digests(folder: Path) -> dict[str, str]:
    """One digest a category: the folder may hold hundreds of files."""
    whole = hashlib.sha256()
    for path in _files(folder):
        whole.update(str(path.relative_to(folder)).encode())
        whole.update(digest([path])[path.name].encode())
    return {"all questions": whole.hexdigest()}


def _count(sample: Sample, answer: Answer) -> Counted:
    kind, label = sample.truth["category"], sample.truth["label"]
    said = read_answer(answer.text)
    counts = {
        f"{kind} asked": 1,
        f"{kind} right": said == label,
        "unparsed": said == "other",
    }
    return Counted(counts, {"said": said, "right": said == label})
