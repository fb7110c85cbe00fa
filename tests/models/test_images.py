"""Pictures of every kind come out as upright RGB; whatever is no picture is one clear line."""

from __future__ import annotations

import io
import os
import struct
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from seesay.errors import InputError
from seesay.models.images import open_image

RED, WHITE = (255, 0, 0), (255, 255, 255)


def picture(size: tuple[int, int] = (24, 16)) -> Image.Image:
    """Smooth colours, so that lossy formats keep them."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width]
    channels = (x * 255 // width, y * 255 // height, 128 + 0 * x)
    return Image.fromarray(np.stack(channels, -1).astype(np.uint8))


def encoded(image: Image.Image, format_: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format_, **options)
    return file.getvalue()


def distance(a: Image.Image, b: Image.Image) -> float:
    return float(np.abs(np.asarray(a, dtype=float) - np.asarray(b, dtype=float)).max())


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"])
def test_formats(format_: str, tmp_path: Path) -> None:
    lossless = {"WEBP": {"lossless": True}, "JPEG": {"quality": 98, "subsampling": 0}}
    data = encoded(picture(), format_, **lossless.get(format_, {}))
    file = tmp_path / "picture.bin"  # the content decides, not the name
    file.write_bytes(data)
    for source in (file, str(file), data):
        opened = open_image(source)
        assert opened.mode == "RGB"
        assert distance(opened, picture()) <= {"GIF": 60, "JPEG": 8}.get(format_, 0)


@pytest.mark.parametrize("format_", ["GIF", "TIFF", "WEBP", "PNG"])
def test_first_frame(format_: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], format_, save_all=True, append_images=frames[1:])
    assert distance(open_image(data), frames[0]) <= 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation(orientation: int) -> None:
    upright = Image.new("RGB", (32, 16), WHITE)
    upright.paste(RED, (0, 0, 16, 8))  # upper left
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    opened = open_image(encoded(stored, "JPEG", exif=exif, quality=95, subsampling=0))
    assert opened.size == (32, 16)
    assert distance(opened, upright) < 60  # ringing at the edges of the red block


def test_cmyk() -> None:
    data = encoded(picture().convert("CMYK"), "JPEG", quality=98)
    assert distance(open_image(data), picture()) < 12


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    expected = np.arange(256).reshape(16, 16)
    short, long = Image.fromarray(ramp), Image.fromarray(ramp.astype(np.int32))
    for source in (
        short,
        long,
        encoded(short, "PNG"),
        encoded(short, "TIFF"),
        encoded(long, "TIFF"),
    ):
        opened = np.asarray(open_image(source))
        assert np.abs(opened.astype(int) - expected[..., None]).max() <= 1


def test_a_dark_sixteen_bit_picture_stays_dark() -> None:
    dark = Image.fromarray(np.full((4, 4), 257 * 3, np.uint16))
    assert np.asarray(open_image(encoded(dark, "PNG"))).max() == 3


@pytest.mark.parametrize(("white", "expected"), [(1.0, 255), (255.0, 255), (65535.0, 255)])
def test_floats(white: float, expected: int) -> None:
    values = np.array([[0, white / 2, white, np.nan]], np.float32)
    opened = np.asarray(open_image(encoded(Image.fromarray(values), "TIFF")))[0, :, 0]
    assert list(opened) == [0, 128, expected, 0]


def test_floats_and_integers_beyond_any_range() -> None:
    for values in (np.array([[0, 1e9]], np.float32), np.array([[0, 2**30]], np.int32)):
        assert list(np.asarray(open_image(Image.fromarray(values)))[0, :, 0]) == [0, 255]


def test_transparency_lies_on_white() -> None:
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    half = Image.new("RGBA", (4, 4), (0, 0, 0, 128))
    assert open_image(encoded(clear, "PNG")).getpixel((0, 0)) == WHITE
    assert open_image(encoded(half, "WEBP", lossless=True)).getpixel((0, 0)) == (127, 127, 127)
    assert open_image(Image.new("LA", (4, 4), (0, 0))).getpixel((0, 0)) == WHITE
    palette = picture().convert("P")
    palette.info["transparency"] = palette.getpixel((0, 0))
    opened = open_image(encoded(palette, "PNG", transparency=palette.info["transparency"]))
    assert opened.getpixel((0, 0)) == WHITE
    keyed = encoded(Image.new("RGB", (4, 4), RED), "PNG", transparency=RED)
    assert open_image(keyed).getpixel((0, 0)) == WHITE


@pytest.mark.parametrize("mode", ["1", "L", "P", "YCbCr", "HSV", "RGBX", "RGBa", "PA"])
def test_other_modes(mode: str) -> None:
    image = Image.new("L", (4, 4), 255).convert("RGBA" if mode in ("RGBa", "PA") else "RGB")
    opened = open_image(image.convert(mode))
    assert (opened.mode, opened.getpixel((1, 1))) == ("RGB", WHITE)


def test_a_given_image_is_left_alone() -> None:
    image = picture()
    opened = open_image(image)
    opened.putpixel((0, 0), RED)
    assert image.getpixel((0, 0)) != RED


def fails(source: Any, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        open_image(source, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_missing_file_names_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "kitchen.jpg").touch()
    message = fails(tmp_path / "kitchn.jpg")
    assert "kitchn.jpg" in message
    assert "similar there: kitchen.jpg" in message
    assert "no file" in fails(tmp_path / "none" / "at-all.png")


def test_what_is_no_picture(tmp_path: Path) -> None:
    text, empty, pipe = (tmp_path / name for name in ("text.jpg", "empty.png", "pipe.png"))
    text.write_text("I am a shopping list.\n" * 20)
    empty.touch()
    os.mkfifo(pipe)
    assert "is a folder" in fails(tmp_path)
    assert "not a picture" in fails(text)
    assert "is empty" in fails(empty)
    assert "no ordinary file" in fails(pipe)
    assert "web address" in fails("https://example.org/a.png")
    assert "not int" in fails(3)
    assert "is empty" in fails(b"")
    assert "no pixels" in fails(Image.new("RGB", (0, 4)))


def test_permission_denied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "closed.png"
    file.write_bytes(encoded(picture(), "PNG"))

    def closed(*_: Any, **__: Any) -> None:  # tests may run as root, whom no mode keeps out
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", closed)
    assert fails(file).endswith("Permission denied")


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP", "GIF", "TIFF"])
def test_truncated_anywhere(format_: str) -> None:
    """A cut file is refused, or, in the last bytes of some formats, still whole."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8))
    data = encoded(noise, format_)
    assert "damaged" in fails(data[: len(data) // 2])
    for cut in range(1, len(data), max(1, len(data) // 60)):
        with suppress(InputError):
            assert open_image(data[:cut]).size == (32, 32)


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"])
def test_random_damage(format_: str) -> None:
    rng = np.random.default_rng(0)
    data = encoded(picture(), format_)
    for _ in range(60):
        damaged = np.frombuffer(data, np.uint8).copy()
        damaged[rng.integers(0, len(data), 4)] = rng.integers(0, 256, 4)
        with suppress(InputError):  # and nothing else
            assert open_image(damaged.tobytes(), max_pixels=10**6).mode == "RGB"


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def test_a_bomb_is_refused_from_its_header() -> None:
    before = Image.MAX_IMAGE_PIXELS
    assert "over the limit of 100,000,000" in fails(png_header(12_000, 12_000))
    assert "too large" in fails(png_header(60_000, 60_000))
    assert "24 x 16 pixels, over the limit of 100;" in fails(picture(), max_pixels=100)
    assert open_image(picture(), max_pixels=24 * 16).size == (24, 16)
    assert before == Image.MAX_IMAGE_PIXELS
