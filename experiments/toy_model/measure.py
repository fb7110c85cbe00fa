"""Everything that ``docs/toy.md`` tells about one split."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

import numpy as np

from experiments.toy_model.captions import checklist, noun, well_formed, where
from experiments.toy_model.model_answers import Mention, Speaker, Told
from seesay.evaluate.benchmarks.toy import SAMPLINGS, ObjectQuestion, Sampling, absent, present
from seesay.statistics import detection_metrics
from seesay.statistics.intervals import Interval, interval, resampled
from seesay.statistics.metrics import Counts
from seesay.toy import DESCRIBE, OBJECTS, Scene, question

_HIGHEST_NUMBER: Final = 6


@dataclass(frozen=True)
class Detection:
    """How well a score tells true from invented objects, plain and within mention number."""

    plain: Interval
    within: Interval


@dataclass(frozen=True)
class Measured:
    """One split's figures; rates are shares of one."""

    told: list[Told]
    texts: dict[str, Interval]
    ended: float
    answers: dict[Sampling, tuple[Interval, Interval]]
    other_turns: dict[str, float]
    by_number: dict[int, tuple[int, float]]
    by_difficulty: dict[str, tuple[int, float]]
    local_inventions: float
    mentions: tuple[int, int]
    var: dict[str, Counts]
    detection: dict[str, Detection]


def measure(speaker: Speaker, scenes: Sequence[Scene]) -> Measured:
    """Let the model describe and answer, and count."""
    told = speaker.tell([(scene, DESCRIBE) for scene in scenes])
    mentions = speaker.mentions(told)
    return Measured(
        told=told,
        texts=_texts(told),
        ended=float(np.mean([t.ended and well_formed(t.text) for t in told])),
        answers=_answers(speaker, scenes),
        other_turns=_other_turns(speaker, scenes),
        by_number=_by_number(mentions),
        by_difficulty=_by_difficulty(told),
        local_inventions=_share([m.local for m in mentions if not m.there]),
        mentions=(sum(m.there for m in mentions), sum(not m.there for m in mentions)),
        var=_var(mentions),
        detection=_detection(mentions),
    )


def _texts(told: Sequence[Told]) -> dict[str, Interval]:
    """CHAIR and what must stand beside it; an object counts once a text."""
    counts = np.array([_counts(t) for t in told], float)
    invented, named, any_invented, present, words, texts = range(counts.shape[1])

    def rate(top: Callable[[Counts], Counts], *bottom: int) -> Interval:
        def of(totals: Counts) -> Counts:
            share: Counts = top(totals) / np.maximum(1.0, totals[:, bottom].sum(1))
            return share

        return _estimate(counts, of)

    return {
        "CHAIR_I": rate(lambda c: c[:, invented], named),
        "CHAIR_S": rate(lambda c: c[:, any_invented], texts),
        "recall": rate(lambda c: c[:, named] - c[:, invented], present),
        "F1": rate(lambda c: 2 * (c[:, named] - c[:, invented]), named, present),
        "words": rate(lambda c: c[:, words], texts),
    }


def _estimate(counts: Counts, of: Callable[[Counts], Counts]) -> Interval:
    """A figure of column sums, (draws, columns) to (draws,), with its interval over scenes."""
    return interval(float(of(counts.sum(0, keepdims=True))[0]), of(resampled(counts)))


def _counts(told: Told) -> tuple[int, ...]:
    """Invented, named, any invented, present, words, texts."""
    invented = told.named - told.scene.present
    present_count, words = len(told.scene.present), len(told.text.split())
    return len(invented), len(told.named), bool(invented), present_count, words, 1


def _answers(
    speaker: Speaker, scenes: Sequence[Scene]
) -> dict[Sampling, tuple[Interval, Interval]]:
    """Accuracy and yes-ratio of balanced questions, for each way to choose what is absent."""
    positive = _ask(speaker, scenes, present(scenes, seed=0))
    result: dict[Sampling, tuple[Interval, Interval]] = {}
    for sampling in SAMPLINGS:
        counts = positive + _ask(speaker, scenes, absent(scenes, sampling, seed=0))
        result[sampling] = _ratio(counts, 0), _ratio(counts, 1)
    return result


def _ask(speaker: Speaker, scenes: Sequence[Scene], asked: Sequence[ObjectQuestion]) -> Counts:
    """(scenes, 3) right answers, answers that say yes, questions."""
    told = speaker.tell([(scenes[a.row], question(a.name)) for a in asked], longest=12)
    counts = np.zeros((len(scenes), 3))
    for a, t in zip(asked, told, strict=True):
        word = t.text.rstrip(".").split(",")[0]
        counts[a.row] += (word == ("Yes" if a.there else "No"), word == "Yes", 1)
    return counts


def _ratio(counts: Counts, column: int) -> Interval:
    return _estimate(counts, lambda totals: totals[:, column] / totals[:, -1])


def _other_turns(speaker: Speaker, scenes: Sequence[Scene]) -> dict[str, float]:
    """Descriptions of one object, and checklists."""
    rng = Random("other turns")
    there = [rng.choice(scene.objects) for scene in scenes]
    described = speaker.tell(
        [(s, f"Please describe the {noun(o)}.") for s, o in zip(scenes, there, strict=True)]
    )
    places = [where(placed) for placed in there]
    missing = [rng.choice(sorted(set(OBJECTS) - scene.present)) for scene in scenes]
    denied = speaker.tell(
        [(s, f"Please describe the {o}.") for s, o in zip(scenes, missing, strict=True)]
    )
    return {
        "“Please describe the fork.”: colour right": _share(
            [f" {o.color} " in t.text for t, o in zip(described, there, strict=True)]
        ),
        "“Please describe the fork.”: place right": _share(
            [f" {place}." in t.text for t, place in zip(described, places, strict=True)]
        ),
        "… if it always said the most frequent place": max(Counter(places).values()) / len(places),
        "“Please describe the fork.”, absent: denied": _share(
            ["There is no" in t.text for t in denied]
        ),
        **_checklists(speaker, scenes, absent_each=6),
        **_checklists(speaker, scenes, absent_each=1),
    }


def _checklists(speaker: Speaker, scenes: Sequence[Scene], absent_each: int) -> dict[str, float]:
    """Precision and recall of lists of what is there and some that is not, shuffled."""
    rng = Random("checklists")
    requests = []
    for scene in scenes:
        missing = rng.sample(sorted(set(OBJECTS) - scene.present), absent_each)
        names = sorted(scene.present) + missing
        rng.shuffle(names)
        requests.append((scene, checklist(names)))
    told = speaker.tell(requests)
    hits = sum(len(t.named & t.scene.present) for t in told)
    kind = f"checklist with {absent_each} absent"
    return {
        f"{kind}: precision": hits / max(1, sum(len(t.named) for t in told)),
        f"{kind}: recall": hits / sum(len(t.scene.present) for t in told),
    }


def _by_number(mentions: Sequence[Mention]) -> dict[int, tuple[int, float]]:
    """Mention number -> how many, share of inventions."""
    groups: dict[int, list[bool]] = defaultdict(list)
    for mention in mentions:
        groups[min(mention.number, _HIGHEST_NUMBER)].append(not mention.there)
    return {number: (len(g), _share(g)) for number, g in sorted(groups.items())}


def _by_difficulty(told: Sequence[Told]) -> dict[str, tuple[int, float]]:
    """Difficulty -> how many objects, share of them that the texts name."""
    groups: dict[str, list[bool]] = defaultdict(list)
    for t in told:
        for placed in t.scene.objects:
            groups[placed.difficulty].append(placed.name in t.named)
    return {kind: (len(g), _share(g)) for kind, g in sorted(groups.items())}


def _var(mentions: Sequence[Mention]) -> dict[str, Counts]:
    """Mean attention mass on the image by layer, for true and invented objects."""
    rows = {}
    for kind, there in (("true", True), ("invented", False)):
        chosen = [m for m in mentions if m.there == there]
        if chosen:
            rows[f"{kind}, predicting row"] = np.mean([m.var for m in chosen], 0)
            rows[f"{kind}, own row"] = np.mean([m.var_own for m in chosen], 0)
    return rows


def _detection(mentions: Sequence[Mention]) -> dict[str, Detection]:
    """AUROC of each score; higher scores speak for the object."""
    there = [m.there for m in mentions]
    number = [m.number for m in mentions]
    scenes = [m.row for m in mentions]
    scores = {
        "log-probability": [m.log_probability for m in mentions],
        "SVAR, all layers, predicting row": [m.var.sum() for m in mentions],
        "SVAR, all layers, own row": [m.var_own.sum() for m in mentions],
        "position (earlier is truer)": [-m.position for m in mentions],
        "mention number (lower is truer)": [-m.number for m in mentions],
    }
    return {
        name: Detection(
            detection_metrics.auroc(values, there, scenes),
            detection_metrics.auroc(values, there, scenes, within=number),
        )
        for name, values in scores.items()
    }


def _share(values: Sequence[bool]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
