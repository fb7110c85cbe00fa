"""Benchmarks from the Hugging Face Hub, written down once in their published local formats.

``--data pope=hub`` tries the ids of `HUB_IDS` in turn, since they have moved before;
``--data pope=hub:my/POPE`` or ``hub:first/id|second/id`` tries those instead. What comes is kept in
the cache folder, and read from there like any other data. Needs ``pip install 'seesay[datasets]'``.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Final

from seesay.errors import InputError
from seesay.evaluate.benchmarks.files import field

SCHEME: Final = "hub"
HUB_IDS: Final[Mapping[str, tuple[str, ...]]] = {
    "pope": ("lmms-lab/POPE", "lmms-lab-encoder/POPE"),
    "mme": ("lmms-lab/MME", "lmms-lab-encoder/MME"),
    "chair": ("tsunghanwu/mscoco_chair",),
}
"""Suite → ids, tried in order. AMBER's own files hold more than its copies there; use those."""
_SPLIT: Final = "test"
_MAGIC: Final = {b"\xff\xd8": ".jpg", b"\x89PNG": ".png", b"RIFF": ".webp", b"GIF8": ".gif"}


def is_hub(folder: str | Path) -> bool:
    """Whether a folder's name asks for the Hub: "hub" or "hub:ID"."""
    return str(folder) == SCHEME or str(folder).startswith(f"{SCHEME}:")


def hub_folder(suite: str, written: str | Path) -> Path:
    """The folder with a suite's data from the Hub, fetched unless it is there.

    Args:
        suite: "pope", "mme" or "chair".
        written: "hub", "hub:ID" or "hub:ID|ID".

    Raises:
        InputError: a suite without a copy on the Hub, `datasets` is not installed, or no id could
            be read (with each one's reason).
    """
    given = str(written).removeprefix(SCHEME).removeprefix(":")
    ids = tuple(part.strip() for part in given.split("|")) if given else HUB_IDS.get(suite, ())
    if suite not in _WRITERS:
        raise InputError(
            f"{suite} is not read from the Hub; give a folder with its published files. From the "
            f"Hub: {', '.join(_WRITERS)}"
        )
    kept = [folder for folder in (_kept(suite, id) for id in ids) if folder.is_dir()]
    return kept[0] if kept else _fetch(suite, ids)


def _kept(suite: str, id: str) -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    name = id.replace("/", "--") if not Path(id).is_absolute() else _short(id.encode())
    return Path(base) / "seesay" / "benchmarks" / suite / name


def _fetch(suite: str, ids: Sequence[str]) -> Path:
    reasons = []
    for id in ids:
        try:
            rows = _rows(id)
        except (OSError, ValueError, RuntimeError) as error:
            why = str(error) or type(error).__name__
            reasons.append(f"{id}: {why.splitlines()[0]}")
            continue
        return _write(suite, id, rows)
    raise InputError(
        f"{suite} could not be read from the Hub ({'; '.join(reasons)}); give another id "
        f"(--data {suite}=hub:ORG/NAME) or a folder"
    )


def _rows(id: str) -> Iterable[dict[str, Any]]:
    try:
        datasets = import_module("datasets")
    except ImportError:
        raise InputError(
            "data from the Hub needs the datasets package: pip install 'seesay[datasets]'"
        ) from None
    found = datasets.load_dataset(id, split=_SPLIT)
    # Undecoded, so that the file that is written is the file that was published.
    rows: Iterable[dict[str, Any]] = found.cast_column("image", datasets.Image(decode=False))
    return rows


def _write(suite: str, id: str, rows: Iterable[dict[str, Any]]) -> Path:
    """All or nothing: an interrupted download leaves no folder that looks complete."""
    target = _kept(suite, id)
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(mkdtemp(dir=target.parent, prefix=".unfinished-"))
    try:
        (unfinished / "images").mkdir()
        _WRITERS[suite](rows, unfinished, Path(id))
        unfinished.chmod(0o755)
        unfinished.rename(target)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return target


def _write_pope(rows: Iterable[dict[str, Any]], folder: Path, source: Path) -> None:
    by_sampling: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        question = {
            "question_id": field(row, ("question_id", "id"), source),
            "image": _save(row, row.get("image_source"), folder, source),
            "text": field(row, ("question", "text"), source),
            "label": field(row, ("answer", "label"), source),
        }
        by_sampling[str(field(row, ("category",), source))].append(question)
    for sampling, questions in by_sampling.items():
        _write_lines(questions, folder / f"coco_pope_{sampling}.json")


def _write_mme(rows: Iterable[dict[str, Any]], folder: Path, source: Path) -> None:
    def records() -> Iterator[dict[str, Any]]:
        for row in rows:
            name = str(field(row, ("question_id",), source)).replace("/", "-")
            yield {
                "category": field(row, ("category",), source),
                "image": _save(row, name, folder, source),
                "question": field(row, ("question",), source),
                "answer": field(row, ("answer",), source),
            }

    _write_lines(records(), folder / "mme.jsonl")


def _write_chair(rows: Iterable[dict[str, Any]], folder: Path, source: Path) -> None:
    def records() -> Iterator[dict[str, Any]]:
        for number, row in enumerate(rows):
            yield {
                "image_id": number,
                "image": _save(row, row.get("question_id"), folder, source),
                "objects": list(field(row, ("gt_object",), source)),
            }

    _write_lines(records(), folder / "chair.jsonl")


_Writer = Callable[[Iterable[dict[str, Any]], Path, Path], None]
_WRITERS: Final[Mapping[str, _Writer]] = {
    "pope": _write_pope,
    "mme": _write_mme,
    "chair": _write_chair,
}


def _save(row: dict[str, Any], name: object, folder: Path, source: Path) -> str:
    """Write a row's picture unless another row did; its file name."""
    image = field(row, ("image",), source)
    content: bytes = image["bytes"] or Path(image["path"]).read_bytes()
    stem = str(name) if name is not None else _short(content)
    stem = Path(stem).stem if Path(stem).suffix.lower() in (".jpg", ".jpeg", ".png") else stem
    suffix = next((s for magic, s in _MAGIC.items() if content.startswith(magic)), ".img")
    file = Path(stem).name + suffix
    path = folder / "images" / file
    if not path.exists():
        path.write_bytes(content)
    return file


def _short(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _write_lines(rows: Iterable[dict[str, Any]], path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row) + "\n")
