"""One picture of what a method changed, drawn from its `Trace` as SVG, for any method.

Panels stand below each other: what was said, what was done, what became of the next word. Which of
them a figure has follows from the parts that a trace has; no method is drawn by its name.

The panels of a figure: what a method did to attention, pictures, memory and odds.

Each draws one part of a trace from `y` on and returns its SVG and the y below it.

What was looked for again and not said, as a panel of a figure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from seesay.render import charts
from seesay.render.account import Account, invented, is_invented, named, pieces
from seesay.render.charts import AFTER, BEFORE, Series, paragraph, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seesay.grounding.removed import Removed
    from seesay.render.method_trace import (
        AttentionChange,
        CacheContents,
        Keys,
        Numbers,
        Odds,
        Shared,
        Sink,
        Trace,
    )

DOES = {
    "shared_head": (
        "lets all heads of a layer use one head's attention map while the prompt is read"
    ),
    "key_scale": "makes some earlier tokens count for less, or for more, in attention",
    "score_bias": "changes how strongly the newest word attends to each part of the picture",
    "sink_logit": "lets attention go nowhere: a part of it is dropped and not passed on",
    "second_input": "runs the same model a second time beside the first, on changed inputs",
    "prune_cache": "drops or merges what the model remembers of earlier tokens",
    "logits_term": "changes the odds of the next word just before it is picked",
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
    return charts.document(WIDTH, y + 18, f"What {trace.method} changed", body + end)


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


def _panels(trace: Trace) -> Iterator[tuple[str, Panel]]:
    yield "texts", partial(_texts, trace)
    for one in trace.shared:
        yield "shared", partial(shared, trace, one)
    if trace.gaze is not None:
        yield "gaze", partial(gaze, trace, trace.gaze)
    if trace.sink is not None:
        yield "sink", partial(sink, trace, trace.sink)
    if trace.keys is not None:
        yield "keys", partial(keys, trace, trace.keys)
    if trace.streams:
        yield "streams", partial(streams, trace)
    if trace.cache is not None:
        yield "cache", partial(cache, trace.cache)
    if trace.odds is not None:
        yield "odds", partial(odds, trace, trace.odds)
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
    body, height = charts.picture(MARGIN, y, 250, shown.picture, shown.title)
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


Panel = Callable[[float], tuple[str, float]]

WIDTH, MARGIN = 1040, 36
INNER = WIDTH - 2 * MARGIN
_MAP, _GAP = 208, 24
_KINDS = {"image": "#44aa99", "prompt": "#ddaa33", "generated": "#882255"}


def gaze(trace: Trace, gaze: AttentionChange, y: float) -> tuple[str, float]:
    """Attention to the picture before and after, on the picture and by layer."""
    body, y = _heading(y, f"Where the model looks just before it says “{trace.moment.word}”")
    caption = (
        "Each square is one patch of the picture, and its number the share of attention that goes "
        "to it (mean of all heads in the middle layers). The right-hand map is the difference."
    )
    drawn, y = paragraph(MARGIN, y, INNER, [(caption, "soft")], 13)
    names = ["plain", f"with {_short(trace)}", "change"]
    if gaze.plain is not None and gaze.changed is not None:
        totals = gaze.plain.sum(), gaze.changed.sum(), (gaze.changed - gaze.plain).sum()
        forms = ("{}: {:.3f} in all", "{}: {:.3f} in all", "{}: {:+.3f} in all")
        names = [form.format(*pair) for form, *pair in zip(forms, names, totals, strict=True)]
    maps, bottom = _maps(trace, y + 8, gaze.plain, gaze.changed, *names)
    x = MARGIN + (3 * (_MAP + _GAP) if maps else 0)
    size = (min(WIDTH - MARGIN - x, 480), _MAP - 30)
    lines = [
        Series("plain", gaze.plain_var.tolist(), BEFORE, dashed=True),
        Series(f"with {_short(trace)}", gaze.changed_var.tolist(), AFTER),
    ]
    top = _round_up(max(gaze.plain_var.max(), gaze.changed_var.max()))
    last = len(gaze.plain_var) - 1
    layers = charts.chart(
        x, y + 24, size, lines,
        span=(0.0, top), ends=("layer 0", f"layer {last}"), shaded=sorted(gaze.layers),
    )  # fmt: skip
    legend = charts.key(x + 44, y + _MAP + 36, [(line.name, line.colour) for line in lines])
    title = text(x + 44, y + 12, "attention to the whole picture", "small")
    note = text(x + 44, y + _MAP + 54, "grey: layers the method acts in", "small")
    return body + drawn + maps + title + layers + legend + note, max(bottom, y + _MAP + 64)


def _maps(
    trace: Trace, y: float, before: Numbers | None, after: Numbers | None, *names: str
) -> tuple[str, float]:
    """Two heat maps on one scale and their difference; nothing where patches are not known."""
    if trace.seen is None or before is None or after is None:
        return "", y
    change = after - before
    top, most = float(max(before.max(), after.max())), float(abs(change).max())
    shown = (
        ("before", names[0], before, 0.0, top, charts.sequential(top)),
        ("after", names[1], after, 0.0, top, charts.sequential(top)),
        ("change", names[2], change, -most, most, charts.diverging(most)),
    )
    body, height, x = "", 0.0, float(MARGIN)
    for role, name, values, low, high, paint in shown:
        drawn, height = charts.heat(x, y + 16, _MAP, values, paint, trace.seen)
        body += f'<g data-map="{role}">{drawn}</g>'
        body += text(x, y + 8, name, "small")
        body += charts.scale(x, y + height + 26, _MAP, low, high, paint)
        x += _MAP + _GAP
    return body, y + height + 62


def shared(trace: Trace, one: Shared, y: float) -> tuple[str, float]:
    """A layer's maps before and after all heads took over one of them."""
    body, y = _heading(y, f"Layer {one.layer}: every head takes over the map of head {one.head}")
    caption = (
        "While the prompt is read, each patch receives attention from the tokens behind it. Left: "
        "the mean of all heads, each with its own map. Middle: the map that all heads use instead. "
        "Numbers are the mean attention that a patch receives from a token behind it."
    )
    drawn, y = paragraph(MARGIN, y, INNER, [(caption, "soft")], 13)
    names = ("all heads", f"head {one.head}", "change")
    maps, y = _maps(trace, y + 8, one.plain, one.changed, *names)
    return body + drawn + maps, y


def sink(trace: Trace, sink: Sink, y: float) -> tuple[str, float]:
    """What is left of each row's attention, by layer and by row."""
    body, y = _heading(y, "How much attention is still handed out")
    caption = (
        "Without the method every row hands out all of its attention, which is 1. With it a part "
        "goes nowhere and is dropped. Left: the row that predicts "
        f"“{trace.moment.word}”, layer by layer (mean of heads). Right: every row of the prompt "
        "(mean of heads and layers), the picture's rows in grey. Mind the two scales."
    )
    drawn, y = paragraph(MARGIN, y, INNER, [(caption, "soft")], 13)
    half = (INNER - _GAP) / 2
    lows = (float(np.nanmin([*values, 1.0])) for values in (sink.layers, sink.rows))
    spans = [(1.0 - _round_up(1.0 - low), 1.0) for low in lows]
    left = charts.chart(
        MARGIN, y + 8, (half, 150), [Series("handed out", sink.layers.tolist(), AFTER)],
        span=spans[0], ends=("layer 0", f"layer {len(sink.layers) - 1}"),
    )  # fmt: skip
    right = charts.chart(
        MARGIN + half + _GAP, y + 8, (half, 150), [Series("handed out", sink.rows.tolist(), AFTER)],
        span=spans[1], ends=("first token of the prompt", "last"), points=False,
        shaded=np.flatnonzero(sink.image).tolist(),
    )  # fmt: skip
    return body + drawn + left + right, y + 196


def keys(trace: Trace, keys: Keys, y: float) -> tuple[str, float]:
    """Factors on keys, column by column."""
    body, y = _heading(y, "How much each earlier token counts")
    caption = (
        f"Factors on the keys when “{trace.moment.word}” is predicted (mean of heads and of the "
        "layers acted in): a token that lies lower is attended to less sharply. The scale shows "
        "only the range that occurs."
    )
    drawn, y = paragraph(MARGIN, y, INNER, [(caption, "soft")], 13)
    low, high = float(np.nanmin(keys.factors)), float(np.nanmax(keys.factors))
    lines = [
        Series(
            kind,
            [
                v if k == kind else float("nan")
                for v, k in zip(keys.factors, keys.kinds, strict=True)
            ],
            colour,
        )
        for kind, colour in _KINDS.items()
    ]
    graph = charts.chart(
        MARGIN, y + 8, (INNER, 140), lines,
        span=(low, high), ends=("first token", "newest"), points=False,
    )  # fmt: skip
    return body + drawn + graph + charts.key(MARGIN + 44, y + 190, _KINDS.items()), y + 206


def streams(trace: Trace, y: float) -> tuple[str, float]:
    """The picture of each second stream beside the first one's."""
    body, y = _heading(y, "What the second run of the model sees")
    runs = [(f"second run ({one.name})", one.picture, one.note) for one in trace.streams]
    runs.insert(0, ("first run", trace.seen, "the picture as it is"))
    bottom, x = y, float(MARGIN)
    for name, picture, note in runs:
        body += text(x, y + 16, name, "small")
        if picture is None:
            drawn, height = charts.rect(x, y + 26, _MAP, _MAP, 'class="shade"'), float(_MAP)
            drawn += text(x + _MAP / 2, y + 30 + _MAP / 2, "no picture", "small", "middle")
        else:
            drawn, height = charts.picture(x, y + 26, _MAP, picture, name)
        under, below = paragraph(x, y + 26 + height, _MAP, [(note, "soft")], 13)
        body, bottom, x = body + drawn + under, max(bottom, below), x + _MAP + _GAP
    return body, bottom + 4


def cache(cache: CacheContents, y: float) -> tuple[str, float]:
    """What of prompt and text is still in the cache, layer by layer."""
    body, y = _heading(y, "What the model still remembers at the end of the text")
    counts = ", ".join(
        f"{cache.kept[:, [k == kind for k in cache.kinds]].mean(0).sum():.3g} of "
        f"{cache.kinds.count(kind)} {kind}"
        for kind in _KINDS
    )
    caption = (
        "One row a layer, one column a token of prompt and text, in order: coloured where the "
        "cache still holds the token's own entry, lighter where only some heads do, white where "
        f"none does. Kept on average: {counts}; {cache.merged.mean():.3g} entries a layer stand "
        "for several tokens each."
    )
    if cache.kept.min() == 1:
        caption += " Here nothing has gone yet: for these settings the text is too short."
    drawn, y = paragraph(MARGIN, y, INNER, [(caption, "soft")], 13)
    body, high = body + drawn, max(3.0, min(18.0, 320 / len(cache.kept)))
    for layer, row in enumerate(cache.kept.tolist()):
        cells = [(_KINDS[kind], share) for kind, share in zip(cache.kinds, row, strict=True)]
        top = y + 6 + layer * (high + 1)
        body += charts.strip(MARGIN + 70, top, (INNER - 70, high), cells)
        if layer in (0, len(cache.kept) - 1):
            body += text(MARGIN + 62, top + high - 2, f"layer {layer}", "small", "end")
    y += 6 + len(cache.kept) * (high + 1)
    return body + charts.key(MARGIN + 70, y + 20, _KINDS.items()), y + 34


def odds(trace: Trace, odds: Odds, y: float) -> tuple[str, float]:
    """The likeliest next tokens: plain, second streams, and what the method makes of them."""
    body, y = _heading(
        y, f"What became of the next word, where the plain text says “{trace.moment.word}”"
    )
    caption = "Probability of each candidate as the next token, after the same words."
    if any(odds.cut):
        caption += (
            f" Crossed out: cut, because the first run gives it less than {odds.beta:g} times the "
            "probability of its favourite."
        )
    drawn, y = paragraph(MARGIN, y, INNER, [(caption, "soft")], 13)
    body, y = body + drawn, y + 14
    first, step = 120, (INNER - 120) / len(odds.columns)
    for c, name in enumerate(odds.columns):
        x = MARGIN + first + c * step
        body += text(x, y, name, "small")
        last = c == len(odds.columns) - 1
        colour = BEFORE if not c else AFTER if last else "#8a8f98"
        for r, share in enumerate(odds.shares[c].tolist()):
            body += charts.bar(x, y + 12 + r * 24, step - 70, share, colour, last and odds.cut[r])
    for r, token in enumerate(odds.tokens):
        css = "moment" if r == odds.said else "name"
        body += text(MARGIN + first - 14, y + 25 + r * 24, _clipped(token), css, "end")
    return body, y + 24 + len(odds.tokens) * 24


def _heading(y: float, words: str) -> tuple[str, float]:
    return text(MARGIN, y + 6, words, "head"), y + 10


def _short(trace: Trace) -> str:
    """The method in as few words as a chart has room for."""
    return trace.method if len(trace.method) <= 22 else "the method"


def _clipped(token: str) -> str:
    return token if len(token) <= 12 else token[:11] + "…"


def _round_up(value: float) -> float:
    """The next of 1, 2, 2.5, 5 times a power of ten."""
    if value <= 0:
        return 0.01
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(k * power for k in (1, 2, 2.5, 5, 10) if k * power >= value * 0.999))


_MAP, _GAP, _MOST = 150, 24, 6


def withheld(trace: Trace, unsaid: Sequence[Removed], y: float) -> tuple[str, float]:
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


def _thought(trace: Trace, one: Removed, y: float) -> tuple[str, float]:
    body, bottom, x = "", y, float(MARGIN)
    for looked in (one.mention.heatmap, one.mention.heatmap_again):
        if looked is not None and trace.seen is not None:
            values = looked.astype(float)
            paint = charts.sequential(float(values.max()))
            drawn, height = charts.heat(x, y, _MAP, values, paint, trace.seen)
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
