"""COCO's 2014 annotations: which images there are, and which objects are in them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from seesay.errors import InputError
from seesay.evaluate.benchmarks.chair_words import NODES
from seesay.evaluate.benchmarks.files import find_files, read_json


@dataclass(frozen=True)
class CocoImages:
    """What a folder of annotations says.

    Attributes:
        file_names: image id → file name.
        boxed: image id → classes that an annotator outlined.
        captions: image id → what people wrote about it.
        read: the files, for a protocol.
    """

    file_names: dict[int, str]
    boxed: dict[int, set[str]]
    captions: dict[int, list[str]]
    read: tuple[Path, ...]

    def objects(self, image: int, named: Callable[[str], Iterable[str]]) -> list[str]:
        """Classes that are outlined or that a person's caption names; the published truth.

        Args:
            image: its id.
            named: the classes in a caption, as the scorer finds them.
        """
        told = {name for caption in self.captions.get(image, ()) for name in named(caption)}
        return sorted(self.boxed.get(image, set()) | told)


def annotation_files(folder: Path) -> tuple[list[Path], list[Path]]:
    """The instance and the caption files of a folder, or of its `annotations`: those of val2014,
    the usual images, else any of 2014.

    Raises:
        InputError: either is missing.
    """
    found = []
    for kind in ("instances", "captions"):
        places = ("", "annotations/")
        patterns = [f"{at}{kind}_{part}2014.json" for part in ("val", "*") for at in places]
        files = find_files(folder, patterns)
        if not files:
            others = [path.name for path in find_files(folder, ("*.pkl", "*.pickle"))]
            why = (
                f"; {', '.join(others)} is a pickle, which runs code when it is opened, so it is "
                "not read"
                if others
                else ""
            )
            raise InputError(
                f"no {kind}_*2014.json in {folder}{why}; CHAIR needs COCO's instances and captions "
                "of 2014: both say what is in a picture"
            )
        found.append(files)
    return found[0], found[1]


def read_coco(folder: Path) -> CocoImages:
    """All images of a folder's annotations.

    Raises:
        InputError: files missing or not in COCO's format.
    """
    instances, captions = annotation_files(folder)
    names: dict[int, str] = {}
    boxed: dict[int, set[str]] = defaultdict(set)
    told: dict[int, list[str]] = defaultdict(list)
    for path in instances:
        content = _parts(path, ("images", "categories", "annotations"))
        classes = {category["id"]: category["name"] for category in content["categories"]}
        unknown = sorted(set(classes.values()) - set(NODES))
        if unknown:
            raise InputError(f"{path}: no COCO class: {', '.join(unknown[:5])}")
        names |= dict(_file_names(content, path))
        for annotation in content["annotations"]:
            boxed[annotation["image_id"]].add(NODES[classes[annotation["category_id"]]])
    for path in captions:
        content = _parts(path, ("annotations",))
        for annotation in content["annotations"]:
            told[annotation["image_id"]].append(annotation["caption"])
    return CocoImages(names, dict(boxed), dict(told), (*instances, *captions))


def _file_names(content: dict[str, Any], path: Path) -> Iterator[tuple[int, str]]:
    seen: set[int] = set()
    for image in content["images"]:
        if image["id"] in seen:
            raise InputError(f"{path}: image {image['id']} stands there twice; repair the file")
        seen.add(image["id"])
        yield image["id"], image["file_name"]


# Outlines are nine tenths of the file, and nothing here needs them.
_LARGE: Final = ("segmentation", "bbox")


def _parts(path: Path, needed: Iterable[str]) -> dict[str, Any]:
    content = read_json(path, without=_LARGE)
    missing = [part for part in needed if not isinstance(content, dict) or part not in content]
    if missing:
        raise InputError(f"{path} is not in COCO's format: it has no {missing[0]!r}")
    return dict(content)
