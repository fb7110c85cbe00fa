"""How much to doubt a word.

A mention's `risk` is a **rank in [0, 1], never a probability**: calibration comes later. It says
how unusual the mention's evidence is.

* With a `Reference` (mentions of objects that truly were in pictures, by the same model): the share
  of those true mentions that had better evidence. 0.95 means: more doubtful than 95 % of the true
  ones. Doubtful at `MARK` or above, so about one true mention in ten is marked wrongly; how many
  invented ones are caught depends on the model.
* Without: the mention's place among the mentions of its own text (0 the best supported, 1 the
  least). That order alone cannot say that anything is wrong, so a word is marked by a fixed limit
  on its probability, `MARK_PROBABILITY`, untuned.

A reference is made with the plain model. A method moves the scores of true and invented words alike
(Attention Lens raises every SVAR), so ranks under a method are rougher, and the protocol says so.

Evidence is the log-probability's rank and, with the smaller weight `SVAR_WEIGHT`, SVAR's.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from seesay.errors import ModelError
from seesay.grounding.words import Word

UNCALIBRATED = "uncalibrated: ranks within each text, not probabilities"
MARK = 0.9
MARK_PROBABILITY = 0.3
SVAR_WEIGHT = 0.25
REFERENCE_FILE = "seesay-reference.json"


@dataclass(frozen=True)
class Mention:
    """One object word of a text, with what speaks for and against it.

    Attributes:
        word, name: as written, and its class.
        span: characters (start, end) of the text.
        token: index of its first token among the generated ones.
        scores: by name, see `grounding.scores`.
        risk: a rank in [0, 1], see `grounding.risk`; a probability only where `calibrated`.
        doubtful: whether it is marked.
        heatmap: (rows, columns) of the patch grid over the picture as the model saw it whole: the
            share of attention that the row predicting the word paid to each patch (heads and
            middle layers averaged). None where the model's patch order is not known.
    """

    word: str
    name: str
    span: tuple[int, int]
    token: int
    scores: Mapping[str, float]
    risk: float
    doubtful: bool
    calibrated: bool = False
    heatmap: NDArray[np.float32] | None = field(default=None, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        return {
            "word": self.word,
            "class": self.name,
            "span": list(self.span),
            "token": self.token,
            "scores": dict(self.scores),
            "risk": self.risk,
            "calibrated": self.calibrated,
            "doubtful": self.doubtful,
        }


class Reference(BaseModel):
    """What the scores look like for mentions of objects that truly were in the picture.

    `logprob`, `svar` and `doubt` hold evenly spaced quantiles, ascending. `doubt` is the
    combination that `risk` ranks. `layers` is SVAR's range, both ends included.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    revision: str | None
    layers: tuple[int, int]
    mentions: int = Field(ge=1)
    made_from: str
    logprob: tuple[float, ...] = Field(min_length=2)
    svar: tuple[float, ...] = Field(min_length=2)
    doubt: tuple[float, ...] = Field(min_length=2)

    @field_validator("logprob", "svar", "doubt")
    @classmethod
    def _ascending(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if any(not math.isfinite(value) for value in values) or list(values) != sorted(values):
            raise ValueError("quantiles must be finite and ascending")
        return values

    @staticmethod
    def read(path: Path) -> Reference:
        """A reference from its JSON file; ModelError if it cannot be one."""
        try:
            return Reference.model_validate(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, ValidationError) as error:
            reason = str(error).splitlines()[0]
            raise ModelError(
                f"cannot use the reference {str(path)!r}: {reason}; make it anew with "
                "`python -m seesay.evaluate.reference` or delete it"
            ) from error

    @staticmethod
    def find(folder: Path, revision: str | None) -> Reference | None:
        """The reference that lies in a model's folder, if it was made for this revision."""
        path = folder / REFERENCE_FILE
        reference = Reference.read(path) if path.is_file() else None
        return reference if reference and reference.revision == revision else None

    @staticmethod
    def fit(
        scores: Sequence[Mapping[str, float]],
        *,
        model: str,
        revision: str | None,
        layers: tuple[int, int],
        made_from: str,
        quantiles: int = 201,
    ) -> Reference:
        """A reference from the scores of mentions of true objects."""
        logprob = _quantiles([s["logprob"] for s in scores], quantiles)
        svar = _quantiles([s["svar"] for s in scores], quantiles)
        doubt = _quantiles([_doubt(s, logprob, svar) for s in scores], quantiles)
        return Reference(
            model=model,
            revision=revision,
            layers=layers,
            mentions=len(scores),
            made_from=made_from,
            logprob=logprob,
            svar=svar,
            doubt=doubt,
        )

    def __str__(self) -> str:
        return (
            f"ranks against {self.mentions} mentions of objects that were there "
            f"({self.made_from}), not probabilities"
        )

    def risk(self, scores: Mapping[str, float]) -> float:
        """The share of true mentions with better evidence than `scores`; ties count half."""
        return _share_below(_doubt(scores, self.logprob, self.svar), self.doubt)


def weigh(
    text: str,
    words: Sequence[Word],
    tokens: Sequence[int],
    scores: Sequence[Mapping[str, float]],
    reference: Reference | None,
) -> tuple[Mention, ...]:
    """Mentions with their risks; `words`, `tokens` and `scores` run in parallel."""
    logprobs = [s["logprob"] for s in scores]
    if reference is not None:
        risks = [reference.risk(s) for s in scores]
        marks = [risk >= MARK for risk in risks]
    else:
        risks = [1 - _place(logprob, logprobs) for logprob in logprobs]
        marks = [logprob < math.log(MARK_PROBABILITY) for logprob in logprobs]
    return tuple(
        Mention(
            word=text[word.start : word.end],
            name=word.name,
            span=(word.start, word.end),
            token=token,
            scores={**score, "position": float(position)},
            risk=risk,
            doubtful=mark,
        )
        for position, (word, token, score, risk, mark) in enumerate(
            zip(words, tokens, scores, risks, marks, strict=True)
        )
    )


def _doubt(scores: Mapping[str, float], logprob: Sequence[float], svar: Sequence[float]) -> float:
    """High when a mention is less probable and less looked for than mentions of true objects."""
    improbable = 1 - _share_below(scores["logprob"], logprob)
    unseen = 1 - _share_below(scores["svar"], svar)
    return (1 - SVAR_WEIGHT) * improbable + SVAR_WEIGHT * unseen


def _share_below(value: float, ascending: Sequence[float]) -> float:
    """The share of `ascending` below `value`; ties count half. NaN counts as the lowest."""
    if math.isnan(value):
        return 0.0
    return (bisect_left(ascending, value) + bisect_right(ascending, value)) / (2 * len(ascending))


def _place(value: float, among: Sequence[float]) -> float:
    """0 for the lowest of `among`, 1 for the highest; 0.5 for the only one."""
    if len(among) < 2:
        return 0.5
    below = sum(other < value for other in among)
    ties = sum(other == value for other in among) - 1
    return (below + ties / 2) / (len(among) - 1)


def _quantiles(values: Sequence[float], count: int) -> tuple[float, ...]:
    ordered = sorted(values)
    last = len(ordered) - 1
    return tuple(ordered[round(k * last / (count - 1))] for k in range(count))
