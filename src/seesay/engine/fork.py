"""Questions on a picture that is encoded already: a filled cache, forked where the questions begin.

A prompt in a chat template is a head, the picture, the text. Another question about the same
picture differs in the text alone, so the cache of the first prompt, cut where both part, is the
beginning of the second. All questions of a batch run in one forward: a picture's questions lie end
to end in its row, and a mask shows each of them the picture and itself, nothing else. So no
key-value entry is copied once a question, and a question costs its few tokens.

    with method(model) as session:
        session.generate(**inputs)
        fork = Fork.after(session, inputs, prompt)
    logits = fork.logits([["Is there a fork in the image?"], ...])   # one list a prompt
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache

from seesay.engine.kernel import precise
from seesay.engine.layout import (
    Branch,
    Prefix,
    additive,
    cache_of,
    lay_out,
    logits_at,
    maskable,
    positions_of,
    prefix_of,
    real_columns,
    refuse_far,
)
from seesay.engine.method import AnyMethod
from seesay.errors import EngineError, InputError, ModelError
from seesay.processors import chat_prompt

if TYPE_CHECKING:
    from seesay.engine.session import Session
    from seesay.models import ModelView

PROMPT_BOUND = "its pictures are read with the prompt in view, so none serves another question"
# Verbs that change what a picture leaves in the cache; the others act on the row that predicts.
_PROMPT_VERBS = ("rewrite_qk", "key_scale", "sink_logmass")


@dataclass
class Cost:
    """What questions have cost: tokens without padding, pictures encoded anew, wall time."""

    questions: int = 0
    forwards: int = 0
    tokens: int = 0
    image_passes: int = 0
    seconds: float = 0.0


@dataclass(eq=False)
class Fork:
    """The cached prompts of a batch, ready for other questions about their pictures.

    The model answers as it is now: ask outside every session for the plain model.

    Attributes:
        view: the model, with its processor.
        inputs: the prompts as the model took them: input_ids (rows, columns), attention_mask, ...
        prompts: the text of each row.
        layers: what is cached of the prompts; None until `reason` is acted on.
        reason: why the pictures are to be encoded once more, "" if the cache serves.
        cost: what the questions have cost so far.
    """

    view: ModelView
    inputs: Mapping[str, Any]
    prompts: tuple[str, ...]
    layers: list[Prefix] | None = None
    reason: str = ""
    cost: Cost = field(default_factory=Cost)

    @classmethod
    def of(
        cls,
        view: ModelView,
        inputs: Mapping[str, Any],
        cache: Any,
        prompt: str | Sequence[str],
        *,
        rows: int | None = None,
        method: AnyMethod | None = None,
    ) -> Fork:
        """Fork a cache that holds these prompts, and perhaps text behind them; it is left as it is.

        Args:
            inputs: what was given to generate: a batch padded on the left, made by the processor's
                chat template with the pictures before the text.
            cache: filled by generate, or by a forward with generate's positions.
            prompt: the text of the prompts, one for all or one a row.
            rows: the cache's rows that are the plain stream's: all but a second stream's. The rows
                of a prompt (beams, several sequences) share its entries; the first of them is used.
            method: what the cache was filled under.

        Raises:
            EngineError: a cache that does not hold what the plain model left of these prompts.
            InputError, ModelError: see `logits`.
        """
        batch = len(inputs["input_ids"])
        fork = cls(view, inputs, _one_each(prompt, batch))
        for part in () if method is None else method.methods:
            if part.active and any(map(part.overrides, _PROMPT_VERBS)):
                raise EngineError(
                    f"under {part} the cache does not hold what the plain model sees in a picture; "
                    "use Fork.fresh, which encodes the pictures once more"
                )
        if cache is None:
            raise EngineError("generation kept no cache to fork; use Fork.fresh")
        rows = batch if rows is None else rows
        columns = inputs["input_ids"].shape[1] - 1  # the last column may be a method's
        first = slice(0, rows, rows // batch)
        fork.layers = [prefix_of(layer, first, columns) for layer in cache.layers]
        return fork

    @classmethod
    def after(
        cls, session: Session, inputs: Mapping[str, Any], prompt: str | Sequence[str]
    ) -> Fork:
        """The fork of what a session has just generated; call it inside the session's block.

        Where the cache cannot serve, `reason` says why, and the first questions encode the
        pictures once more.
        """
        run = session.run
        try:
            if run is None:
                raise EngineError("the session has generated nothing yet")
            return cls.of(
                session.view, inputs, run.cache, prompt, rows=run.rows, method=session.stack
            )
        except EngineError as error:
            return cls.fresh(session.view, inputs, prompt, reason=str(error))

    @classmethod
    def fresh(
        cls,
        view: ModelView,
        inputs: Mapping[str, Any],
        prompt: str | Sequence[str],
        *,
        reason: str = "nothing was cached",
    ) -> Fork:
        """A fork without a cache: the first questions run the plain model over the prompts."""
        return cls(view, inputs, _one_each(prompt, len(inputs["input_ids"])), reason=reason)

    @property
    def processor(self) -> Any:
        """The model's processor, which knows how a question is put."""
        if self.view.processor is None:
            raise EngineError(
                "a fork asks through the processor's chat template; open the session, or make the "
                "ModelView, with the model's processor"
            )
        return self.view.processor

    @torch.no_grad()
    def logits(self, questions: Sequence[Sequence[str]]) -> list[Tensor]:
        """The logits of the first token of each answer, all questions in one forward.

        Args:
            questions: for each row its questions; a row may have none.

        Returns, for each row, (questions, vocabulary) float32 or better.

        Raises:
            InputError: not one list a row; a question that holds an image token; a prompt that is
                not `prompt` in the chat template, or whose text comes before its picture.
            EngineError: a sliding window that the question would reach past; a session is open.
            ModelError: the processor has no chat template; a Q-former that reads the prompt, so
                that its picture serves no other question.
        """
        if len(questions) != len(self.prompts):
            raise InputError(
                f"{len(questions)} lists of questions for {len(self.prompts)} prompts; give one "
                "list for each, an empty one where nothing is asked"
            )
        self._refuse_session()
        if self.view.reads_prompt:
            raise ModelError(PROMPT_BOUND)
        started = time.perf_counter()
        asked = [row for row, texts in enumerate(questions) if texts]
        found = [torch.empty(0)] * len(questions)
        if asked:
            # Pictures share most of their questions.
            tokens = functools.cache(functools.partial(_tokens, self.processor))
            image = self.view.image_columns(**self.inputs).cpu()
            branches = [self._branches(row, questions[row], image[row], tokens) for row in asked]
            if self.layers is None:
                self.layers = self._read_prompts()
            answers = self._forward(self.layers, asked, branches)
            for row, logits in zip(asked, answers, strict=True):
                found[row] = logits[: len(questions[row])]
        self.cost.seconds += time.perf_counter() - started
        return found

    def _refuse_session(self) -> None:
        from seesay.engine.session import _OPEN

        if (session := _OPEN.get(self.view.model)) is not None:
            raise EngineError(
                f"the model is in a session ({session.stack}), whose methods would act on the "
                "questions too; ask after its block"
            )

    def _branches(
        self, row: int, questions: Sequence[str], image: Tensor, tokens: Callable[[str], list[int]]
    ) -> list[Branch]:
        """Where each question leaves the row's prompt, and its tokens from there on.

        Args:
            image: (columns,) bool, the row's image columns.
            tokens: a prompt in the chat template as tokens.
        """
        ids, old = self.inputs["input_ids"][row].tolist(), tokens(self.prompts[row])
        branches = []
        for question in questions:
            new = tokens(question)
            # The prompt's last row may be a method's, and a question needs a row to be read from.
            most = min(len(old), len(new)) - 1
            shared = next((k for k in range(most) if old[k] != new[k]), most)
            column = len(ids) - (len(old) - shared)
            if ids[column:] != old[shared:] or bool(image[column:].any()):
                raise InputError(
                    f"row {row} is not {self.prompts[row]!r} behind its picture in the chat "
                    "template, so the picture's cached part is unknown; ask about it anew "
                    "(Fork.fresh) with the picture before the text"
                )
            if self.view.image_token_ids.intersection(new[shared:]):
                raise InputError(
                    f"the question {question!r} holds an image token; leave it out, the picture "
                    "is in the prompt already"
                )
            branches.append(Branch(column, new[shared:]))
        return branches

    def _read_prompts(self) -> list[Prefix]:
        """One pass of the plain model over the prompts, pictures included."""
        view, given = self.view, dict(self.inputs)
        if not hasattr(view.model.base_model, "get_rope_index"):  # those find their own
            given["position_ids"] = positions_of(view, given)
        cache = DynamicCache(config=view.decoder.config)
        view.model(**given, past_key_values=cache, use_cache=True, **logits_at(view, 1))
        self.cost.forwards += 1
        self.cost.image_passes += 1
        self.cost.tokens += int(real_columns(given).sum())
        columns = given["input_ids"].shape[1] - 1
        return [prefix_of(layer, slice(None), columns) for layer in cache.layers]

    def _forward(
        self, layers: list[Prefix], rows: list[int], branches: list[list[Branch]]
    ) -> Tensor:
        """(rows, most questions of a row, vocabulary)."""
        view = self.view
        end = max(branch.column for its in branches for branch in its)
        real = real_columns(self.inputs)[rows, :end]
        laid = lay_out(branches, real, positions_of(view, self.inputs)[rows, :end])
        refuse_far(layers, int(laid.positions.max()))
        device = self.inputs["input_ids"].device
        ends = laid.ends.to(device)
        with maskable(view.decoder):
            logits = view.language_model(
                input_ids=laid.ids.to(device),
                attention_mask=additive(laid.mask.to(device), view.decoder.dtype),
                position_ids=laid.positions.to(device),
                past_key_values=cache_of(layers, rows, end),
                use_cache=True,
                return_dict=True,
                **logits_at(view, ends),
            ).logits
        self.cost.forwards += 1
        self.cost.tokens += laid.tokens
        self.cost.questions += sum(map(len, branches))
        return precise(logits if logits.shape[1] == len(ends) else logits[:, ends])


def _one_each(prompt: str | Sequence[str], rows: int) -> tuple[str, ...]:
    prompts = (prompt,) * rows if isinstance(prompt, str) else tuple(prompt)
    if len(prompts) != rows:
        raise InputError(f"{len(prompts)} prompts for {rows} rows; give one, or one for each row")
    return prompts


def _tokens(processor: Any, prompt: str) -> list[int]:
    """A prompt in the chat template, its picture not yet expanded."""
    text, adds_special = chat_prompt(processor, prompt)
    return list(processor.tokenizer(text, add_special_tokens=adds_special)["input_ids"])
