"""Open a picture, whatever it is stored as, as the 8-bit RGB image that every processor takes."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from seesay.errors import InputError

MAX_PIXELS = 100_000_000

# Formats that Pillow reads by itself; others, such as EPS, start programs of their own.
_FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "GIF", "TIFF", "BMP", "PPM", "AVIF", "JPEG2000")


def open_image(
    source: str | Path | bytes | Image.Image, *, max_pixels: int = MAX_PIXELS
) -> Image.Image:
    """A picture as an upright RGB image.

    The first frame of an animation is taken, EXIF rotation is applied, transparency is laid on
    white, and 16-bit, 32-bit and float pixels are scaled to 8 bits.

    Args:
        source: a file, its bytes, or an image.
        max_pixels: more are refused from the header alone, before anything is decoded. Pillow's
            own limit, twice `PIL.Image.MAX_IMAGE_PIXELS`, holds as well.

    Returns:
        A new image of mode RGB.

    Raises:
        InputError: no such file, a folder, unreadable, no picture, damaged, or too large.
    """
    if isinstance(source, Image.Image):
        return _rgb(source, "the image", max_pixels)
    if isinstance(source, bytes):
        return _decode(io.BytesIO(source), "the given bytes", max_pixels)
    if not isinstance(source, (str, Path)):
        raise InputError(f"a picture is a path, bytes or a PIL image, not {type(source).__name__}")
    path = _file(source)
    try:
        with path.open("rb") as file:
            return _decode(file, str(source), max_pixels)
    except OSError as error:
        raise InputError(f"{source} cannot be read: {error.strerror or error}") from error


def _file(source: str | Path) -> Path:
    """The path of an existing file, or what is wrong with it."""
    path = Path(source).expanduser()
    if str(source).startswith(("http://", "https://")):
        raise InputError(f"{source} is a web address; download the picture and give the file")
    if path.is_dir():
        raise InputError(f"{source} is a folder; give one picture in it")
    if path.is_file():
        return path
    if path.exists():
        raise InputError(f"{source} is no ordinary file; give a picture's file")
    raise InputError(f"no file {str(source)!r}{_similar(path)}; check the path")


def _similar(path: Path) -> str:
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:  # the folder is missing too, or closed to us
        return ""
    close = get_close_matches(path.name, names, n=3, cutoff=0.5)
    return f" (similar there: {', '.join(close)})" if close else ""


def _decode(file: BinaryIO, name: str, max_pixels: int) -> Image.Image:
    if not file.read(1):
        raise InputError(f"{name} is empty (0 bytes); give a picture")
    file.seek(0)
    with _as_input_errors(name), _no_bomb_warning():
        Image.init()  # the registry of formats, which Pillow fills only on demand
        readable = [known for known in _FORMATS if known in Image.OPEN]
        with Image.open(file, formats=readable) as image:
            return _rgb(image, name, max_pixels)


def _rgb(image: Image.Image, name: str, max_pixels: int) -> Image.Image:
    width, height = image.size
    if width * height > max_pixels:
        raise InputError(
            f"{name} has {width} x {height} pixels, over the limit of {max_pixels:,}; make it "
            "smaller, or raise max_pixels if you trust it"
        )
    if not width * height:
        raise InputError(f"{name} has no pixels ({width} x {height}); give a picture")
    with _as_input_errors(name):
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith(("I", "F")):
            upright = _eight_bits(upright)
        if not upright.has_transparency_data:
            return upright.convert("RGB")
        layer = upright.convert("RGBA")
        paper = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(paper, layer).convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bits or of floats; Pillow's own conversion would clip it at 255."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0, neginf=0)
    top = values.max()
    if image.mode.startswith("I;16"):
        scale = _SIXTEEN_BITS
    else:  # nothing says what white is: take the narrowest of the usual ranges that holds all
        ranges = (1.0, 255.0, _SIXTEEN_BITS) if image.mode == "F" else (255.0, _SIXTEEN_BITS)
        scale = next((white for white in ranges if top <= white), top)
    grey = np.clip(values / scale * 255 + 0.5, 0, 255).astype(np.uint8)
    return Image.fromarray(grey)


_SIXTEEN_BITS = 65535.0


@contextmanager
def _as_input_errors(name: str) -> Iterator[None]:
    """What Pillow raises on files that are no picture, or a damaged one."""
    try:
        yield
    except InputError:
        raise
    except Image.DecompressionBombError as error:
        raise InputError(
            f"{name} is too large ({error}); make it smaller, or raise PIL.Image.MAX_IMAGE_PIXELS "
            "if you trust it"
        ) from error
    except UnidentifiedImageError as error:
        raise InputError(
            f"{name} is not a picture that can be read; save it as PNG, JPEG, WebP, GIF or TIFF"
        ) from error
    except _DAMAGED as error:
        raise InputError(
            f"{name} is damaged or cut short ({error}); save or download it again"
        ) from error


_DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    OverflowError,
    RuntimeError,
    struct.error,
    zlib.error,
)


@contextmanager
def _no_bomb_warning() -> Iterator[None]:
    """Pillow warns at a limit of its own; ours is checked right after."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        warnings.simplefilter("ignore", UserWarning)  # "Corrupt EXIF data", "Truncated File Read"
        yield
