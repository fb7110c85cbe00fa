"""What people look at: marks in the terminal, the page."""

from __future__ import annotations

import base64
import io
import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from seesay.errors import InputError
from seesay.grounding import Mention
from seesay.render import page, terminal
from seesay.render.account import Account, Panel, invented, pieces, totals
from seesay.storage.files import save, writable

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\" ' & {{ 7*1234 }} \x1b[31m \u202e"


def mention(text: str, word: str, *, doubtful: bool = False, name: str | None = None) -> Mention:
    start = text.index(word)
    scores = {"logprob": -1.5, "entropy": 0.5, "svar": 0.25, "position": 0.0}
    risk = 0.97 if doubtful else 0.2
    span = (start, start + len(word))
    return Mention(word, name or word, span, 3, scores, risk, doubtful)


TEXT = "A fork, a spoon, a knife and a cup."
ACCOUNT = Account(
    "agla(alpha=1.0)",
    TEXT,
    [
        mention(TEXT, "fork"),
        mention(TEXT, "spoon", doubtful=True),
        mention(TEXT, "knife"),
        mention(TEXT, "cup", doubtful=True),
    ],
    seconds=1.25,
)
PRESENT = frozenset({"fork", "spoon"})


def printed(*parts: object, width: int = 200, color: bool = False) -> str:
    console = Console(
        file=io.StringIO(), width=width, force_terminal=color, markup=False, highlight=False
    )
    for part in parts:
        console.print(part)
    return console.file.getvalue()


# ---- terminal ------------------------------------------------------------------------------


def test_pieces_put_together_are_the_text() -> None:
    for text in (TEXT, "fork", "", "no object"):
        words = [mention(text, "fork")] if "fork" in text else []
        cut = pieces(Account("plain", text, words), None)
        assert "".join(piece.text for piece in cut) == text
        assert sum(piece.mention is not None for piece in cut) == len(words)


def test_marks_need_no_colour() -> None:
    assert printed(terminal.marked(ACCOUNT)) == "A fork, a [spoon?], a knife and a [cup?].\n"
    with_truth = printed(terminal.marked(ACCOUNT, PRESENT))
    assert with_truth == "A fork, a [spoon?], a ~~knife~~ and a [~~cup~~?].\n"
    assert invented(ACCOUNT, PRESENT) == 2
    assert invented(ACCOUNT, None) == 0


def test_colour_only_repeats_the_marks() -> None:
    coloured = printed(terminal.marked(ACCOUNT, PRESENT), color=True)
    assert "\x1b[" in coloured
    assert "~~knife~~" in coloured


def test_the_table_lists_the_doubtful_words_only() -> None:
    table = printed(terminal.doubt_table(ACCOUNT, PRESENT))
    rows = [line.split() for line in table.splitlines()]
    assert rows[0] == ["doubtful", "risk", "log-prob", "SVAR", "word", "no.", "truth"]
    assert rows[1] == ["spoon", "0.97", "-1.50", "0.25", "1", "there"]
    assert rows[2] == ["cup", "0.97", "-1.50", "0.25", "1", "not", "there"]
    assert len(rows) == 3


def test_a_panel_shows_everything() -> None:
    cut = Account("plain", "A fork", [mention("A fork", "fork")], ended=False)
    shown = printed(terminal.panel(Panel("photo.jpg", [ACCOUNT, cut], None, PRESENT, "What?")))
    expected = ["photo.jpg", "What?", "in the picture: fork, spoon", "agla(alpha=1.0)", "1.25 s"]
    expected += ["2 of 4 object words invented", "[~~cup~~?]", "cut at the token limit"]
    for part in expected:
        assert part in shown
    assert "(no text)" in printed(terminal.marked(Account("plain", "", [])))


def test_a_model_cannot_steer_the_terminal() -> None:
    shown = printed(terminal.panel(Panel(EVIL, [Account(EVIL, EVIL, [])], None, None, EVIL, EVIL)))
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "<script>" in shown  # harmless here


def test_a_text_that_was_said_before_is_not_repeated() -> None:
    plain = replace(ACCOUNT, label="plain")
    surer = replace(
        ACCOUNT, label="eah", mentions=[replace(m, doubtful=False) for m in ACCOUNT.mentions]
    )
    shown = Panel("a", [plain, ACCOUNT, surer], present=PRESENT)
    lines = [line.strip() for line in printed(terminal.panel(shown, doubts=False)).splitlines()]
    assert lines.count("A fork, a [spoon?], a ~~knife~~ and a [~~cup~~?].") == 1
    assert lines.count("agla(alpha=1.0)  1.25 s  the same as plain") == 1
    assert lines.count("A fork, a spoon, a ~~knife~~ and a ~~cup~~.") == 1  # other marks: shown
    html, _ = reading(shown)
    assert html.count('<p class="text" data-words>') == 2
    assert html.count("the same as plain") == 1


def test_totals_count_what_was_invented_and_what_was_missed() -> None:
    other = Account("agla(alpha=1.0)", "A cup.", [mention("A cup.", "cup")], seconds=0.75)
    panels = [
        Panel("a", [ACCOUNT, Account("plain", "", [])], present=PRESENT),
        Panel("b", [other], present=frozenset({"cup", "fork"})),
        Panel("truth unknown", [ACCOUNT]),
    ]
    agla, plain = totals(panels)
    assert (agla.label, agla.invented, agla.words, agla.marked) == ("agla(alpha=1.0)", 2, 5, 1)
    assert (agla.named, agla.present, agla.seconds) == (3, 4, 1.0)
    assert (plain.invented, plain.named, plain.present, plain.seconds) == (0, 0, 2, None)
    table = printed(terminal.total_table([agla, plain]))
    assert "2 of 5" in table
    assert "3 of 4" in table
    html, _ = reading(*panels)
    assert "<td>2 of 5</td><td>1</td><td>3 of 4</td><td>1.00</td>" in html


# ---- page ----------------------------------------------------------------------------------


class Reader(HTMLParser):
    """Collects tags, attributes and the text that a reader sees."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.open: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attributes]
        if tag not in ("meta", "img"):  # nothing closes these
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)


def reading(*panels: Panel, **options: object) -> tuple[str, Reader]:
    html = page.render(list(panels), **options)
    reader = Reader(html)
    assert not reader.open
    return html, reader


def test_the_page_marks_what_the_terminal_marks() -> None:
    html, reader = reading(Panel("photo.jpg", [ACCOUNT], Image.new("RGB", (9, 9)), PRESENT))
    said = Reader(text_of(html))
    assert said.texts["del"] == ["knife", "cup"]
    assert "".join(said.texts["a"]) == "fork[spoon?][?]"
    assert said.texts["sup"] == ["risk 0.97", "risk 0.97"]
    facts = " ".join("".join(reader.texts["p"] + reader.texts["b"]).split())
    assert "1.25 s · 4 object words" in facts
    assert "2 of 2 objects named" in facts
    assert "2 invented" in facts


def test_text_spacing_is_kept_exactly() -> None:
    """The words on the page, without marks, are the model's text, spaces included."""
    html, _ = reading(Panel("photo.jpg", [ACCOUNT], None, PRESENT))
    inside = re.sub("<sup>.*?</sup>", "", text_of(html)).replace("[", "").replace("?]", "")
    assert re.sub("<.*?>", "", inside) == TEXT


def text_of(html: str) -> str:
    """The first text on a page, with its marks, as HTML."""
    return html.split('<p class="text" data-words>')[1].split("</p>")[0]


def test_everything_is_escaped() -> None:
    words = [mention(EVIL, "script", doubtful=True, name=EVIL)]
    accounts = [Account(EVIL, EVIL, words, 0.5)]
    html, reader = reading(
        Panel(EVIL, accounts, Image.new("RGB", (9, 9)), frozenset({EVIL}), EVIL, EVIL),
        Panel(EVIL, accounts, None, frozenset({"other"})),
        title=EVIL,
        lead=EVIL,
        protocol={EVIL: EVIL, "nested": {EVIL: EVIL}},
    )
    assert reader.tags.count("script") == 1
    assert "img" not in reader.tags
    assert "".join(reader.texts["script"]) == (files("seesay.render") / "page.js").read_text(
        "utf-8"
    )
    assert not any(name.startswith("on") for _, name, _ in reader.attributes)
    assert "8638" not in html
    assert "\x1b" not in html
    assert "\u202e" not in html


def test_the_page_asks_nobody_for_anything() -> None:
    html, reader = reading(
        Panel("photo.jpg", [ACCOUNT], Image.new("RGB", (9, 9)), PRESENT), protocol={"a": 1}
    )
    for _, name, value in reader.attributes:
        if name in ("src", "href", "srcset", "data", "action", "poster"):
            assert value.startswith(("data:image/", "#"))
    assert not {"link", "iframe", "object", "embed"} & set(reader.tags)
    assert "@import" not in html
    assert html.count("url(") == html.count("url(#") > 0
    policy = next(value for _, name, value in reader.attributes if value.startswith("default-src"))
    script = "".join(reader.texts["script"])
    assert policy == (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{page.digest(script)}'; base-uri 'none'; form-action 'none'"
    )
    assert any(value.startswith("width=device-width") for _, _, value in reader.attributes)
    assert "prefers-color-scheme: dark" in html


@pytest.mark.parametrize(
    ("size", "kind", "shown"),
    [
        ((96, 96), "png", (96, 96)),
        ((4000, 1000), "jpeg", (1280, 320)),
        ((300, 20), "jpeg", (300, 20)),
    ],
)
def test_pictures_are_inlined_at_a_sensible_size(size, kind, shown) -> None:
    given = Image.new("RGB", size, "teal")
    head, _, body = page.data_uri(given).partition(",")
    assert head == f"data:image/{kind};base64"
    assert Image.open(io.BytesIO(base64.b64decode(body))).size == shown
    assert given.size == size  # the caller's picture is not the one made smaller


def test_a_picture_without_truth_or_image() -> None:
    html, reader = reading(Panel("said elsewhere", [Account("plain", "A cat.", [])]))
    assert "figure" not in reader.tags
    assert "In the picture" not in html
    assert "not to be in the picture" not in html  # no truth, no legend for it


# ---- files ---------------------------------------------------------------------------------


def test_a_page_is_written_whole_or_not_at_all(tmp_path, monkeypatch) -> None:
    target = tmp_path / "out.html"
    target.write_text("old", encoding="utf-8")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            save(target, "new")
    assert target.read_text(encoding="utf-8") == "old"
    assert os.listdir(tmp_path) == ["out.html"]
    save(target, "new é")
    assert target.read_text(encoding="utf-8") == "new é"
    assert os.listdir(tmp_path) == ["out.html"]
    assert target.stat().st_mode & 0o777 == 0o644


def test_places_that_cannot_be_written(tmp_path) -> None:
    with pytest.raises(InputError, match="it is a folder"):
        writable(tmp_path)
    with pytest.raises(InputError, match="there is no folder"):
        writable(tmp_path / "missing" / "out.html")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="there is no folder"):
        save(tmp_path / "file" / "out.html", "x")
