"""What was looked for again and not said, as a panel of a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seesay.show import svg
from seesay.show.account import is_invented
from seesay.show.panels import INNER, MARGIN
from seesay.show.svg import paragraph, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seesay.grounding.removed import Withheld
    from seesay.show.traced import Trace

_MAP, _GAP, _MOST = 150, 24, 6


def withheld(trace: Trace, unsaid: Sequence[Withheld], y: float) -> tuple[str, float]:
    """Each thought: its sentence, where the model looked then and when it was asked, and why it was
    not said."""
    body = text(MARGIN, y + 6, "Thought, looked for again, not said", "head")
    caption = (
        "Each square is one patch of the picture: the darker, the more attention went there (mean "
        "of all heads in the middle layers; each map has its own scale). Left: just before the "
        "word was written. Then the model was asked, in a dialogue of its own on the same picture, "
        "whether the object is there. Right: as it read the word in that question."
    )
    drawn, y = paragraph(MARGIN, y + 10, INNER, [(caption, "soft")], 13)
    body, y = body + drawn, y + 8
    for one in unsaid[:_MOST]:
        drawn, y = _thought(trace, one, y)
        body += drawn
    if len(unsaid) > _MOST:
        body += text(MARGIN, y + 12, f"and {len(unsaid) - _MOST} more", "small")
        y += 20
    return body, y


def _thought(trace: Trace, one: Withheld, y: float) -> tuple[str, float]:
    body, bottom, x = "", y, float(MARGIN)
    for looked in (one.mention.heatmap, one.mention.heatmap_again):
        if looked is not None and trace.seen is not None:
            values = looked.astype(float)
            paint = svg.sequential(float(values.max()))
            drawn, height = svg.heat(x, y, _MAP, values, paint, trace.seen)
            body += f'<g data-map="withheld">{drawn}</g>'
            bottom, x = max(bottom, y + height), x + _MAP + _GAP
    width = MARGIN + INNER - x
    story = str(one)
    drawn, y = paragraph(x, y, width, [(story[0].upper() + story[1:] + ".", "name")], 15)
    body += drawn
    word = one.detail or one.mention.word
    start = one.sentence.find(word)
    end = start + len(word)
    wrong = one.detail is None and is_invented(one.mention, trace.panel.present)
    css = "invented moment" if wrong else "moment"
    pieces = [(one.sentence[:start], ""), (one.sentence[start:end], css), (one.sentence[end:], "")]
    drawn, y = paragraph(x, y - 4, width, pieces if start >= 0 else one.sentence, 15)
    body += drawn
    if trace.panel.present is not None and one.detail is None:
        there = one.mention.name in trace.panel.present
        note = "It is in the picture: one true word less." if there else "It is not in the picture."
        drawn, y = paragraph(x, y - 4, width, [(note, "soft")], 13)
        body += drawn
    return body, max(y, bottom) + 18
