"""Two benchmarks of a few lines and made-up models, to test what stands on benchmarks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from seesay.evaluate.benchmark import Answer, Benchmark, NamedObject, Sample
from seesay.statistics.metrics import Metric, Score, ratio

OBJECTS = ("fork", "knife", "cup", "spoon", "plate", "car")


def _f1(totals):
    return 200 * totals["found"] / (totals["named"] + totals["there"])


@dataclass(frozen=True)
class Captions(Benchmark):
    """CHAIR's way of counting, on words between blanks."""

    pictures: int = 60
    name: str = "little-captions"
    kind: ClassVar = "caption"
    metrics: ClassVar = {
        "CHAIR_I": Metric(ratio("wrong", "named"), "lower"),
        "recall": Metric(ratio("found", "there"), "higher"),
        "F1": Metric(_f1, "higher"),
        "words": Metric(ratio("words", "texts", 1), None, "words"),
    }

    def samples(self):
        rng = np.random.default_rng(0)
        drawn = [sorted(rng.choice(OBJECTS, 3, replace=False)) for _ in range(self.pictures)]
        return [
            Sample(f"c{k}", f"p{k}", "Describe.", f"p{k}", {"objects": objects})
            for k, objects in enumerate(drawn)
        ]

    def score(self, samples, answers):
        rows, clusters = [], []
        for sample in samples:
            answer = answers.get(sample.id)
            if answer is None or answer.error:
                continue
            said = [w for w in answer.text.replace(".", "").split() if w in OBJECTS]
            there = set(sample.truth["objects"])
            wrong = sum(word not in there for word in said)
            count = len(answer.text.split())
            rows.append((wrong, len(said), len(there & set(said)), len(there), count, 1))
            clusters.append(sample.cluster)
        columns = ("wrong", "named", "found", "there", "words", "texts")
        return Score(tuple(clusters), columns, np.array(rows, float).reshape(-1, 6))

    def protocol(self):
        return {"scorer": "little", "pictures": self.pictures}


@dataclass(frozen=True)
class Questions(Benchmark):
    """Six questions a picture, half of them to be answered yes."""

    pictures: int = 40
    name: str = "little-questions"
    kind: ClassVar = "yes-no"
    metrics: ClassVar = {
        "accuracy": Metric(ratio("right", "asked"), "higher"),
        "yes-ratio": Metric(ratio("yes", "asked"), None),
    }

    def samples(self):
        return [
            Sample(f"q{k}.{n}", f"p{k}", "Is it there?", f"p{k}", {"label": ("yes", "no")[n % 2]})
            for k in range(self.pictures)
            for n in range(6)
        ]

    def score(self, samples, answers):
        rows, parsed = {}, {}
        for sample in samples:
            if sample.id not in answers:
                continue
            said = answers[sample.id].text.lower().rstrip(".")
            known = said if said in ("yes", "no") else "other"
            parsed[sample.id] = {"said": known, "right": known == sample.truth["label"]}
            row = rows.setdefault(sample.cluster, np.zeros(3))
            row += (said == sample.truth["label"], said == "yes", 1)
        unread = sum(one["said"] == "other" for one in parsed.values())
        counts = np.array(list(rows.values()))
        return Score(tuple(rows), ("right", "yes", "asked"), counts, parsed, {"unparsed": unread})

    def protocol(self):
        return {"parser": "little"}


def caption(key, words, logprobs=None, **fields):
    """An answer that names objects: words in order, those of `OBJECTS` are its mentions."""
    text, mentions = "", []
    for k, word in enumerate(words):
        text += " " * bool(text)
        if word in OBJECTS:
            span = (len(text), len(text) + len(word))
            logprob = -0.1 if logprobs is None else logprobs[k]
            mentions.append(NamedObject(word, span, logprob, 0.0))
        text += word
    return Answer(key, text + ".", len(words), 0.01, mentions=tuple(mentions), **fields)


def captions(samples, recall, inventing, seed, filler=3, sure=1.0):
    """Made-up captions of a model that finds and invents at these rates; `sure` is how much its
    log-probability tells the one from the other."""
    rng = np.random.default_rng(seed)
    answers = {}
    for sample in samples:
        words, logprobs = ["a", "scene"], [0.0, 0.0]
        for name in OBJECTS:
            there = name in sample.truth["objects"]
            if rng.random() < (recall if there else inventing):
                words += ["with", name]
                logprobs += [0.0, float(-rng.exponential() - sure * (not there))]
        words += ["indeed"] * filler
        answers[sample.id] = caption(sample.id, words, [*logprobs, *[0.0] * filler])
    return answers


def replies(samples, skill, lean, seed, threshold=0.5):
    """Made-up yes/no answers from P(yes) with some skill and a leaning to yes."""
    rng = np.random.default_rng(seed)
    answers = {}
    for sample in samples:
        truth = 1 if sample.truth["label"] == "yes" else -1
        yes = 1 / (1 + math.exp(-(skill * truth + lean + rng.normal())))
        text = "Yes" if yes >= threshold else "No"
        answers[sample.id] = Answer(sample.id, text, 2, 0.01, yes=yes)
    return answers
