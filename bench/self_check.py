"""What asking again brings and costs on the bundled model: detection, and time beside captions.

    python bench/self_check.py [--scenes 300] [--batch 16] [--split broken]

Scenes are held-out ones from seed 5,000 on. A mention is an object's first in a caption; it is true
if the object is in the scene. The combination is a logistic regression on log-probability and the
answer's logit, fitted on four fifths of the scenes and read on the last. Intervals are bootstrapped
over scenes. An object's habit is its mean logit over 100 habit-keeping scenes without it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

import seesay
from seesay import toy
from seesay.engine import Stack
from seesay.engine.prefix import CachedPrefix, QuestionCost
from seesay.evaluate.risk_model import Floats, area
from seesay.grounding.questions import attribute, count
from seesay.grounding.scored_text import decode
from seesay.grounding.scores import tokens_of
from seesay.grounding.self_check import ask, ask_yes, blurred, corrected, habit
from seesay.models.processors import inputs_for
from seesay.statistics import detection_metrics
from seesay.vlm import PROMPT

FIRST_SEED = 5000


class Checked(NamedTuple):
    """An object's first mention in a caption, and what the scores say of it."""

    scene: int
    name: str
    there: bool
    number: int
    logprob: float
    logit: float
    blurred: float


class Spent(NamedTuple):
    """Seconds and tokens of all captions, and what the checks cost."""

    seconds: float
    tokens: int
    forwards: int
    checks: QuestionCost


def check(vlm: Any, scenes: Sequence[Any], batch: int) -> tuple[list[Checked], Spent]:
    """Describe each scene, then ask about everything that was named."""
    found: list[Checked] = []
    seconds, tokens, forwards, total = 0.0, 0, 0, QuestionCost()
    for first in range(0, len(scenes), batch):
        part = scenes[first : first + batch]
        inputs = inputs_of(vlm, [scene.image for scene in part])
        started = time.perf_counter()
        with Stack()(vlm.model, processor=vlm.processor, readout=True) as session:
            session.generate(**inputs, max_new_tokens=128, do_sample=False)
            fork = CachedPrefix.after(session, inputs, PROMPT)
        seconds += time.perf_counter() - started
        record = session.record
        ends = torch.isin(record.tokens, torch.tensor(vlm.model.generation_config.eos_token_id))
        lengths = [int(row.nonzero()[0]) if row.any() else len(row) for row in ends]
        tokens += int(inputs["attention_mask"].sum()) + sum(lengths)
        forwards += record.tokens.shape[1]
        mentions = []
        for row, length in enumerate(lengths):
            text, spans = decode(vlm.processor.tokenizer, record.tokens[row, :length].tolist())
            firsts: dict[str, float] = {}
            for word in vlm.vocabulary.find(text):
                token = tokens_of((word.start, word.end), spans).start
                firsts.setdefault(word.name, float(record.plain_logprob[row, token]))
            mentions.append(firsts)
        answers = ask_yes(fork, mentions)
        blind = ask_yes(
            CachedPrefix.fresh(vlm.view, inputs_of(vlm, [blurred(s.image) for s in part]), PROMPT),
            mentions,
        )
        for name, value in vars(fork.cost).items():
            setattr(total, name, getattr(total, name) + value)
        found += [
            Checked(first + row, name, name in scene.present, number, logprob,
                    answers[row][name].logit, blind[row][name].logit)
            for row, scene in enumerate(part)
            for number, (name, logprob) in enumerate(mentions[row].items(), 1)
        ]  # fmt: skip
    return found, Spent(seconds, tokens, forwards, total)


def told(found: list[Checked], habits: dict[str, float]) -> None:
    """Print how well each score tells true mentions from invented ones."""
    scene = np.array([c.scene for c in found])
    there = np.array([c.there for c in found])
    number = np.array([c.number for c in found])
    logprob, logit = np.array([c.logprob for c in found]), np.array([c.logit for c in found])
    scores = {
        "position alone": -number.astype(float),
        "log-probability": logprob,
        "self-check": logit,
        "log-probability + self-check": combined(np.c_[logprob, logit], there, scene),
        "self-check − ½ blurred picture's": np.array(
            [corrected(c.logit, c.blurred) for c in found]
        ),
        "self-check − habit": np.array([corrected(c.logit, habits[c.name], 1.0) for c in found]),
    }
    print(f"{len(found)} mentions, {int((~there).sum())} invented\n")
    print("| score | AUROC | within mention number | − log-probability's |\n|---|---|---|---|")
    for name, score in scores.items():
        plain = detection_metrics.auroc(score, there, scene, resamples=500)
        within = detection_metrics.auroc(score, there, scene, within=number, resamples=500).value
        more = detection_metrics.estimate(
            detection_metrics.area(score, there),
            scene,
            versus=detection_metrics.area(logprob, there),
            resamples=500,
        )
        print(
            f"| {name} | {plain.value:.3f} [{plain.low:.3f}, {plain.high:.3f}] | {within:.3f} | "
            f"{more.value:+.3f} [{more.low:+.3f}, {more.high:+.3f}] |"
        )


def habits_of(vlm: Any, scenes: Sequence[Any]) -> dict[str, float]:
    """How readily the model affirms each object of the little world where it is not."""
    absent = [[name for name in toy.OBJECTS if name not in scene.present] for scene in scenes]
    fork = CachedPrefix.fresh(vlm.view, inputs_of(vlm, [scene.image for scene in scenes]), PROMPT)
    return habit(
        (name, answer.logit) for its in ask_yes(fork, absent) for name, answer in its.items()
    )


def combined(features: Floats, there: Any, scene: Any, folds: int = 5) -> Floats:
    """Cross-validated log-odds of a logistic regression; folds are of scenes."""
    scaled = np.c_[(features - features.mean(0)) / features.std(0), np.ones(len(features))]
    out = np.zeros(len(there))
    for fold in range(folds):
        fitted = scene % folds != fold
        weights = np.zeros(scaled.shape[1])
        for _ in range(20):  # Newton's steps, with a ridge of 1
            x = scaled[fitted]
            p = 1 / (1 + np.exp(-x @ weights))
            slope = x.T @ (there[fitted] - p) - weights
            weights += np.linalg.solve((x.T * (p * (1 - p))) @ x + np.eye(len(weights)), slope)
        out[~fitted] = scaled[~fitted] @ weights
    return out


def details(vlm: Any, scenes: Sequence[Any]) -> None:
    """Print whether colours and counts can be asked after, which no training question did."""
    colors = list(toy.world.COLORS)
    asked, right = [], []
    for scene in scenes:
        o = scene.objects[0]
        wrong = colors[(colors.index(o.color) + 1 + scene.seed % 7) % len(colors)]
        asked.append([attribute(o.name, o.color), attribute(o.name, wrong), count(o.name, 2)])
        right.append(o.count == 2)
    fork = CachedPrefix.fresh(vlm.view, inputs_of(vlm, [scene.image for scene in scenes]), PROMPT)
    logits = np.array([[answer.logit for answer in its] for its in ask(fork, asked)])
    color = area(logits[:, :2].T.ravel(), np.r_[np.ones(len(logits)), np.zeros(len(logits))] > 0)
    print(f"\nAUROC of \"Is the fork red?\": {color:.3f} (n = {2 * len(logits)}); "
          f"of \"Are there two forks?\": {area(logits[:, 2], np.array(right)):.3f} "
          f"(n = {len(logits)}, {sum(right)} with two)")  # fmt: skip


def inputs_of(vlm: Any, images: Sequence[Any]) -> dict[str, Any]:
    return inputs_for(vlm.model, vlm.processor, images, PROMPT)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--scenes", type=int, default=300)
    arguments.add_argument("--batch", type=int, default=16)
    arguments.add_argument("--split", choices=("broken", "kept"), default="broken")
    given = arguments.parse_args()
    torch.set_num_threads(1)
    vlm = seesay.load()
    seeds = range(FIRST_SEED, FIRST_SEED + given.scenes)
    scenes = [toy.scene(given.split, seed) for seed in seeds]
    others = [toy.scene("kept", seeds.stop + seed) for seed in range(100)]
    check(vlm, scenes[: given.batch], given.batch)  # warm-up
    found, spent = check(vlm, scenes, given.batch)
    print(f"{given.scenes} scenes, split {given.split}, batches of {given.batch}\n")
    told(found, habits_of(vlm, others))
    details(vlm, scenes)
    checks, per = spent.checks, given.scenes
    print("\n| a picture | forwards | tokens | image passes | ms |\n|---|---|---|---|---|")
    for what, forwards, tokens, passes, seconds in (
        ("caption", spent.forwards, spent.tokens, given.scenes, spent.seconds),
        (f"{checks.questions / per:.1f} checks", checks.forwards, checks.tokens,
         checks.image_passes, checks.seconds),
    ):  # fmt: skip
        print(
            f"| {what} | {forwards / per:.2f} | {tokens / per:.1f} | {passes / per:.0f} | "
            f"{1e3 * seconds / per:.1f} |"
        )
    print(f"\nChecks take {checks.seconds / spent.seconds:.2f} of the captions' time.")


if __name__ == "__main__":
    main()
