"""The report's two heat maps of a word that was asked after: when it was written, and again."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import seesay
from browser import Browser
from seesay.grounding import Mention
from seesay.grounding.removed import ObjectVerdict, Removed
from seesay.models.image_geometry import PatchGrid
from seesay.render import page
from seesay.render.account import Account, Panel
from seesay.render.wording import share

TEXT = "A fork on a table."
WROTE, AGAIN = (np.full((4, 4), value, np.float32) for value in (0.03, 0.02))


def card(html: str, name: str) -> str:
    return re.search(rf'<section class="card[^"]*" id="{name}".*?</section>', html, re.DOTALL)[0]


def rendered(**maps) -> str:
    """A page about one said and one withheld word, both with these heat maps."""
    said = Mention("fork", "fork", (2, 6), 1, {"logprob": -0.1}, 0.2, False, **maps)
    unsaid = Mention("<b>knife", "<b>knife", (7, 15), 2, {"logprob": -2.0}, 0.9, True, **maps)
    thought = Removed(unsaid, "A <b>knife.", 18, ObjectVerdict(0.9, 0.5, 0.1, fails=True))
    picture = Image.new("RGB", (320, 320), "teal")
    sight = PatchGrid(torch.arange(16).reshape(4, 4), (0.0, 0.0, 1.0, 1.0), picture)
    account = Account("look-again", TEXT, [said], 0.5, withheld=[thought])
    return page.render([Panel("scene", [account], picture, None, "", "", sight)])


def test_both_maps_stand_in_the_card_and_the_picture_is_held_once() -> None:
    html = rendered(heatmap=WROTE, heatmap_again=AGAIN)
    for name, verb in (("word-1-1-1", "wrote"), ("unsaid-1-1-1", "thought")):
        own = card(html, name)
        assert own.count('class="heat"') == 2
        assert own.count('<use href="#picture-1"') == 2
        assert own.index(f"When it {verb} the word") < own.index("When it looked again")
        assert f"just before it {verb} the word, 32 % as it read the word in the question" in own
        assert "48 % of the model" in own
        assert "3.0 % on one square" in own
        assert "2.0 % on one square" in own
        assert "Each map has its own scale." in own
    assert html.count('<image id="picture-1"') == 1
    assert "<b>knife" not in html


def test_without_a_second_look_nothing_is_said_of_one() -> None:
    own = card(rendered(heatmap=WROTE), "word-1-1-1")
    assert own.count('class="heat"') == 1
    assert "just before it wrote the word (mean of all heads" in own
    assert "again" not in own
    assert "own scale" not in own


def test_the_second_map_alone_where_a_compacted_cache_left_no_first() -> None:
    own = card(rendered(heatmap=WROTE * np.nan, heatmap_again=AGAIN), "word-1-1-1")
    assert own.count('class="heat"') == 1
    assert "When it looked again" in own
    assert (
        "32 % of the model’s attention was on these squares as it read the word in the question"
        in own
    )
    assert "just before" not in own
    assert "No heat map" not in own


def test_neither_map() -> None:
    own = card(rendered(), "unsaid-1-1-1")
    assert 'class="heat"' not in own
    assert "No heat map" in own


# ---- in a browser --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser():
    with Browser() as started:
        yield started


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    seen = seesay.load().describe("toy:broken/7", method="look-again")
    assert seen.mentions
    assert seen.withheld
    return seen, seen.save(tmp_path_factory.mktemp("again") / "report.html")


def boxes(browser, part: str) -> list[list[float]]:
    """(x, y, width, height) on the page of each such part of the open card."""
    return browser.evaluate(
        f"[...document.querySelectorAll('.card.open {part}')].map(found => {{"
        "const box = found.getBoundingClientRect();"
        "return [box.x + scrollX, box.y + scrollY, box.width, box.height] })"
    )


@pytest.mark.parametrize(("width", "least"), [(1280, 250), (360, 110)])
@pytest.mark.parametrize("kind", ["word", "unsaid"])
@pytest.mark.browser
def test_side_by_side_and_painted(browser, described, tmp_path: Path, width, least, kind) -> None:
    """On each map of its card the cell with most attention has the end of the scale."""
    seen, path = described
    mention = seen.mentions[0] if kind == "word" else seen.withheld[0].mention
    browser.resize(width, 900, mobile=width < 500)
    try:
        browser.open(path.as_uri())
        browser.click(f"a[href='#{kind}-1-1-1']")
        opened = browser.evaluate(
            "[...document.querySelectorAll('.card.open')].map(card => card.id)"
        )
        assert opened == [f"{kind}-1-1-1"]
        assert browser.evaluate("document.scrollingElement.scrollWidth") <= width
        first, second = heats = boxes(browser, ".heat")
        assert heats == [pytest.approx(scene, abs=1) for scene in boxes(browser, ".scene")]
        assert first[1] == pytest.approx(second[1], abs=1)
        assert first[0] + first[2] < second[0]
        assert second[0] + second[2] <= width
        assert first[2] == pytest.approx(second[2], abs=1)
        assert first[2] >= least
        scales = boxes(browser, ".scale i")
        assert all(wide > 40 for _, _, wide, _ in scales)
        shot = Image.open(browser.screenshot(tmp_path / "shot.png")).convert("RGB")
        pixels = np.asarray(shot).astype(float)
        for (x, y, wide, high), values in zip(
            heats, (mention.heatmap, mention.heatmap_again), strict=True
        ):
            rows, columns = values.shape
            down = (y + (np.arange(rows) + 0.5) * high / rows).astype(int)
            across = (x + (np.arange(columns) + 0.5) * wide / columns).astype(int)
            from_darkest = np.abs(pixels[np.ix_(down, across)] - (0x8C, 0x2D, 0x04)).sum(-1)
            assert values.flat[from_darkest.argmin()] > 0.98 * values.max()  # of two alike either
        shown = " ".join(browser.text(f"#{kind}-1-1-1").split())
        for values in (mention.heatmap, mention.heatmap_again):
            assert share(float(values.sum())) in shown
            assert f"{share(float(values.max()))} on one square" in shown
        assert browser.complaints() == []
    finally:
        browser.resize(1280, 900)


@pytest.mark.browser
def test_without_a_script_both_are_there_on_a_phone(browser, described) -> None:
    seen, path = described
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    browser.resize(360, 900, mobile=True)
    try:
        browser.open(path.as_uri())
        asked = len(seen.mentions) + len(seen.withheld)
        assert browser.evaluate("document.querySelectorAll('.card.pair .heat').length") == 2 * asked
        assert browser.evaluate("document.scrollingElement.scrollWidth") <= 360
    finally:
        browser.resize(1280, 900)
        browser.call("Emulation.setScriptExecutionDisabled", value=False)


def test_a_page_of_unasked_words_is_as_before(described) -> None:
    seen, _ = described
    alone = replace(seen.mentions[0], heatmap_again=None)
    account = Account("plain", seen.text, [alone])
    html = page.render([Panel("scene", [account], seen.picture, sight=seen.sight)])
    assert 'class="card"' in html
    assert 'class="card pair"' not in html
