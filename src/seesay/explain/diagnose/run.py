"""All diagnoses, in the order of the page; a new one is its file and one line here.

A diagnosis from its beginning to its end: describe, read, ask again, conclude.

Workers measure a batch of pictures in one stage at a time, and what it found is written down when
it comes; so a run that ends early goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from seesay.errors import InputError, nearest
from seesay.explain.diagnose import described
from seesay.explain.diagnose.decay import Decay
from seesay.explain.diagnose.described import DiagnosedImage, pictures_of
from seesay.explain.diagnose.heads import Heads
from seesay.explain.diagnose.measurements import MeasurementFile
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
from seesay.explain.diagnose.text_probe import Batch, read
from seesay.explain.diagnose.types import (
    DescribedImage,
    Diagnosis,
    DiagnosisReport,
    Evidence,
    NamedWord,
)
from seesay.explain.diagnose.vision import Vision
from seesay.grounding import Vocabulary
from seesay.pictures import Opened, open_picture
from seesay.runs.setup import Setup
from seesay.runs.worker_pool import Make, WorkerPool
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
    """Measure what is not measured yet, and conclude; arguments and errors as `diagnose_with`."""
    pool = WorkerPool.alone(DiagnosisWorker(vlm, diagnoses, settings))
    return diagnose_with(pool, settings, out, on_step=on_step, on_broken=on_broken)


def diagnose_with(
    pool: WorkerPool[Any],
    settings: DiagnosisSettings,
    out: str | Path,
    *,
    on_step: OnStep = lambda done, total: None,
    on_broken: OnBroken | None = None,
) -> DiagnosisReport:
    """Measure with workers that `DiagnosisWorker.of` makes for these settings.

    Args:
        out: the file of measurements; see `measurements.MeasurementFile`.
        on_step: called with (steps done, of how many); a step is a picture in a stage.
        on_broken: called with a picture that cannot be opened, and why; it is left out. Without it
            the first one ends the work.

    Raises:
        InputError: pictures or a file that cannot be used.
        ModelError, EngineError: a model that a diagnosis cannot read.
        SeesayError: the file cannot be written, or workers are lost again and again.
    """
    facts: Facts = pool.call("facts")
    shown = pictures_of(settings.images, settings.count, settings.vocabulary or facts.vocabulary)
    with MeasurementFile(out, facts.protocol) as file:
        measuring = _Measuring(pool, facts, settings, file, shown, on_step, on_broken)
        measuring.run()
        measured = measuring.measured()
    if not measured.texts:
        raise InputError(f"none of the pictures of {settings.images!r} could be opened")
    report: DiagnosisReport = pool.call("conclude", measured)
    return report


@dataclass(frozen=True)
class Facts:
    """What a run must know of the model.

    Attributes:
        protocol: what all measurements have in common.
        vocabulary: the model's.
        labels: by diagnosis, of the methods under which pictures are described anew.
    """

    protocol: Mapping[str, Any]
    vocabulary: Vocabulary
    labels: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Chunk:
    """Some pictures in one stage, or in those of several diagnoses that share a reading.

    Attributes:
        texts: what was said about each picture, where it is read.
    """

    shown: Sequence[DiagnosedImage]
    stages: Sequence[str]
    texts: Sequence[DescribedImage] = ()

    @property
    def description(self) -> str:
        return f"{', '.join(self.stages)} of {', '.join(one.id for one in self.shown)}"


@dataclass(frozen=True)
class ChunkNotes:
    """What was measured of a chunk: (stage, picture, found), and pictures that cannot be opened."""

    found: Sequence[tuple[str, str, Any]]
    broken: Sequence[tuple[str, InputError]]


@dataclass(frozen=True)
class MeasuredChunk:
    """All that was measured, for the conclusions.

    Attributes:
        shown: the pictures that have a text, and `texts` those; `notes` and `asked` as `Evidence`.
    """

    shown: Sequence[DiagnosedImage]
    texts: Sequence[DescribedImage]
    notes: Mapping[str, Mapping[str, Mapping[str, Any]]]
    asked: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]]


class DiagnosisWorker:
    """A model that measures chunks of pictures."""

    def __init__(
        self, vlm: VLM, diagnoses: Sequence[Diagnosis], settings: DiagnosisSettings
    ) -> None:
        self.vlm, self.diagnoses, self.settings = vlm, diagnoses, settings
        self.methods = {one.name: one.methods(vlm.view) for one in diagnoses}

    @classmethod
    def of(cls, diagnoses: Sequence[Diagnosis], settings: DiagnosisSettings) -> Make:
        """Makes workers."""
        return partial(_made, diagnoses, settings)

    def remark(self, _: None) -> str:
        """What a user of the model should know."""
        return self.vlm.remark

    def facts(self, _: None) -> Facts:
        labels = {name: list(methods) for name, methods in self.methods.items()}
        return Facts(protocol(self.vlm, self.settings), self.vlm.vocabulary, labels)

    def measure(self, chunk: Chunk) -> ChunkNotes:
        """What the chunk's stages find of its pictures.

        Raises:
            ModelError, EngineError: a model that a diagnosis cannot read.
        """
        there, broken = [], []
        for one in chunk.shown:
            try:
                there.append((one, open_picture(one.picture)))
            except InputError as error:
                broken.append((one.id, error))
        if not there:
            return ChunkNotes((), broken)
        shown, opened = [one for one, _ in there], [picture for _, picture in there]
        if chunk.stages == (TEXT,):
            said = described.describe(self.vlm, shown, opened, **self._how())
            return ChunkNotes([(TEXT, one.picture, asdict(one)) for one in said], broken)
        if chunk.texts:
            texts = {one.picture: one for one in chunk.texts}
            found = self._read(chunk.stages, [texts[one.id] for one in shown], opened)
            return ChunkNotes(list(found), broken)
        stage = chunk.stages[0]
        name, _, label = stage.removeprefix(ASKED).partition(":")
        method = self.methods[name][label]
        counts = described.count(self.vlm, shown, opened, method, **self._how())
        pairs = zip(shown, counts, strict=True)
        return ChunkNotes([(stage, one.id, count) for one, count in pairs], broken)

    def conclude(self, measured: MeasuredChunk) -> DiagnosisReport:
        """What follows from all measurements."""
        pictures = {one.id: one.picture for one in measured.shown}

        def reopen(one: DescribedImage) -> Batch:
            return self._batch([one], [open_picture(pictures[one.picture])])

        evidence = Evidence(self.vlm.view, measured.texts, measured.notes, measured.asked, reopen)
        words = [word for one in evidence.told for word in one.words]
        known = any(one.present is not None for one in evidence.told)
        return DiagnosisReport(
            model=self.vlm.id,
            images=named(self.settings.images),
            pictures=len(evidence.told),
            words=len(words),
            invented=sum(bool(word.invented) for word in words) if known else None,
            findings=tuple(one.conclude(evidence) for one in self.diagnoses),
            remarks=remarks(self.vlm, self.settings, evidence),
            protocol=full_protocol(self.vlm, self.settings, evidence),
        )

    def _read(
        self, names: Sequence[str], texts: Sequence[DescribedImage], opened: Sequence[Opened]
    ) -> Iterator[tuple[str, str, Any]]:
        """What the probes of all these diagnoses note in one reading."""
        batch = self._batch(texts, opened)
        probes = {one.name: list(one.probes(batch)) for one in self.diagnoses if one.name in names}
        together = [probe for own in probes.values() for probe in own]
        if together:
            read(batch, together, self.vlm.processor)
        for name, own in probes.items():
            rows = [probe.results() for probe in own]
            for k, text in enumerate(texts):
                found = {key: value for row in rows for key, value in row[k].items()}
                yield name, text.picture, found

    def _batch(self, texts: Sequence[DescribedImage], opened: Sequence[Opened]) -> Batch:
        images = [one.image for one in opened]
        return Batch.of(self.vlm, texts, images, self.settings.prompt)

    def _how(self) -> dict[str, Any]:
        settings = self.settings
        return {
            "prompt": settings.prompt,
            "max_new_tokens": settings.max_new_tokens,
            "vocabulary": settings.vocabulary,
        }


def _made(
    diagnoses: Sequence[Diagnosis], settings: DiagnosisSettings, setup: Setup
) -> DiagnosisWorker:
    return DiagnosisWorker(setup.load(), diagnoses, settings)


class _Measuring:
    """What is measured and what is not, and the chunks that are left."""

    def __init__(
        self,
        pool: WorkerPool[Any],
        facts: Facts,
        settings: DiagnosisSettings,
        file: MeasurementFile,
        shown: Sequence[DiagnosedImage],
        on_step: OnStep,
        on_broken: OnBroken | None,
    ) -> None:
        self.pool, self.labels, self.file, self.shown = pool, facts.labels, file, shown
        self.on_step, self.on_broken = on_step, on_broken
        self.first = {one.id for one in shown[: settings.asked]}
        size = settings.batch_size
        self.batches = [shown[k : k + size] for k in range(0, len(shown), size)]
        self.broken: set[str] = set()
        self.total = sum(self._steps(one) for one in shown)

    def run(self) -> None:
        """The texts of all pictures; then whatever is to be found of pictures that have one."""
        self._report()
        self._measure(self._describing())
        self._measure(chunk for batch in self.batches for chunk in self._reading(batch))

    def measured(self) -> MeasuredChunk:
        texts = self.file.stage(TEXT)
        shown = [one for one in self.shown if one.id in texts]
        return MeasuredChunk(
            shown,
            [self._text(one.id) for one in shown],
            {name: self.file.stage(name) for name in self.labels},
            {name: self._answers(name) for name in self.labels},
        )

    def _measure(self, chunks: Iterable[Chunk]) -> None:
        for _, notes in self.pool.map("measure", chunks):
            for name, error in notes.broken:
                if self.on_broken is None:
                    raise error
                if name not in self.broken:
                    self.broken.add(name)
                    self.on_broken(name, error)
            self.file.append(notes.found)
            self._report()

    def _describing(self) -> Iterator[Chunk]:
        for batch in self.batches:
            if left := self._lacking(TEXT, batch):
                yield Chunk(left, (TEXT,))

    def _reading(self, batch: Sequence[DiagnosedImage]) -> Iterator[Chunk]:
        """Readings, which diagnoses that lack the same pictures share, and questions."""
        batch = [one for one in batch if one.id not in self.broken]
        wanted: dict[tuple[str, ...], list[str]] = {}
        by_id = {one.id: one for one in batch}
        for name in self.labels:
            if lacking := tuple(one.id for one in self._lacking(name, batch)):
                wanted.setdefault(lacking, []).append(name)
        for ids, names in wanted.items():
            yield Chunk([by_id[id_] for id_ in ids], names, [self._text(id_) for id_ in ids])
        asked = [one for one in batch if self._asks(one)]
        for name, labels in self.labels.items():
            for stage in (f"{ASKED}{name}:{label}" for label in labels):
                if left := self._lacking(stage, asked):
                    yield Chunk(left, (stage,))

    # ---- what is there and what is not -----------------------------------------------------

    def _stages(self, shown: DiagnosedImage) -> Iterator[str]:
        yield TEXT
        yield from self.labels
        if self._asks(shown):
            for name, labels in self.labels.items():
                yield from (f"{ASKED}{name}:{label}" for label in labels)

    def _asks(self, shown: DiagnosedImage) -> bool:
        return shown.id in self.first and shown.objects is not None

    def _steps(self, shown: DiagnosedImage) -> int:
        return sum(1 for _ in self._stages(shown))

    def _lacking(self, stage: str, shown: Sequence[DiagnosedImage]) -> list[DiagnosedImage]:
        found = self.file.stage(stage)
        return [one for one in shown if one.id not in found]

    def _report(self) -> None:
        done = sum(
            self._steps(one)
            if one.id in self.broken
            else sum(one.id in self.file.stage(stage) for stage in self._stages(one))
            for one in self.shown
        )
        self.on_step(done, self.total)

    def _answers(self, name: str) -> dict[str, dict[str, Any]]:
        """Picture → label → counts, of the pictures that have all."""
        stages = {label: self.file.stage(f"{ASKED}{name}:{label}") for label in self.labels[name]}
        first, *others = list(stages.values()) or [{}]
        return {
            picture: {label: found[picture] for label, found in stages.items()}
            for picture in first
            if all(picture in other for other in others)
        }

    def _text(self, picture: str) -> DescribedImage:
        found = self.file.stage(TEXT)[picture]
        words = tuple(NamedWord(**word) for word in found["words"])
        return DescribedImage(found["picture"], tuple(found["ids"]), words, found["present"])
