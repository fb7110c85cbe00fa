"""Calibrate a model: describe pictures whose objects are known, and fit its words' risks.

The pictures are drawn scenes of both splits whose seeds nobody trained on or measured with, or the
user's own, listed in JSON lines: {"image": "photo.jpg", "objects": ["fork", "cup"]}.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from seesay import toy
from seesay.errors import InputError
from seesay.evaluate.risk_model import ASKED, CHECKED, SINGLE, Case, fit, layer_range
from seesay.grounding import Calibration, Vocabulary
from seesay.models.compat import versions
from seesay.options import OnToken
from seesay.pictures import Picture, open_picture
from seesay.response import Response
from seesay.toy.world import Split
from seesay.vlm import PROMPT, VLM

SPLITS: tuple[Split, ...] = ("kept", "broken")
FIRST_SEED = 7_000_000
SCENES = 1000
FEWEST_WORDS, FEWEST_OF_A_KIND = 200, 30


@dataclass(frozen=True)
class Known:
    """A picture whose objects are known.

    Attributes:
        id, split: its name, and what kind of picture it is.
        picture: as `VLM.describe` takes it.
        objects: classes of the vocabulary.
    """

    id: str
    split: str
    picture: Picture
    objects: frozenset[str]


OnBroken = Callable[[Known, InputError], None]


def scenes(count: int, first_seed: int = FIRST_SEED) -> list[Known]:
    """`count` drawn scenes of each split."""
    return [
        Known(f"{split}/{seed}", split, f"toy:{split}/{seed}", toy.scene(split, seed).present)
        for split in SPLITS
        for seed in range(first_seed, first_seed + count)
    ]


def listed(path: Path, vocabulary: Vocabulary) -> list[Known]:
    """The pictures that a file of JSON lines lists, with their objects as classes.

    Raises:
        InputError: a file that cannot be read, a line that is no such object, a picture that is
            missing or listed twice, or no object of which the vocabulary knows the word.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {str(path)!r}: {error}") from error
    found: dict[str, Known] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        row = _row(path, number, line)
        picture = path.parent / row["image"]
        if not picture.is_file():
            raise InputError(f"{path}, line {number}: there is no picture {str(picture)!r}")
        if row["image"] in found:
            raise InputError(f"{path}, line {number}: {row['image']!r} is listed twice")
        names = {vocabulary.surfaces.get(str(name).lower().strip()) for name in row["objects"]}
        objects = frozenset(name for name in names if name is not None)
        found[row["image"]] = Known(row["image"], "given", picture, objects)
    if not any(known.objects for known in found.values()):
        raise InputError(
            f"{path} lists no object of the vocabulary {vocabulary.name!r}; name objects by its "
            "words, or give a vocabulary of your own with --words"
        )
    return list(found.values())


def calibrate(
    vlm: VLM,
    pictures: Sequence[Known],
    *,
    made_from: str,
    vocabulary: Vocabulary | None = None,
    batch_size: int = 32,
    max_new_tokens: int = 128,
    self_check: bool = True,
    on_picture: OnToken | None = None,
    on_broken: OnBroken | None = None,
) -> Calibration:
    """Describe the pictures and fit what the scores of the named objects say.

    Args:
        made_from: what the pictures are, in a few words.
        self_check: fit a second model with the model's own answers; left out by itself for a model
            that cannot answer yes/no questions.
        on_picture: called with (pictures done, of how many).
        on_broken: called with a picture that cannot be opened, and why; it is left out. Without it
            the first one ends the work.

    Raises:
        InputError: too few words, or too few of a kind, for figures that mean anything.
    """
    plain = replace(vlm, calibration=None)
    asks = self_check and plain.exam.reason is None
    seen = described(
        plain, pictures, on_picture, on_broken, batch_size=batch_size,
        max_new_tokens=max_new_tokens, vocabulary=vocabulary, self_check=asks,
    )  # fmt: skip
    there: dict[str, int] = {}
    cases: list[Case] = []
    for known, text in seen:
        there[known.id] = len(known.objects)
        cases += cases_of(known, text)
    invented = sum(case.invented for case in cases)
    kinds = {"invented": invented, "true": len(cases) - invented}
    if len(cases) < FEWEST_WORDS or min(kinds.values()) < FEWEST_OF_A_KIND:
        counted = " and ".join(f"{count} {kind}" for kind, count in kinds.items())
        raise InputError(
            f"{len(there)} pictures gave {counted} objects; {FEWEST_WORDS} in all and "
            f"{FEWEST_OF_A_KIND} of each kind are the least for a calibration: take more pictures"
        )
    layers, layers_auroc, by_layer = layer_range(cases)
    cases = [case.with_layers(layers) for case in cases]
    return Calibration(
        model=vlm.id,
        revision=vlm.revision,
        vocabulary=(vocabulary or vlm.vocabulary).name,
        prompt=PROMPT,
        layers=layers,
        layers_auroc=round(layers_auroc, 4),
        by_layer=tuple(round(value, 4) for value in by_layer),
        made_from=made_from,
        pictures=len(there),
        words=len(cases),
        invented=invented,
        single=fit(cases, SINGLE, there)[0],
        checked=fit(cases, CHECKED, there)[0] if asks else None,
        asked=fit(cases, ASKED, there)[0] if asks else None,
        versions=versions(),
    )


def cases_of(known: Known, seen: Response) -> Iterator[Case]:
    """The objects that a text names, each by its first mention; one at which the text was cut is
    left out, since nothing is known of its own row."""
    names: set[str] = set()
    for mention in seen.mentions:
        if mention.name in names or mention.layers is None:
            continue
        names.add(mention.name)
        if mention.own_layers is None:
            continue
        yield Case(
            known.id,
            known.split,
            mention.name,
            dict(mention.scores),
            mention.layers,
            mention.own_layers,
            mention.name not in known.objects,
        )


def described(
    vlm: VLM,
    pictures: Sequence[Known],
    on_picture: OnToken | None = None,
    on_broken: OnBroken | None = None,
    **how: Any,
) -> Iterator[tuple[Known, Response]]:
    """Each picture with its description, batch by batch.

    Args:
        how: of `VLM.describe`, `batch_size` among it.
        on_picture, on_broken: see `calibrate`.
    """
    size = how["batch_size"]
    for first in range(0, len(pictures), size):
        chunk = pictures[first : first + size]
        if on_broken is not None:
            chunk = [one for one in chunk if _opens(one, on_broken)]
        yield from zip(chunk, vlm.describe([one.picture for one in chunk], **how), strict=True)
        if on_picture is not None:
            on_picture(min(first + size, len(pictures)), len(pictures))


def _opens(known: Known, on_broken: OnBroken) -> bool:
    try:
        open_picture(known.picture)
    except InputError as error:
        on_broken(known, error)
        return False
    return True


def _row(path: Path, number: int, line: str) -> dict[str, Any]:
    form = '{"image": "photo.jpg", "objects": ["fork"]}'
    try:
        row = json.loads(line)
    except ValueError as error:
        raise InputError(f"{path}, line {number} is no JSON ({error}); write {form}") from error
    if (
        not isinstance(row, dict)
        or not isinstance(row.get("image"), str)
        or not isinstance(row.get("objects"), list)
    ):
        raise InputError(f"{path}, line {number} is not of the form {form}")
    return row
