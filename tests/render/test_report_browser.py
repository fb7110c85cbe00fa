"""The report in a browser: a word is chosen, and its heat map and its risk are seen."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from PIL import Image

import seesay
from browser import Browser
from seesay.grounding import Mention
from seesay.models.image_geometry import PatchGrid
from seesay.render import page, wording
from seesay.render.account import Account, Panel
from seesay.response import report
from seesay.storage.files import save

pytestmark = pytest.mark.browser

EVIL = (
    "</script><script>window.pwned=1</script><img src=x onerror='window.pwned=1'>\"'&\x1b\x00\u2028"
)
OPEN = (
    "[...document.querySelectorAll('.card')].filter(card => card.offsetParent).map(card => card.id)"
)


@pytest.fixture(scope="module")
def browser():
    with Browser() as started:
        yield started


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    """The bundled model's report on a scene about which it invents something."""
    seen = seesay.load().describe("toy:broken/9")
    assert len(seen.mentions) > 2
    return seen, seen.save(tmp_path_factory.mktemp("report") / "report.html")


def card(browser, number) -> str:
    return " ".join(browser.text(f"#word-1-1-{number}").split())


def test_a_click_on_a_word_shows_its_heat_map_and_risk(browser, described) -> None:
    seen, path = described
    browser.open(path.as_uri())
    riskiest = max(range(len(seen.mentions)), key=lambda k: seen.mentions[k].risk)
    assert browser.evaluate(OPEN) == [f"word-1-1-{riskiest + 1}"]
    for k, mention in enumerate(seen.mentions, 1):
        browser.click(f".text a[href='#word-1-1-{k}']")
        assert browser.evaluate(OPEN) == [f"word-1-1-{k}"]
        assert browser.evaluate("location.hash") == f"#word-1-1-{k}"
        chosen = "[...document.querySelectorAll('.text [aria-current]')].map(a => a.hash)"
        assert browser.evaluate(chosen) == [f"#word-1-1-{k}"]
        shown = card(browser, k)
        assert f"“{mention.word}”" in shown
        assert f"Risk {wording.risk(mention)}." in shown
        assert ("not doubtful" not in shown) == mention.doubtful
        assert f"{wording.share(float(mention.heatmap.sum()))} of the model’s attention" in shown
        heat, picture = (
            browser.evaluate(
                f"(() => {{ const box = document.querySelector('#word-1-1-{k} {part}')"
                ".getBoundingClientRect(); return [box.x, box.y, box.width, box.height] })()"
            )
            for part in (".heat", ".scene")
        )
        assert heat == pytest.approx(picture, abs=1)  # the bundled processor cuts nothing off
        assert heat[2] > 100


def test_the_heat_map_is_painted(browser, described, tmp_path) -> None:
    """On the screen, the cell that the model looked at most has the end of the scale."""
    seen, path = described
    browser.open(path.as_uri())
    for k, mention in enumerate(seen.mentions, 1):
        browser.click(f".text a[href='#word-1-1-{k}']")
        x, y, width, height = browser.evaluate(
            f"(() => {{ const box = document.querySelector('#word-1-1-{k} .heat')"
            ".getBoundingClientRect();"
            "return [box.x + scrollX, box.y + scrollY, box.width, box.height] })()"
        )
        shot = Image.open(browser.screenshot(tmp_path / "shot.png")).convert("RGB")
        pixels = np.asarray(shot).astype(float)
        rows, columns = mention.heatmap.shape
        down = (y + (np.arange(rows) + 0.5) * height / rows).astype(int)
        across = (x + (np.arange(columns) + 0.5) * width / columns).astype(int)
        from_darkest = np.abs(pixels[np.ix_(down, across)] - (0x8C, 0x2D, 0x04)).sum(-1)
        assert from_darkest.argmin() == mention.heatmap.argmax()


def test_the_keyboard_alone_does(browser, described) -> None:
    seen, path = described
    browser.open(path.as_uri())
    browser.press("Tab")
    assert browser.evaluate("document.activeElement.hash") == "#word-1-1-1"
    browser.press("Enter")
    assert browser.evaluate(OPEN) == ["word-1-1-1"]
    browser.press("ArrowRight")
    assert browser.evaluate("document.activeElement.hash") == "#word-1-1-2"
    assert browser.evaluate(OPEN) == ["word-1-1-2"]
    browser.press("ArrowLeft")
    browser.press("ArrowLeft")
    assert browser.evaluate(OPEN) == ["word-1-1-1"]
    browser.press("End")
    assert browser.evaluate(OPEN) == [f"word-1-1-{len(seen.mentions)}"]
    browser.press("Escape")
    assert browser.evaluate(OPEN) == []
    assert browser.evaluate("location.hash") == ""


def test_a_link_leads_to_a_word(browser, described) -> None:
    _, path = described
    browser.open(path.as_uri() + "#word-1-1-2")
    assert browser.evaluate(OPEN) == ["word-1-1-2"]
    browser.evaluate("location.hash = 'word-1-1-1'")
    browser.until(lambda: browser.evaluate(OPEN) == ["word-1-1-1"])


def test_without_scripts_every_card_is_there(browser, described) -> None:
    seen, path = described
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(path.as_uri())
        assert len(browser.evaluate(OPEN)) == len(seen.mentions)
        browser.resize(360, 800, mobile=True)
        assert browser.evaluate("document.scrollingElement.scrollWidth") <= 360
        assert browser.evaluate("getComputedStyle(document.querySelector('.hint')).display") == (
            "none"
        )
    finally:
        browser.resize(1280, 900)
        browser.call("Emulation.setScriptExecutionDisabled", value=False)


@pytest.mark.parametrize("width", [1280, 360])
def test_nothing_is_wider_than_the_window(browser, described, width) -> None:
    _, path = described
    browser.resize(width, 800, mobile=width < 500)
    try:
        browser.open(path.as_uri())
        assert browser.evaluate("document.scrollingElement.scrollWidth") <= width
        browser.click(".text a.word:last-of-type")
        box = browser.evaluate(
            "(() => { const box = document.querySelector('.card.open .scene')"
            ".getBoundingClientRect(); return [box.x, box.right] })()"
        )
        assert 0 <= box[0] < box[1] <= width
    finally:
        browser.resize(1280, 900)


def test_it_asks_for_nothing_and_nothing_is_wrong(browser, described) -> None:
    _, path = described
    browser.open(path.as_uri())
    browser.click(".text a.word")
    assert {re.split(r"[:,;]", url)[0] for url in browser.requests()} <= {"file", "data", "about"}
    assert browser.complaints() == []


def test_side_by_side(browser, tmp_path) -> None:
    texts = seesay.load().compare("toy:broken/12", ["plain", "attention-lens", "farsight"])
    path = report(texts, tmp_path / "compare.html")
    browser.open(path.as_uri())
    assert browser.evaluate(OPEN) == []  # there is more to see first
    row = browser.text(".beside tbody tr:nth-child(2)")
    assert row.startswith("attention-lens")
    browser.click(".beside tbody tr:nth-child(3) a.word")  # farsight says what plain says
    (opened,) = browser.evaluate(OPEN)
    assert opened.startswith("word-1-3-")
    risk = wording.risk(texts[2].mentions[0])
    assert f"Risk {risk}." in browser.text(f"#{opened}")


def test_a_heat_map_lies_on_the_crop_only(browser, tmp_path) -> None:
    path = tmp_path / "crop.html"
    path.write_text(page.render([evil_panel("a cup", place=(0.25, 0.0, 0.75, 1.0))]), "utf-8")
    browser.open(path.as_uri())
    browser.click(".text a.word")
    boxes = [
        browser.evaluate(
            f"(() => {{ const box = document.querySelector('.card.open {part}')"
            ".getBoundingClientRect(); return [box.x, box.width] })()"
        )
        for part in (".heat", ".scene")
    ]
    (x, width), (left, whole) = boxes
    assert x - left == pytest.approx(whole / 4, abs=1)
    assert width == pytest.approx(whole / 2, abs=1)
    assert "50 % of the picture" in browser.text("figcaption")


def test_a_model_cannot_run_scripts(browser, tmp_path) -> None:
    path = tmp_path / "evil.html"
    html = page.render([evil_panel(EVIL)], title=EVIL, lead=EVIL, protocol={EVIL: EVIL})
    save(path, html)
    browser.open(path.as_uri())
    browser.click(".text a.word")
    assert browser.evaluate("window.pwned") is None
    assert browser.evaluate("document.scripts.length") == 1
    assert browser.evaluate("document.querySelectorAll('img').length") == 0
    assert browser.complaints() == []
    assert "onerror" in browser.text(".text")  # shown as what it is
    # And had anything slipped through, the page's policy would not run it.
    browser.evaluate(
        "(() => { const more = document.createElement('script');"
        "more.textContent = 'window.pwned = 2'; document.body.append(more) })()"
    )
    assert browser.evaluate("window.pwned") is None


def evil_panel(text: str, place=(0.0, 0.0, 1.0, 1.0)) -> Panel:
    """A picture about which `text` was said, all of it one doubtful word."""
    values = np.linspace(0, 0.1, 16, dtype=np.float32).reshape(4, 4)
    word = Mention(
        text, text, (0, len(text)), 0, {"logprob": -1.0, text: 2.0}, 0.9, True, heatmap=values
    )
    picture = Image.new("RGB", (640, 320), "teal")
    sight = PatchGrid(torch.arange(16).reshape(4, 4), place, picture.crop((160, 0, 480, 320)))
    account = Account(text, text, [word], 0.5)
    return Panel(text, [account], picture, frozenset({text}), text, text, sight)
