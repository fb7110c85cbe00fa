"""What a diagnosis is: notes of a reading, methods to ask with, and what follows from both.

A new diagnosis is one file with a subclass of `Diagnosis` and one line in `registry`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from seesay.evaluate.diagnose.content import Finding, Part, Told

if TYPE_CHECKING:
    from seesay.engine import AnyMethod
    from seesay.evaluate.diagnose.reading import Batch, Taker
    from seesay.models.view import ModelView


@dataclass(frozen=True, eq=False)
class Evidence:
    """What was measured of all pictures.

    Attributes:
        view: the model.
        told: the texts of the plain model, in the order of the pictures.
        notes: by diagnosis, picture → what its taker noted.
        asked: by diagnosis, picture → label of a method → counts of its text; see `asking.COUNTS`.
        reopen: reads a picture and its text in again, for a figure on the picture.
    """

    view: ModelView
    told: Sequence[Told]
    notes: Mapping[str, Mapping[str, Mapping[str, Any]]]
    asked: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]]
    reopen: Callable[[Told], Batch]

    def of(self, name: str) -> tuple[list[Told], list[Mapping[str, Any]]]:
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

    def takers(self, batch: Batch) -> Sequence[Taker]:
        """Who takes notes as the texts are read; what they note of a picture is put together."""
        return ()

    def methods(self, view: ModelView) -> Mapping[str, AnyMethod]:
        """Methods under which pictures with known objects are described once more, by label."""
        return {}

    @abstractmethod
    def conclude(self, evidence: Evidence) -> Finding:
        """What follows from what was measured; numbers, figures and claims."""

    def finding(self, parts: Sequence[Part], **more: Any) -> Finding:
        """A finding of this diagnosis."""
        return Finding(self.name, self.title, self.question, self.paper, tuple(parts), **more)

    def skipped(self, reason: str) -> Finding:
        """A finding that there is nothing, and why."""
        return self.finding((), skipped=reason)
