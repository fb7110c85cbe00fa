"""How each thing looks: thirty drawings of a few shapes each, on a canvas of 96 x 96."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final

from PIL import Image, ImageDraw

from seesay.toy.pen import DARK, GREY, LEAF, LIGHT, Pen
from seesay.toy.world import COLORS, OBJECTS

SPRITE_SIZE: Final = 96


@cache
def sprite(name: str, color: str) -> Image.Image:
    """An object in a colour, RGBA, transparent around it. Cached: do not paint on it."""
    canvas = Image.new("RGBA", (SPRITE_SIZE, SPRITE_SIZE), (0, 0, 0, 0))
    _PAINTERS[name](Pen(ImageDraw.Draw(canvas), COLORS[color]))
    return canvas


# The kitchen


def _fork(pen: Pen) -> None:
    pen.box(43, 44, 53, 94)
    for x in (26, 42, 58):
        pen.box(x, 2, x + 9, 34)
    pen.box(26, 32, 67, 44)


def _knife(pen: Pen) -> None:
    pen.box(42, 56, 54, 94, fill=pen.shade)
    pen.shape([(40, 56), (40, 4), (62, 26), (58, 56)])


def _cup(pen: Pen) -> None:
    pen.box(18, 24, 66, 84)
    pen.draw.arc((54, 34, 90, 72), -90, 90, fill=pen.body, width=9)
    pen.oval(18, 16, 66, 32, fill=pen.shade)


def _spoon(pen: Pen) -> None:
    pen.box(43, 40, 53, 94)
    pen.oval(30, 2, 66, 46)


def _bottle(pen: Pen) -> None:
    pen.box(28, 38, 68, 94)
    pen.box(40, 8, 56, 40)
    pen.box(38, 2, 58, 12, fill=pen.shade)
    pen.box(28, 54, 68, 74, fill=LIGHT)


# The street


def _car(pen: Pen) -> None:
    pen.shape([(22, 44), (34, 24), (66, 24), (78, 44)], fill=pen.shade)
    pen.box(4, 42, 92, 68)
    for x in (14, 60):
        pen.oval(x, 58, x + 24, 82, fill=DARK)


def _bus(pen: Pen) -> None:
    pen.box(4, 18, 92, 72)
    for x in (10, 30, 50, 70):
        pen.box(x, 26, x + 14, 44, fill=LIGHT)
    for x in (16, 62):
        pen.oval(x, 62, x + 18, 82, fill=DARK)


def _bicycle(pen: Pen) -> None:
    pen.ring(4, 42, 42, 80)
    pen.ring(54, 42, 92, 80)
    pen.line([(23, 61), (40, 32), (66, 32), (73, 61), (48, 61), (40, 32)], width=6)
    pen.line([(66, 32), (62, 20), (74, 20)], width=6)


def _sign(pen: Pen) -> None:
    pen.box(44, 44, 52, 94, fill=GREY)
    pen.shape([(32, 4), (64, 4), (80, 20), (80, 42), (64, 56), (32, 56), (16, 42), (16, 20)])
    pen.box(26, 26, 70, 36, fill=LIGHT)


def _truck(pen: Pen) -> None:
    pen.box(2, 16, 60, 68)
    pen.box(62, 34, 92, 68, fill=pen.shade)
    for x in (12, 66):
        pen.oval(x, 60, x + 20, 82, fill=DARK)


# The office


def _laptop(pen: Pen) -> None:
    pen.box(18, 14, 78, 60, fill=pen.shade)
    pen.box(24, 20, 72, 54)
    pen.shape([(8, 80), (18, 62), (78, 62), (88, 80)], fill=GREY)


def _keyboard(pen: Pen) -> None:
    pen.box(2, 32, 94, 66, fill=pen.shade)
    for y in (36, 46, 56):
        for x in range(6, 90, 11):
            pen.box(x, y, x + 7, y + 6, fill=pen.screen)


def _book(pen: Pen) -> None:
    pen.shape([(48, 24), (6, 14), (6, 76), (48, 86)])
    pen.shape([(48, 24), (90, 14), (90, 76), (48, 86)], fill=pen.shade)
    pen.line([(48, 24), (48, 86)], width=4, fill=LIGHT)


def _lamp(pen: Pen) -> None:
    pen.shape([(30, 8), (66, 8), (84, 48), (12, 48)])
    pen.box(44, 48, 52, 84, fill=GREY)
    pen.box(28, 82, 68, 92, fill=GREY)


def _phone(pen: Pen) -> None:
    pen.round_box(28, 4, 68, 92, radius=8, fill=pen.shade)
    pen.box(33, 14, 63, 76, fill=pen.screen)
    pen.oval(44, 80, 52, 88, fill=LIGHT)


# The farm


def _cow(pen: Pen) -> None:
    pen.box(12, 32, 76, 64)
    pen.box(70, 18, 94, 44)
    pen.oval(22, 36, 40, 54, fill=pen.mark)
    pen.oval(48, 42, 64, 60, fill=pen.mark)
    for x in (14, 30, 54, 68):
        pen.box(x, 62, x + 8, 88, fill=pen.shade)
    pen.line([(72, 18), (68, 8)], width=4, fill=DARK)
    pen.line([(90, 18), (94, 8)], width=4, fill=DARK)


def _sheep(pen: Pen) -> None:
    for x, y in ((14, 34), (32, 26), (50, 26), (24, 44), (44, 44), (60, 36)):
        pen.oval(x, y, x + 28, y + 28)
    pen.oval(72, 28, 94, 52, fill=DARK)
    for x in (30, 64):
        pen.box(x, 66, x + 8, 88, fill=DARK)


def _barn(pen: Pen) -> None:
    pen.box(14, 42, 82, 92)
    pen.shape([(6, 44), (48, 6), (90, 44)], fill=pen.shade)
    pen.box(36, 60, 60, 92, fill=LIGHT)
    pen.line([(36, 60), (60, 92)], width=3, fill=pen.shade)
    pen.line([(60, 60), (36, 92)], width=3, fill=pen.shade)


def _tractor(pen: Pen) -> None:
    pen.box(30, 38, 86, 62)
    pen.box(30, 12, 56, 40, fill=pen.shade)
    pen.oval(4, 42, 50, 88, fill=DARK)
    pen.oval(17, 55, 37, 75)
    pen.oval(66, 60, 92, 86, fill=DARK)
    pen.box(76, 20, 82, 40, fill=GREY)


def _horse(pen: Pen) -> None:
    pen.oval(10, 36, 72, 62)
    pen.shape([(60, 48), (72, 10), (94, 22), (90, 34), (80, 30), (72, 54)])
    pen.line([(12, 44), (2, 70)], width=6, fill=pen.shade)
    for x in (18, 28, 54, 64):
        pen.box(x, 58, x + 5, 94)


# The beach


def _umbrella(pen: Pen) -> None:
    pen.slice(4, 8, 92, 96, start=180, end=360)
    pen.slice(34, 8, 62, 96, start=180, end=360, fill=pen.mark)
    pen.box(45, 50, 51, 94, fill=GREY)


def _ball(pen: Pen) -> None:
    pen.oval(14, 14, 82, 82)
    pen.slice(14, 14, 82, 82, start=-30, end=30, fill=pen.mark)
    pen.slice(14, 14, 82, 82, start=150, end=210, fill=pen.mark)


def _boat(pen: Pen) -> None:
    pen.shape([(4, 62), (92, 62), (76, 86), (20, 86)], fill=pen.shade)
    pen.box(46, 8, 50, 62, fill=GREY)
    pen.shape([(52, 10), (52, 56), (86, 56)])
    pen.shape([(44, 18), (44, 56), (16, 56)])


def _surfboard(pen: Pen) -> None:
    pen.oval(32, 2, 64, 94)
    pen.line([(48, 4), (48, 92)], width=5, fill=pen.shade)


def _crab(pen: Pen) -> None:
    pen.oval(24, 34, 72, 70)
    for side in (-1, 1):
        for y in (48, 58, 68):
            pen.line([(48 + side * 20, y - 4), (48 + side * 42, y + 10)], width=5)
        pen.oval(36 + side * 34, 12, 60 + side * 34, 36)
        pen.line([(48 + side * 20, 42), (48 + side * 32, 28)], width=6)
        pen.oval(44 + side * 8, 36, 52 + side * 8, 44, fill=LIGHT)


# The bedroom


def _bed(pen: Pen) -> None:
    pen.box(4, 20, 14, 84, fill=pen.shade)
    pen.box(4, 50, 92, 72)
    pen.box(84, 44, 92, 84, fill=pen.shade)
    pen.box(16, 38, 36, 50, fill=LIGHT)


def _pillow(pen: Pen) -> None:
    pen.round_box(8, 26, 88, 70, radius=18)
    pen.line([(16, 34), (30, 44)], width=3, fill=pen.shade)
    pen.line([(80, 62), (66, 52)], width=3, fill=pen.shade)


def _clock(pen: Pen) -> None:
    pen.oval(10, 10, 86, 86)
    pen.oval(20, 20, 76, 76, fill=LIGHT)
    pen.line([(48, 48), (48, 26)], width=5, fill=DARK)
    pen.line([(48, 48), (64, 56)], width=5, fill=DARK)


def _vase(pen: Pen) -> None:
    pen.shape([(36, 44), (60, 44), (72, 70), (60, 94), (36, 94), (24, 70)])
    for x, y in ((30, 14), (48, 6), (66, 14)):
        pen.line([(48, 46), (x, y + 6)], width=4, fill=LEAF)
        pen.oval(x - 9, y - 6, x + 9, y + 12, fill=pen.mark)


def _chair(pen: Pen) -> None:
    pen.box(24, 6, 34, 92)
    pen.box(24, 46, 74, 56)
    pen.box(66, 56, 74, 92)
    pen.box(24, 14, 30, 40, fill=pen.shade)


# fmt: off
_ALL: Final[tuple[Callable[[Pen], None], ...]] = (
    _fork, _knife, _cup, _spoon, _bottle,
    _car, _bus, _bicycle, _sign, _truck,
    _laptop, _keyboard, _book, _lamp, _phone,
    _cow, _sheep, _barn, _tractor, _horse,
    _umbrella, _ball, _boat, _surfboard, _crab,
    _bed, _pillow, _clock, _vase, _chair,
)
# fmt: on
_PAINTERS: Final = dict(zip(OBJECTS, _ALL, strict=True))
