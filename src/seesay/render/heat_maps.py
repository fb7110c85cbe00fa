"""A heat map over a picture: squares of colour where the model's patches lie, and only there.

Lengths are those of a drawing in which the picture is `WIDTH` wide.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from seesay.render import charts
from seesay.render.charts import cells_uri

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    from seesay.models.image_geometry import Box, PatchGrid

WIDTH = 1000.0


class Rect(NamedTuple):
    """A rectangle of a drawing."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, eq=False)
class Ground:
    """What heat maps are laid on.

    Attributes:
        picture: the picture; or, where it is not known which part of it the model saw, that part.
        height: of the drawing.
        cells: where the model's patches lie; partly outside where the processor padded.
        cut: whether `picture` is what the processor left of the whole picture.
    """

    picture: Image
    height: float
    cells: Rect
    cut: bool = False

    @classmethod
    def of(cls, picture: Image | None, sight: PatchGrid | None) -> Ground | None:
        """What is known of a picture and how it was seen; None where there is no picture."""
        if sight is not None and (picture is None or sight.place is None):
            return cls._filled(sight.crop, (0.0, 0.0, 1.0, 1.0), cut=True)
        if picture is None:
            return None
        place = None if sight is None else sight.place
        return cls._filled(picture, place or (0.0, 0.0, 1.0, 1.0))

    @classmethod
    def _filled(cls, picture: Image, place: Box, cut: bool = False) -> Ground:
        height = WIDTH * picture.height / picture.width
        left, top, right, bottom = place
        cells = Rect(left * WIDTH, top * height, (right - left) * WIDTH, (bottom - top) * height)
        return cls(picture, height, cells, cut)

    @property
    def unseen(self) -> float:
        """The share of the picture that no patch covers, 0 to 1; rounding counts as nothing."""
        x, y, width, height = self.cells
        wide = min(x + width, WIDTH) - max(x, 0.0)
        high = min(y + height, self.height) - max(y, 0.0)
        missing = 1 - wide * high / (WIDTH * self.height)
        return missing if missing > 0.005 else 0.0

    @property
    def pixelated(self) -> bool:
        """Whether the picture is a small drawing, whose pixels are meant to be seen."""
        return max(self.picture.size) <= 256


@dataclass(frozen=True, eq=False)
class Heat:
    """A heat map ready to be drawn.

    Attributes:
        uri: the cells as an inlined PNG, one pixel each.
        most: the value of the darkest cell.
        total: the sum over all cells.
        at: (row, column) of the darkest cell, from 0.
        grid: (rows, columns).
    """

    uri: str
    most: float
    total: float
    at: tuple[int, int]
    grid: tuple[int, int]


def heat(values: NDArray[np.floating[Any]], top: float | None = None) -> Heat:
    """Cells (rows, columns) of at least 0 as colours from light to dark, 0 to `top`.

    Args:
        top: the value of the darkest colour; None is the largest one. Values that are no numbers
            are left open.
    """
    known = np.nan_to_num(np.asarray(values, dtype=float))
    most = float(known.max())
    uri = painted(known / ((most if top is None else top) or 1.0))
    row, column = divmod(int(known.argmax()), known.shape[1])
    return Heat(uri, most, float(known.sum()), (row, column), known.shape)


def painted(shares: NDArray[np.floating[Any]]) -> str:
    """Cells (rows, columns) from 0, clear, to 1, the end of the scale, as an inlined picture with
    one pixel a cell."""
    from PIL import Image as Images

    steps = (np.nan_to_num(shares).clip(0, 1) * 255).round().astype(np.uint8)
    cells = Images.fromarray(steps).convert("P")
    colours, opacities = _palette()
    cells.putpalette(colours)
    return cells_uri(cells, opacities)


@lru_cache
def _palette() -> tuple[bytes, bytes]:
    """256 colours of three bytes each, and their opacities."""
    paint = charts.sequential(1.0)
    steps = [paint(k / 255) for k in range(256)]
    colours = b"".join(bytes.fromhex(colour[1:]) for colour, _ in steps)
    return colours, bytes([0, *(round(255 * opacity) for _, opacity in steps[1:])])
