"""Asking: a model that is handed batches and gives back answers. It lives where the engine puts it,
in this process, in another one or on another machine."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from seesay.engine import AnyMethod
from seesay.engine.state import one_by_one
from seesay.errors import InputError
from seesay.evaluate.benchmark import Answer, Kind, NamedObject, Sample
from seesay.evaluate.entries import Variant, Wanted, variants
from seesay.models.compat import versions
from seesay.pictures import Opened, open_picture
from seesay.response import Response
from seesay.runs.setup import Setup

MOST_DRAWN = 2048
"""Drawn scenes that are kept, since every entry asks about the same ones; files are opened anew."""


@dataclass(frozen=True)
class Capabilities:
    """What a plan needs to know of a model.

    Attributes:
        facts: what of it goes into the protocol.
        variants: what runs on it.
        notes: what does not, in sentences.
    """

    facts: dict[str, Any]
    variants: tuple[Variant, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class AskedBatch:
    """A batch to ask: samples that share a prompt, under one method.

    Attributes:
        job: the id of the job that it belongs to.
        wanted: the ids whose answers are not recorded yet. All samples are asked, so that an
            answer never depends on what had been recorded before.
        skip_broken: whether an unreadable picture is an answer with an error, and no end.
    """

    job: str
    benchmark: str
    kind: Kind
    samples: tuple[Sample, ...]
    wanted: frozenset[str]
    method: AnyMethod
    max_new_tokens: int
    decoding: Mapping[str, Any]
    seed: int
    skip_broken: bool = False

    @property
    def prompt(self) -> str:
        return self.samples[0].prompt

    @property
    def description(self) -> str:
        return f"{self.benchmark} under {self.method}"


class ModelWorker:
    """A loaded model that answers tasks.

    Raises:
        ModelError: see `vlm.load`.
    """

    def __init__(self, setup: Setup) -> None:
        self._vlm = setup.load()
        self._drawn: dict[str, Opened] = {}

    def survey(self, wanted: Wanted) -> Capabilities:
        """What of `wanted` runs on this model."""
        vlm, notes = self._vlm, list[str]()
        found = tuple(variants(vlm, wanted, notes.append))
        facts = {
            "model": vlm.id,
            "revision": vlm.revision,
            "dtype": str(vlm.model.dtype).removeprefix("torch."),
            "device": torch.device(vlm.model.device).type,
            "vocabulary": vlm.vocabulary.name,
            "versions": versions(),
        }
        return Capabilities(facts, found, tuple(notes))

    def answer(self, task: AskedBatch) -> list[Answer]:
        """The answers that are wanted of a batch.

        Raises:
            InputError: a picture that cannot be read, unless such are skipped.
            EngineError, ModelError: what cannot be decoded so, or not enough memory.
        """
        opened, answers = [], []
        for sample in task.samples:
            try:
                opened.append((sample.id, self._open(sample.picture)))
            except InputError as error:
                if not task.skip_broken:
                    raise InputError(
                        f"{task.benchmark}, {sample.id}: {error}; --skip-missing leaves such out"
                    ) from error
                answers.append(Answer(sample.id, "", error=str(error)))
        seen: Sequence[Response] = []
        if opened:
            seen = self._vlm.describe(
                [picture for _, picture in opened],
                prompt=task.prompt,
                method=task.method,
                max_new_tokens=task.max_new_tokens,
                num_beams=task.decoding["num_beams"],
                do_sample=task.decoding["do_sample"],
                generation=task.decoding["generation"],
                seed=_seed(task) if task.decoding["do_sample"] else None,
                batch_size=1 if one_by_one(task.method) else len(opened),
            )
        for (id_, _), text in zip(opened, seen, strict=True):
            answers.append(_answer(id_, text, task.kind))
        return [answer for answer in answers if answer.id in task.wanted]

    def _open(self, picture: str) -> Opened:
        if not picture.startswith("toy:"):
            return open_picture(picture)
        if picture not in self._drawn:
            if len(self._drawn) >= MOST_DRAWN:
                self._drawn.clear()
            self._drawn[picture] = open_picture(picture)
        return self._drawn[picture]


def _answer(id_: str, seen: Response, kind: Kind) -> Answer:
    mentions = seen.mentions if kind == "caption" else ()
    return Answer(
        id=id_,
        text=seen.text,
        tokens=len(seen.tokens),
        seconds=seen.seconds,
        ended=seen.ended,
        mentions=tuple(NamedObject(m.name, m.span, m.scores["logprob"], m.risk) for m in mentions),
        yes=seen.yes if kind == "yes-no" else None,
    )


def _seed(task: AskedBatch) -> int:
    """Of a batch's draw: one for all entries, and another for each batch."""
    content = f"{task.seed} {task.benchmark} {task.samples[0].id}"
    return int.from_bytes(hashlib.sha256(content.encode()).digest()[:7])
