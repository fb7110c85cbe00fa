"""Where the units of a text begin and end: its sentences, list items, rows, blocks of code.

A unit is what can go without taking its neighbours along, and the floor of every edit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

Span = tuple[int, int]


def sentences(text: str) -> list[Span]:
    """The character spans of the units of `text`, in order, without the white space between.

    A sentence ends with . ! ? … (or 。！？, with no space behind them), but not inside a number
    ("3.5"), behind a title, an initial or "e.g.", nor where "..." goes on in lower case. A line is
    a unit of its own (a bullet, a row of a table, "Setting: a park") unless the next one goes on in
    lower case. A block of code or JSON is one unit. The last span may be unfinished: whoever reads
    a text that still grows waits for the next one to open. Takes time linear in the text.
    """
    return [span for line in _lines(text) for span in _within(text, *line)]


def settled(text: str) -> int:
    """How many characters of a text that still grows are units that no later one can change: all
    but the last, and not a heading ("There are three animals:") whose list is not finished."""
    units = sentences(text)[:-1]
    while units and opens_list(text[slice(*units[-1])]):
        units.pop()
    k = len(units)
    while k and _ITEM.match(text, units[k - 1][0]):
        k -= 1
    if k < len(units) and k and opens_list(text[slice(*units[k - 1])]):
        units = units[: k - 1]
    return units[-1][1] if units else 0


def opens_list(unit: str) -> bool:
    """Whether the lines behind a unit are its list."""
    return unit.rstrip("*_ ").endswith((":", "："))


def is_item(unit: str) -> bool:
    """Whether a unit is an item of a list: "- a dog", "2. a dog", "b) a dog", "→ a dog"."""
    return _ITEM.match(unit) is not None


def is_block(unit: str) -> bool:
    """Whether a unit is no prose: a row of a table, JSON, a block of code."""
    return unit.startswith(("|", "```", "~~~", "{", "[", "<"))


# ---- lines -----------------------------------------------------------------------------------

_ITEM: Final = re.compile(
    r"[ \t>]*(?:[-*+•‣·–—]|\d{1,3}[.):]|[A-Za-z][.)](?=[ \t])|\([A-Za-z\d]{1,3}\)|[→⇒➜➤▶✓✔☑✅]|"
    r"[\U0001F300-\U0001FAFF\u2600-\u27BF]\ufe0f?)[ \t]*(?=\S)"
)  # fmt: skip
_FENCE: Final = re.compile(r"[ \t]*(```|~~~)")


def _lines(text: str) -> Iterator[Span]:
    """Lines, those that run on joined, blocks of code and JSON whole."""
    spans = [match.span() for match in re.finditer(r"[^\n\r\u2028\u2029]+", text)]
    k = 0
    while k < len(spans):
        start, end = spans[k]
        k += 1
        if (fence := _FENCE.match(text, start, end)) is not None:
            mark = fence[1]
            while k < len(spans) and not text[slice(*spans[k])].lstrip().startswith(mark):
                end, k = spans[k][1], k + 1
            if k < len(spans):
                end, k = spans[k][1], k + 1
        elif text[start:end].strip() in ("{", "[", "[{"):
            depth = _depth(text[start:end])
            while k < len(spans) and depth > 0:
                end, depth, k = spans[k][1], depth + _depth(text[slice(*spans[k])]), k + 1
        else:
            while k < len(spans) and _runs_on(text, (start, end), spans[k]):
                end, k = spans[k][1], k + 1
        yield start, end


def _depth(line: str) -> int:
    return sum(map(line.count, "{[")) - sum(map(line.count, "}]"))


def _runs_on(text: str, line: Span, following: Span) -> bool:
    """Whether a line is the middle of a sentence that was broken over several."""
    between, tail = (
        text[line[1] : following[0]],
        text[max(line[0], line[1] - 40) : line[1]].rstrip(),
    )
    behind = text[following[0] : following[1]].lstrip()
    return (
        between.count("\n") < 2
        and behind[:1].islower()
        and not is_item(behind)
        and not tail.endswith((".", "!", "?", ":", ";", "|", "…"))
    )


# ---- sentences -------------------------------------------------------------------------------

_END: Final = re.compile(r"[.!?…]+[\"'”’»)\]*_]*(?=\s)|[。！？｡]+[”’」』）]*")
# A dot after one of these ends no sentence.
_TITLE: Final = re.compile(
    r"(?:^|[\s(\"'“])(?:mr|mrs|ms|dr|prof|vs|fig|approx|ca|cf|e\.g|i\.e)\.$", re.IGNORECASE
)
# After one of these, or an initial, only where a word that opens sentences follows.
_PERHAPS: Final = re.compile(
    r"(?:^|[\s(\"'“.])(?:(?i:st|sr|jr|inc|ltd|co|mt|ave|rd|blvd|[ap]\.m|u\.s)|[A-Z])\.$"
)
_OPENING: Final = re.compile(
    r"[\"“'(]?(?:The|An?|In|On|At|It|Its|There|He|She|They|This|That|These|Those|His|Her|Their|And|"
    r"But|Behind|Next|Near|Another|One|Two|Three|Several|Some|Overall|Additionally|To|With|While)\s"
)
_NUMBER: Final = re.compile(r"(?:^|\s)no\.$", re.IGNORECASE)


def _within(text: str, start: int, end: int) -> Iterator[Span]:
    """The sentences of a line."""
    item = _ITEM.match(text, start, end)
    if not is_block(text[start : start + 3].lstrip()):
        for match in _END.finditer(text, item.end() if item else start, end):
            if _ends(text, match, end):
                yield from _stripped(text, start, match.end())
                start = match.end()
    yield from _stripped(text, start, end)


def _ends(text: str, match: re.Match[str], end: int) -> bool:
    mark, at = match.group(), match.end()
    if mark[0] in "。！？｡!?":
        # "Wait... what?" goes on; so does a quotation that ends in the middle.
        return not (mark[-1] in "\"'”’)" and text[at : at + 2].lstrip()[:1].islower())
    behind = text[at : at + 24].lstrip()
    before = text[max(0, match.start() - 8) : match.start() + 1]
    if _TITLE.search(before) or (_NUMBER.search(before) and behind[:1].isdigit()):
        return False
    if behind[:1].islower():
        word = re.search(r"[a-z]{3,}$", text[max(0, match.start() - 12) : match.start()])
        return mark == "." and word is not None and word[0] not in ("etc", "approx")
    if _PERHAPS.search(before):
        return _OPENING.match(behind + " " * (at + 24 > end)) is not None or not behind
    return True


def _stripped(text: str, start: int, end: int) -> Iterator[Span]:
    piece = text[start:end]
    start, end = end - len(piece.lstrip()), start + len(piece.rstrip())
    if start < end:
        yield start, end
