"""What a text says of an object beside its name: attributes ("a red fork"), counts ("two forks").

Found where they stand before the object's word: colours, materials, patterns, shapes and states of
a closed list, and numbers from two to ten. What a sentence says elsewhere ("the fork is red") is
not found, nor what nobody can check ("a nice fork").
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from seesay.grounding import questions
from seesay.grounding.forced_choice import ForcedChoice, shares
from seesay.grounding.sentences import sentences

if TYPE_CHECKING:
    from PIL.Image import Image

    from seesay.grounding.risk import Mention
    from seesay.grounding.self_check import Encode
    from seesay.models.view import ModelView

Kind = Literal["attribute", "count"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)


@dataclass(frozen=True)
class Detail:
    """One thing that a text says of an object.

    Attributes:
        kind: "attribute" or "count".
        value: "red", or the number as a word: "two".
        span: characters (start, end) of the text.
        many: whether the object's word is a plural.
        p_yes: how far the model affirms it when asked, 0 to 1; None where nobody asked.
        doubtful: whether it is marked.
    """

    kind: Kind
    value: str
    span: tuple[int, int]
    many: bool = False
    p_yes: float | None = None
    doubtful: bool = False

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "value": self.value,
            "span": list(self.span),
            "p_yes": self.p_yes,
            "doubtful": self.doubtful,
        }


Form = Callable[[str, Detail], ForcedChoice]
"""An object's class and what is said of it → how a model is asked about that."""

Sheet = Sequence[tuple["Image", Sequence[tuple[str, Detail]]]]
"""Images, each with claims about objects: (class, what is said of it)."""


def found(text: str, mentions: Sequence[Mention], kinds: Sequence[Kind]) -> Iterator[Mention]:
    """The mentions with what the text says of each, in its order.

    Args:
        kinds: what to look for.
    """
    starts = [start for start, _ in sentences(text)]
    for k, mention in enumerate(mentions):
        start = starts[max(bisect_right(starts, mention.span[0]) - 1, 0)]
        behind = next((m.span[0] for m in mentions[k + 1 :]), None)
        said = list(_before(text, start, mention.span, behind))
        yield replace(mention, details=tuple(d for d in reversed(said) if d.kind in kinds))


def by_yes_and_no(name: str, detail: Detail) -> ForcedChoice:
    """ "Is the fork red?", "Are there two forks in the image?" """
    if detail.kind == "count":
        return ForcedChoice(questions.count(name, questions.NUMBERS.index(detail.value) + 1))
    return ForcedChoice(questions.attribute(name, detail.value, many=detail.many))


# ---- finding -------------------------------------------------------------------------------------


def _before(text: str, start: int, span: tuple[int, int], behind: int | None) -> Iterator[Detail]:
    """What stands before the word at `span` and belongs to it, from right to left.

    Args:
        start: where its sentence begins.
        behind: where the next object's word begins.
    """
    after = _NEXT_WORD.match(text, span[1])
    if after is not None and (after[1] not in _NO_NOUNS or after.start(1) == behind):
        return  # "a red bus stop", "the red bus's door": of something else
    last = text[slice(*span)].lower().split()[-1]
    many = (last.endswith("s") and not last.endswith("ss")) or last in questions.PLURALS
    words = list(_WORD.finditer(text, max(start, span[0] - 120), span[0]))
    for k in range(len(words) - 1, -1, -1):
        word, place = words[k].group().lower(), words[k].span()
        around = {words[j].group().lower() for j in (k - 1, k + 1) if 0 <= j < len(words)}
        number = _NUMBERS.get(word)
        if word in ATTRIBUTES:
            yield Detail("attribute", word, place, many)
        elif number is not None:
            if not around & {"and", "or"}:
                yield Detail("count", number, place, many)
            return
        elif word in (",", "and", "or"):
            if k == 0 or not _describes(words[k - 1].group().lower()):
                return
        elif not _describes(word):
            return


def _describes(word: str) -> bool:
    """Whether a word can stand between a number or attribute and its noun."""
    return word in ATTRIBUTES or word in _PLAIN or word.endswith(_ENDINGS) or word in (",", "and")


_WORD: Final = re.compile(r"\w+(?:[-'’]\w+)*|[^\w\s]")
_NEXT_WORD: Final = re.compile(r"(?:['’]s\b|['’](?=\s))?\s*([a-z]+|['’]s)", re.IGNORECASE)
_PLAIN: Final = frozenset(
    """
    dark light bright pale deep large small big little tiny huge tall short long wide old young new
    modern vintage antique flat full clean wet dry thick thin heavy plain single double different
    similar other same wild nice good great fine main whole quaint steep very quite rather hot cold
    adult baby male female soft hard
    """.split()  # noqa: SIM905
)
_ENDINGS: Final = (
    "y",
    "ful",
    "ous",
    "ive",
    "al",
    "ic",
    "able",
    "ible",
    "ish",
    "less",
    "ed",
    "ing",
    "ant",
    "ent",
)
_NO_NOUNS: Final = frozenset(
    """
    is are was were has have can could may might and or but in on at by near behind beside under
    above over across along around through with from to into onto of for next close while that which
    who where as it he she they there sits sit stands stand lies lie runs run looks look walks walk
    appears appear seems placed parked standing sitting located situated visible seen being also a
    an the his her its their another each wearing holding riding covered filled surrounded made
    beneath underneath inside outside between among against nearby together drive drives sleep
    sleeps
    """.split()  # noqa: SIM905
)


ATTRIBUTES: Final = questions.MATERIALS | frozenset(
    """
    red green blue yellow black white brown gray grey orange pink purple golden silver beige tan
    wooden striped checkered plaid spotted floral round square rectangular oval open closed empty
    """.split()  # noqa: SIM905
)
_NUMBERS: Final = {
    **{word: word for word in questions.NUMBERS[1:]},
    **{str(k + 1): word for k, word in enumerate(questions.NUMBERS) if k},
}


# ---- can this model be asked? --------------------------------------------------------------------


@dataclass(frozen=True)
class AttributeQualification:
    """How a model tells right from wrong details of drawn scenes.

    Attributes:
        kind: of what.
        pairs: share of pairs in which the right one got the higher share; 0.5 is chance.
        count: pairs asked.
    """

    kind: Kind
    pairs: float
    count: int

    @property
    def reason(self) -> str | None:
        """Why this model cannot be asked, or None if it can."""
        if self.pairs >= _LEAST_PAIRS:
            return None
        return (
            f"its answers about {self.kind}s say nothing about the picture: on drawn scenes "
            f"the right one got the higher share in {self.pairs:.0%} of {self.count} pairs (chance "
            f"is 50 %, {_LEAST_PAIRS:.0%} are wanted)"
        )


def examine(
    view: ModelView, encode: Encode, kind: Kind, form: Form, sheet: Sheet
) -> AttributeQualification:
    """Examine a model on images whose truth is known: a thing's own colour against another, or a
    count that holds against the same claim about an image where it does not.

    Args:
        encode: see `qualification.can_answer`.
        form: how it is asked.
        sheet: for "attribute" two claims an image, the right one first; for "count" the same claim
            about two images, the one where it holds first. Of 32 pairs a guessing model passes one
            time in 300.

    Raises:
        EngineError, ModelError: see `qualification.can_answer`.
    """
    from seesay.engine.prefix import CachedPrefix

    fork = CachedPrefix.fresh(view, encode([image for image, _ in sheet], _PROMPT), _PROMPT)
    asked = [[form(name, detail) for name, detail in claims] for _, claims in sheet]
    answers = shares(fork, asked)
    if kind == "attribute":
        pairs = [(its[0], its[1]) for its in answers]
    else:
        pairs = [
            (true[0], false[0]) for true, false in zip(answers[::2], answers[1::2], strict=True)
        ]
    won = sum((right > wrong) + 0.5 * (right == wrong) for right, wrong in pairs)
    return AttributeQualification(kind, won / len(pairs), len(pairs))


_PROMPT: Final = "Describe the image."
_LEAST_PAIRS: Final = 0.75
