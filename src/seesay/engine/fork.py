"""Questions on a picture that is encoded already: a filled cache, forked where the questions begin.

A prompt in a chat template is a head, the picture, the text. Another question about the same
picture differs in the text alone, so the cache of the first prompt, cut where both part, is the
beginning of the second. All questions of a batch run in one forward: a picture's questions lie end
to end in its row, and a mask shows each of them the picture and itself, nothing else. So no
key-value entry is copied once a question, and a question costs its few tokens.

    with method(model) as session:
        session.generate(**inputs)
        fork = Fork.after(session, inputs, prompt)
    replies = fork.replies([["Is there a fork in the image?"], ...])   # one list a prompt
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from seesay.compat import DynamicCache
from seesay.engine.branching import PROMPT_BOUND, Question, branches_of, one_each, words_of
from seesay.engine.gaze import gazing
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

if TYPE_CHECKING:
    from seesay.engine.session import Session
    from seesay.models import ModelView

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


class Reply(NamedTuple):
    """What the model says to a prompt's questions.

    Attributes:
        logits: (questions, vocabulary) float32 or better, of the answer's first token, read from
            the last row of each.
        gaze: (questions, image tokens) float32, the share of a row's attention on each of the
            prompt's image tokens, heads and middle layers averaged as in
            `Record.image_attention`; None unless it was asked for.
    """

    logits: Tensor
    gaze: Tensor | None = None


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
            InputError, ModelError: see `replies`.
        """
        batch = len(inputs["input_ids"])
        fork = cls(view, inputs, one_each(prompt, batch))
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
        return cls(view, inputs, one_each(prompt, len(inputs["input_ids"])), reason=reason)

    @property
    def processor(self) -> Any:
        """The model's processor, which knows how a question is put."""
        if self.view.processor is None:
            raise EngineError(
                "a fork asks through the processor's chat template; open the session, or make the "
                "ModelView, with the model's processor"
            )
        return self.view.processor

    def logits(self, questions: Sequence[Sequence[Question]]) -> list[Tensor]:
        """`Reply.logits` of each row."""
        return [reply.logits for reply in self.replies(questions)]

    @torch.no_grad()
    def replies(
        self,
        questions: Sequence[Sequence[Question]],
        *,
        about: Sequence[Sequence[str]] | None = None,
    ) -> list[Reply]:
        """What the model says to each row's questions, all of them in one forward.

        Args:
            questions: for each row its questions; a row may have none.
            about: for each question the word whose row tells where the model looks, "" for the row
                that answers; None takes no gaze. A word in the text that a question shares with its
                prompt has no row here; the first one behind it stands for it.

        Raises:
            InputError: not one list a row; a question that holds an image token; a prompt that is
                not `prompt` in the chat template, or whose text comes before its picture.
            EngineError: a sliding window that the question would reach past; a session is open; a
                gaze under attention scores that are capped.
            ModelError: the processor has no chat template; a Q-former that reads the prompt, so
                that its picture serves no other question.
        """
        if len(questions) != len(self.prompts):
            raise InputError(
                f"{len(questions)} lists of questions for {len(self.prompts)} prompts; give one "
                "list for each, an empty one where nothing is asked"
            )
        self._refuse_unfit()
        started = time.perf_counter()
        asked = [row for row, texts in enumerate(questions) if texts]
        found = [Reply(torch.empty(0))] * len(questions)
        if asked:
            image = self.view.image_columns(**self.inputs).cpu()
            every = branches_of(
                self.processor,
                self.view.image_token_ids,
                self.inputs["input_ids"],
                image,
                self.prompts,
                questions,
            )
            branches = [every[row] for row in asked]
            self.layers = self.layers or self._read_prompts()
            words = None if about is None else words_of(self.processor, questions, about, every)
            watched = None if words is None else words[asked]
            logits, looks = self._forward(self.layers, asked, branches, watched)
            for k, row in enumerate(asked):
                count, own = len(questions[row]), image[row].nonzero()[:, 0]
                gaze = None if looks is None else looks[k, :count][:, own]
                found[row] = Reply(logits[k, :count], gaze)
        self.cost.seconds += time.perf_counter() - started
        return found

    def _refuse_unfit(self) -> None:
        if self.view.reads_prompt:
            raise ModelError(PROMPT_BOUND)
        from seesay.engine.session import _OPEN

        if (session := _OPEN.get(self.view.model)) is not None:
            raise EngineError(
                f"the model is in a session ({session.stack}), whose methods would act on the "
                "questions too; ask after its block"
            )

    def _read_prompts(self) -> list[Prefix]:
        """One pass of the plain model over the prompts, pictures included."""
        view, given = self.view, dict(self.inputs)
        if not hasattr(view.model.base_model, "get_rope_index"):  # those find their own
            given["position_ids"] = positions_of(view, given)
        cache = DynamicCache(config=view.decoder.config)
        named = {view.cache_name: cache}
        view.model(**given, **named, use_cache=True, **logits_at(view, 1))
        self.cost.forwards += 1
        self.cost.image_passes += 1
        self.cost.tokens += int(real_columns(given).sum())
        columns = given["input_ids"].shape[1] - 1
        return [prefix_of(layer, slice(None), columns) for layer in cache.layers]

    def _forward(
        self,
        layers: list[Prefix],
        rows: list[int],
        branches: list[list[Branch]],
        watched: Tensor | None,
    ) -> tuple[Tensor, Tensor | None]:
        """Logits (rows, most questions of a row, vocabulary), and the attention of the `watched`
        rows on every column (rows, most questions of a row, columns) on the CPU."""
        view = self.view
        end = max(branch.column for its in branches for branch in its)
        real = real_columns(self.inputs)[rows, :end]
        laid = lay_out(branches, real, positions_of(view, self.inputs)[rows, :end])
        refuse_far(layers, int(laid.positions.max()))
        device = self.inputs["input_ids"].device
        ends = laid.ends.to(device)
        with (
            maskable(view.decoder),
            nullcontext() if watched is None else gazing(view, laid.ends - watched) as looks,
        ):
            logits = view.language_model(
                input_ids=laid.ids.to(device),
                attention_mask=additive(laid.mask.to(device), view.decoder.dtype),
                position_ids=laid.positions.to(device),
                use_cache=True,
                return_dict=True,
                **{view.cache_name: cache_of(layers, rows, end)},
                **logits_at(view, ends),
            ).logits
        self.cost.forwards += 1
        self.cost.tokens += laid.tokens
        self.cost.questions += sum(map(len, branches))
        logits = precise(logits if logits.shape[1] == len(ends) else logits[:, ends])
        return logits, None if looks is None else looks.mean().cpu()
