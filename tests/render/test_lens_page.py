"""The lens's page and its command: what was measured is what is drawn and said."""

from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from PIL import Image

import families
from browser import Browser
from seesay.cli import run
from seesay.models.image_geometry import WHOLE, PatchGrid
from seesay.render import lens_page, wording
from seesay.render.lens_page import Crop, Lens, Viewed
from seesay.storage.files import save

EVIL = "</script><script>window.pwned=1</script><img src=x onerror='window.pwned=1'>\"'&\x1b\x00"
LAYERS, HEADS = 3, 2


def crop(place=WHOLE, whole=True, seed=0, word="cup") -> Crop:
    rng = np.random.default_rng(seed)
    attention = rng.random((LAYERS, HEADS, 2, 4)) / 20
    sure = rng.uniform(0.5, 1, (LAYERS, 2, 4))
    cells = torch.arange(8).reshape(2, 4)
    sight = PatchGrid(cells, place, Image.new("RGB", (64, 32), "red"))
    reads = [[[word] * 4] * 2] * LAYERS
    return Crop(sight, whole, attention, reads, sure, sure * 0.25)


def made(*crops: Crop, **more) -> Lens:
    crops = crops or (crop(),)
    given = {
        "text": "A red fork.",
        "span": (6, 10),
        "index": 2,
        "token": "fork",
        "probability": 0.25,
        "mention": None,
        "pictures": [Viewed("photo.jpg", Image.new("RGB", (640, 320), "teal"), list(crops))],
        "layers": (1, 2),
        "head": None,
        "var": sum(one.attention.sum((2, 3)) for one in crops),
        "contribution": np.array([0.5, -1.0, 2.0]),
        "norm": True,
        "protocol": {"model": "bundled", "pictures": ["photo.jpg", "b.jpg"]},
    }
    return Lens(**(given | more))


def picture_of(html: str, id: str) -> np.ndarray:
    """The opacities of an inlined picture, by its id."""
    uri = re.search(rf'<image id="{id}"[^>]*href="data:image/png;base64,(.*?)"', html)[1]
    image = Image.open(io.BytesIO(base64.b64decode(uri)))
    return np.asarray(image.convert("RGBA"))[..., 3].astype(int)


def test_every_map_is_in_its_place() -> None:
    """One picture holds the maps of all layers and heads, with their means at the ends."""
    one = crop()
    sprite = picture_of(lens_page.render(made(one)), "scene-1-1-1-heads")
    assert sprite.shape == ((LAYERS + 1) * 2, (HEADS + 1) * 4)

    def cell(layer, head):
        return sprite[2 * layer : 2 * layer + 2, 4 * head : 4 * head + 4]

    expected = {
        (0, 1): one.attention[0, 1],
        (2, HEADS): one.attention[2].mean(0),
        (LAYERS, 0): one.attention[1:3, 0].mean(0),
        (LAYERS, HEADS): one.attention[1:3].mean((0, 1)),
    }
    for place, values in expected.items():
        # The more attention, the less of the picture shows through; each map by its own scale.
        opacity = cell(*place)
        assert (np.diff(opacity.flatten()[values.flatten().argsort()]) >= 0).all()
        assert opacity.max() == round(0.9 * 255)


def test_the_page_says_what_was_measured() -> None:
    one = crop()
    lens = made(one)
    html = " ".join(re.sub("<.*?>", " ", lens_page.render(lens)).split())
    attended = wording.share(float(lens.var[1:3].mean()))
    assert f"gave {attended} of its attention to the picture (layers 1 to 2, mean of all" in html
    assert "the word a probability of 25 %" in html
    assert f"{wording.share(float(lens.heatmap(one).max()))} on one square" in html
    assert "pictures photo.jpg, b.jpg" in html
    drawn = lens_page.render(lens)
    for layer, head in np.ndindex(LAYERS, HEADS):
        says = f"layer {layer}, head {head}: {wording.share(float(lens.var[layer, head]))}"
        assert f"<title>{says}</title>" in drawn
    for layer, value in enumerate(lens.contribution):
        assert f"<title>layer {layer}: {value:+.3g}</title>" in drawn
    assert drawn.count('class="picked"') + drawn.count("class=picked") == 2 * HEADS


def test_one_head_and_pieces_of_words() -> None:
    lens = made(head=1, layers=(2, 2), token="for")
    html = " ".join(re.sub("<.*?>", " ", lens_page.render(lens)).split())
    assert "Just before it wrote “for”, the first piece of “fork”" in html
    assert "(layer 2, head 1). It gave that piece a probability" in html
    assert wording.share(float(lens.var[2, 1])) in html
    assert "The heads of layer" not in html  # one head was asked for
    assert lens.heatmap(lens.pictures[0].crops[0]).shape == (2, 4)


def test_tiles_lie_together_on_the_picture() -> None:
    halves = [crop((0.0, 0.0, 0.5, 1.0), False, 1), crop((0.5, 0.0, 1.0, 1.0), False, 2)]
    html = lens_page.render(made(*halves, crop(), crop(None, False, 3)))
    scenes = html.split('<div class="looked">')[1].split('<div class="heads">')[0]
    boxes = re.findall(r'<svg x="(.*?)" y=".*?" width="(.*?)" height="(.*?)"', scenes)
    assert boxes == [
        ("0.00", "1000.00", "500.00"),
        ("0.00", "500.00", "500.00"),
        ("500.00", "500.00", "500.00"),
        ("0.00", "1000.00", "500.00"),
    ]
    assert "photo.jpg, in 2 crops of 2 × 4 patches" in html
    assert "Which part of the picture the model saw is not known" in html
    assert "hatched" not in scenes.split("in 2 crops")[0].split("whole of")[1]


def test_large_pages_leave_layers_out_and_say_so(monkeypatch) -> None:
    monkeypatch.setattr(lens_page, "MOST_LABELS", 20)
    html = lens_page.render(made())
    assert "2 of 3 layers are written out here" in html
    assert 'class="scene at-2"' in html
    assert 'class="scene at-1"' not in html


class Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.handlers: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attributes) -> None:
        self.found.append(tag)
        self.handlers += [name for name, _ in attributes if name.startswith("on")]


def test_everything_is_escaped() -> None:
    lens = made(
        crop(word=EVIL),
        text=EVIL + " fork",
        span=(0, len(EVIL)),
        token=EVIL,
        protocol={EVIL: EVIL},
    )
    lens = replace(lens, pictures=[replace(lens.pictures[0], name=EVIL)])
    html = lens_page.render(lens)
    tags = Tags(html)
    assert tags.found.count("script") == 1
    assert "img" not in tags.found
    assert not tags.handlers
    assert "\x1b" not in html
    assert "\x00" not in html


def test_json_holds_the_numbers() -> None:
    one = crop()
    lens = made(one)
    record = json.loads(json.dumps(lens.to_dict(), allow_nan=False))
    assert record["schema"] == "seesay.lens/1"
    assert (record["word"], record["span"], record["layers"]) == ("fork", [6, 10], [1, 2])
    assert np.allclose(record["var"], lens.var, atol=1e-6)
    (told,) = record["pictures"][0]["crops"]
    assert np.allclose(told["heatmap"], lens.heatmap(one), atol=1e-6)
    assert np.allclose(told["attention"], one.attention.mean(1), atol=1e-6)
    assert told["reads"] == one.reads
    assert told["place"] == [0, 0, 1, 1]


# ---- in a browser --------------------------------------------------------------------------


@pytest.mark.browser
def test_the_page_in_a_browser(tmp_path) -> None:
    path = save(tmp_path / "lens.html", lens_page.render(made(crop(word=EVIL))))
    with Browser() as browser:
        browser.open(path.as_uri())
        box = "document.querySelector('#look-1 .cells').getAttribute('viewBox')"
        assert browser.evaluate(box).split() == ["8", "6", "4", "2"]  # the mean of the means
        browser.click(".var rect[data-layer='1'][data-head='1']")
        assert browser.evaluate(box).split() == ["4", "2", "4", "2"]
        assert browser.text(".told") == "layer 1, head 1"
        browser.evaluate(
            "(() => { const head = document.getElementById('head'); head.value = '2';"
            "head.dispatchEvent(new Event('change')) })()"
        )
        assert browser.text(".told") == "layer 1, mean of all heads"
        shown = (
            "[...document.querySelectorAll('.grids svg')].filter(s => s.getClientRects().length)"
        )
        assert browser.evaluate(f"{shown}.length") == 1
        browser.click(".reads label")
        assert browser.evaluate(f"{shown}[0].classList.contains('at-0')")
        assert browser.evaluate("window.pwned") is None
        assert browser.complaints() == []
        for width in (1280, 360):
            browser.resize(width, 800, mobile=width < 500)
            assert browser.evaluate("document.scrollingElement.scrollWidth") <= width


# ---- the command ---------------------------------------------------------------------------


def test_the_command_writes_a_page(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["lens", "toy:broken/9", "--word", "cow"]) == 0
    printed = capsys.readouterr()
    assert ">cow<" in printed.out
    assert "attention to the picture just before it" in printed.out
    assert printed.err.strip() == "seesay: wrote lens-cow.html"
    html = (tmp_path / "lens-cow.html").read_text("utf-8")
    assert "Where the model looked for “cow”" in html
    target = tmp_path / "other.html"
    assert run(["lens", "toy:broken/9", "--json", "--layers", "3", "--out", str(target)]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["layers"] == [3, 3]
    assert f"Where the model looked for “{record['word']}”" in target.read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--word", "fork"], "'fork' was not said; the words that were: the, image"),
        (["--layers", "5to7"], "--layers '5to7' is no range; say 5-18, or one layer such as 7"),
        (["--layers", "0-6"], "layers 0 to 6 are no range of this model's layers, 0 to 5"),
        (["--head", "4"], "no head 4"),
        (["--out", "missing/lens.html"], "there is no folder 'missing'"),
    ],
)
def test_what_cannot_be_done_is_one_line(tmp_path, monkeypatch, capsys, arguments, message) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["lens", "toy:broken/9", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.strip().splitlines()
    assert message in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["llava", "qwen2.5-vl"])
def test_it_works_on_a_saved_model(checkpoints, tmp_path, capsys, name) -> None:
    target, photo = tmp_path / "out.html", tmp_path / "photo.png"
    families.pictures(1)[0].save(photo)
    more = ["--token", "3", "--max-new-tokens", "6", "--out", str(target)]
    assert run(["lens", str(photo), "--model", str(checkpoints(name)), *more]) == 0
    assert "Where the model looked" in target.read_text("utf-8")
