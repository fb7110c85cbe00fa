"""All diagnoses, in the order of the page; a new one is its file and one line here.

A diagnosis from its beginning to its end: describe, read, ask again, conclude.

Each batch of pictures goes through the stages that are not measured yet; what a stage found of a
batch is written down before the next one begins, so a run that ends early goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from seesay.errors import InputError, nearest
from seesay.explain.diagnose import described
from seesay.explain.diagnose.decay import Decay
from seesay.explain.diagnose.described import DiagnosedImage, pictures_of
from seesay.explain.diagnose.heads import Heads
from seesay.explain.diagnose.measurements import MeasurementFile
from seesay.explain.diagnose.probe import Batch, read
from seesay.explain.diagnose.protocol import (
    DiagnosisSettings,
    full_protocol,
    named,
    protocol,
    remarks,
)
from seesay.explain.diagnose.sinks import Sinks
from seesay.explain.diagnose.sparsity import Sparsity
from seesay.explain.diagnose.strength import Strength
from seesay.explain.diagnose.types import (
    DescribedImage,
    Diagnosis,
    DiagnosisReport,
    Evidence,
    NamedWord,
)
from seesay.explain.diagnose.vision import Vision
from seesay.pictures import Opened, open_picture
from seesay.vlm import VLM

_ALL: tuple[type[Diagnosis], ...] = (Vision, Heads, Decay, Sinks, Sparsity, Strength)

REGISTRY: dict[str, type[Diagnosis]] = {kind.name: kind for kind in _ALL}
"""Every diagnosis by its name."""


def parse(text: str | None = None) -> list[Diagnosis]:
    """The diagnoses that `text` names, such as "sinks, decay", in the order of the page; None and
    "all" are all of them.

    Raises:
        InputError: an unknown name; the message names the nearest.
    """
    names = [name.strip().lower() for name in ("all" if text is None else text).split(",")]
    names = [name for name in names if name]
    if not names:
        raise InputError(f"no diagnosis in {text!r}; known: all, {', '.join(REGISTRY)}")
    for name in names:
        if name not in REGISTRY and name != "all":
            raise InputError(f"unknown diagnosis {name!r}; {nearest(name, [*REGISTRY, 'all'])}")
    return [kind() for name, kind in REGISTRY.items() if name in names or "all" in names]


TEXT = "text"
ASKED = "asked:"

OnStep = Callable[[int, int], None]
OnBroken = Callable[[str, InputError], None]


def diagnose(
    vlm: VLM,
    diagnoses: Sequence[Diagnosis],
    settings: DiagnosisSettings,
    out: str | Path,
    *,
    on_step: OnStep = lambda done, total: None,
    on_broken: OnBroken | None = None,
) -> DiagnosisReport:
    """Measure what is not measured yet, and conclude.

    Args:
        out: the file of measurements; see `store.Store`.
        on_step: called with (steps done, of how many); a step is a picture in a stage.
        on_broken: called with a picture that cannot be opened, and why; it is left out. Without it
            the first one ends the work.

    Raises:
        InputError: pictures or a file that cannot be used.
        ModelError, EngineError: a model that a diagnosis cannot read.
    """
    shown = pictures_of(settings.images, settings.count, settings.vocabulary or vlm.vocabulary)
    with MeasurementFile(out, protocol(vlm, settings)) as store:
        measuring = _Measuring(vlm, diagnoses, settings, store, shown, on_step, on_broken)
        measuring.run()
        evidence = measuring.evidence()
    if not evidence.told:
        raise InputError(f"none of the pictures of {settings.images!r} could be opened")
    words = [word for one in evidence.told for word in one.words]
    known = any(one.present is not None for one in evidence.told)
    return DiagnosisReport(
        model=vlm.id,
        images=named(settings.images),
        pictures=len(evidence.told),
        words=len(words),
        invented=sum(bool(word.invented) for word in words) if known else None,
        findings=tuple(one.conclude(evidence) for one in diagnoses),
        remarks=remarks(vlm, settings, evidence),
        protocol=full_protocol(vlm, settings, evidence),
    )


class _Measuring:
    """The stages of all batches."""

    def __init__(
        self,
        vlm: VLM,
        diagnoses: Sequence[Diagnosis],
        settings: DiagnosisSettings,
        store: MeasurementFile,
        shown: Sequence[DiagnosedImage],
        on_step: OnStep,
        on_broken: OnBroken | None,
    ) -> None:
        self.vlm, self.diagnoses, self.settings = vlm, diagnoses, settings
        self.store, self.shown = store, shown
        self.on_step, self.on_broken = on_step, on_broken
        self.methods = {one.name: one.methods(vlm.view) for one in diagnoses}
        self.first = {one.id for one in shown[: settings.asked]}
        self.broken: set[str] = set()
        self.total = sum(self._steps(one) for one in shown)

    def run(self) -> None:
        self._report()
        size = self.settings.batch_size
        for start in range(0, len(self.shown), size):
            chunk = [one for one in self.shown[start : start + size] if not self._complete(one)]
            pairs = [pair for pair in map(self._open, chunk) if pair is not None]
            if pairs:
                self._text(pairs)
                self._read(pairs)
                self._ask(pairs)

    def evidence(self) -> Evidence:
        chosen = [one for one in self.shown if one.id in self.store.stage(TEXT)]
        return Evidence(
            self.vlm.view,
            [self._told(one.id) for one in chosen],
            {one.name: self.store.stage(one.name) for one in self.diagnoses},
            {one.name: self._answers(one.name) for one in self.diagnoses},
            self._reopen,
        )

    # ---- stages ----------------------------------------------------------------------------

    def _text(self, pairs: Sequence[tuple[DiagnosedImage, Opened]]) -> None:
        left = self._lacking(TEXT, pairs)
        if not left:
            return
        for one in described.describe(self.vlm, *_split(left), **self._how()):
            self.store.append(TEXT, one.picture, asdict(one))
        self._report()

    def _read(self, pairs: Sequence[tuple[DiagnosedImage, Opened]]) -> None:
        """All takers that want the same pictures share one reading."""
        wanted: dict[tuple[str, ...], list[Diagnosis]] = {}
        for one in self.diagnoses:
            lacking = tuple(shown.id for shown, _ in self._lacking(one.name, pairs))
            if lacking:
                wanted.setdefault(lacking, []).append(one)
        for ids, diagnoses in wanted.items():
            batch = self._batch([pair for pair in pairs if pair[0].id in ids])
            takers = {one.name: list(one.takers(batch)) for one in diagnoses}
            together = [taker for own in takers.values() for taker in own]
            if together:
                read(batch, together, self.vlm.processor)
            for name, own in takers.items():
                rows = [taker.results() for taker in own]
                for k, told in enumerate(batch.told):
                    found = {key: value for row in rows for key, value in row[k].items()}
                    self.store.append(name, told.picture, found)
            self._report()

    def _ask(self, pairs: Sequence[tuple[DiagnosedImage, Opened]]) -> None:
        wanted = [pair for pair in pairs if self._asks(pair[0])]
        for diagnosis, methods in self.methods.items():
            for label, method in methods.items():
                stage = f"{ASKED}{diagnosis}:{label}"
                left = self._lacking(stage, wanted)
                if not left:
                    continue
                counts = described.count(self.vlm, *_split(left), method, **self._how())
                for (shown, _), count in zip(left, counts, strict=True):
                    self.store.append(stage, shown.id, count)
                self._report()

    # ---- what is there and what is not -----------------------------------------------------

    def _stages(self, shown: DiagnosedImage) -> Iterator[str]:
        yield TEXT
        yield from (one.name for one in self.diagnoses)
        if self._asks(shown):
            for name, methods in self.methods.items():
                yield from (f"{ASKED}{name}:{label}" for label in methods)

    def _asks(self, shown: DiagnosedImage) -> bool:
        return shown.id in self.first and shown.objects is not None

    def _steps(self, shown: DiagnosedImage) -> int:
        return sum(1 for _ in self._stages(shown))

    def _complete(self, shown: DiagnosedImage) -> bool:
        return all(shown.id in self.store.stage(stage) for stage in self._stages(shown))

    def _lacking(
        self, stage: str, pairs: Sequence[tuple[DiagnosedImage, Opened]]
    ) -> list[tuple[DiagnosedImage, Opened]]:
        found = self.store.stage(stage)
        return [pair for pair in pairs if pair[0].id not in found]

    def _report(self) -> None:
        done = sum(
            self._steps(one)
            if one.id in self.broken
            else sum(one.id in self.store.stage(stage) for stage in self._stages(one))
            for one in self.shown
        )
        self.on_step(done, self.total)

    def _answers(self, name: str) -> dict[str, dict[str, Any]]:
        """Picture → label → counts, of the pictures that have all."""
        stages = {label: self.store.stage(f"{ASKED}{name}:{label}") for label in self.methods[name]}
        first, *others = list(stages.values()) or [{}]
        return {
            picture: {label: found[picture] for label, found in stages.items()}
            for picture in first
            if all(picture in other for other in others)
        }

    def _open(self, shown: DiagnosedImage) -> tuple[DiagnosedImage, Opened] | None:
        try:
            return shown, open_picture(shown.picture)
        except InputError as error:
            if self.on_broken is None:
                raise
            self.broken.add(shown.id)
            self.on_broken(shown.id, error)
            return None

    def _batch(self, pairs: Sequence[tuple[DiagnosedImage, Opened]]) -> Batch:
        told = [self._told(shown.id) for shown, _ in pairs]
        images = [opened.image for _, opened in pairs]
        return Batch.of(self.vlm, told, images, self.settings.prompt)

    def _reopen(self, told: DescribedImage) -> Batch:
        shown = next(one for one in self.shown if one.id == told.picture)
        image = open_picture(shown.picture).image
        return Batch.of(self.vlm, [told], [image], self.settings.prompt)

    def _told(self, picture: str) -> DescribedImage:
        found = self.store.stage(TEXT)[picture]
        words = tuple(NamedWord(**word) for word in found["words"])
        return DescribedImage(found["picture"], tuple(found["ids"]), words, found["present"])

    def _how(self) -> dict[str, Any]:
        settings = self.settings
        return {
            "prompt": settings.prompt,
            "max_new_tokens": settings.max_new_tokens,
            "vocabulary": settings.vocabulary,
        }


def _split(
    pairs: Sequence[tuple[DiagnosedImage, Opened]],
) -> tuple[list[DiagnosedImage], list[Opened]]:
    return [shown for shown, _ in pairs], [opened for _, opened in pairs]
