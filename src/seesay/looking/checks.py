"""The model asked after the objects of a batch of texts, each object of a picture once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from seesay import toy
from seesay.engine import Session
from seesay.engine.fork import Cost, Fork
from seesay.errors import InputError
from seesay.grounding import Calibration, Reading, Vocabulary
from seesay.grounding.questions import presence
from seesay.grounding.reading import checked, on_grid
from seesay.grounding.self_check import ask_yes
from seesay.models import ModelView


class Checks:
    """Answers to "is there a fork in the image?", kept for the length of one batch.

    Args:
        view: the model, with its processor.
        inputs, prompt: what the pictures were described with.
        words: the vocabulary of each picture.
        calibration: weighs the words anew once they are asked after.
        cells: (rows, columns) the image token of each patch of each picture, for heat maps.
    """

    def __init__(
        self,
        view: ModelView,
        inputs: Mapping[str, Any],
        prompt: str,
        words: Sequence[Vocabulary],
        calibration: Calibration | None,
        cells: Sequence[Tensor | None],
    ) -> None:
        self.view, self.inputs, self.prompt = view, inputs, prompt
        self.calibration, self.cells = calibration, cells
        self.answers: list[dict[str, float]] = [{} for _ in words]
        self.heatmaps: list[dict[str, NDArray[np.float32] | None]] = [{} for _ in words]
        self._form = toy.question if all(its.name == "toy" for its in words) else presence
        self._fork: Fork | None = None

    @property
    def cost(self) -> Cost:
        """What the questions have cost so far."""
        return Cost() if self._fork is None else self._fork.cost

    def after(self, session: Session) -> Checks:
        """Ask on the pictures that `session` has encoded; inside its block, before `ask`."""
        if self._fork is None:
            self._fork = Fork.after(session, self.inputs, self.prompt)
        return self

    def ask(self, readings: Sequence[Reading]) -> list[Reading]:
        """The readings with `self_check` among the scores of their words, and `heatmap_again`.

        Raises:
            InputError: an object whose name the model's tokenizer cannot spell.
            EngineError: inside a session that does not stand aside.
        """
        new = [
            [m.name for m in reading.mentions if m.name not in known]
            for reading, known in zip(readings, self.answers, strict=True)
        ]
        if any(new):
            if self._fork is None:
                self._fork = Fork.fresh(self.view, self.inputs, self.prompt)
            self._refuse_unspelt(self._fork.processor.tokenizer, sorted(set().union(*new)))
            gaze = any(cells is not None for cells in self.cells)
            found = ask_yes(self._fork, new, self._form, gaze=gaze)
            for row, its in enumerate(found):
                cells = self.cells[row]
                self.answers[row].update({name: its[name].p_yes for name in its})
                self.heatmaps[row].update({name: on_grid(its[name].gaze, cells) for name in its})
        rows = zip(readings, self.answers, self.heatmaps, strict=True)
        return [checked(reading, known, self.calibration, again) for reading, known, again in rows]

    def _refuse_unspelt(self, tokenizer: Any, names: Sequence[str]) -> None:
        unknown = tokenizer.unk_token_id
        for name in () if unknown is None else names:
            if unknown in tokenizer(self._form(name), add_special_tokens=False)["input_ids"]:
                raise InputError(
                    f"the model's tokenizer cannot spell {name!r}, so it cannot be asked after it; "
                    "choose a vocabulary whose classes the model knows"
                )
