"""From a text and what is known of its objects to what is said of it in the end."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from seesay.engine import AnyMethod, Method, Stack
from seesay.errors import ModelError, SeesayError
from seesay.grounding import Calibration, Mention, ScoredText
from seesay.grounding.attributes import Detail
from seesay.grounding.removed import ObjectVerdict, Removed
from seesay.grounding.sentences import sentences
from seesay.methods.look_again import LookAgain
from seesay.verification.edits import EditedText, remove_mentions, remove_words
from seesay.verification.judge import Judge

if TYPE_CHECKING:
    from seesay.vlm import VLM


@dataclass(frozen=True)
class Revised:
    """A text after it was looked at again.

    `reading` is what is said, with the tokens and mentions that are left of the draft; `draft` is
    what the model wrote (None where nothing looked at it again), `withheld` what is not said.
    """

    reading: ScoredText
    draft: str | None = None
    withheld: tuple[Removed, ...] = ()


@dataclass(frozen=True)
class Policy:
    """A look-again fitted to a model.

    Attributes:
        look: with evidence and threshold filled in.
        calibration: of the model.
        remark: what was used in the place of what was asked for, "" if nothing.
    """

    look: LookAgain
    calibration: Calibration | None = None
    remark: str = ""

    @classmethod
    def of(cls, vlm: VLM, method: AnyMethod) -> Policy | None:
        """The look-again in `method`, fitted to the model; None without one that is active.

        Raises:
            MethodError: evidence that this model has not got.
            ModelError: a model that cannot answer yes/no questions.
        """
        asked = _look_again(method)
        if asked is None or not asked.active:
            return None
        calibration = vlm.calibration
        checked = None if calibration is None else calibration.checked
        look = asked.fitted(
            None if calibration is None else calibration.single.strongest(),
            None if checked is None else checked.strongest(),
        )
        if look.asks and (reason := vlm.exam.reason) is not None:
            raise ModelError(
                f"{vlm.id} cannot look again: {reason}; on a calibrated model "
                "look-again(evidence=risk) asks nothing"
            )
        if look.add is not None and (reason := vlm.exam.affirms(look.add)) is not None:
            raise ModelError(f"{vlm.id} cannot say what else is there: {reason}; leave out add")
        for kind in look.kinds:
            if (reason := vlm.detail_exam(kind).reason) is not None:
                raise ModelError(f"{vlm.id} cannot look again at {kind}s: {reason}; leave them out")
        fell_back = look.evidence != asked.evidence
        return cls(look, calibration, _FELL_BACK if fell_back else "")

    def looked(
        self, reading: ScoredText, first: frozenset[str] | None = None
    ) -> dict[str, ObjectVerdict]:
        """What is known of each object of a text, by name: that of its first mention.

        Args:
            first: if given, other objects came in by rewriting and need a surer answer.
        """
        found: dict[str, ObjectVerdict] = {}
        for mention in reading.mentions:
            if mention.name in found or mention.meaning != "asserted":
                continue
            p_yes = mention.scores.get("self_check")
            doubt = self.look.doubt(self._risk(mention.scores), p_yes)
            fails = self.look.fails(doubt)
            if first is not None and mention.name not in first and p_yes is not None:
                fails = fails or p_yes < self.look.stricter
            found[mention.name] = ObjectVerdict(doubt, self.look.threshold or 0.0, p_yes, fails)
        return found

    def revised(
        self,
        reading: ScoredText,
        *,
        whole: bool = True,
        first: frozenset[str] | None = None,
        dropped: Sequence[Removed] = (),
        judge: Judge | None = None,
    ) -> Revised:
        """The text as it is said.

        Args:
            reading: its objects asked after, if the evidence asks.
            whole: False for the beginning of a text that still grows, of which nothing may be left.
            first: see `looked`.
            dropped: what versions before this one had named.
            judge: see `remove_mentions`.
        """
        looked = self.looked(reading, first)
        failing = [
            m
            for m in reading.mentions
            if m.name in looked and looked[m.name].fails and m.meaning == "asserted"
        ]
        if self.look.mode == "mark":
            marked = tuple(
                replace(m, doubtful=m in failing, details=tuple(map(self._marked, m.details)))
                for m in reading.mentions
            )
            return Revised(replace(reading, mentions=marked), reading.text)
        left = remove_mentions(
            reading.text,
            [m.span for m in failing],
            [m.span for m in reading.mentions if m not in failing],
            judge,
        )
        words = [
            span
            for m in reading.mentions
            for detail in m.details
            if self.look.denies(detail.p_yes) and (span := left.moved(detail.span)) is not None
        ]
        left = left.then(remove_words(left.text, words)) if words else left
        if not (failing or words):
            return Revised(reading, reading.text, tuple(dropped))
        told = _remains(reading, left)
        if whole and not told.text:
            told = replace(told, text=self.look.otherwise)
        withheld = (*dropped, *_withheld(reading, left, failing, looked, self.look))
        return Revised(told, reading.text, withheld)

    def _marked(self, detail: Detail) -> Detail:
        return replace(detail, doubtful=self.look.denies(detail.p_yes))

    def _risk(self, scores: Mapping[str, float]) -> float | None:
        """The calibrated risk that the evidence goes by; self-check alone does not look at it."""
        if self.calibration is None or self.look.evidence == "self-check":
            return None
        checked = self.calibration.checked if self.look.evidence == "combined" else None
        return (checked or self.calibration.single).risk(scores)


def steps_of(method: AnyMethod) -> Stack:
    """The methods of `method` that act on the steps of a generation."""
    return Stack(tuple(part for part in method.methods if part.acts_on == "steps"))


def unfit(vlm: VLM, method: AnyMethod) -> str | None:
    """Why this model cannot carry out what `method` does to texts; None if it can."""
    try:
        Policy.of(vlm, method)
    except SeesayError as error:
        return str(error)
    return None


def sentence_at(text: str, place: int) -> str:
    """The sentence of `text` that holds the character at `place`."""
    return next((text[a:b] for a, b in sentences(text) if a <= place < b), text)


def _look_again(method: AnyMethod) -> LookAgain | None:
    parts: tuple[Method, ...] = method.methods
    return next((part for part in parts if isinstance(part, LookAgain)), None)


def _remains(reading: ScoredText, left: EditedText) -> ScoredText:
    """What is left of a reading: its tokens and mentions at their new places."""
    moved = [(k, left.moved(_bare(reading.text, t.span))) for k, t in enumerate(reading.tokens)]
    kept = [(k, span) for k, span in moved if span is not None]
    places = [k for k, _ in kept]
    return replace(
        reading,
        text=left.text,
        tokens=tuple(reading.tokens[k]._replace(span=span) for k, span in kept),
        mentions=tuple(
            replace(
                mention,
                span=span,
                token=bisect_left(places, mention.token),
                details=tuple(
                    replace(detail, span=stays)
                    for detail in mention.details
                    if (stays := left.moved(detail.span)) is not None
                ),
            )
            for mention in reading.mentions
            if (span := left.moved(mention.span)) is not None
        ),
    )


def _bare(text: str, span: tuple[int, int]) -> tuple[int, int]:
    """The characters of a span without the blanks around them, which no rule for words moves."""
    piece = text[slice(*span)]
    return span[1] - len(piece.lstrip()), span[0] + len(piece.rstrip())


def _withheld(
    reading: ScoredText,
    left: EditedText,
    failing: Sequence[Mention],
    looked: Mapping[str, ObjectVerdict],
    look: LookAgain,
) -> Iterator[Removed]:
    """What failed, what was left out beside it, and what is no longer said of what stays."""
    nothing = ObjectVerdict(None, 0.0, None, fails=False)  # "no fork", left out with its clause

    def place(start: int) -> int:
        before = [new + min(end, start) - old for old, end, new in left.pieces if old <= start]
        return max(before, default=0)

    for mention in reading.mentions:
        start, sentence = mention.span[0], sentence_at(reading.text, mention.span[0])
        if mention in failing or left.moved(mention.span) is None:
            why = looked.get(mention.name, nothing)
            beside = None if mention in failing else _beside(mention, failing).word
            yield Removed(mention, sentence, place(start), why, beside)
            continue
        for detail in mention.details:
            if detail.p_yes is not None and look.denies(detail.p_yes):
                why = ObjectVerdict(1 - detail.p_yes, look.details, detail.p_yes, fails=True)
                word = reading.text[slice(*detail.span)]
                yield Removed(mention, sentence, place(detail.span[0]), why, detail=word)


def _beside(mention: Mention, failing: Sequence[Mention]) -> Mention:
    """The failing mention that took `mention` along: the nearest before it or, if none, behind."""
    before = [m for m in failing if m.span[0] < mention.span[0]]
    return before[-1] if before else failing[0]


_FELL_BACK = "look-again went by self-check alone: the model has no calibration for both together"
