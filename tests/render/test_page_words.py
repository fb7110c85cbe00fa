"""What the page says of each word: heat maps in their place, scores in words, layer curves."""

from __future__ import annotations

import base64
import io
import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image

from seesay.grounding import Mention, scores
from seesay.models.image_geometry import WHOLE, PatchGrid
from seesay.render import page, wording
from seesay.render.account import Account, Panel
from seesay.render.charts import curve
from seesay.render.heat_maps import Ground, heat
from seesay.render.page import first_choice, shown

TEXT = "A fork and a spoon."
SCORES = {"logprob": math.log(0.25), "entropy": math.log(6), "svar": 1.5, "position": 0.0}
HEAT = np.arange(16, dtype=np.float32).reshape(4, 4) / 1000


def word(name: str, **more: object) -> Mention:
    start = TEXT.index(name)
    given = {"risk": 0.5, "doubtful": False, "scores": SCORES} | more
    return Mention(name, name, (start, start + len(name)), 3, **given)


def sight(place=WHOLE) -> PatchGrid:
    return PatchGrid(torch.arange(16).reshape(4, 4), place, Image.new("RGB", (32, 32), "red"))


def account(*mentions: Mention, label: str = "plain") -> Account:
    return Account(label, TEXT, mentions)


# ---- heat maps -----------------------------------------------------------------------------


def test_a_heat_map_keeps_its_numbers() -> None:
    made = heat(HEAT)
    assert made.most == pytest.approx(0.015)
    assert made.total == pytest.approx(0.12)
    assert made.at == (3, 3)
    assert made.grid == (4, 4)
    cells = Image.open(io.BytesIO(base64.b64decode(made.uri.partition(",")[2])))
    assert cells.size == (4, 4)
    cells = cells.convert("RGBA")
    opacity = np.asarray(cells)[..., 3].flatten()
    assert opacity[0] == 0  # nothing there: the picture shows through
    assert (np.diff(opacity.astype(int)) > 0).all()
    assert cells.getpixel((3, 3))[:3] == (0x8C, 0x2D, 0x04)


def test_a_heat_map_of_nothing_is_clear() -> None:
    for values in (np.zeros((2, 3)), np.full((2, 3), np.nan)):
        made = heat(values)
        assert (made.most, made.total) == (0, 0)
        cells = Image.open(io.BytesIO(base64.b64decode(made.uri.partition(",")[2])))
        assert not np.asarray(cells.convert("RGBA"))[..., 3].any()


PICTURE = Image.new("RGB", (640, 320), "teal")


def test_the_ground_knows_what_was_not_seen() -> None:
    whole = Ground.of(PICTURE, sight())
    assert (whole.cells, whole.unseen) == ((0, 0, 1000, 500), 0)
    cropped = Ground.of(PICTURE, sight((0.25, 0.0, 0.75, 1.0)))
    assert (cropped.cells, cropped.unseen) == ((250, 0, 500, 500), 0.5)
    padded = Ground.of(PICTURE, sight((0.0, -0.5, 1.0, 1.5)))
    assert (padded.cells, padded.unseen) == ((0, -250, 1000, 1000), 0)


def test_where_the_place_is_not_known_the_crop_is_shown() -> None:
    ground = Ground.of(PICTURE, sight(None))
    assert ground.cut
    assert ground.picture.size == (32, 32)
    html = page.render(
        [Panel("a", [account(word("fork", heatmap=HEAT))], PICTURE, sight=sight(None))]
    )
    assert "Which part of the picture the model saw is not known" in html
    assert page.data_uri(sight().crop) in html
    assert page.data_uri(PICTURE) not in html
    assert Ground.of(None, None) is None


def test_the_page_lays_heat_where_the_crop_was() -> None:
    panel = Panel(
        "a", [account(word("fork", heatmap=HEAT))], PICTURE, sight=sight((0.25, 0, 0.75, 1))
    )
    html = page.render([panel])
    (box,) = re.findall(r'class="heat" x="(.*?)" y="(.*?)" width="(.*?)" height="(.*?)"', html)
    assert box == ("250.00", "0.00", "500.00", "500.00")
    assert "cut off by the model’s image processor, 50 % of the picture" in html
    assert html.count(page.data_uri(PICTURE)) == 1  # drawn often, held once


def test_without_a_heat_map_it_says_so() -> None:
    for values in (None, np.full((4, 4), np.nan)):
        panel = Panel("a", [account(word("fork", heatmap=values))], PICTURE, sight=sight())
        html = page.render([panel])
        assert 'class="heat"' not in html
        assert "No heat map: where this model’s patches lie is not known" in html


# ---- scores in words -----------------------------------------------------------------------


def test_scores_are_said_in_words() -> None:
    said = {fact.name: fact.says for fact in wording.facts(SCORES)}
    assert list(said) == ["log-probability -1.39", "entropy 1.79", "SVAR 1.5", "position 0"]
    assert list(said.values()) == [
        "25 %",
        "as open as between 6 equally likely words",
        "1.50",
        "object word no. 1",
    ]


def test_every_score_there_is_has_its_words() -> None:
    for name in [*scores.SCORES, "position", "token", "self_check"]:
        (fact,) = wording.facts({name: 0.5})
        assert fact.about != name.replace("_", " ")


def test_unknown_scores_are_shown_and_missing_ones_left_out() -> None:
    facts = wording.facts({"another_score": 2.0, "svar": math.nan, "logprob": -math.inf})
    assert [(fact.about, fact.says) for fact in facts] == [
        ("How sure the model was of this word", "0 %"),
        ("another score", "2"),
    ]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.0, "0 %"),
        (1e-6, "under 0.1 %"),
        (0.034, "3.4 %"),
        (0.0999, "10 %"),
        (0.5, "50 %"),
        (0.999, "over 99 %"),
        (1.0, "100 %"),
    ],
)
def test_shares(value, said) -> None:
    assert wording.share(value) == said


def test_a_rank_is_never_called_a_chance() -> None:
    rank, chance = word("fork", risk=0.75), word("fork", risk=0.75, calibrated=True)
    assert wording.risk(rank) == "0.75"
    assert "A rank is no probability" in wording.verdict(rank)
    assert wording.risk(chance) == "75 %"
    assert "about 75 name something that is not in the picture" in wording.verdict(chance)
    ranked, calibrated = (page.render([Panel("a", [account(one)])]) for one in (rank, chance))
    assert "Risk is a rank from 0 to 1" in ranked
    assert "Risk is a rank from 0 to 1" not in calibrated
    scale = "uncalibrated: ranks within each text"
    html = page.render([Panel("a", [account(rank)])], protocol={"risk": scale})
    assert scale in html.split("<main>")[0]


# ---- layer curves --------------------------------------------------------------------------


def test_a_curve_goes_through_its_values() -> None:
    root = ElementTree.fromstring(curve([0.0, 0.5, 1.0], [[1.0, 1.0, 0.0], [1.0, 0.0, 1.0]], 1.0))
    own = next(p.get("d") for p in root.iter("path") if p.get("class") == "own")
    mean = next(p.get("d") for p in root.iter("path") if p.get("class") == "mean")
    heights = [[float(y) for y in re.findall(r" ([\d.]+)", path)] for path in (own, mean)]
    top, bottom = min(heights[0]), max(heights[0])
    assert heights[0] == [bottom, (top + bottom) / 2, top]
    assert heights[1] == [top, (top + bottom) / 2, (top + bottom) / 2]
    assert "the most, 100 %, in layer 2" in root.get("aria-label")


def test_a_curve_with_gaps_and_one_layer() -> None:
    gapped = curve([0.1, math.nan, 0.3], [], 0.3)
    assert len(re.findall("M", re.search(r'class="own" d="(.*?)"', gapped)[1])) == 2
    assert "nan" not in gapped
    assert 'class="mean"' not in gapped
    ElementTree.fromstring(curve([0.2], [], 0.2))
    assert curve([math.nan], [[math.nan]], 0.0) == ""


def test_only_words_with_layers_have_a_curve() -> None:
    both = account(word("fork", layers=(0.1, 0.4)), word("spoon"))
    (panel,) = shown([Panel("a", [both])])
    fork, spoon = panel.told[0].cards
    assert fork.curve.startswith("<svg")
    assert spoon.curve == ""


# ---- several texts -------------------------------------------------------------------------


def test_texts_stand_side_by_side() -> None:
    surer = account(word("fork", risk=0.1), label="agla")
    again = account(word("fork", risk=0.2), label="eah")
    both = account(word("fork", risk=0.3), word("spoon", risk=0.9, doubtful=True))
    panel = Panel("a", [both, surer, again], present=frozenset({"fork"}))
    html = page.render([panel])
    table = html.split('<div class="beside">')[1].split("</table>")[0]
    rows = [" ".join(re.sub("<.*?>", " ", row).split()) for row in table.split("<tr>")[1:]]
    assert rows == ["method fork spoon", "plain 0.30 [0.90?]", "agla 0.10 –", "eah 0.20 –"]
    assert "<del>spoon</del>" in table
    links = re.findall('href="#(.*?)"', table)
    assert links == ["word-1-1-1", "word-1-1-2", "word-1-2-1", "word-1-3-1"]
    assert all(f'id="{link}"' in html for link in links)


def test_ids_are_unique() -> None:
    panel = Panel("a", [account(word("fork"), word("spoon"))] * 3, PICTURE, sight=sight())
    ids = re.findall(r'\bid="(.*?)"', page.render([panel, panel]))
    assert len(ids) == len(set(ids)) > 12


def test_one_text_opens_at_its_most_doubtful_word() -> None:
    one = Panel("a", [account(word("fork", risk=0.2), word("spoon", risk=0.9))])
    assert first_choice(shown([one])) == "word-1-1-2"
    assert first_choice(shown([one, one])) is None
    assert first_choice(shown([Panel("a", [account()])])) is None
    assert 'data-first="word-1-1-2"' in page.render([one])
    assert "data-first=" not in page.render([one, one])
