"""The pictures of a diagnosis: drawn scenes, a folder, or a list with known objects."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from seesay import toy
from seesay.errors import InputError
from seesay.evaluate.calibrate import SPLITS, listed
from seesay.folder.listing import Folder
from seesay.grounding import Vocabulary
from seesay.pictures import Picture

TOY = "toy"
FIRST_SEED = 4_000_000
"""Of the drawn scenes; no other measurement here uses seeds from it on."""


@dataclass(frozen=True)
class Shown:
    """A picture.

    Attributes:
        id: its name within the set.
        picture: as `VLM.describe` takes it.
        objects: what is in it, as classes of the vocabulary; None where that is not known.
    """

    id: str
    picture: Picture
    objects: frozenset[str] | None


def pictures_of(images: str, count: int, vocabulary: Vocabulary) -> list[Shown]:
    """The first `count` pictures that `images` names.

    Args:
        images: "toy" for drawn scenes, half of which break the training scenes' habits; a folder;
            or a file of JSON lines, {"image": "photo.jpg", "objects": ["fork"]}.
        vocabulary: that the objects of a file are words of.

    Raises:
        InputError: neither of these, no picture in it, or a file of another form.
    """
    if images == TOY:
        return _drawn(count)
    path = Path(images).expanduser()
    if path.is_dir():
        folder = Folder.of(path)
        return [Shown(name, path / name, None) for name in folder.pictures[:count]]
    if path.is_file():
        known = listed(path, vocabulary)[:count]
        return [Shown(one.id, one.picture, one.objects) for one in known]
    raise InputError(
        f"--images {images!r} is no folder and no file; name a folder of pictures, a file of JSON "
        'lines ({"image": "photo.jpg", "objects": ["fork"]}), or say toy for drawn scenes'
    )


def _drawn(count: int) -> list[Shown]:
    found = []
    for k in range(count):
        split = SPLITS[k % len(SPLITS)]
        scene = toy.scene(split, FIRST_SEED + k // len(SPLITS))
        name = f"toy:{split}/{scene.seed}"
        found.append(Shown(name, name, scene.present))
    return found
