"""Pictures as text, so that a page or a figure needs no other file."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image

LONGEST_SIDE = 1280
"""Pictures are inlined at most this many pixels wide or high."""


def data_uri(picture: Image) -> str:
    """The picture inlined: photographs as JPEG, small drawings as PNG."""
    kept = picture.convert("RGB")
    kept.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    small = max(kept.size) <= 256
    return _encoded(kept, "png" if small else "jpeg", **({} if small else {"quality": 88}))


def cells_uri(cells: Image, opacities: bytes) -> str:
    """A grid of cells, one pixel each, whose palette has the given opacities."""
    return _encoded(cells, "png", optimize=True, transparency=opacities)


def _encoded(picture: Image, kind: str, **options: Any) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, format=kind.upper(), **options)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
