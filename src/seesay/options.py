"""From what a user asks to what `model.generate` takes: prompts, batches, decoding settings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypedDict

import torch
from torch import Tensor
from transformers import StoppingCriteria, StoppingCriteriaList

from seesay import methods
from seesay.engine import AnyMethod, Stack
from seesay.errors import InputError, ModelError, SeesayError
from seesay.grounding import Mention, Vocabulary
from seesay.grounding.scores import AGGREGATES, Aggregate
from seesay.models.view import ModelView

OnToken = Callable[[int, int], None]  # (tokens so far, the most there can be)
Follow = Callable[[Tensor], None]  # the new tokens so far, (rows, tokens)
OnText = Callable[[str, Sequence[Mention]], None]


class Options(TypedDict, total=False):
    """How to answer.

    Attributes:
        method: None, a `Method`, or its text: "attention-lens(alpha=0.4) + agla".
        max_new_tokens: at least 1; the text is cut there. Default 256.
        num_beams: at least 1. Default 1.
        do_sample: draw instead of taking the likeliest token. Default False.
        seed: with it the same draw again, and the caller's random state is left as it was. A batch
            draws other numbers than its pictures singly.
        generation: anything else for `model.generate`: {"temperature": 0.7, "top_p": 0.9}.
        vocabulary: the object words to look for. Default: the model's.
        batch_size: pictures at once. Default 8.
        on_token: called with (tokens so far, the most there can be) after each step.
        on_text: called with (text, mentions) whenever words of the text are settled: what it was
            called with is never taken back, but for ranks: they change with each word, while
            calibrated risks stay (those after a self-check come at the end). The last call brings
            the whole text. One picture and no beams.
        self_check: ask the model, in a dialogue of its own on the encoded picture, whether each
            object it named is there; `self_check` is then among the scores. Default False.
        deep: read hidden states too, for the scores `confidence`, `consistency`, `grouped` and
            `scattered`. Costs memory and time. Default False.
        aggregate: from a word's tokens to its scores: "first", "min" or "mean". Default "first".
    """

    method: str | AnyMethod | None
    max_new_tokens: int
    num_beams: int
    do_sample: bool
    seed: int | None
    generation: Mapping[str, Any] | None
    vocabulary: Vocabulary | None
    batch_size: int
    on_token: OnToken | None
    on_text: OnText | None
    self_check: bool
    deep: bool
    aggregate: Aggregate


@dataclass(frozen=True)
class GenerationOptions:
    """Options with their defaults, checked."""

    prompt: str
    method: AnyMethod
    decoding: dict[str, Any]
    seed: int | None
    vocabulary: Vocabulary | None
    batch_size: int
    on_token: OnToken | None
    on_text: OnText | None
    self_check: bool
    deep: bool
    aggregate: Aggregate

    @classmethod
    def of(
        cls,
        prompt: str,
        *,
        method: str | AnyMethod | None = None,
        max_new_tokens: int = 256,
        num_beams: int = 1,
        do_sample: bool = False,
        seed: int | None = None,
        generation: Mapping[str, Any] | None = None,
        vocabulary: Vocabulary | None = None,
        batch_size: int = 8,
        on_token: OnToken | None = None,
        on_text: OnText | None = None,
        self_check: bool = False,
        deep: bool = False,
        aggregate: Aggregate = "first",
    ) -> GenerationOptions:
        """Check what can be checked without a model.

        Raises:
            InputError: an empty prompt, a number out of range, or a setting that has no place here.
            MethodError: a method that does not exist.
        """
        if not prompt.strip():
            raise InputError("the prompt is empty; say what to look for, or leave it out")
        numbers = {"max_new_tokens": max_new_tokens, "num_beams": num_beams}
        for name, number in {**numbers, "batch_size": batch_size}.items():
            if isinstance(number, bool) or not isinstance(number, int) or number < 1:
                raise InputError(f"{name} must be a whole number of at least 1, not {number!r}")
        if seed is not None and not 0 <= seed < 2**63:
            raise InputError(f"seed must be from 0 to 2**63 - 1, not {seed!r}")
        decoding = {**numbers, "do_sample": do_sample}
        for name in generation or {}:
            if name in decoding or name in _OURS:
                raise InputError(f"generation may not set {name!r}; {_OURS.get(name, _OPTION)}")
        decoding.update(generation or {})
        if aggregate not in AGGREGATES:
            raise InputError(f"aggregate must be one of {', '.join(AGGREGATES)}, not {aggregate!r}")
        if on_text is not None and num_beams > 1:
            raise InputError("on_text follows one text, which beams may change; leave out one")
        chosen = method_of(method)
        return cls(
            prompt,
            chosen,
            decoding,
            seed,
            vocabulary,
            batch_size,
            on_token,
            on_text,
            self_check,
            deep,
            aggregate,
        )

    @property
    def plain(self) -> bool:
        """Whether the model is asked without any method."""
        return not self.method.methods

    @property
    def readout(self) -> str:
        """What is read of a word, in a clause: it decides which scores there are."""
        parts = ["hidden states"] * self.deep + ["self-check"] * self.self_check
        return ", ".join([f"{self.aggregate} of a word's tokens", *parts])

    def arguments(self, *followers: Follow) -> dict[str, Any]:
        """What `generate` takes beside the inputs.

        Args:
            followers: each is called with the new tokens (rows, tokens) after each step.
        """
        arguments = self.decoding
        if not arguments["do_sample"]:
            # The checkpoint's sampling settings mean nothing here; each would be warned about.
            arguments = {"temperature": None, "top_p": None, "top_k": None, **arguments}
        if (on_token := self.on_token) is not None:
            most = arguments["max_new_tokens"]
            followers = (*followers, lambda new: on_token(new.shape[1], most))
        if followers:
            watchers = StoppingCriteriaList([_Watcher(followers)])
            arguments = {**arguments, "stopping_criteria": watchers}
        return arguments

    def end_ids(self, view: ModelView) -> frozenset[int]:
        """The token ids that end a text."""
        ends = self.decoding.get("eos_token_id", view.generation_config.eos_token_id)
        return frozenset([ends] if isinstance(ends, int) else ends or [])


_OPTION = "it has an option of its own"
_OURS = {
    "num_return_sequences": "a picture gets one text; ask again with another seed",
    "return_dict_in_generate": "the text and its scores are what is returned",
    "output_attentions": "see Record for what is read out",
    "stopping_criteria": "max_new_tokens and the model's own end are what stops a text",
    "streamer": "on_token tells how far a text is",
}


def method_of(method: str | AnyMethod | None) -> AnyMethod:
    """A method from its text; None is the plain model."""
    if method is None:
        return Stack()
    return methods.parse(method) if isinstance(method, str) else method


@contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """Random numbers from `seed` inside, the caller's random state as it was afterwards."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


@contextmanager
def explained() -> Iterator[None]:
    """What `generate` refuses, as seesay's errors."""
    try:
        yield
    except SeesayError:
        raise
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"not enough memory to generate ({str(error).splitlines()[0]}); use fewer beams, a "
            "smaller batch_size or max_new_tokens, or dtype='bfloat16'"
        ) from error
    except ValueError as error:
        raise InputError(f"the model cannot generate this way: {error}") from error


def settled(text: str, vocabulary: Vocabulary, held: int) -> int:
    """How many characters of a text that still grows will keep their object words.

    Its last words may yet become part of a longer name ("hot" of "hot dog"), and a tagger, which
    has no list of names, reads by the sentence.

    Args:
        held: `held_back` of the vocabulary.
    """
    if not vocabulary.classes:
        ends = list(re.finditer(r"[.!?](?=\s)", text))
        return ends[-1].end() if ends else 0
    words = list(re.finditer(r"\S+", text))
    if len(words) <= held:
        return 0
    found = words[-held].start()
    inside = [word.start for word in vocabulary.find(text) if word.start < found < word.end]
    return min([found, *inside])


def held_back(vocabulary: Vocabulary) -> int:
    """Words of a vocabulary's longest name; at least two, since the last may not be whole yet."""
    names = (*vocabulary.surfaces, *vocabulary.ignored)
    return max(2, *(len(re.split(r"[\s-]+", name)) for name in names)) if names else 2


class _Watcher(StoppingCriteria):  # type: ignore[misc]
    """Stops nothing; tells of each step, with beams too, where a streamer cannot."""

    def __init__(self, followers: Sequence[Follow]) -> None:
        self.followers = followers
        self.prompt: int | None = None

    def __call__(self, input_ids: Tensor, scores: Any, **_: Any) -> Tensor:
        if self.prompt is None:
            self.prompt = input_ids.shape[1] - 1
        for follow in self.followers:
            follow(input_ids[:, self.prompt :])
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
