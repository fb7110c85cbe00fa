"""Dialogues: turns of text and pictures, answered in batches under a method.

What `VLM.ask` is for one question about one picture, this is for whatever a benchmark sends: a
system turn, earlier answers, several pictures, or none.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from jinja2 import TemplateError
from PIL.Image import Image

from seesay import options
from seesay.engine import AnyMethod
from seesay.engine.state import one_by_one
from seesay.errors import InputError, ModelError
from seesay.options import GenerationOptions, method_of
from seesay.vlm import VLM, load

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True)
class Turn:
    """A turn of a dialogue: texts and RGB pictures in their order."""

    role: Role
    parts: tuple[str | Image, ...]


Dialogue = tuple[Turn, ...]


@dataclass(frozen=True)
class Decoding:
    """How to answer.

    Attributes:
        max_new_tokens: the answer is cut there.
        temperature: 0 is greedy; above it tokens are drawn, from the `top_k` likeliest or those
            with together `top_p` of the probability, where these are given.
        num_beams: of the search.
        seed: with it the same draw again.
        stop: texts at whose first occurrence the answer is cut; they are not part of it.
    """

    max_new_tokens: int = 256
    temperature: float = 0.0
    top_p: float | None = None
    top_k: int | None = None
    num_beams: int = 1
    seed: int | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class DialogueReply:
    """An answer.

    Attributes:
        text: as decoded, cut at a stop text.
        tokens: generated, without the one that ends the answer.
        prompt_tokens: of the dialogue, image tokens among them.
        ended: False if the answer was cut at `max_new_tokens`.
        seconds: a batch's time shared evenly.
    """

    text: str
    tokens: int
    prompt_tokens: int
    ended: bool
    seconds: float


@dataclass(frozen=True)
class Answering:
    """A model under a method.

    Attributes:
        vlm: the model.
        method: None is the plain model.
        batch_size: dialogues at once. Where tokens are drawn, or under a method that acts
            otherwise in a batch, they are answered singly, so that company changes no answer.
    """

    vlm: VLM
    method: str | AnyMethod | None = None
    batch_size: int = 8

    @classmethod
    def load(
        cls,
        name: str,
        *,
        method: str | None = None,
        batch_size: int = 8,
        **loading: Any,
    ) -> Answering:
        """Load a model by name, "bundled" being the bundled one; `loading` as `seesay.load`.

        Raises:
            InputError, MethodError: a batch size or method that cannot be used.
            ModelError: a model that cannot be loaded; a method that does not fit it.
        """
        chosen = method_of(method)
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise InputError(f"batch_size must be a whole number of at least 1, not {batch_size!r}")
        vlm = load(None if name == "bundled" else name, **loading)
        with chosen(vlm.model, processor=vlm.processor):
            pass  # refused here, once, if it does not fit
        return cls(vlm, chosen, batch_size)

    def answer(self, dialogues: Sequence[Dialogue], how: Decoding) -> list[DialogueReply]:
        """Answer each dialogue; batched, and as singly.

        Raises:
            InputError: a dialogue without a user's turn, a text that holds the model's image
                placeholder, or a number out of range.
            EngineError, ModelError: what this model or method cannot carry.
        """
        asked = self._asked(how)
        # Nested pictures are what every processor takes; a row without any is only taken alone.
        blind = [not any(_pictures(one)) for one in dialogues]
        replies: dict[int, DialogueReply] = {}
        alone = how.temperature or one_by_one(asked.method)
        size = 1 if alone else self.batch_size
        for kind in (True, False):
            rows = [row for row, is_blind in enumerate(blind) if is_blind is kind]
            for first in range(0, len(rows), size):
                batch = rows[first : first + size]
                answers = self._batch([dialogues[row] for row in batch], asked, how)
                replies.update(zip(batch, answers, strict=True))
        return [replies[row] for row in range(len(dialogues))]

    def _asked(self, how: Decoding) -> GenerationOptions:
        drawn = {"temperature": how.temperature, "top_p": how.top_p, "top_k": how.top_k}
        return GenerationOptions.of(
            "a dialogue has turns instead",
            method=self.method,
            max_new_tokens=how.max_new_tokens,
            num_beams=how.num_beams,
            do_sample=how.temperature > 0,
            seed=how.seed,
            generation={name: value for name, value in drawn.items() if how.temperature and value},
        )

    def _batch(
        self, dialogues: Sequence[Dialogue], asked: GenerationOptions, how: Decoding
    ) -> list[DialogueReply]:
        vlm = self.vlm
        inputs = _inputs(vlm, dialogues)
        pictures = [picture for one in dialogues for picture in _pictures(one)]
        session = asked.method(vlm.model, processor=vlm.processor, images=pictures or None)
        started = time.perf_counter()
        with options.seeded(asked.seed), options.explained(), session:
            written = session.generate(**inputs, **asked.arguments())
        seconds = (time.perf_counter() - started) / len(dialogues)
        ends = asked.end_ids(vlm.view)
        replies = []
        for prompt, row in zip(inputs["attention_mask"], written, strict=True):
            ids = row[len(prompt) :].tolist()
            until = next((place for place, id_ in enumerate(ids) if id_ in ends), None)
            text = vlm.processor.tokenizer.decode(ids[:until], skip_special_tokens=True).strip()
            places = [place for stop in how.stop if (place := text.find(stop)) >= 0]
            replies.append(
                DialogueReply(
                    text=text[: min(places)].strip() if places else text,
                    tokens=len(ids[:until]),
                    prompt_tokens=int(prompt.sum()),
                    ended=until is not None or bool(places),
                    seconds=seconds,
                )
            )
        return replies


def _pictures(dialogue: Dialogue) -> Iterator[Image]:
    return (part for turn in dialogue for part in turn.parts if not isinstance(part, str))


def _inputs(vlm: VLM, dialogues: Sequence[Dialogue]) -> dict[str, Any]:
    """What `generate` takes for dialogues that all have pictures, or all have none."""
    processor = vlm.processor
    texts = [_text(processor, dialogue) for dialogue in dialogues]
    pictures = [list(_pictures(dialogue)) for dialogue in dialogues]
    begin = getattr(processor.tokenizer, "bos_token", None)
    try:
        batch = processor(
            images=pictures if pictures[0] else None,
            text=texts,
            padding=True,
            padding_side="left",
            # A template that writes the begin-of-text token itself must not get a second one.
            add_special_tokens=not (begin and texts[0].startswith(begin)),
            return_tensors="pt",
        )
    except ValueError as error:
        raise ModelError(
            f"{type(processor).__name__} cannot put the pictures into the dialogue: {error}"
        ) from error
    inputs: dict[str, Any] = dict(batch.to(vlm.model.device, dtype=vlm.model.dtype))
    if pictures[0] and not bool(vlm.view.image_columns(**inputs).any(1).all()):
        raise ModelError(
            f"{type(processor).__name__} left a picture out of the dialogue; check that its chat "
            "template has a place for an image"
        )
    return inputs


def _text(processor: Any, dialogue: Dialogue) -> str:
    """A dialogue in the model's chat template, up to where the answer begins."""
    token = str(getattr(processor, "image_token", None) or "")  # or an AddedToken
    texts = [part for turn in dialogue for part in turn.parts if isinstance(part, str)]
    if token and any(token in text for text in texts):
        raise InputError(
            f"a text holds {token!r}, which this model reads as a picture; leave it out, pictures "
            "are put in by themselves"
        )
    if not dialogue or dialogue[-1].role != "user":
        raise InputError("a dialogue ends with a user's turn; there is nothing to answer else")
    messages = [
        {
            "role": turn.role,
            "content": [
                {"type": "text", "text": part} if isinstance(part, str) else {"type": "image"}
                for part in turn.parts
            ],
        }
        for turn in dialogue
    ]
    try:
        return str(processor.apply_chat_template(messages, add_generation_prompt=True))
    except (ValueError, TemplateError) as error:
        raise ModelError(
            f"the chat template of {type(processor).__name__} does not take this dialogue: {error}"
        ) from error
