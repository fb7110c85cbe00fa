"""One picture of what a method changed, drawn from its `Trace` as SVG, for any method.

Panels stand below each other: what was said, what was done, what became of the next word. Which of
them a figure has follows from the parts that a trace has; no method is drawn by its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

from seesay.show import panels, svg
from seesay.show.account import Account, invented, is_invented, named, pieces
from seesay.show.panels import INNER, MARGIN, WIDTH
from seesay.show.second import withheld
from seesay.show.svg import paragraph, text

if TYPE_CHECKING:
    from seesay.show.traced import Trace

DOES = {
    "rewrite_qk": "lets all heads of a layer use one head's attention map while the prompt is read",
    "key_scale": "makes some earlier tokens count for less, or for more, in attention",
    "score_bias": "changes how strongly the newest word attends to each part of the picture",
    "sink_logmass": "lets attention go nowhere: a part of it is dropped and not passed on",
    "prepare": "runs the same model a second time beside the first, on changed inputs",
    "compact": "drops or merges what the model remembers of earlier tokens",
    "fold": "changes the odds of the next word just before it is picked",
    "texts": "asks the model, when a sentence is written, whether what it names is in the picture",
}
"""What each verb does, for somebody who has never heard of it."""


def draw(trace: Trace) -> str:
    """The whole figure as SVG text; it needs no other file and no network."""
    body, y = _header(trace)
    for name, panel in _panels(trace):
        drawn, below = panel(y + 30)
        rule = f'<path d="M{MARGIN} {y + 8:.1f}h{INNER}" class="rule"/>'
        body += f'<g data-panel="{name}">{rule}{drawn}</g>'
        y = below
    foot = f"model: {trace.model} · picture: {trace.panel.title} · prompt: {trace.panel.question}"
    end, y = paragraph(MARGIN, y + 10, INNER, [(foot, "soft")], 12)
    return svg.document(WIDTH, y + 18, f"What {trace.method} changed", body + end)


def caption(trace: Trace) -> str:
    """What changed at the moment looked at, in a sentence."""
    odds, gaze, word = trace.odds, trace.gaze, trace.moment.word
    if odds is None:
        told = [f"{one}." for one in trace.withheld or ()]
        story = " ".join(line[0].upper() + line[1:] for line in told)
        return story or "It looked again for all that it had named, and left nothing out."
    before, after = (odds.shares[k, odds.said] for k in (0, -1))
    facts = [f"the word's probability goes from {before:.3f} to {after:.3f}"]
    if gaze is not None and gaze.plain is not None and gaze.changed is not None:
        plain, changed = gaze.plain.sum(), gaze.changed.sum()
        facts.append(f"attention to the picture from {plain:.3f} to {changed:.3f}")
    where = "where the texts part" if trace.moment.parting else "after the same words"
    return f"At “{word}”, {where}: {', '.join(facts)}."


def _panels(trace: Trace) -> Iterator[tuple[str, panels.Panel]]:
    yield "texts", partial(_texts, trace)
    for shared in trace.shared:
        yield "shared", partial(panels.shared, trace, shared)
    if trace.gaze is not None:
        yield "gaze", partial(panels.gaze, trace, trace.gaze)
    if trace.sink is not None:
        yield "sink", partial(panels.sink, trace, trace.sink)
    if trace.keys is not None:
        yield "keys", partial(panels.keys, trace, trace.keys)
    if trace.streams:
        yield "streams", partial(panels.streams, trace)
    if trace.cache is not None:
        yield "cache", partial(panels.cache, trace.cache)
    if trace.odds is not None:
        yield "odds", partial(panels.odds, trace, trace.odds)
    if trace.withheld:
        yield "withheld", partial(withheld, trace, trace.withheld)


def _header(trace: Trace) -> tuple[str, float]:
    body = text(MARGIN, 48, f"What {trace.method} changed", "title")
    y = 60.0
    for part in trace.parts:
        lines: list[tuple[str, str]] = [(f"{part.settled}: {part.summary}. ", "")]
        drawn, y = paragraph(MARGIN, y, INNER, [*lines, (part.paper, "soft")])
        body += drawn
        for verb in part.verbs or ("",):
            what = DOES.get(verb, "does nothing at this strength: the plain model answers")
            drawn, y = paragraph(MARGIN + 16, y - 6, INNER - 16, [(f"→ {what}", "soft")], 13)
            body += drawn
    drawn, y = paragraph(MARGIN, y, 0.88 * INNER, [(caption(trace), "name")])
    return body + drawn, y


def _texts(trace: Trace, y: float) -> tuple[str, float]:
    shown, moment = trace.panel, trace.moment
    if shown.picture is None:
        raise ValueError("the trace has no picture; trace() always gives one")
    body, height = svg.picture(MARGIN, y, 250, shown.picture, shown.title)
    bottom = y + height
    if shown.present is not None:
        there = [("In the picture: ", "soft"), (", ".join(sorted(shown.present)) or "nothing", "")]
        drawn, bottom = paragraph(MARGIN, bottom, 250, there, 13)
        body += drawn
    x, width = MARGIN + 250 + 32, INNER - 250 - 32
    y -= 4
    for account, changed in zip(shown.accounts, (False, True), strict=True):
        spans = trace.gated.spans if trace.gated and changed else ()
        at = None if changed else moment.span
        label = "The plain model says" if not changed else f"With {trace.method} it says"
        drawn, y = paragraph(x, y, width, [(label, "name"), (_tally(trace, account), "soft")])
        body += drawn
        drawn, y = paragraph(x, y - 6, width, _marked(trace, account, at, spans), 16)
        body, y = body + drawn, y + 6
    drawn, y = paragraph(x, y, width, list(_legend(trace)), 13)
    return body + drawn, max(y, bottom)


def _tally(trace: Trace, account: Account) -> str:
    present = trace.panel.present
    if present is None:
        return ""
    wrong, right = invented(account, present), named(account, present)
    return f"  ({wrong} invented, {right} of {len(present)} objects named)"


def _marked(
    trace: Trace,
    account: Account,
    moment: tuple[int, int] | None,
    acted: Sequence[tuple[int, int]],
) -> list[tuple[str, str]]:
    """The text in stretches of one style: invented, the moment's word, where a gate opened."""
    styles: list[set[str]] = [set() for _ in account.text]
    at = 0
    for piece in pieces(account, trace.panel.present):
        for k in range(at, at + len(piece.text)):
            styles[k] |= {"invented"} if piece.invented else set()
        at += len(piece.text)
    for css, spans in (("moment", [moment] if moment else []), ("acted", acted)):
        for start, end in spans:
            for k in range(start, end):
                styles[k] |= set() if account.text[k].isspace() else {css}
    marked = [
        ("".join(char for char, _ in run), " ".join(sorted(css)))
        for css, run in groupby(zip(account.text, styles, strict=True), key=lambda pair: pair[1])
    ]
    cut = [] if account.ended else [(" … (cut at the token limit)", "soft")]
    return [*(marked or [("(no text)", "soft")]), *cut]


def _legend(trace: Trace) -> Iterator[tuple[str, str]]:
    if trace.panel.present is not None:
        yield "Struck out", "invented"
        yield ": not in the picture.  ", "soft"
    wrong = {
        m.span for m in trace.panel.accounts[0].mentions if is_invented(m, trace.panel.present)
    }
    yield trace.moment.word, "invented moment" if trace.moment.span in wrong else "moment"
    yield ": the word looked at below, behind the same words with and without the method.", "soft"
    if trace.gated is not None:
        count = f"{len(trace.gated.spans)} of {trace.gated.tokens} tokens"
        yield "  ", ""
        yield "Underlined", "acted"
        yield f": where the gate let the method act, {count}; ", "soft"
        yield f"there the likeliest token had a probability under {trace.gated.below:g}.", "soft"
