"""Settings that the papers publish, model by model.

A field that a method leaves at None is filled from here when a session opens: the published value
for this model, or else the method's general rule. `seesay methods --model X` prints what comes out.

AGLA's and EAH's released scripts run all their models alike. AGLA's numbers are its defaults. EAH's
threshold is a default that goes by the number of image tokens; where its scripts ran a model, their
number stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from seesay.models.view import ModelView


class Published(NamedTuple):
    """What a source gives for a model; `models` are parts of its name, in lower case."""

    method: str
    models: tuple[str, ...]
    settings: dict[str, Any]
    source: str


_LLAVA = ("llava-1.5-7b", "llava-1.5-13b", "llava-v1.5-7b", "llava-v1.5-13b")
_SHIKRA = ("shikra-7b", "shikra7b")
_MINIGPT = ("minigpt-4", "minigpt4")

TABLE = (
    Published(
        "attention-lens",
        _LLAVA,
        {"alpha": 0.5, "layers": (5, 18)},
        "arXiv 2411.16724",
    ),
    Published(
        "attention-lens",
        _SHIKRA,
        {"alpha": 0.55, "layers": (3, 13)},
        "arXiv 2411.16724",
    ),
    Published(
        "attention-lens",
        _MINIGPT,
        {"alpha": 0.5, "layers": (3, 14)},
        "arXiv 2411.16724",
    ),
    Published(
        "agla",
        (*_LLAVA, "instructblip"),
        {"alpha": 2.0, "beta": 0.5},
        "arXiv 2406.12718, released scripts",
    ),
    Published(
        "eah",
        (*_LLAVA, "instructblip", *_MINIGPT, *_SHIKRA),
        {"layer": 1, "threshold": 0.002},
        "arXiv 2411.09968, released scripts",
    ),
)


def published(method: str, view: ModelView) -> Published | None:
    """The row for a method on a model, by the name it was loaded under."""
    name = str(getattr(view.model.config, "name_or_path", "")).lower()
    rows = (row for row in TABLE if row.method == method)
    return next((row for row in rows if any(part in name for part in row.models)), None)


def by_depth(layers: tuple[int, int], depth: int, view: ModelView) -> tuple[int, int]:
    """A range of layers of a model `depth` layers deep, carried to `view`: ⌊l · layers / depth⌋."""
    first, last = (layer * view.n_layers // depth for layer in layers)
    return first, last
