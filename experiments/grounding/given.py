"""Texts that the model did not write: lists of objects, some of them not there."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from experiments.grounding.measure import (
    CHECKED_RISK,
    GIVEN_RISK,
    RESAMPLES,
    RISK,
    Said,
    doubt,
    truths,
    words_of,
)
from seesay import toy
from seesay.errors import InputError
from seesay.evaluate.calibrate import Known
from seesay.grounding.questions import with_article
from seesay.statistics import detection_metrics
from seesay.statistics.intervals import Interval
from seesay.vlm import VLM

ABSENT = 2
"""Objects a text that are not there."""
SHOWN = (GIVEN_RISK, RISK, CHECKED_RISK, "self_check", "logprob", "svar", "svar_own")


def text_of(known: Known) -> str:
    """All objects of a scene and some that are not there, in an order that says nothing."""
    rng = random.Random(known.id)
    absent = [name for name in toy.OBJECTS if name not in known.objects]
    names = sorted(known.objects) + rng.sample(absent, ABSENT)
    rng.shuffle(names)
    return f"There is {', '.join(map(with_article, names))}."


def given(vlm: VLM, pictures: Sequence[Known]) -> list[Said]:
    """The words of one such text about each picture.

    Raises:
        InputError: a model without calibration, or without one for checked words.
    """
    known = vlm.calibration
    if known is None or known.checked is None or known.asked is None:
        raise InputError(f"{vlm.id} has no calibration with self-check to measure")
    return [
        replace(word, scores={**word.scores, GIVEN_RISK: risk})
        for picture in pictures
        for word in words_of(
            picture,
            vlm.audit(picture.picture, text_of(picture), self_check=True),
            known.single,
            known.checked,
        )
        if (risk := known.asked.risk(word.scores)) is not None
    ]


def section(words: Sequence[Said], texts: int) -> Iterator[str]:
    """The part of the page about them."""
    share = float(truths(words).mean())
    yield "\n## Texts that another wrote\n"
    yield (
        f"{texts} lists, “There is a fork, a cup, ...”, of each scene's objects and {ABSENT} that "
        f"are not there ({share:.0%} of the {len(words)} words), audited. Another's wording costs "
        "every word probability, true or not, so the risks made for the model's own captions mean "
        "little here: an audit's risk rests on self-check alone, which does not look at the "
        "wording, and without it words are ranked.\n"
    )
    rows = []
    for name in SHOWN:
        values, kept = doubt(words, name)
        truth, pictures = truths(kept), [word.picture for word in kept]
        area = detection_metrics.auroc(values, truth, pictures, resamples=RESAMPLES)
        mean = f"{np.mean(values):.2f}" if name in (GIVEN_RISK, RISK, CHECKED_RISK) else ""
        rows.append(f"| `{name}` | {_in(area)} | {mean} |")
    yield "| score | AUROC | mean risk said |\n| --- | --- | --- |\n" + "\n".join(rows)


def _in(figure: Interval) -> str:
    return f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]"
