"""The pen that draws the little world: shapes in one colour, its shade, and a few fixed ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from PIL import ImageDraw

from seesay.toy.world import COLORS

Color: TypeAlias = tuple[int, int, int]
Points: TypeAlias = list[tuple[float, float]]

GREY: Final = (120, 120, 120)
LIGHT: Final = (235, 235, 235)
DARK: Final = (25, 25, 25)
LEAF: Final = (40, 120, 40)


@dataclass(frozen=True)
class Pen:
    """Draws shapes, in `body` where no other colour is given."""

    draw: ImageDraw.ImageDraw
    body: Color

    @property
    def shade(self) -> Color:
        """The body's colour in shadow."""
        red, green, blue = (int(channel * 0.55) for channel in self.body)
        return red, green, blue

    @property
    def mark(self) -> Color:
        """Light, or dark where light would not show on the body."""
        return DARK if self.body == COLORS["white"] else LIGHT

    @property
    def screen(self) -> Color:
        """The body's colour, or grey where it would not show on a dark case."""
        return GREY if self.body == COLORS["black"] else self.body

    def box(self, *edges: float, fill: Color | None = None) -> None:
        self.draw.rectangle(edges, fill=fill or self.body)

    def oval(self, *edges: float, fill: Color | None = None) -> None:
        self.draw.ellipse(edges, fill=fill or self.body)

    def ring(self, *edges: float) -> None:
        self.draw.ellipse(edges, outline=self.body, width=6)

    def slice(self, *edges: float, start: int, end: int, fill: Color | None = None) -> None:
        self.draw.pieslice(edges, start, end, fill=fill or self.body)

    def round_box(self, *edges: float, radius: int, fill: Color | None = None) -> None:
        self.draw.rounded_rectangle(edges, radius, fill=fill or self.body)

    def shape(self, points: Points, fill: Color | None = None) -> None:
        self.draw.polygon(points, fill=fill or self.body)

    def line(self, points: Points, width: int, fill: Color | None = None) -> None:
        self.draw.line(points, fill=fill or self.body, width=width)
