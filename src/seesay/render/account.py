"""What is shown: a picture and one or several accounts of it, in a form that needs no model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

    from seesay.grounding import Mention
    from seesay.grounding.attributes import Detail
    from seesay.grounding.removed import Removed
    from seesay.models.image_geometry import PatchGrid


@dataclass(frozen=True)
class Account:
    """One text about a picture. `label` says who wrote it (a method, a model); `ended` is False
    where the text was cut at its token limit. `seconds` is None where nobody measured, `acted` (the
    share of steps in which a gated method acted) without a gate. `withheld` is what was thought and
    not said."""

    label: str
    text: str
    mentions: Sequence[Mention]
    seconds: float | None = None
    ended: bool = True
    acted: float | None = None
    withheld: Sequence[Removed] = ()


@dataclass(frozen=True)
class Panel:
    """A picture and the accounts of it. `present` are the objects known to be there, if anybody
    knows; only then can a word be called invented. `question` is what was asked; `sight`, how the
    model saw the picture, says where heat maps lie on it."""

    title: str
    accounts: Sequence[Account]
    picture: Image | None = None
    present: frozenset[str] | None = None
    question: str | None = None
    note: str = field(default="")
    sight: PatchGrid | None = None


@dataclass(frozen=True)
class Piece:
    """A stretch of a text: an object word where `mention` is given, a doubtful attribute or count
    where `detail` is, else plain."""

    text: str
    mention: Mention | None = None
    invented: bool = False
    detail: Detail | None = None

    @property
    def doubtful(self) -> bool:
        return self.detail is not None or (self.mention is not None and self.mention.doubtful)


def pieces(account: Account, present: frozenset[str] | None) -> list[Piece]:
    """The text cut at its mentions and doubtful details; joined again it is the text."""
    text, cut, done = account.text, [], 0
    marks = {d.span: Piece(text[slice(*d.span)], detail=d)
             for m in account.mentions for d in m.details if d.doubtful}  # fmt: skip
    for mention in account.mentions:
        word = text[slice(*mention.span)]
        marks[mention.span] = Piece(word, mention, is_invented(mention, present))
    for (start, end), piece in sorted(marks.items(), key=lambda pair: pair[0]):
        if start > done:
            cut.append(Piece(text[done:start]))
        cut.append(piece)
        done = end
    if done < len(account.text):
        cut.append(Piece(account.text[done:]))
    return cut


def repeats(account: Account, earlier: Sequence[Account]) -> str | None:
    """The label of the first earlier account that says the same with the same marks, if any."""
    for other in earlier:
        if (account.text, account.ended, _marks(account)) == (
            other.text,
            other.ended,
            _marks(other),
        ):
            return other.label
    return None


def _marks(account: Account) -> list[tuple[tuple[int, int], bool]]:
    words = [(mention.span, mention.doubtful) for mention in account.mentions]
    return words + [(d.span, d.doubtful) for m in account.mentions for d in m.details]


def is_invented(mention: Mention, present: frozenset[str] | None) -> bool:
    """Whether the text says that an object is there which is known not to be."""
    return present is not None and mention.name not in present and mention.meaning == "asserted"


def invented(account: Account, present: frozenset[str] | None) -> int:
    """How many object words of the text are not in the picture."""
    return sum(is_invented(mention, present) for mention in account.mentions)


def named(account: Account, present: frozenset[str]) -> int:
    """How many of the objects in the picture the text names. Fewer invented words are worth little
    where fewer true ones are said."""
    return len(present & {mention.name for mention in account.mentions})


@dataclass(frozen=True)
class Total:
    """One label's texts over several pictures with known truth.

    `invented` of its `words` are not there, `marked` of the invented ones are marked as doubtful;
    `named` of the `present` objects are said; `seconds` is a picture's mean, None if not measured.
    """

    label: str
    invented: int
    marked: int
    words: int
    named: int
    present: int
    seconds: float | None


def totals(panels: Sequence[Panel]) -> list[Total]:
    """A total a label, over the panels whose truth is known, in the order of the first panel."""
    known = [(panel.present, panel.accounts) for panel in panels if panel.present is not None]
    labels = dict.fromkeys(account.label for _, accounts in known for account in accounts)
    rows = []
    for label in labels:
        mine = [(there, one) for there, every in known for one in every if one.label == label]
        wrong = [m for there, one in mine for m in one.mentions if is_invented(m, there)]
        seconds = [one.seconds for _, one in mine if one.seconds is not None]
        rows.append(
            Total(
                label=label,
                invented=len(wrong),
                marked=sum(mention.doubtful for mention in wrong),
                words=sum(len(one.mentions) for _, one in mine),
                named=sum(named(one, there) for there, one in mine),
                present=sum(len(there) for there, _ in mine),
                seconds=sum(seconds) / len(seconds) if seconds else None,
            )
        )
    return rows
