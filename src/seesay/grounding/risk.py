"""How much to doubt a word.

An object has one risk in a text: that of the word that names it first. Later mentions are copied
from the text before them, and look safe whether or not the object is there; they keep scores of
their own.

With a `Calibration` a mention's `risk` is the probability that its object is not in the picture,
and a mention at the calibration's threshold or above is marked.

Without one, and where a score that the calibration goes by is unknown (a text that was cut at the
word, a compacted cache), it is a **rank in [0, 1], never a probability**: the mention's place by
log-probability among the objects of its own text (0 the best supported, 1 the least). That order
alone cannot say that anything is wrong, so it marks nothing: a word is marked where the model was
asked after it and denies it (`MARK_P_YES`) or, in a text of its own, where it gave the word little
probability (`MARK_PROBABILITY`, untuned).

What a text does not say to be there (`grounding.negation`) is never marked: "there is no fork" may
be right however little a fork is supported. Where the model affirms what the text denies, the
mention is `contradicted`, a doubt of another kind.

A calibration is made with the plain model. A method moves the scores of true and invented words
alike (Attention Lens raises every SVAR), so risks under a method are rougher, and the protocol says
so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seesay.grounding.calibration import Calibration, Logistic
from seesay.grounding.negation import Reading, reading
from seesay.grounding.vocabulary import Word

if TYPE_CHECKING:
    from seesay.grounding.attributes import Detail

UNCALIBRATED = "uncalibrated: ranks within each text, not probabilities"
MARK_PROBABILITY = 0.3
MARK_P_YES = 0.35


@dataclass(frozen=True)
class Mention:
    """One object word of a text, with what speaks for and against it.

    Attributes:
        word, name: as written, and its class.
        span: characters (start, end) of the text.
        token: index of its first token among the text's.
        scores: by name, see `grounding.scores`.
        risk: see `grounding.risk`: a probability where `calibrated`, else a rank.
        doubtful: whether it is marked.
        layers: by layer, the attention on the image of the row that predicts it, mean over heads;
            `own_layers` the same of its own row, None where the text was cut before it.
        heatmap: (rows, columns) of the patch grid over the picture as the model saw it whole: the
            share of attention that the row predicting the word paid to each patch (heads and
            middle layers averaged). None where the model's patch order is not known.
        heatmap_again: the same of the object's word in the question whether it is there; None too
            where nothing was asked.
        details: what the text says of it that was asked after; empty where nothing was.
        meaning: whether the text says that it is there ("asserted"), that it is not ("negated"), or
            neither ("uncertain"); see `grounding.negation`.
    """

    word: str
    name: str
    span: tuple[int, int]
    token: int
    scores: Mapping[str, float]
    risk: float
    doubtful: bool
    calibrated: bool = False
    layers: tuple[float, ...] | None = field(default=None, compare=False)
    own_layers: tuple[float, ...] | None = field(default=None, compare=False)
    heatmap: NDArray[np.float32] | None = field(default=None, repr=False, compare=False)
    heatmap_again: NDArray[np.float32] | None = field(default=None, repr=False, compare=False)
    details: tuple[Detail, ...] = ()
    meaning: Reading = "asserted"

    @property
    def contradicted(self) -> bool:
        """Whether the text says that it is not there and the model, asked, that it is."""
        return self.meaning == "negated" and self.scores.get("self_check", 0) >= 1 - MARK_P_YES

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
            "meaning": self.meaning,
            "contradicted": self.contradicted,
            "layers": None if self.layers is None else list(self.layers),
            "own_layers": None if self.own_layers is None else list(self.own_layers),
            "details": [detail.to_dict() for detail in self.details],
        }


def weigh(
    text: str,
    words: Sequence[Word],
    tokens: Sequence[int],
    scores: Sequence[Mapping[str, float]],
    calibration: Calibration | None,
    given: bool = False,
) -> tuple[Mention, ...]:
    """Mentions with their risks; `words`, `tokens` and `scores` run in parallel.

    Args:
        given: whether another wrote the text; without self-check its words are ranked.
    """
    known = [{**score, "position": float(k)} for k, score in enumerate(scores)]
    meanings = [reading(text, word.start, word.end) for word in words]
    firsts: dict[str, int] = {}
    for k in sorted(range(len(words)), key=lambda k: meanings[k] != "asserted"):
        firsts.setdefault(words[k].name, k)
    first = [known[k] for k in firsts.values()]
    models = [calibration.logistic(score, given) if calibration else None for score in first]
    logprobs = [score["logprob"] for score in first]

    def weighed(model: Logistic | None, score: Mapping[str, float]) -> tuple[float, bool, bool]:
        risk = None if model is None else model.risk(score)
        if model is None or risk is None:
            logprob, p_yes = score["logprob"], score.get("self_check")
            unlikely = logprob < math.log(MARK_PROBABILITY) and not given
            return (
                1 - _place(logprob, logprobs),
                p_yes < MARK_P_YES if p_yes is not None else unlikely,
                False,
            )
        return risk, risk >= model.threshold, True

    by_name = dict(zip(firsts, map(weighed, models, first), strict=True))
    return tuple(
        Mention(
            word=text[word.start : word.end],
            name=word.name,
            span=(word.start, word.end),
            token=token,
            scores=score,
            risk=by_name[word.name][0],
            doubtful=by_name[word.name][1] and meaning == "asserted",
            calibrated=by_name[word.name][2],
            meaning=meaning,
        )
        for word, token, score, meaning in zip(words, tokens, known, meanings, strict=True)
    )


def _place(value: float, among: Sequence[float]) -> float:
    """0 for the lowest of `among`, 1 for the highest; 0.5 for the only one."""
    if len(among) < 2:
        return 0.5
    below = sum(other < value for other in among)
    ties = sum(other == value for other in among) - 1
    return (below + ties / 2) / (len(among) - 1)
