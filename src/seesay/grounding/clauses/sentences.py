"""Where sentences begin and end, for text that may still be growing."""

from __future__ import annotations

import re

# A dot after one of these ends no sentence by itself.
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\"'“])(?:mr|mrs|ms|dr|prof|st|sr|jr|vs|no|fig|approx|ca|cf|inc|ltd|co|mt|"
    r"e\.g|i\.e|[a-z])\.$",
    re.IGNORECASE,
)
# These may end one, and do if a capital follows ("cups, plates, etc. The table").
_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s|$)|\n\s*\n|\n(?=\s*(?:[-*•]|\d+[.)])\s)")


def sentences(text: str) -> list[tuple[int, int]]:
    """The character spans of the sentences of `text`, in order, without the white space between.

    A sentence ends with ., ! or ?, at an empty line, or before a line that opens a list item. A dot
    inside a number ("3.5"), after a title or initial ("Mr. Fox", "J. Smith"), in "e.g." and before
    a lower-case word ends none. The last span may be unfinished: whoever reads a text that still
    grows waits for the next one to open.
    """
    spans, start = [], 0
    for match in _END.finditer(text):
        if match.group().startswith(".") and not _ends(text, match):
            continue
        spans.append((start, match.end()))
        start = match.end()
    spans.append((start, len(text)))
    return [span for span in (_stripped(text, *span) for span in spans) if span[0] < span[1]]


def _ends(text: str, match: re.Match[str]) -> bool:
    following = text[match.end() :].lstrip()
    if following[:1].islower():
        return False
    line = text[text.rfind("\n", 0, match.start()) + 1 : match.start() + 1]
    if re.fullmatch(r"\s*\d+\.", line):
        return False  # the number of a list item
    return not following or _ABBREVIATION.search(line) is None


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip()), end - (len(piece) - len(piece.rstrip()))
