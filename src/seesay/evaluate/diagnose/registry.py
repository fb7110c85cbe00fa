"""All diagnoses, in the order of the page; a new one is its file and one line here."""

from __future__ import annotations

from seesay.errors import InputError, nearest
from seesay.evaluate.diagnose.decay import Decay
from seesay.evaluate.diagnose.diagnosis import Diagnosis
from seesay.evaluate.diagnose.heads import Heads
from seesay.evaluate.diagnose.sinks import Sinks
from seesay.evaluate.diagnose.sparsity import Sparsity
from seesay.evaluate.diagnose.strength import Strength
from seesay.evaluate.diagnose.vision import Vision

_ALL: tuple[type[Diagnosis], ...] = (Vision, Heads, Decay, Sinks, Sparsity, Strength)

REGISTRY: dict[str, type[Diagnosis]] = {kind.name: kind for kind in _ALL}
"""Every diagnosis by its name."""


def parse(text: str | None = None) -> list[Diagnosis]:
    """The diagnoses that `text` names, such as "sinks, decay", in the order of the page; None and
    "all" are all of them.

    Raises:
        InputError: an unknown name; the message names the nearest.
    """
    names = [name.strip().lower() for name in ("all" if text is None else text).split(",")]
    names = [name for name in names if name]
    if not names:
        raise InputError(f"no diagnosis in {text!r}; known: all, {', '.join(REGISTRY)}")
    for name in names:
        if name not in REGISTRY and name != "all":
            raise InputError(f"unknown diagnosis {name!r}; {nearest(name, [*REGISTRY, 'all'])}")
    return [kind() for name, kind in REGISTRY.items() if name in names or "all" in names]
