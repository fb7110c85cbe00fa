"""Yes/no questions about scenes, balanced, with three ways to choose what is absent (POPE's)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache
from itertools import permutations
from random import Random
from typing import Final, Literal, NamedTuple, TypeAlias, get_args

from seesay.toy import OBJECTS, Scene
from seesay.toy.world import choose_objects

Sampling: TypeAlias = Literal["random", "popular", "adversarial"]
SAMPLINGS: Final[tuple[Sampling, ...]] = get_args(Sampling)

_PER_SCENE: Final = 2


class Asked(NamedTuple):
    """Whether an object is in a scene (by its place in the list of scenes), and the truth."""

    row: int
    name: str
    there: bool


def present(scenes: Sequence[Scene], seed: int) -> list[Asked]:
    """Up to two questions a scene about what is there."""
    rng = Random(f"present:{seed}")
    return [
        Asked(row, name, True)
        for row, scene in enumerate(scenes)
        for name in rng.sample(sorted(scene.present), _count(scene))
    ]


def absent(scenes: Sequence[Scene], sampling: Sampling, seed: int) -> list[Asked]:
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
        asked += [Asked(row, name, False) for name in names[: _count(scene)]]
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
