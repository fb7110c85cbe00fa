"""The bundled scenes as benchmarks: what is there is known for certain.

Both forms come in two splits: "kept" scenes keep the habits of the training scenes, "broken" ones
break them, so that a model which guesses from habit is found out. Seeds from 2,000,000 on are used
by no other measurement here (docs/toy.md has 0 to 599, the bundled reference 7,000,000 and more).

Yes/no questions about scenes, balanced, with three ways to choose what is absent (POPE's).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from itertools import chain, permutations
from random import Random
from typing import Any, ClassVar, Final, Literal, NamedTuple, TypeAlias, get_args

from PIL import Image

from seesay import toy
from seesay.errors import InputError, nearest
from seesay.evaluate.benchmark import Answer, Kind, Sample
from seesay.evaluate.benchmarks.captions import COLUMNS, METRICS, Named, count_caption, finished
from seesay.evaluate.benchmarks.listed import DRAWN, Counted, ListedQuestions, tally
from seesay.evaluate.benchmarks.yes_no import YesNo
from seesay.statistics.metrics import Metric, Score
from seesay.toy import OBJECTS, Scene
from seesay.toy.world import Split, choose_objects

FIRST_SEED: Final = 2_000_000
SPLITS: Final[tuple[Split, ...]] = get_args(Split)
SCORER_VERSION: Final = 1

_NO_IMAGE: Final = Image.new("RGB", (1, 1))


@dataclass(frozen=True, kw_only=True)
class ToyCaptions(ListedQuestions):
    """Descriptions of scenes, scored as CHAIR is: each object word counts.

    Attributes:
        split: "kept" or "broken".
        scenes: how many.
        first_seed: of the first scene; the others follow.
        cut_unfinished: leave out a last sentence that the token limit cut; see `finished`.
    """

    split: Split = "kept"
    scenes: int = 500
    first_seed: int = FIRST_SEED
    cut_unfinished: bool = False
    max_new_tokens: int = 128
    name: str = field(default="", init=False)
    kind: ClassVar[Kind] = "caption"
    metrics: ClassVar[Mapping[str, Metric]] = METRICS

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(self.split, scenes=self.scenes, first_seed=self.first_seed)
        object.__setattr__(self, "name", f"toy-captions-{self.split}")

    def listed(self) -> Iterator[Sample]:
        for seed in range(self.first_seed, self.first_seed + self.scenes):
            scene = drawn(self.split, seed)
            picture = _picture(scene)
            truth = {"objects": sorted(scene.present)}
            yield Sample(str(seed), picture, toy.DESCRIBE, picture, truth)

    def score(self, samples: Sequence[Sample], answers: Mapping[str, Answer]) -> Score:
        """Count; `sample.truth["objects"]` are the objects that are drawn."""
        from seesay.grounding import Vocabulary

        vocabulary = Vocabulary.toy()

        def count(sample: Sample, answer: Answer) -> Counted:
            text = finished(answer) if self.cut_unfinished else answer.text
            named = [Named(text[w.start : w.end], w.name) for w in vocabulary.find(text)]
            return count_caption(text, named, sample.truth["objects"])

        return tally(samples, answers, COLUMNS, count)

    def protocol(self) -> dict[str, Any]:
        """Which scenes, and how captions are read."""
        return {
            "benchmark": self.name,
            "scorer": "toy vocabulary",
            "scorer_version": SCORER_VERSION,
            "cut_unfinished": self.cut_unfinished,
            "prompt": toy.DESCRIBE,
            "scenes": self.scenes,
            "first_seed": self.first_seed,
            "limit": self.limit,
        }


@dataclass(frozen=True, kw_only=True)
class ToyPope(YesNo):
    """Questions after objects, half of them absent, up to four a scene.

    Attributes:
        sampling: how absent objects are chosen: any ("random"), the most frequent of training
            scenes ("popular"), or those that mostly come with what is there ("adversarial").
        split: "kept" or "broken".
        questions: how many.
        first_seed: of the first scene; the others follow.
        parser: "strict" here, since the model is made to answer with one word.
    """

    sampling: Sampling = "random"
    split: Split = "kept"
    questions: int = 500
    first_seed: int = FIRST_SEED
    parser: str = "strict"
    name: str = field(default="", init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sampling not in SAMPLINGS:
            raise InputError(
                f"unknown sampling {self.sampling!r}; {nearest(self.sampling, SAMPLINGS)}"
            )
        _check(self.split, questions=self.questions, first_seed=self.first_seed)
        object.__setattr__(self, "name", f"toy-pope-{self.sampling}-{self.split}")

    def listed(self) -> Iterator[Sample]:
        scenes = self._scenes()
        there = present(scenes, self.first_seed)
        missing = absent(scenes, self.sampling, self.first_seed)
        # As many of either a scene, in the same order: taking turns keeps any prefix balanced.
        turns = chain.from_iterable(zip(there, missing, strict=True))
        for _, asked in zip(range(self.questions), turns, strict=False):
            yield self._sample(scenes[asked.row], asked)

    def protocol(self) -> dict[str, Any]:
        """Which scenes, and how answers are read."""
        return {
            "benchmark": self.name,
            **self.parsing(),
            "questions": self.questions,
            "first_seed": self.first_seed,
            "limit": self.limit,
        }

    def _scenes(self) -> list[toy.Scene]:
        """As many scenes as the questions need."""
        wanted = self.questions if self.limit is None else min(self.questions, self.limit)
        scenes: list[toy.Scene] = []
        asked = 0
        while asked < wanted:
            scenes.append(drawn(self.split, self.first_seed + len(scenes)))
            asked += 2 * len(present(scenes[-1:], 0))
        return scenes

    def _sample(self, scene: toy.Scene, asked: ObjectQuestion) -> Sample:
        picture = _picture(scene)
        return Sample(
            id=f"{scene.seed}-{asked.name}",
            picture=picture,
            prompt=toy.question(asked.name),
            cluster=picture,
            truth={"label": "yes" if asked.there else "no", "object": asked.name},
        )


@lru_cache(maxsize=4096)
def drawn(split: Split, seed: int) -> toy.Scene:
    """A scene's facts, without its picture: benchmarks of one run share their scenes."""
    return replace(toy.scene(split, seed), image=_NO_IMAGE)


def _picture(scene: toy.Scene) -> str:
    return f"{DRAWN}{scene.split}/{scene.seed}"


def _check(split: str, **counts: int) -> None:
    if split not in SPLITS:
        raise InputError(f"unknown split {split!r}; {nearest(split, SPLITS)}")
    for name, value in counts.items():
        least = 0 if name == "first_seed" else 1
        if value < least:
            raise InputError(f"{name}={value} is too small; give {least} or more")


Sampling: TypeAlias = Literal["random", "popular", "adversarial"]
SAMPLINGS: Final[tuple[Sampling, ...]] = get_args(Sampling)

_PER_SCENE: Final = 2


class ObjectQuestion(NamedTuple):
    """Whether an object is in a scene (by its place in the list of scenes), and the truth."""

    row: int
    name: str
    there: bool


def present(scenes: Sequence[Scene], seed: int) -> list[ObjectQuestion]:
    """Up to two questions a scene about what is there."""
    rng = Random(f"present:{seed}")
    return [
        ObjectQuestion(row, name, True)
        for row, scene in enumerate(scenes)
        for name in rng.sample(sorted(scene.present), _count(scene))
    ]


def absent(scenes: Sequence[Scene], sampling: Sampling, seed: int) -> list[ObjectQuestion]:
    """As many questions a scene as `present` asks, about what is not there.

    "random" takes any object, "popular" the most frequent of training scenes, "adversarial" those
    that come most often along with what is there.
    """
    rng = Random(f"absent:{seed}")
    asked = []
    for row, scene in enumerate(scenes):
        names = [name for name in OBJECTS if name not in scene.present]
        rng.shuffle(names)
        names.sort(key=lambda name: -_pull(name, scene, sampling))
        asked += [ObjectQuestion(row, name, False) for name in names[: _count(scene)]]
    return asked


def _count(scene: Scene) -> int:
    return min(_PER_SCENE, len(scene.present))


def _pull(name: str, scene: Scene, sampling: Sampling) -> float:
    if sampling == "random":
        return 0
    alone, together = _habits()
    if sampling == "popular":
        return alone[name]
    return sum(together[other, name] / alone[other] for other in scene.present)


@cache
def _habits() -> tuple[Counter[str], Counter[tuple[str, str]]]:
    """How often objects, and ordered pairs of them, occur in 20,000 draws of habit-keeping."""
    rng = Random("habits")
    alone: Counter[str] = Counter()
    together: Counter[tuple[str, str]] = Counter()
    for _ in range(20_000):
        _, names = choose_objects(rng, "kept")
        alone.update(names)
        together.update(permutations(names, 2))
    return alone, together
