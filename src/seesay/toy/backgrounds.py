"""How each place looks: walls, floors, roads and skies, and a little clutter."""

from __future__ import annotations

from random import Random
from typing import Final

from PIL import Image, ImageDraw

from seesay.toy.pen import Color

IMAGE_SIZE: Final = 96
"""Height and width of a scene, in pixels."""

_EDGE: Final = IMAGE_SIZE


def background(context: str, rng: Random) -> Image.Image:
    """An empty place, RGB, `IMAGE_SIZE` square."""
    canvas = Image.new("RGB", (IMAGE_SIZE, IMAGE_SIZE))
    draw = ImageDraw.Draw(canvas)
    _PAINTERS[context](draw, rng)
    for _ in range(rng.randint(0, 4)):
        _clutter(draw, rng)
    return canvas


def _near(color: Color, rng: Random) -> Color:
    red, green, blue = (max(0, min(255, channel + rng.randint(-14, 14))) for channel in color)
    return red, green, blue


def _band(draw: ImageDraw.ImageDraw, top: float, bottom: float, color: Color) -> None:
    draw.rectangle((0, top, _EDGE, bottom), fill=color)


def _kitchen(draw: ImageDraw.ImageDraw, rng: Random) -> None:
    light, dark = _near((205, 190, 170), rng), _near((180, 165, 150), rng)
    _band(draw, 0, _EDGE, light)
    tile = rng.choice([10, 12, 16])
    for y in range(0, _EDGE, tile):
        for x in range(0, _EDGE, tile):
            if (x // tile + y // tile) % 2:
                draw.rectangle((x, y, x + tile - 1, y + tile - 1), fill=dark)


def _street(draw: ImageDraw.ImageDraw, rng: Random) -> None:
    horizon = rng.randint(26, 44)
    _band(draw, 0, horizon, _near((150, 170, 190), rng))
    _band(draw, horizon, _EDGE, _near((110, 110, 115), rng))
    for x in range(0, _EDGE, 18):
        draw.rectangle((x, horizon + 24, x + 9, horizon + 26), fill=(200, 200, 190))


def _office(draw: ImageDraw.ImageDraw, rng: Random) -> None:
    _band(draw, 0, _EDGE, _near((190, 195, 205), rng))
    _band(draw, rng.randint(50, 64), _EDGE, _near((150, 120, 90), rng))


def _farm(draw: ImageDraw.ImageDraw, rng: Random) -> None:
    horizon = rng.randint(22, 40)
    _band(draw, 0, horizon, _near((165, 200, 225), rng))
    _band(draw, horizon, _EDGE, _near((120, 165, 90), rng))
    for x in range(rng.randint(0, 8), _EDGE, 16):
        draw.rectangle((x, horizon - 4, x + 1, horizon + 4), fill=(120, 90, 60))


def _beach(draw: ImageDraw.ImageDraw, rng: Random) -> None:
    horizon = rng.randint(22, 36)
    _band(draw, 0, horizon, _near((150, 200, 225), rng))
    _band(draw, horizon, horizon + 14, _near((90, 150, 190), rng))
    _band(draw, horizon + 14, _EDGE, _near((225, 205, 160), rng))


def _bedroom(draw: ImageDraw.ImageDraw, rng: Random) -> None:
    _band(draw, 0, _EDGE, _near((200, 175, 190), rng))
    for x in range(rng.randint(0, 6), _EDGE, 12):
        draw.rectangle((x, 0, x + 2, _EDGE), fill=_near((190, 160, 178), rng))
    _band(draw, rng.randint(66, 78), _EDGE, _near((150, 110, 85), rng))


def _clutter(draw: ImageDraw.ImageDraw, rng: Random) -> None:
    x, y, size = rng.randint(0, _EDGE), rng.randint(0, _EDGE), rng.randint(2, 6)
    color = (rng.randint(60, 220), rng.randint(60, 220), rng.randint(60, 220))
    rng.choice([draw.ellipse, draw.rectangle])((x, y, x + size, y + size), fill=color)


_PAINTERS: Final = {
    "kitchen": _kitchen,
    "street": _street,
    "office": _office,
    "farm": _farm,
    "beach": _beach,
    "bedroom": _bedroom,
}
