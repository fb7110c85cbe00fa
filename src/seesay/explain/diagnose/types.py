"""What a diagnosis measures and says, before anyone writes it down: frozen data.

What a diagnosis is: notes of a reading, methods to ask with, and what follows from both.

A new diagnosis is one file with a subclass of `Diagnosis` and one line in `registry`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from seesay.statistics.intervals import Interval

if TYPE_CHECKING:
    from seesay.engine import AnyMethod
    from seesay.explain.diagnose.text_probe import Batch, TextProbe
    from seesay.models.view import ModelView

Verdict = Literal["holds here", "does not hold here", "cannot be told"]


@dataclass(frozen=True)
class NamedWord:
    """The first mention of an object in a text.

    Attributes:
        name: its class.
        token: index of its first token among the text's.
        number: 1 for the first object that the text names.
        invented: whether it is not in the picture; None where that is not known.
    """

    name: str
    token: int
    number: int
    invented: bool | None


@dataclass(frozen=True)
class DescribedImage:
    """What the plain model said about a picture.

    Attributes:
        picture: its id.
        ids: the tokens, without the one that ends a text.
        words: the objects that it names.
        present: how many objects are in the picture; None where that is not known.
    """

    picture: str
    ids: tuple[int, ...]
    words: tuple[NamedWord, ...]
    present: int | None

    @property
    def invented(self) -> int:
        return sum(bool(word.invented) for word in self.words)


@dataclass(frozen=True)
class Claim:
    """One thing that a paper observed, held against a figure.

    Attributes:
        says: the observation, as a clause.
        what: what the figure is.
        figure: with its 95 % interval over pictures.
        bound: what the figure would be if there were nothing to it.
        above: whether the observation is that it lies above.
        unable: why nothing can be told; empty where it can.
    """

    says: str
    what: str
    figure: Interval
    bound: float = 0.0
    above: bool = True
    unable: str = ""

    @property
    def verdict(self) -> Verdict:
        """By the interval alone: it holds where all of it lies on the observed side."""
        if self.unable or not all(map(math.isfinite, self.figure)):
            return "cannot be told"
        clear = self.figure.low > self.bound if self.above else self.figure.high < self.bound
        return "holds here" if clear else "does not hold here"

    @property
    def manner(self) -> str:
        """How it fails: clearly, or for want of evidence."""
        if self.verdict != "does not hold here":
            return ""
        other = self.figure.high < self.bound if self.above else self.figure.low > self.bound
        return "clearly not" if other else "no evidence for it"


@dataclass(frozen=True)
class Numbers:
    """A table: what stands over its columns, and its rows."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class FindingPart:
    """A figure with what it shows.

    Attributes:
        title, caption: for a reader who knows none of the papers.
        figure: SVG; empty for none.
        numbers: what the figure is drawn from.
        claims: what it is held against.
    """

    title: str
    caption: str
    numbers: Numbers
    figure: str = ""
    claims: tuple[Claim, ...] = ()


@dataclass(frozen=True)
class Finding:
    """What a diagnosis came to.

    Attributes:
        name, title, question, paper: of the diagnosis.
        parts: its figures.
        advice: what may be done with it, such as a method with its settings, and why.
        remarks: what a reader of the figures must know.
        skipped: why there is nothing; empty where there is.
    """

    name: str
    title: str
    question: str
    paper: str
    parts: tuple[FindingPart, ...] = ()
    advice: tuple[tuple[str, str], ...] = ()
    remarks: tuple[str, ...] = ()
    skipped: str = ""

    @property
    def claims(self) -> list[Claim]:
        return [claim for part in self.parts for claim in part.claims]


@dataclass(frozen=True)
class DiagnosisReport:
    """All findings about one model on one set of pictures.

    Attributes:
        pictures, words, invented: how many; `invented` is None where truth is not known.
        protocol: how everything was asked and measured.
    """

    model: str
    images: str
    pictures: int
    words: int
    invented: int | None
    findings: tuple[Finding, ...]
    remarks: tuple[str, ...] = ()
    protocol: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Evidence:
    """What was measured of all pictures.

    Attributes:
        view: the model.
        told: the texts of the plain model, in the order of the pictures.
        notes: by diagnosis, picture → what its probe noted.
        asked: by diagnosis, picture → label of a method → counts of its text; see `asking.COUNTS`.
        reopen: reads a picture and its text in again, for a figure on the picture.
    """

    view: ModelView
    told: Sequence[DescribedImage]
    notes: Mapping[str, Mapping[str, Mapping[str, Any]]]
    asked: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]]
    reopen: Callable[[DescribedImage], Batch]

    def of(self, name: str) -> tuple[list[DescribedImage], list[Mapping[str, Any]]]:
        """The texts that a diagnosis has notes of, and the notes."""
        found = self.notes.get(name, {})
        told = [one for one in self.told if one.picture in found]
        return told, [found[one.picture] for one in told]


class Diagnosis(ABC):
    """One observation of one paper.

    Class attributes: `name` (what users write), `title`, `question` (what a newcomer would ask),
    `paper`.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    question: ClassVar[str]
    paper: ClassVar[str]

    def probes(self, batch: Batch) -> Sequence[TextProbe]:
        """Who takes notes as the texts are read; what they note of a picture is put together."""
        return ()

    def methods(self, view: ModelView) -> Mapping[str, AnyMethod]:
        """Methods under which pictures with known objects are described once more, by label."""
        return {}

    @abstractmethod
    def conclude(self, evidence: Evidence) -> Finding:
        """What follows from what was measured; numbers, figures and claims."""

    def finding(self, parts: Sequence[FindingPart], **more: Any) -> Finding:
        """A finding of this diagnosis."""
        return Finding(self.name, self.title, self.question, self.paper, tuple(parts), **more)

    def skipped(self, reason: str) -> Finding:
        """A finding that there is nothing, and why."""
        return self.finding((), skipped=reason)
