"""A batch's second look: from the readings of its texts to what is said."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor
from transformers import LogitsProcessorList

from seesay.engine import Record, Session, Stack
from seesay.engine.prefix import QuestionCost
from seesay.errors import EngineError, InputError
from seesay.grounding import ScoredText, Vocabulary
from seesay.grounding.self_check import blurred
from seesay.options import Follow, GenerationOptions
from seesay.verification.judge import Judge
from seesay.verification.missing_objects import completed, unsaid
from seesay.verification.policy import Policy, Revised
from seesay.verification.rewriting import Bounds, Path, rewritten
from seesay.verification.streaming import Released
from seesay.verification.verifier import Verifier

if TYPE_CHECKING:
    from PIL.Image import Image

    from seesay.vlm import VLM


class Verification:
    """What is done with a batch's texts once they are written: nothing, asking after what they name
    (self-check), or look-again.

    Args:
        inputs, words, cells: of each picture of the batch, see `Verifier`.

    Raises:
        ModelError: a model that cannot answer yes/no questions is to be asked.
        MethodError: evidence that this model has not got.
        EngineError: beams, where sentences are to be written anew.
    """

    def __init__(
        self,
        vlm: VLM,
        asked: GenerationOptions,
        inputs: Mapping[str, Any],
        images: Sequence[Image],
        words: Sequence[Vocabulary],
        cells: Sequence[Tensor | None],
    ) -> None:
        self.vlm, self.asked, self.words = vlm, asked, words
        self.looker = Policy.of(vlm, asked.method)
        if asked.self_check:
            vlm.refuse_unless_it_answers()
        asks = asked.self_check or (self.looker is not None and self.looker.look.asks)
        self.checks = (
            Verifier(
                vlm.view,
                inputs,
                asked.prompt,
                words,
                vlm.calibration,
                cells,
                None if self.looker is None else self.looker.look,
                form=vlm.detail_form,
                blurred=lambda: vlm.encode(list(map(blurred, images)), asked.prompt),
            )
            if asks
            else None
        )
        self._columns = int(inputs["input_ids"].shape[1])
        adds = self.looker is not None and self.looker.look.add is not None
        for its in words if adds else ():
            if not its.classes:
                raise InputError(
                    f"the vocabulary {its.name!r} has no list of classes to ask after; choose "
                    "another one, or leave out look-again's add"
                )
        refused = {} if self.looker is None else self.looker.look.refuses
        if "beams" in refused and asked.decoding["num_beams"] > 1:
            raise EngineError(f"{asked.method}: {refused['beams']}; leave out one of them")

    @property
    def cost(self) -> QuestionCost | None:
        """What the questions cost, None if nothing is asked."""
        return None if self.checks is None else self.checks.cost

    @property
    def remark(self) -> str:
        """What differs from what was asked for or calibrated, "" if nothing."""
        if self.looker is None:
            return ""
        calibration, remarks = self.looker.calibration, [self.looker.remark]
        if calibration is not None and self.looker.look.evidence != "self-check":
            others = sorted({its.name for its in self.words} - {calibration.vocabulary})
            if others:
                remarks.append(
                    f"the calibration was made with the words of {calibration.vocabulary!r}, not "
                    f"of {', '.join(map(repr, others))}"
                )
        return "; ".join(filter(None, remarks))

    @property
    def method(self) -> Stack:
        """The method with every field as this model has it."""
        parts = self.asked.method.resolved_for(self.vlm.view).methods
        look = None if self.looker is None else self.looker.look
        return Stack(tuple(look if look and part.name == look.name else part for part in parts))

    def followers(self, session: Session, read: Callable[[Record], ScoredText]) -> list[Follow]:
        """Who is told of each step of one text, where `on_text` wants to see it looked at again."""
        on_text, looker = self.asked.on_text, self.looker
        if on_text is None or looker is None or looker.look.mode == "rewrite":
            return []
        tokenizer = self.vlm.processor.tokenizer
        return [Released(looker, self.checks, session, read, tokenizer, on_text)]

    def written(self, session: Session) -> None:
        """`session` has generated; to be called inside its block."""
        if self.checks is not None:
            self.checks.after(session)

    def asked_after(self, readings: list[ScoredText]) -> list[ScoredText]:
        """The readings with the model's answers, if it is asked."""
        return readings if self.checks is None else self.checks.ask(readings)

    def revised(
        self, readings: list[ScoredText], again: Callable[[LogitsProcessorList], list[ScoredText]]
    ) -> list[Revised]:
        """What is said in the end.

        Args:
            readings: asked after.
            again: generates the batch once more under a processor of logits.
        """
        looker = self.looker
        if looker is None:
            return [Revised(reading) for reading in readings]
        if looker.look.mode != "rewrite":
            judged = ((reading, self._judge(row)) for row, reading in enumerate(readings))
            return self._completed([looker.revised(one, judge=judge) for one, judge in judged])
        paths = [Path(reading, frozenset(m.name for m in reading.mentions)) for reading in readings]
        rewritten(looker, paths, lambda: self.asked_after(again(self._bounds(paths))))
        return self._completed([
            looker.revised(
                path.reading, first=path.first, dropped=path.dropped, judge=self._judge(row)
            )
            for row, path in enumerate(paths)
        ])  # fmt: skip

    def _judge(self, row: int) -> Judge | None:
        """What tells how natural an edited sentence is, if the model is asked at all."""
        return None if self.checks is None else self.checks.judge(row)

    def _completed(self, revised: list[Revised]) -> list[Revised]:
        """With what else of the vocabulary the model affirms, if that is wanted."""
        if self.looker is None or self.looker.look.add is None or self.checks is None:
            return revised
        others = [unsaid(*pair) for pair in zip(revised, self.words, strict=True)]
        answers = self.checks.after_names(others)
        return [
            completed(one, {name: known[name] for name in names}, self.looker.look)
            for one, names, known in zip(revised, others, answers, strict=True)
        ]

    def _bounds(self, paths: Sequence[Path]) -> LogitsProcessorList:
        ends = sorted(self.asked.end_ids(self.vlm.view))
        tokenizer = self.vlm.processor.tokenizer
        return LogitsProcessorList([Bounds(paths, self.words, tokenizer, self._columns, ends)])
