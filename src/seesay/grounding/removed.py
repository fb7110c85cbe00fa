"""What a model thought and did not say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from seesay.grounding.risk import Mention


class ObjectVerdict(NamedTuple):
    """What is known of an object: what speaks against it (0 to 1, None if nothing is known), how
    much of that makes it fail, P(yes) if the model was asked after it, and whether it fails."""

    doubt: float | None
    threshold: float
    p_yes: float | None
    fails: bool

    def __str__(self) -> str:
        """As in: P(yes) .12, doubt .81."""
        if self.doubt is None:
            return "no evidence"
        asked = [] if self.p_yes is None else [f"P(yes) {_share(self.p_yes)}"]
        only_asked = self.p_yes is not None and abs(self.doubt - (1 - self.p_yes)) < 1e-9
        return ", ".join(asked if only_asked else [*asked, f"doubt {_share(self.doubt)}"])


@dataclass(frozen=True)
class Removed:
    """A mention that was left out of a text.

    Attributes:
        mention: as the model wrote it, with its scores and heat map; its span is characters of the
            draft, its token is among the draft's.
        sentence: the draft's sentence that it stood in.
        at: the character of the text before which it would have stood.
        looked: why.
        beside: the word whose failing took this one along, since both stood in one clause; None
            for a word that failed itself.
        forbidden: whether the model then wrote another sentence in the place of this one.
        detail: what was said of the object and left out, while the object itself is said; None
            where the mention went.
    """

    mention: Mention
    sentence: str
    at: int
    looked: ObjectVerdict
    beside: str | None = None
    forbidden: bool = False
    detail: str | None = None

    def __str__(self) -> str:
        """As in: thought "knife", looked again (P(yes) .12), did not say it."""
        looked = f"looked again ({self.looked})"
        if self.detail is not None:
            return f'thought "{self.detail}" of "{self.mention.word}", {looked}, did not say it'
        if self.beside is not None:
            return (
                f'thought "{self.mention.word}", {looked}, and left it out with "{self.beside}", '
                "which stood in the same clause"
            )
        said = "said something else" if self.forbidden else "did not say it"
        return f'thought "{self.mention.word}", {looked}, {said}'

    def to_dict(self) -> dict[str, Any]:
        return {
            "mention": self.mention.to_dict(),
            "sentence": self.sentence,
            "at": self.at,
            "doubt": self.looked.doubt,
            "threshold": self.looked.threshold,
            "p_yes": self.looked.p_yes,
            "beside": self.beside,
            "forbidden": self.forbidden,
            "detail": self.detail,
            "story": str(self),
        }


def _share(value: float) -> str:
    """A share of one in two digits: .12, 1.00."""
    return f"{value:.2f}".removeprefix("0")
