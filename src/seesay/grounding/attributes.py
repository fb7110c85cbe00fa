"""What a text says of an object beside its name: attributes ("a red fork"), counts ("two forks").

Found where they stand before the object's word: colours, materials, patterns, shapes and states of
a closed list, and numbers from two to ten. What a sentence says elsewhere ("the fork is red") is
not found, nor what nobody can check ("a nice fork").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from seesay.grounding import questions
from seesay.grounding.clauses import sentences
from seesay.grounding.clauses.phrases import joined, tag_at
from seesay.grounding.clauses.tokens import WordToken, is_adjective, tokenize
from seesay.grounding.forced_choice import ForcedChoice, shares

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
    places = sentences(text)
    for mention in mentions:
        inside = next(place for place in places if place[0] <= mention.span[0] < place[1])
        its = [other.span for other in mentions if inside[0] <= other.span[0] < inside[1]]
        said = list(_before(tokenize(text, inside, [], its), mention.span))
        yield replace(mention, details=tuple(d for d in reversed(said) if d.kind in kinds))


def by_yes_and_no(name: str, detail: Detail) -> ForcedChoice:
    """ "Is the fork red?", "Are there two forks in the image?" """
    if detail.kind == "count":
        return ForcedChoice(questions.count(name, questions.NUMBERS.index(detail.value) + 1))
    return ForcedChoice(questions.attribute(name, detail.value, many=detail.many))


# ---- finding -------------------------------------------------------------------------------------


def _before(tokens: list[WordToken], span: tuple[int, int]) -> Iterator[Detail]:
    """What stands before the word at `span` and belongs to it, from right to left."""
    at = next(k for k, token in enumerate(tokens) if token.end > span[0])
    behind = next((k for k, token in enumerate(tokens) if token.start >= span[1]), len(tokens))
    if tag_at(tokens, behind) in ("noun", "mention", "possessive"):
        return  # "a red bus stop", "the red bus's door": of something else
    many = tokens[behind - 1].low.endswith("s") or tokens[behind - 1].low in questions.PLURALS
    k = at - 1
    while k >= 0:
        token = tokens[k]
        number = _NUMBERS.get(token.low)
        if token.low in ATTRIBUTES:
            yield Detail("attribute", token.low, (token.start, token.end), many)
        elif number is not None:
            if tag_at(tokens, k + 1) != "and" and tag_at(tokens, k - 1) != "and":
                yield Detail("count", number, (token.start, token.end), many)
            return
        elif not (is_adjective(token) or token.tag == "adverb" or joined(tokens, k)):
            return
        k -= 1


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
