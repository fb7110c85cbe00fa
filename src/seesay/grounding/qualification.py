"""Can a model be asked at all? Its yes and no, held against drawn scenes with known objects."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from seesay.errors import EngineError
from seesay.grounding.questions import presence
from seesay.grounding.self_check import Encode, ask_yes

if TYPE_CHECKING:
    from PIL.Image import Image

    from seesay.engine.prefix import CachedPrefix
    from seesay.models.view import ModelView


@dataclass(frozen=True)
class Qualification:
    """How a model answers about drawn scenes whose objects are known.

    Attributes:
        pictures: one question about something there and one about something absent on each.
        pairs: share of pictures in which the former got the higher P(yes); 0.5 is chance.
        accuracy: share of questions answered right at P(yes) = 0.5.
        mass: mean P(yes) + P(no).
        absent: P(yes) of each object that is not there.
        barred: why none of this could be found out, if so.
    """

    pictures: int
    pairs: float
    accuracy: float
    mass: float
    absent: tuple[float, ...] = ()
    barred: str | None = None

    def affirms(self, bar: float) -> str | None:
        """Why what this model affirms with P(yes) of at least `bar` cannot be taken for there, or
        None if it can."""
        wrong = sum(p_yes >= bar for p_yes in self.absent)
        if wrong <= _MOST_AFFIRMED * len(self.absent):
            return None
        return (
            f"it affirms {wrong} of {len(self.absent)} objects that are not there with P(yes) of "
            f"{bar:g} or more"
        )

    @property
    def reason(self) -> str | None:
        """Why this model cannot be asked, or None if it can."""
        if self.barred is not None:
            return self.barred
        if self.mass < _LEAST_MASS:
            return (
                f"it does not answer yes/no questions: of {2 * self.pictures} about drawn scenes, "
                f"yes and no together got {self.mass:.1%} of the probability"
            )
        if self.pairs < _LEAST_PAIRS:
            return (
                "its yes and no say nothing about the picture: on drawn scenes what is there got "
                f"a higher P(yes) than what is not in {self.pairs:.0%} of {self.pictures} pairs "
                f"(chance is 50 %), and {self.accuracy:.0%} of the answers were right"
            )
        return None


def can_answer(
    view: ModelView, encode: Encode, sheet: Sequence[tuple[Image, tuple[str, str]]]
) -> Qualification:
    """Examine a model on images whose objects are known: can its yes and no be used?

    Args:
        encode: images and a prompt → what the model takes, as for its captions.
        sheet: images, each with an object that is there and one that is absent; the limits are
            made for 16, where a guessing model passes one time in 26.

    Raises:
        EngineError: a family whose answers from a forked cache are not those of the whole prompt.
        ModelError: a tokenizer without tokens for yes and no, or no chat template.
    """
    from seesay.engine.prefix import PROMPT_BOUND, CachedPrefix

    if view.reads_prompt:
        return Qualification(0, math.nan, math.nan, math.nan, barred=PROMPT_BOUND)
    scenes, names = zip(*sheet, strict=True)
    pictures = len(sheet)
    fork = CachedPrefix.fresh(view, encode(scenes, _EXAM_PROMPT), _EXAM_PROMPT)
    answers = ask_yes(fork, names)
    _refuse_inexact(view, encode, fork, scenes[0], presence(names[0][0]))
    pairs = [(its[there].logit, its[absent].logit) for its, (there, absent)
             in zip(answers, names, strict=True)]  # fmt: skip
    return Qualification(
        pictures=pictures,
        pairs=sum((there > absent) + 0.5 * (there == absent) for there, absent in pairs) / pictures,
        accuracy=sum((there > 0) + (absent < 0) for there, absent in pairs) / (2 * pictures),
        mass=sum(answer.mass for its in answers for answer in its.values()) / (2 * pictures),
        absent=tuple(its[name].p_yes for its, (_, name) in zip(answers, names, strict=True)),
    )


_EXAM_PROMPT: Final = "Describe the image."
_LEAST_PAIRS: Final = 0.75
_LEAST_MASS: Final = 0.05
_MOST_AFFIRMED: Final = 0.2
_TOLERANCE: Final = 0.2  # of the logits' standard deviation: far above the rounding of bfloat16


def _refuse_inexact(
    view: ModelView, encode: Encode, fork: CachedPrefix, scene: Image, asked: str
) -> None:
    """Hold a forked answer against the answer to the whole prompt."""
    import torch

    with torch.no_grad():
        whole = view.model(**encode([scene], asked)).logits[0, -1].float()
    silent: list[list[str]] = [[] for _ in fork.prompts[1:]]
    forked = fork.logits([[asked], *silent])[0][0].float()
    off = float((whole - forked).abs().max() / whole.std())
    if not off <= _TOLERANCE:
        raise EngineError(
            f"{type(view.model).__name__} answers otherwise from its cached prompt than from the "
            f"whole one (logits off by {off:.2g} standard deviations), so it cannot be checked "
            "this way; please report this family"
        )
