"""Look Again: what is named is looked for once more, and not said if it is not found.

A person who is not sure thinks a word, looks again, and keeps silent. The model writes its text
undisturbed; of each object that it names it is asked, in a dialogue of its own on the picture that
is encoded already, "Is there a knife in the image?". An object fails where

    doubt ≥ threshold,   doubt = 1 − P(yes)                                      "self-check"
                         doubt = P(not there | its log-probability, SVAR, …)     "risk"
                         doubt = P(not there | the same scores and P(yes))       "combined"

and the clause that names it is left out, the rest mended. Nothing is put in its place: under habit
most replacements are inventions too. Further questions are options: whether what is said of an
object holds ("Is the fork red?", "Are there two forks?"), and what else of the vocabulary is there,
which is then said at the end. The method acts on texts, so `VLM.describe` carries it out; a
session has nothing to do for it, and other methods added to it shape the text that is looked at.

Ours. That asking a model finds much of what it invents is known from self-checking decoders; that
the answer is worth most beside the word's own log-probability, measured here, is what "combined"
rests on (docs/look-again.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, get_args

from seesay.engine import Method
from seesay.errors import nearest

Evidence = Literal["combined", "self-check", "risk"]
Mode = Literal["withhold", "rewrite", "mark"]

UNCALIBRATED_THRESHOLD = 0.65
"""Doubt at which an object fails by self-check alone: P(yes) of .35 or less."""


@dataclass(frozen=True, repr=False)
class LookAgain(Method):
    """Asks again after every object that the text names, and does not say what it does not find.

    Attributes:
        threshold: the doubt at which an object fails, 0 to 1; at 1 nothing fails, that is the plain
            model. None takes the model's calibration: where F1 of objects named against objects
            there peaks; without one 0.65 by self-check, P(yes) of .35 or less.
        evidence: "combined" (falls back to "self-check" for a model without calibration; the
            protocol says what was used), "self-check", or "risk", which asks nothing.
        mode: "withhold" leaves the clause out. "rewrite" first goes back to where the sentence
            began and lets the model try without the failed words; a new object must then be found
            with P(yes) of at least `stricter`, and what still fails is left out. "mark" changes no
            text and marks what fails as doubtful.
        otherwise: said in the place of a text of which nothing is left.
        stricter: P(yes) that a rewritten sentence's new objects need, 0 to 1.
        tries: how often a sentence is rewritten before its clauses are left out, at least 1.
        attributes: whether colours, materials, patterns and states before an object's word are
            asked after too, and left out where they fail: "a red fork" becomes "a fork".
        counts: the same for numbers: "two forks" becomes "forks".
        details: the doubt, 1 − P(yes), at which an attribute or a count fails, 0 to 1.
        habit: how much of the log-odds that a blurred picture gets for the same question is taken
            off an object's, at least 0: the model affirms by habit what it cannot see. It costs
            a look at each blurred picture; docs/look-again.md shows the trade at 0.5. 0 is off.
        add: P(yes) from which an object of the vocabulary that the model did not name is said at
            the text's end, 0 to 1; None says nothing more. It finds objects that plain leaves out,
            and under habit affirms inventions too.
    """

    name: ClassVar[str] = "look-again"
    summary: ClassVar[str] = "asks again whether what it named is there, and leaves out what is not"
    paper: ClassVar[str] = "seesay's own"
    acts_on: ClassVar[Literal["steps", "texts"]] = "texts"

    threshold: float | None = None
    evidence: Evidence = "combined"
    mode: Mode = "withhold"
    otherwise: str = "I am not sure what is in this picture."
    stricter: float = 0.9
    tries: int = 2
    attributes: bool = False
    counts: bool = False
    details: float = UNCALIBRATED_THRESHOLD
    habit: float = 0.0
    add: float | None = None

    def __post_init__(self) -> None:
        if self.threshold is not None:
            self._require_number("threshold", 0, 1)
        for field in ("stricter", "details"):
            self._require_number(field, 0, 1)
        for field in ("attributes", "counts"):
            self._require(isinstance(getattr(self, field), bool), field, "must be True or False")
        self._require_number("habit", 0)
        if self.add is not None:
            self._require_number("add", 0, 1)
            self._require(self.mode != "mark", "add", "puts words in, and mode='mark' changes none")
        self._require(type(self.tries) is int and self.tries >= 1, "tries", "must be 1 or more")
        self._require(isinstance(self.otherwise, str), "otherwise", "must be a text")
        for field, known in (("evidence", get_args(Evidence)), ("mode", get_args(Mode))):
            value = getattr(self, field)
            self._require(value in known, field, f"is unknown; {nearest(str(value), known)}")

    @property
    def active(self) -> bool:
        return self.threshold != 1 or bool(self.kinds) or self.add is not None

    def at_zero(self) -> LookAgain:
        return replace(self, threshold=1.0, attributes=False, counts=False, add=None)

    @property
    def kinds(self) -> tuple[Literal["attribute", "count"], ...]:
        """The details that are asked after."""
        return (*(("attribute",) if self.attributes else ()), *(("count",) if self.counts else ()))

    @property
    def refuses(self) -> Mapping[str, str]:
        if self.mode != "rewrite":
            return {}
        return {"beams": "a search over beams has no one path to go back on"}

    @property
    def asks(self) -> bool:
        """Whether the model is asked again: `risk` and `mark` by risk need no question."""
        more = self.mode == "rewrite" or bool(self.kinds) or self.add is not None
        return self.active and (self.evidence != "risk" or more)

    def fitted(self, single: float | None, checked: float | None) -> LookAgain:
        """This method with the evidence and the threshold that a model's calibration can carry.

        Args:
            single, checked: the calibrated thresholds of risk without and with self-check; None
                where the model has no such calibration.

        Raises:
            MethodError: evidence "risk" without a calibration.
        """
        if self.evidence == "risk":
            self._require(
                single is not None,
                "evidence",
                "needs a calibrated model, since ranks within a text are no probabilities; run "
                "`seesay calibrate`, or take evidence='self-check'",
            )
            return self._at(single)
        if self.evidence == "combined" and checked is not None:
            return self._at(checked)
        return replace(self, evidence="self-check")._at(UNCALIBRATED_THRESHOLD)

    def _at(self, threshold: float | None) -> LookAgain:
        return self if self.threshold is not None else replace(self, threshold=threshold)

    # ---- decisions -------------------------------------------------------------------------

    def doubt(self, risk: float | None, p_yes: float | None) -> float | None:
        """What speaks against an object, 0 to 1; None where nothing is known of it.

        Args:
            risk: its calibrated risk, with or without P(yes) as the evidence has it; None where it
                is unknown.
            p_yes: the answer, if it was asked after.
        """
        asked = p_yes is not None and (risk is None or self.evidence == "self-check")
        return 1 - p_yes if asked and p_yes is not None else risk

    def fails(self, doubt: float | None) -> bool:
        """Whether an object in this much doubt is not to be said; without evidence it stands."""
        if doubt is None or self.threshold is None:
            return False
        return doubt >= self.threshold < 1

    def denies(self, p_yes: float | None) -> bool:
        """Whether what is said of an object is not to be said, by how far the model affirms it."""
        return p_yes is not None and 1 - p_yes >= self.details

    def adds(self, p_yes: float) -> bool:
        """Whether an object that the model did not name is said, by how far it is affirmed."""
        return self.add is not None and p_yes >= self.add
