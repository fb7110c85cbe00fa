"""The words of evaluation: a benchmark is samples and a scorer.

`Benchmark.samples` says what is asked about which picture; a runner writes one `Answer` a sample;
`Benchmark.score` counts them, purely, so that a new scorer or parser needs no model. What it gives
is a table of counts, one row a picture, and every metric is a function of the table's column sums.
So any metric can be resampled over pictures at once (`statistics`), whatever it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from seesay.statistics.metrics import Metric, Score

Kind = Literal["caption", "yes-no", "open"]


@dataclass(frozen=True)
class Sample:
    """One thing to ask.

    Attributes:
        id: unique within its benchmark.
        picture: a file, or a drawn scene such as "toy:kept/7".
        prompt: the whole text of the user's turn.
        cluster: the picture's id; statistics resample these, never single questions.
        truth: what the scorer needs to know, JSON types only.
    """

    id: str
    picture: str
    prompt: str
    cluster: str
    truth: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class NamedObject:
    """An object word of an answer, with what the caption's own pass says about it.

    Attributes:
        name: the class in the run's vocabulary.
        span: characters (start, end) of the text.
        logprob: of its first token, under the plain model's own distribution.
        risk: see `grounding.risk`.
    """

    name: str
    span: tuple[int, int]
    logprob: float
    risk: float


@dataclass(frozen=True)
class Answer:
    """What a model said to a sample.

    Attributes:
        id: the sample's.
        text: raw, as decoded.
        tokens: generated tokens.
        seconds: wall time, a batch's shared evenly.
        ended: whether the model ended its text itself.
        mentions: object words with their scores; empty where they were not asked for.
        yes: P(yes) / (P(yes) + P(no)) at the first token of a yes/no answer, under the
            distribution that the token was chosen from; None elsewhere.
        error: why there is no text, or None.
    """

    id: str
    text: str
    tokens: int = 0
    seconds: float = 0.0
    ended: bool = True
    mentions: tuple[NamedObject, ...] = ()
    yes: float | None = None
    error: str | None = None


class Benchmark(ABC):
    """Samples, a scorer and its metrics. A new benchmark is one file with one subclass.

    Class attributes:
        name: as `--suite` takes it, with its split: "pope-random", "toy-captions-broken".
        kind: "caption" (object words are looked for), "yes-no" (P(yes) is recorded), or "open".
        max_new_tokens: the text is cut there unless the run says otherwise.
        metrics: in the order in which they are shown; `headline` is the first of them.
    """

    name: str
    kind: ClassVar[Kind]
    max_new_tokens: int = 512
    metrics: ClassVar[Mapping[str, Metric]]

    @abstractmethod
    def samples(self) -> Sequence[Sample]:
        """What is asked, always the same in the same order.

        Raises:
            InputError: files that are missing, broken, or hold an id twice.
        """

    @abstractmethod
    def score(self, samples: Sequence[Sample], answers: Mapping[str, Answer]) -> Score:
        """Count; pure. `samples` may be the first few of `samples()`; a sample whose answer is
        missing or an error is left out and counted in `remarks`."""

    @abstractmethod
    def protocol(self) -> dict[str, Any]:
        """What must be known to read the figures: scorer, parser, their versions, data and its
        digest. JSON types."""
