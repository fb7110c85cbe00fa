"""The panels of a figure: what a method did to attention, pictures, memory and odds.

Each draws one part of a trace from `y` on and returns its SVG and the y below it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from seesay.show import svg
from seesay.show.svg import AFTER, BEFORE, Series, paragraph, text

if TYPE_CHECKING:
    from seesay.show.traced import Cache, Gaze, Keys, Numbers, Odds, Shared, Sink, Trace

Panel = Callable[[float], tuple[str, float]]

WIDTH, MARGIN = 1040, 36
INNER = WIDTH - 2 * MARGIN
_MAP, _GAP = 208, 24
_KINDS = {"image": "#44aa99", "prompt": "#ddaa33", "generated": "#882255"}


def gaze(trace: Trace, gaze: Gaze, y: float) -> tuple[str, float]:
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
    layers = svg.chart(
        x, y + 24, size, lines,
        span=(0.0, top), ends=("layer 0", f"layer {last}"), shaded=sorted(gaze.layers),
    )  # fmt: skip
    legend = svg.key(x + 44, y + _MAP + 36, [(line.name, line.colour) for line in lines])
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
        ("before", names[0], before, 0.0, top, svg.sequential(top)),
        ("after", names[1], after, 0.0, top, svg.sequential(top)),
        ("change", names[2], change, -most, most, svg.diverging(most)),
    )
    body, height, x = "", 0.0, float(MARGIN)
    for role, name, values, low, high, paint in shown:
        drawn, height = svg.heat(x, y + 16, _MAP, values, paint, trace.seen)
        body += f'<g data-map="{role}">{drawn}</g>'
        body += text(x, y + 8, name, "small")
        body += svg.scale(x, y + height + 26, _MAP, low, high, paint)
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
    left = svg.chart(
        MARGIN, y + 8, (half, 150), [Series("handed out", sink.layers.tolist(), AFTER)],
        span=spans[0], ends=("layer 0", f"layer {len(sink.layers) - 1}"),
    )  # fmt: skip
    right = svg.chart(
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
    graph = svg.chart(
        MARGIN, y + 8, (INNER, 140), lines,
        span=(low, high), ends=("first token", "newest"), points=False,
    )  # fmt: skip
    return body + drawn + graph + svg.key(MARGIN + 44, y + 190, _KINDS.items()), y + 206


def streams(trace: Trace, y: float) -> tuple[str, float]:
    """The picture of each second stream beside the first one's."""
    body, y = _heading(y, "What the second run of the model sees")
    runs = [(f"second run ({one.name})", one.picture, one.note) for one in trace.streams]
    runs.insert(0, ("first run", trace.seen, "the picture as it is"))
    bottom, x = y, float(MARGIN)
    for name, picture, note in runs:
        body += text(x, y + 16, name, "small")
        if picture is None:
            drawn, height = svg.rect(x, y + 26, _MAP, _MAP, 'class="shade"'), float(_MAP)
            drawn += text(x + _MAP / 2, y + 30 + _MAP / 2, "no picture", "small", "middle")
        else:
            drawn, height = svg.picture(x, y + 26, _MAP, picture, name)
        under, below = paragraph(x, y + 26 + height, _MAP, [(note, "soft")], 13)
        body, bottom, x = body + drawn + under, max(bottom, below), x + _MAP + _GAP
    return body, bottom + 4


def cache(cache: Cache, y: float) -> tuple[str, float]:
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
        body += svg.strip(MARGIN + 70, top, (INNER - 70, high), cells)
        if layer in (0, len(cache.kept) - 1):
            body += text(MARGIN + 62, top + high - 2, f"layer {layer}", "small", "end")
    y += 6 + len(cache.kept) * (high + 1)
    return body + svg.key(MARGIN + 70, y + 20, _KINDS.items()), y + 34


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
            body += svg.bar(x, y + 12 + r * 24, step - 70, share, colour, last and odds.cut[r])
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
