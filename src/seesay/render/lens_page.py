"""The page of a lens: one word, where the model looked, and what the patches read as.

Heat maps of all layers and heads are one picture a crop, of which every drawing shows a part: row
l, column h is head h of layer l; the last column is the mean of the heads, the last row the mean of
the chosen layers.

What a lens shows of one word, in a form that needs no model: plain numbers and pictures.

`seesay.explain.lens.lens` measures it, `seesay.render.lens_page.render` draws it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from seesay.render import charts, wording
from seesay.render.heat_maps import WIDTH, Ground, Rect, painted
from seesay.render.page import environment, rows

if TYPE_CHECKING:
    from PIL.Image import Image

    from seesay.grounding import Mention
    from seesay.models.image_geometry import PatchGrid
    from seesay.render.method_trace import Numbers

MOST_LABELS = 12_000
"""Patches with their reading, over all layers of a page; where there are more, layers are left out
evenly."""
_BAR, _BARS = 26, 96  # a layer's width and the height of bars, pixels
_CELL = 20  # of the map of layers and heads, pixels


@dataclass(frozen=True, eq=False)
class TextPart:
    """One crop in a drawing: where its cells lie, and its heat maps.

    `heads` and `says` are inlined pictures of all maps, (layers + 1) × (heads + 1) and layers × 1.
    """

    id: str
    crop: Crop
    cells: Rect
    heads: str
    says: str

    @property
    def grid(self) -> tuple[int, int]:
        rows, columns = self.crop.says.shape[1:]
        return int(rows), int(columns)


@dataclass(frozen=True, eq=False)
class LensSummary:
    """Crops that are drawn over one picture.

    Attributes:
        name: of the picture, and which crops of it these are.
        first: whether it is the first scene of its picture.
        totals: (layers + 1, heads + 1) share of attention on these crops.
        most: (layers + 1, heads + 1) of it on the patch that gets most.
        says: (layers,) the largest probability of the word's token on any patch.
        reading: what the patch with most attention reads as, in the layer where `says` is highest.
    """

    id: str
    name: str
    first: bool
    ground: Ground
    parts: Sequence[TextPart]
    totals: Numbers
    most: Numbers
    says: Numbers
    reading: str

    @property
    def clearest(self) -> int:
        """The layer in which some patch reads most as the word."""
        return int(self.says.argmax())

    def opened(self, shown: Sequence[int]) -> int:
        """The layer, of those written out, whose readings are seen first."""
        return min(shown, key=lambda layer: abs(layer - self.clearest))

    @property
    def frame(self) -> Rect:
        """The part of the drawing that the cells lie on."""
        boxes = [one.cells for one in self.parts]
        left, top = (max(0.0, min(side)) for side in zip(*(box[:2] for box in boxes), strict=True))
        right = min(WIDTH, max(box.x + box.width for box in boxes))
        bottom = min(self.ground.height, max(box.y + box.height for box in boxes))
        return Rect(left, top, right - left, bottom - top)

    @property
    def narrowest(self) -> float:
        """How many rem wide the readings must be drawn to be read."""
        widest = min(one.cells.width / one.grid[1] for one in self.parts)
        return 1.9 * self.frame.width / widest

    @property
    def labels(self) -> int:
        """How many patches a layer has."""
        return sum(math.prod(part.grid) for part in self.parts)


def render(lens: Lens) -> str:
    """The page as text: self-contained, with everything that a model or a user wrote escaped."""
    scenes = [scene for k, one in enumerate(lens.pictures, 1) for scene in _scenes(lens, one, k)]
    layers, heads = lens.var.shape
    first, last = lens.layers
    chosen = lens.var[first : last + 1]
    return (
        environment()
        .get_template("lens.html")
        .render(
            lens=lens,
            scenes=scenes,
            layers=layers,
            heads=heads,
            at_head=heads if lens.head is None else lens.head,
            attended=float((chosen if lens.head is None else chosen[:, lens.head]).mean()),
            peak=first + int(chosen.mean(1).argmax()),
            shown=_layers_shown(scenes, lens),
            var_map=_var_map(lens),
            bars=_bars(lens),
            label=_label,
            risk=None if lens.mention is None else wording.risk(lens.mention),
            verdict=None if lens.mention is None else wording.verdict(lens.mention),
            protocol=rows(lens.protocol),
        )
    )


def _scenes(lens: Lens, viewed: Viewed, number: int) -> Iterator[LensSummary]:
    """A scene for each crop that shows the whole picture, one for all that show parts of it, and
    one for each whose place is not known."""
    whole = [crop for crop in viewed.crops if crop.whole]
    placed = [crop for crop in viewed.crops if not crop.whole and crop.sight.place is not None]
    others = [crop for crop in viewed.crops if not crop.whole and crop.sight.place is None]
    groups = [*([crop] for crop in whole), *([placed] if placed else []), *([c] for c in others)]
    for k, crops in enumerate(groups, 1):
        name = viewed.name
        if len(groups) > 1:
            rows, columns = crops[0].sight.cells.shape
            name += f", {f'in {len(crops)} crops' if len(crops) > 1 else 'whole'}"
            name += f" of {rows} × {columns} patches"
        yield _scene(lens, viewed, crops, (number, k), name)


def _scene(
    lens: Lens, viewed: Viewed, crops: Sequence[Crop], number: tuple[int, int], name: str
) -> LensSummary:
    id = "scene-{}-{}".format(*number)
    grounds = [Ground.of(viewed.picture, crop.sight) for crop in crops]
    maps = [_with_means(lens, crop) for crop in crops]
    most = np.max([one.max((2, 3)) for one in maps], 0)  # (layers + 1, heads + 1)
    says = np.max([crop.says.max((1, 2)) for crop in crops], 0)
    parts = [
        TextPart(
            id=f"{id}-{k}",
            crop=crop,
            cells=ground.cells,
            heads=painted(_tiled(one / np.where(most > 0, most, 1.0)[..., None, None])),
            says=painted(_tiled(crop.says[:, None] / (says.max() or 1.0))),
        )
        for k, (crop, ground, one) in enumerate(zip(crops, grounds, maps, strict=True), 1)
        if ground is not None
    ]
    ground = grounds[0]
    if ground is None:
        raise ValueError("a viewed picture always has a ground")
    best = max(crops, key=lambda crop: float(lens.heatmap(crop).max()))
    row, column = divmod(int(lens.heatmap(best).argmax()), best.says.shape[2])
    return LensSummary(
        id,
        name,
        number[1] == 1,
        ground,
        parts,
        totals=np.sum([one.sum((2, 3)) for one in maps], 0),
        most=most,
        says=says,
        reading=best.reads[int(says.argmax())][row][column],
    )


def _with_means(lens: Lens, crop: Crop) -> Numbers:
    """(layers + 1, heads + 1, rows, columns): means over heads and over chosen layers added."""
    first, last = lens.layers
    heads = np.concatenate([crop.attention, crop.attention.mean(1, keepdims=True)], 1)
    return np.concatenate([heads, heads[first : last + 1].mean(0, keepdims=True)], 0)


def _tiled(maps: Numbers) -> Numbers:
    """(down, across, rows, columns) laid side by side as one map."""
    down, across, high, wide = maps.shape
    return maps.transpose(0, 2, 1, 3).reshape(down * high, across * wide)


def _layers_shown(scenes: Sequence[LensSummary], lens: Lens) -> list[int]:
    """The layers whose readings are written out: all, or as many as a page can hold."""
    layers = len(lens.var)
    room = max(2, min(layers, MOST_LABELS // max(sum(scene.labels for scene in scenes), 1)))
    return (
        sorted({round(k * (layers - 1) / (room - 1)) for k in range(room)}) if layers > 1 else [0]
    )


def _label(part: TextPart, layer: int) -> Iterator[tuple[float, float, float, str, float]]:
    """(x, y, size, text, probability) of every patch's reading in a layer."""
    down, across = part.grid
    high, wide = part.cells.height / down, part.cells.width / across
    for r, row in enumerate(part.crop.reads[layer]):
        for c, word in enumerate(row):
            short = word if len(word) <= 9 else word[:8] + "…"
            size = min(0.42 * high, 1.6 * wide / max(len(short), 2), 34.0)
            x, y = part.cells.x + (c + 0.5) * wide, part.cells.y + (r + 0.5) * high + 0.35 * size
            yield x, y, size, short, float(part.crop.sure[layer, r, c])


def _var_map(lens: Lens) -> str:
    """VAR by layer and head as an SVG; a cell is a link for the script to follow."""
    layers, heads = lens.var.shape
    paint = charts.sequential(float(lens.var.max()))
    left, top = 52, 24
    out = []
    for layer in range(layers):
        y = top + layer * _CELL
        inside = lens.layers[0] <= layer <= lens.layers[1]
        css = "end in" if inside else "end"
        out.append(f'<text x="{left - 8}" y="{y + 14}" class="{css}">{layer}</text>')
        for head in range(heads):
            colour, opacity = paint(float(lens.var[layer, head]))
            picked = inside and lens.head in (None, head)
            says = f"layer {layer}, head {head}: {wording.share(float(lens.var[layer, head]))}"
            out.append(
                f'<rect x="{left + head * _CELL}" y="{y}" width="{_CELL - 1}" height="{_CELL - 1}" '
                f'fill="{colour}" fill-opacity="{opacity:.3f}" data-layer="{layer}" '
                f'data-head="{head}"{" class=picked" if picked else ""}>'
                f"<title>{says}</title></rect>"
            )
    step = max(1, math.ceil(heads / 16))
    out += [
        f'<text x="{left + (head + 0.5) * _CELL}" y="{top - 8}" class="mid">{head}</text>'
        for head in range(0, heads, step)
    ]
    width, height = left + heads * _CELL + 4, top + layers * _CELL + 4
    return (
        f'<svg class="var" viewBox="0 0 {width} {height}" '
        f'style="min-width:{width * 0.8:.0f}px;max-width:{width * 1.3:.0f}px" '
        f'role="img" aria-label="Attention to the picture by layer, top to bottom, and head">'
        f'<text x="0" y="{top - 8}">layer</text>{"".join(out)}</svg>'
    )


def _bars(lens: Lens) -> str:
    """The contribution of each layer's attention as bars around zero, as an SVG."""
    values = np.nan_to_num(lens.contribution).tolist()
    high, low = max(*values, 0.0), min(*values, 0.0)
    scale = _BARS / ((high - low) or 1.0)
    left, top, zero = 52, 10, 10 + high * scale
    out = []
    for layer, value in enumerate(values):
        x, y = left + layer * _BAR, zero - max(value, 0) * scale
        css = "up" if value >= 0 else "down"
        out.append(
            f'<rect x="{x + 2}" y="{y:.1f}" width="{_BAR - 4}" class="{css}" '
            f'height="{max(abs(value) * scale, 0.6):.1f}">'
            f"<title>layer {layer}: {value:+.3g}</title></rect>"
            f'<text x="{x + _BAR / 2}" y="{top + _BARS + 18}" class="mid">{layer}</text>'
        )
    width = left + len(values) * _BAR + 4
    ends = {high: top + 4, low: top + _BARS + 4, 0.0: zero + 4}
    levels = [
        f'<text x="{left - 8}" y="{y:.1f}" class="end">{value:+.3g}</text>'
        for value, y in ends.items()
        if not value or abs(y - ends[0.0]) > 14
    ]
    return (
        f'<svg class="bars" viewBox="0 0 {width} {top + _BARS + 26}" '
        f'style="max-width:{width * 1.3:.0f}px" role="img" aria-label="What the attention of each '
        f'layer adds to the word"><path d="M{left} {zero:.1f}H{width - 4}"/>{"".join(levels)}'
        f"{''.join(out)}</svg>"
    )


SCHEMA = "seesay.lens/1"
_DIGITS = 6


@dataclass(frozen=True, eq=False)
class Crop:
    """One crop that the model saw of a picture, with what went on at each of its cells.

    Attributes:
        sight: where its cells lie on the picture, and what they show.
        whole: whether the crop shows the whole picture.
        attention: (layers, heads, rows, columns) shares of attention, 0 to 1, from the row that
            predicts the word.
        reads: (layers, rows, columns) the vocabulary entry that each cell's hidden state reads as.
        sure: (layers, rows, columns) the probability of that reading.
        says: (layers, rows, columns) the probability of the word's token there.
    """

    sight: PatchGrid
    whole: bool
    attention: Numbers
    reads: Sequence[Sequence[Sequence[str]]]
    sure: Numbers
    says: Numbers


@dataclass(frozen=True, eq=False)
class Viewed:
    """A picture of the prompt, with the crops that the model saw of it."""

    name: str
    picture: Image
    crops: Sequence[Crop]


@dataclass(frozen=True, eq=False)
class Lens:
    """Where a model looked, and what it made of it, just before it wrote one token.

    Attributes:
        text: the whole text; `span` are the characters of the word that was looked for.
        index: of the token looked at among the generated ones, from 0; `token` is it as text.
        probability: of that token, 0 to 1.
        mention: the word's scores and risk, where it names an object.
        pictures: of the prompt, in order.
        layers: the range that heat maps are the mean of, both ends included.
        head: the one head that heat maps are of; None is the mean of all heads.
        var: (layers, heads) share of attention on all image tokens, 0 to 1.
        contribution: (layers,) what the attention of each layer adds to the token's logit when the
            head reads it alone: lm_head(o_proj output)[token], without the final norm. The norm
            would need the whole hidden state, so values compare layers and are no shares of the
            final logit.
        norm: whether the logit lens applies the final norm.
        protocol: how all this was made.
    """

    text: str
    span: tuple[int, int]
    index: int
    token: str
    probability: float
    mention: Mention | None
    pictures: Sequence[Viewed]
    layers: tuple[int, int]
    head: int | None
    var: Numbers
    contribution: Numbers
    norm: bool
    protocol: Mapping[str, Any]

    @property
    def word(self) -> str:
        """The word looked for, as written."""
        return self.text[slice(*self.span)]

    @property
    def where(self) -> str:
        """Which layers and heads heat maps are of, in words."""
        first, last = self.layers
        heads = "mean of all heads" if self.head is None else f"head {self.head}"
        return f"layer {first}, {heads}" if first == last else f"layers {first} to {last}, {heads}"

    def heatmap(self, crop: Crop) -> Numbers:
        """(rows, columns) of `crop`: attention, mean over the chosen layers and heads."""
        first, last = self.layers
        chosen = crop.attention[first : last + 1]
        mean: Numbers = (chosen if self.head is None else chosen[:, [self.head]]).mean((0, 1))
        return mean

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; numbers are rounded to six digits behind the point."""
        return {
            "schema": SCHEMA,
            "text": self.text,
            "word": self.word,
            "span": list(self.span),
            "index": self.index,
            "token": self.token,
            "probability": round(self.probability, _DIGITS),
            "mention": None if self.mention is None else self.mention.to_dict(),
            "layers": list(self.layers),
            "head": self.head,
            "var": _listed(self.var),
            "contribution": _listed(self.contribution),
            "norm": self.norm,
            "pictures": [self._viewed(viewed) for viewed in self.pictures],
            "protocol": dict(self.protocol),
        }

    def _viewed(self, viewed: Viewed) -> dict[str, Any]:
        return {
            "name": viewed.name,
            "crops": [
                {
                    "place": None if crop.sight.place is None else list(crop.sight.place),
                    "whole": crop.whole,
                    "heatmap": _listed(self.heatmap(crop)),
                    "attention": _listed(crop.attention.mean(1)),
                    "reads": [[list(row) for row in layer] for layer in crop.reads],
                    "sure": _listed(crop.sure),
                    "says": _listed(crop.says),
                }
                for crop in viewed.crops
            ],
        }


def _listed(values: Numbers) -> Any:
    return values.astype(float).round(_DIGITS).tolist()
