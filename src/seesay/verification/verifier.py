"""The model asked after the objects of a batch of texts, each object of a picture once, and after
what is said of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from seesay.engine import Session
from seesay.engine.prefix import CachedPrefix, QuestionCost
from seesay.errors import InputError
from seesay.grounding import Calibration, Mention, ScoredText, Vocabulary
from seesay.grounding.attributes import Form, Kind, by_yes_and_no, found
from seesay.grounding.forced_choice import ForcedChoice, shares
from seesay.grounding.questions import presence
from seesay.grounding.scored_text import checked, on_grid
from seesay.grounding.self_check import CheckedObject, ask_yes
from seesay.methods import LookAgain
from seesay.models.view import ModelView
from seesay.verification.judge import Judge, by_likelihood


class Verifier:
    """Answers to "is there a fork in the image?", kept for the length of one batch.

    Args:
        view: the model, with its processor.
        inputs, prompt: what the pictures were described with.
        words: the vocabulary of each picture.
        calibration: weighs the words anew once they are asked after.
        cells: (rows, columns) the image token of each patch of each picture, for heat maps.
        look: says which details are asked after too, and how much habit is taken off.
        form: how details are asked after.
        blurred: gives the inputs with every picture blurred, for the model's habit.
    """

    def __init__(
        self,
        view: ModelView,
        inputs: Mapping[str, Any],
        prompt: str,
        words: Sequence[Vocabulary],
        calibration: Calibration | None,
        cells: Sequence[Tensor | None],
        look: LookAgain | None = None,
        *,
        form: Form = by_yes_and_no,
        blurred: Callable[[], Mapping[str, Any]] | None = None,
    ) -> None:
        self.view, self.inputs, self.prompt = view, inputs, prompt
        self.calibration, self.cells = calibration, cells
        self.kinds: Sequence[Kind] = () if look is None else look.kinds
        self._habit, self._blurred = 0.0 if look is None else look.habit, blurred
        self.answers: list[dict[str, float]] = [{} for _ in words]
        self.heatmaps: list[dict[str, NDArray[np.float32] | None]] = [{} for _ in words]
        self._told: list[dict[ForcedChoice, float]] = [{} for _ in words]
        forms = {its.question for its in words}
        self._form = (forms.pop() if len(forms) == 1 else None) or presence
        self._put = form
        self._judged: dict[tuple[int, tuple[str, ...]], Sequence[float]] = {}
        self._fork: CachedPrefix | None = None
        self._dim: CachedPrefix | None = None

    @property
    def cost(self) -> QuestionCost:
        """What the questions have cost so far."""
        return QuestionCost() if self._fork is None else self._fork.cost

    def after(self, session: Session) -> Verifier:
        """Ask on the pictures that `session` has encoded; inside its block, before `ask`."""
        if self._fork is None:
            self._fork = CachedPrefix.after(session, self.inputs, self.prompt)
        return self

    def ask(self, readings: Sequence[ScoredText]) -> list[ScoredText]:
        """The readings with `self_check` among the scores of their words, `heatmap_again` and what
        they say of their objects.

        Raises:
            InputError: an object whose name the model's tokenizer cannot spell.
            EngineError: inside a session that does not stand aside.
        """
        self.after_names([[m.name for m in reading.mentions] for reading in readings])
        rows = zip(readings, self.answers, self.heatmaps, strict=True)
        again = [checked(reading, known, self.calibration, maps) for reading, known, maps in rows]
        return self._after_details(again) if self.kinds else again

    def judge(self, row: int) -> Judge:
        """How natural the model finds an edited sentence about picture `row`: as it would say it in
        answer to the prompt, by itself, for what stands before it is the same before and after. The
        same question gets the same answer, so that a streamed text is never taken back.
        """

        def naturalness(before: str, sentence: str, edited: Sequence[str]) -> Sequence[float]:
            key = (row, (sentence, *edited))
            if key not in self._judged:
                texts: list[list[str]] = [[] for _ in self.answers]
                texts[row] = [sentence, *edited]
                self._judged[key] = by_likelihood(lambda *_: self._forked().logprobs(texts)[row])(
                    before, sentence, edited
                )
            return self._judged[key]

        return naturalness

    def after_names(self, names: Sequence[Sequence[str]]) -> list[dict[str, float]]:
        """P(yes) of every object asked after so far, by picture; these are among them.

        Args:
            names: for each picture.
        """
        new = [
            [name for name in its if name not in known]
            for its, known in zip(names, self.answers, strict=True)
        ]
        if any(new):
            fork = self._forked()
            self._refuse_unspelt(fork.processor.tokenizer, sorted(set().union(*new)))
            gaze = any(cells is not None for cells in self.cells)
            found_ = ask_yes(fork, new, self._form, gaze=gaze)
            for row, its in enumerate(self._without_habit(fork, found_)):
                cells = self.cells[row]
                self.answers[row].update({name: its[name].p_yes for name in its})
                self.heatmaps[row].update({name: on_grid(its[name].gaze, cells) for name in its})
        return self.answers

    def _without_habit(
        self, fork: CachedPrefix, answers: list[dict[str, CheckedObject]]
    ) -> list[dict[str, CheckedObject]]:
        """The answers, less what the model would affirm of a blurred picture."""
        if not self._habit or self._blurred is None:
            return answers
        if self._dim is None:
            self._dim = CachedPrefix.fresh(self.view, self._blurred(), self.prompt)
            self._dim.cost = fork.cost  # one account of both
        habits = ask_yes(self._dim, answers, self._form)
        return [
            {name: one.less(habit[name].logit, self._habit) for name, one in its.items()}
            for its, habit in zip(answers, habits, strict=True)
        ]

    def _after_details(self, readings: Sequence[ScoredText]) -> list[ScoredText]:
        """The readings with what they say of their objects, asked after."""
        told = [
            replace(its, mentions=tuple(found(its.text, its.mentions, self.kinds)))
            for its in readings
        ]
        new = []
        for reading, known in zip(told, self._told, strict=True):
            asked = dict.fromkeys(
                self._put(m.name, detail) for m in reading.mentions for detail in m.details
            )
            new.append([inquiry for inquiry in asked if inquiry not in known])
        if any(new):
            answers = shares(self._forked(), new)
            for known, its, affirmed in zip(self._told, new, answers, strict=True):
                known.update(zip(its, affirmed, strict=True))
        return [
            replace(its, mentions=tuple(self._affirmed(mention, known) for mention in its.mentions))
            for its, known in zip(told, self._told, strict=True)
        ]

    def _affirmed(self, mention: Mention, known: Mapping[ForcedChoice, float]) -> Mention:
        details = (replace(d, p_yes=known[self._put(mention.name, d)]) for d in mention.details)
        return replace(mention, details=tuple(details))

    def _forked(self) -> CachedPrefix:
        if self._fork is None:
            self._fork = CachedPrefix.fresh(self.view, self.inputs, self.prompt)
        return self._fork

    def _refuse_unspelt(self, tokenizer: Any, names: Sequence[str]) -> None:
        unknown = tokenizer.unk_token_id
        for name in () if unknown is None else names:
            if unknown in tokenizer(self._form(name), add_special_tokens=False)["input_ids"]:
                raise InputError(
                    f"the model's tokenizer cannot spell {name!r}, so it cannot be asked after it; "
                    "choose a vocabulary whose classes the model knows"
                )
