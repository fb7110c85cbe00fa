"""What a figure of a method shows, in a form that needs no model: plain numbers and pictures.

`seesay.explain.trace.trace` measures it, `seesay.render.figure.draw` draws it. A part is None (or
empty) where the method has no verb that calls for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from seesay.grounding.removed import Removed
    from seesay.render.account import Panel

    Numbers = NDArray[np.float64]
else:
    Numbers = Any


class Part(NamedTuple):
    """One method of the sum that is shown: its repr with the fields that were filled in for the
    model, what its class says of itself, and which verbs it overrides."""

    settled: str
    summary: str
    paper: str
    verbs: tuple[str, ...]


class Moment(NamedTuple):
    """The token at which everything is looked at: its index in the plain text, the word that it
    begins, the characters of that word, and whether the method's text parts from the plain there.
    """

    token: int
    word: str
    span: tuple[int, int]
    parting: bool


@dataclass(frozen=True, eq=False)
class AttentionChange:
    """Attention to the picture from the row that predicts the moment's token, both texts alike.

    Attributes:
        plain, changed: (rows, columns) of the patch grid, mean over heads and middle layers; None
            where the model's patch order is not known.
        plain_var, changed_var: (layers,) attention on all image tokens, mean over heads.
        layers: those in which the method acts.
    """

    plain: Numbers | None
    changed: Numbers | None
    plain_var: Numbers
    changed_var: Numbers
    layers: frozenset[int]


@dataclass(frozen=True, eq=False)
class Sink:
    """How much of a row's attention is left once the sink has taken its share; 1 without a sink.

    Attributes:
        layers: (layers,) of the row that predicts the moment's token, mean over heads.
        rows: (prompt columns,) of each row of the prompt, mean over heads and layers; NaN where no
            sink was set.
        image: (prompt columns,) which of them are image tokens.
    """

    layers: Numbers
    rows: Numbers
    image: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Shared:
    """A layer whose heads all took over one head's map while the prompt was read.

    Attributes:
        layer, head: 0-based.
        plain, changed: (rows, columns) of the patch grid: the attention that each patch receives
            from the rows below it, mean over heads, and of that one head. None as there.
    """

    layer: int
    head: int
    plain: Numbers | None
    changed: Numbers | None


@dataclass(frozen=True, eq=False)
class Keys:
    """Factors on keys at the moment: (columns,), mean over heads and layers; `kinds` as above."""

    factors: Numbers
    kinds: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Stream:
    """A second stream: who brings it, what picture it sees (None: none that can be shown), and in
    a clause how its inputs differ."""

    name: str
    picture: Image | None
    note: str


@dataclass(frozen=True, eq=False)
class CacheContents:
    """What the cache holds once the plain text has been said under the method.

    Attributes:
        kinds: of each column of the whole text, "image", "prompt" or "generated".
        kept: (layers, columns) share of heads whose cache still has the column's entry.
        merged: (layers,) entries a head that stand for several columns.
    """

    kinds: tuple[str, ...]
    kept: Numbers
    merged: Numbers


@dataclass(frozen=True, eq=False)
class Odds:
    """The most probable next tokens at the moment.

    Attributes:
        tokens: as text, the likeliest first; `said` is the one that the plain text goes on with.
        columns: who gives the probabilities.
        shares: (columns, tokens) 0 to 1.
        cut: which tokens the plausibility cut removed.
        beta: of that cut, 0 without one.
    """

    tokens: tuple[str, ...]
    said: int
    columns: tuple[str, ...]
    shares: Numbers
    cut: tuple[bool, ...]
    beta: float


@dataclass(frozen=True, eq=False)
class Gated:
    """Where in the method's own text a gate let it act: characters of tokens, and the gate."""

    spans: tuple[tuple[int, int], ...]
    tokens: int
    below: float


@dataclass(frozen=True, eq=False)
class Trace:
    """One method on one picture.

    Attributes:
        method: its repr.
        parts: the methods it is made of.
        model: the model's name.
        panel: the picture and two accounts of it, plain and the method's.
        seen: the picture as the model sees it, None where the family's patches are not known.
        moment and the rest: see there; `odds` is None where no step was touched.
        withheld: what was thought and not said; None without a method that acts on texts.
    """

    method: str
    parts: tuple[Part, ...]
    model: str
    panel: Panel
    seen: Image | None
    moment: Moment
    odds: Odds | None
    gaze: AttentionChange | None = None
    sink: Sink | None = None
    shared: tuple[Shared, ...] = ()
    keys: Keys | None = None
    streams: tuple[Stream, ...] = ()
    cache: CacheContents | None = None
    gated: Gated | None = None
    withheld: tuple[Removed, ...] | None = None
