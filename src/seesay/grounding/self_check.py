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
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from seesay.errors import ModelError
from seesay.grounding.questions import presence

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from seesay.engine.prefix import CachedPrefix

Encode = Callable[[Sequence["Image"], str], Mapping[str, Any]]
"""What the model takes for one prompt about each of some pictures: ``inputs_for`` of a model."""


class CheckedObject(NamedTuple):
    """How a model answers a yes/no question.

    Attributes:
        p_yes: P(yes) / (P(yes) + P(no)), 0 to 1.
        logit: its log-odds, log P(yes) − log P(no).
        mass: P(yes) + P(no), 0 to 1: how much of an answer to the question it is at all.
        gaze: (image tokens,) where the model looked, see `engine.fork.Reply`; None unless it was
            asked for.
    """

    p_yes: float
    logit: float
    mass: float
    gaze: Tensor | None = None

    def less(self, baseline: float, weight: float) -> CheckedObject:
        """This answer with its habit taken off; see `corrected`."""
        logit = corrected(self.logit, baseline, weight)
        return self._replace(p_yes=_sigmoid(logit), logit=logit)


def ask(
    fork: CachedPrefix,
    questions: Sequence[Sequence[str]],
    *,
    about: Sequence[Sequence[str]] | None = None,
    at_once: int = 32,
) -> list[list[CheckedObject]]:
    """The answers to yes/no questions about a batch of pictures.

    Args:
        fork: the pictures' cached prompts; `CachedPrefix.cost` tells what was spent.
        questions: for each prompt its questions.
        about: the word of each question at which it is taken where the model looks; None takes
            nothing.
        at_once: the most questions a prompt in one forward.

    Raises:
        ModelError: a tokenizer without tokens for yes and no.
        InputError, EngineError: see `CachedPrefix.replies`.
    """
    import torch

    yes, no = yes_no_tokens(fork.processor.tokenizer)
    answers: list[list[CheckedObject]] = [[] for _ in questions]
    for first in range(0, max(map(len, questions), default=0), at_once):
        part = slice(first, first + at_once)
        chunk = [its[part] for its in questions]
        words = None if about is None else [its[part] for its in about]
        for row, (logits, looks) in enumerate(fork.replies(chunk, about=words)):
            if not chunk[row]:
                continue
            said = logits.log_softmax(-1)
            for_, against = said[:, yes].logsumexp(-1), said[:, no].logsumexp(-1)
            numbers = torch.stack([for_ - against, (for_.exp() + against.exp()).clamp(max=1)], -1)
            answers[row] += [
                CheckedObject(_sigmoid(odds), odds, mass, None if looks is None else looks[k])
                for k, (odds, mass) in enumerate(numbers.tolist())
            ]
    return answers


def ask_yes(
    fork: CachedPrefix,
    names: Sequence[Iterable[str]],
    question: Callable[[str], str] = presence,
    *,
    gaze: bool = False,
    at_once: int = 32,
) -> list[dict[str, CheckedObject]]:
    """For each picture, what the model says when asked whether each object is there.

    Args:
        fork: see `ask`.
        names: for each prompt of the fork its object names; each name is asked after once.
        question: an object's name → the question.
        gaze: also where the model looks at the object's own word in the question.
        at_once: see `ask`.
    """
    each = [list(dict.fromkeys(its)) for its in names]
    questions = [[question(name) for name in its] for its in each]
    answers = ask(fork, questions, about=each if gaze else None, at_once=at_once)
    return [dict(zip(its, found, strict=True)) for its, found in zip(each, answers, strict=True)]


# ---- the model's own habit, taken away -----------------------------------------------------------


def habit(absent: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Each object's mean logit in pictures where it is not: how readily the model affirms it.

    Args:
        absent: (name, `CheckedObject.logit`) of questions about objects known to be absent.
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

    The prototype gained by it where pictures break habits; docs/look-again.md shows what it did
    to the bundled model.

    Args:
        baseline: the object's `habit`, or the logit of the same question about the `blurred`
            picture.
    """
    return logit - weight * baseline


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
