"""Self-check: the model is asked whether what it named is there.

A person who is unsure looks again. For each object, "Is there a fork in the image?" is asked in a
dialogue of its own about the same picture; the answer is P(yes) / (P(yes) + P(no)) of its first
token. The picture is not encoded again (see `engine.fork`), so a check costs its few tokens. Asked
inside the running text the model believes what it has just said, and the check is worse.

The question shares the caption's habits: a model that always sees a knife beside a fork may affirm
it too. `habit` and a blurred picture estimate that part, and `corrected` takes it away.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from seesay.errors import EngineError, ModelError
from seesay.grounding.questions import presence

if TYPE_CHECKING:
    from PIL.Image import Image

    from seesay.engine.fork import Fork
    from seesay.models import ModelView

Encode = Callable[[Sequence["Image"], str], Mapping[str, Any]]
"""What the model takes for one prompt about each of some pictures: ``inputs_for`` of a model."""


class Answer(NamedTuple):
    """How a model answers a yes/no question.

    Attributes:
        p_yes: P(yes) / (P(yes) + P(no)), 0 to 1.
        logit: its log-odds, log P(yes) − log P(no).
        mass: P(yes) + P(no), 0 to 1: how much of an answer to the question it is at all.
    """

    p_yes: float
    logit: float
    mass: float


def ask(fork: Fork, questions: Sequence[Sequence[str]], *, at_once: int = 32) -> list[list[Answer]]:
    """The answers to yes/no questions about a batch of pictures.

    Args:
        fork: the pictures' cached prompts; `Fork.cost` tells what was spent.
        questions: for each prompt its questions.
        at_once: the most questions a prompt in one forward.

    Raises:
        ModelError: a tokenizer without tokens for yes and no.
        InputError, EngineError: see `Fork.logits`.
    """
    import torch

    yes, no = yes_no_tokens(fork.processor.tokenizer)
    answers: list[list[Answer]] = [[] for _ in questions]
    for first in range(0, max(map(len, questions), default=0), at_once):
        chunk = [its[first : first + at_once] for its in questions]
        for row, logits in enumerate(fork.logits(chunk)):
            if not chunk[row]:
                continue
            said = logits.log_softmax(-1)
            for_, against = said[:, yes].logsumexp(-1), said[:, no].logsumexp(-1)
            numbers = torch.stack([for_ - against, (for_.exp() + against.exp()).clamp(max=1)], -1)
            answers[row] += [Answer(_sigmoid(odds), odds, mass) for odds, mass in numbers.tolist()]
    return answers


def ask_yes(
    fork: Fork,
    names: Sequence[Iterable[str]],
    question: Callable[[str], str] = presence,
    *,
    at_once: int = 32,
) -> list[dict[str, Answer]]:
    """For each picture, what the model says when asked whether each object is there.

    Args:
        fork: see `ask`.
        names: for each prompt of the fork its object names; each name is asked after once.
        question: an object's name → the question.
        at_once: see `ask`.
    """
    each = [list(dict.fromkeys(its)) for its in names]
    answers = ask(fork, [[question(name) for name in its] for its in each], at_once=at_once)
    return [dict(zip(its, found, strict=True)) for its, found in zip(each, answers, strict=True)]


# ---- the model's own habit, taken away -----------------------------------------------------------


def habit(absent: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Each object's mean logit in pictures where it is not: how readily the model affirms it.

    Args:
        absent: (name, `Answer.logit`) of questions about objects that are known to be absent.
    """
    logits = defaultdict(list)
    for name, logit in absent:
        logits[name].append(logit)
    return {name: sum(those) / len(those) for name, those in logits.items()}


def blurred(picture: Image, share: float = 0.08) -> Image:
    """The picture as far as its colours go: what the model still affirms is habit.

    Args:
        share: the Gaussian's standard deviation, as a share of the shorter side.
    """
    from PIL import ImageFilter

    return picture.convert("RGB").filter(ImageFilter.GaussianBlur(share * min(picture.size)))


def corrected(logit: float, baseline: float, weight: float = 0.5) -> float:
    """A logit less its habit: ``logit − weight · baseline``.

    Worth it where pictures break habits, at a small cost where they keep them.

    Args:
        baseline: the object's `habit`, or the logit of the same question about the `blurred`
            picture.
    """
    return logit - weight * baseline


# ---- can this model be asked at all? -------------------------------------------------------------


@dataclass(frozen=True)
class Exam:
    """How a model answers about drawn scenes whose objects are known.

    Attributes:
        pictures: one question about something there and one about something absent on each.
        pairs: share of pictures in which the former got the higher P(yes); 0.5 is chance.
        accuracy: share of questions answered right at P(yes) = 0.5.
        mass: mean P(yes) + P(no).
        barred: why none of this could be found out, if so.
    """

    pictures: int
    pairs: float
    accuracy: float
    mass: float
    barred: str | None = None

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


def can_answer(view: ModelView, encode: Encode, *, pictures: int = 16) -> Exam:
    """Examine a model on drawn scenes: can its yes and no be used?

    Args:
        encode: pictures and a prompt → what the model takes, as for its captions.
        pictures: how many scenes; the limits are made for 16, where a guessing model passes once
            in 26.

    Raises:
        EngineError: a family whose answers from a forked cache are not those of the whole prompt.
        ModelError: a tokenizer without tokens for yes and no, or no chat template.
    """
    from seesay.engine.fork import PROMPT_BOUND, Fork

    if view.reads_prompt:
        return Exam(0, math.nan, math.nan, math.nan, barred=PROMPT_BOUND)
    scenes, names = zip(*_exam_sheet(pictures), strict=True)
    fork = Fork.fresh(view, encode(scenes, _EXAM_PROMPT), _EXAM_PROMPT)
    answers = ask_yes(fork, names)
    _refuse_inexact(view, encode, fork, scenes[0], presence(names[0][0]))
    pairs = [(its[there].logit, its[absent].logit) for its, (there, absent)
             in zip(answers, names, strict=True)]  # fmt: skip
    return Exam(
        pictures=pictures,
        pairs=sum((there > absent) + 0.5 * (there == absent) for there, absent in pairs) / pictures,
        accuracy=sum((there > 0) + (absent < 0) for there, absent in pairs) / (2 * pictures),
        mass=sum(answer.mass for its in answers for answer in its.values()) / (2 * pictures),
    )


_EXAM_PROMPT: Final = "Describe the image."
_LEAST_PAIRS: Final = 0.75
_LEAST_MASS: Final = 0.05
_TOLERANCE: Final = 0.2  # of the logits' standard deviation: far above the rounding of bfloat16


def _exam_sheet(pictures: int) -> list[tuple[Image, tuple[str, str]]]:
    """Drawn scenes, each with its plainest object and one from another place, which is absent."""
    from seesay import toy

    sheet = []
    for seed in range(pictures):
        drawn = toy.scene("kept", seed)
        there = max(drawn.objects, key=lambda placed: placed.salience).name
        absent = [
            name
            for context, its in toy.CONTEXTS.items()
            for name in its
            if context != drawn.context and name not in drawn.present
        ]
        sheet.append((drawn.image, (there, absent[7 * seed % len(absent)])))
    return sheet


def _refuse_inexact(view: ModelView, encode: Encode, fork: Fork, scene: Image, asked: str) -> None:
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


# ---- tokens --------------------------------------------------------------------------------------


@lru_cache(maxsize=8)
def yes_no_tokens(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The tokens that begin an affirmative and a negative answer, in every spelling.

    Whole words where the tokenizer has them (Yes, yes, YES, with and without its mark of a space
    before), else the first pieces of these spellings; a token that begins both counts for neither.

    Raises:
        ModelError: nothing is left for one of them.
    """
    yes, no = (_first_tokens(tokenizer, word) for word in ("yes", "no"))
    both = yes & no
    if not yes - both or not no - both:
        raise ModelError(
            "the tokenizer has no tokens that tell yes from no, so this model cannot be asked; "
            "use it without self-check"
        )
    return sorted(yes - both), sorted(no - both)


def _first_tokens(tokenizer: Any, word: str) -> set[int]:
    spellings = (word, word.capitalize(), word.upper())
    marked = [mark + spelling for mark in ("", " ", "▁", "Ġ") for spelling in spellings]
    unknown = {None, tokenizer.unk_token_id}
    whole = {tokenizer.convert_tokens_to_ids(token) for token in marked} - unknown
    if whole:
        return whole
    pieces = [tokenizer(token, add_special_tokens=False)["input_ids"] for token in marked[:6]]
    return {ids[0] for ids in pieces if ids} - unknown


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit)) if logit > -700 else 0.0
