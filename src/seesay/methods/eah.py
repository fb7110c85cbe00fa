"""EAH: the head with the densest vision sinks lends its attention map to all heads of one layer.

The idea: in a shallow layer a few heads gather the picture in image columns that many later rows
attend to (vision sinks), and where all heads do so fewer things are invented. Once, while the
prompt is read, the map of the head with most sink columns replaces the map of every head; values
stay each head's own, and what the layer writes into the cache lasts for the whole answer.

    density[h, c] = mean_{r > c} A[h, r, c],    sinks[h] = #{c ∈ I : density[h, c] > threshold}
    A[h] := A[argmax_h' sinks[h']]              for all h, if there is a sink at all

Zhang et al., "Seeing Clearly by Layer Two", arXiv 2411.09968 (EVAS at EMNLP 2025). An independent
run on LLaVA-1.5-7B finds CHAIR_S 49.7 → 38.8, no gain on InstructBLIP and a loss of POPE F1 on
LLaVA-NeXT, so measure it on your model.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from seesay.engine import Method
from seesay.errors import nearest
from seesay.methods.published import published

if TYPE_CHECKING:
    from torch import Tensor

    from seesay.engine.attention import Call
    from seesay.models.view import ModelView

# Threshold for the image tokens of LLaVA-1.5, with which both presets were found.
_THRESHOLDS = {"paper": 0.002, "published": 0.0008}
_IMAGE_TOKENS = 576
_PUBLISHED_LAYER, _PUBLISHED_DEPTH = 15, 32


@dataclass(frozen=True, repr=False)
class EAH(Method):
    """Give every head of one layer the map of the head with most vision sinks, once a prompt.

    A prompt without image tokens, a prompt read in chunks and later turns on a filled cache are
    left as they are.

    Attributes:
        preset: "paper", or "published" for what the released code computes: another layer and
            threshold, densities over e − (c − s) rows for an image span [s, e), the first image
            column is no sink, nothing happens where head 0 is the densest (or as dense as the
            densest), and only the first row of a batch is changed.
        layer: decoder layer, 0-based. None: 1; published 15 of 32, carried over by relative depth.
        threshold: density above which a column is a sink, > 0. None: what the released scripts
            set for this model (see `published`), else 0.002 (published 0.0008) times 576 / image
            tokens of the row; a number is taken as it is, and inf is the plain model.
    """

    name: ClassVar[str] = "eah"
    summary: ClassVar[str] = "gives all heads of a shallow layer the map with most vision sinks"
    paper: ClassVar[str] = "Seeing Clearly by Layer Two, EMNLP 2025, arXiv 2411.09968"

    preset: str = "paper"
    layer: int | None = None
    threshold: float | None = None

    def __post_init__(self) -> None:
        known = self.preset in _THRESHOLDS
        self._require(known, "preset", f"is unknown; {nearest(str(self.preset), _THRESHOLDS)}")
        whole = type(self.layer) is int and self.layer >= 0
        self._require(self.layer is None or whole, "layer", "must be a whole number from 0")
        if self.threshold not in (None, math.inf):
            self._require_number("threshold", 0, above=True)

    @property
    def active(self) -> bool:
        return self.threshold != math.inf

    def at_zero(self) -> EAH:
        return replace(self, threshold=math.inf)

    @property
    def inactive_in(self) -> Mapping[str, str]:
        return {"prefill in chunks": "a column's sinks are counted over the whole prompt"}

    def resolved_for(self, view: ModelView) -> EAH:
        row = published(self.name, view) if self.preset == "paper" else None
        given = row.settings["threshold"] if row else None
        threshold = given if self.threshold is None else self.threshold
        return replace(self, layer=next(iter(self.acts_in(view))), threshold=threshold)

    def acts_in(self, view: ModelView) -> Collection[int]:
        if self.layer is not None:
            return [self.layer]
        if self.preset == "published":
            layer = _PUBLISHED_LAYER * view.n_layers // _PUBLISHED_DEPTH
            return [min((n for n in view.attending if n >= layer), default=view.attending[-1])]
        # Layer two, in a model of any depth; in a hybrid one the first behind it that attends.
        return [min((n for n in view.attending if n), default=view.attending[-1])]

    def shared_head(self, call: Call) -> Tensor | None:
        rows, length = call.rows_at, call.run.length
        if rows.start or rows.stop != length or not call.image.stop:
            return None  # only a whole prompt has whole columns
        published = self.preset == "published"
        span = range(call.image.start, call.image.stop)
        padding = call.run.padding
        real = None if padding is None else padding[:, :length].bool()
        density = column_density(call.row_blocks(), span, real, published=published)
        image = call.image.mask[:, span.start : span.stop]  # (batch, span)
        threshold = self.threshold
        if threshold is None:
            scale = _IMAGE_TOKENS / image.sum(1).clamp(min=1)
            bound = _THRESHOLDS[self.preset] * scale
        else:
            bound = density.new_full((len(image),), threshold)
        head = densest_head(density, image, bound, published=published)
        if published:  # the first row of each stream
            head[[row for row in range(len(head)) if row % (call.run.rows or len(head))]] = -1
        return None if bool((head < 0).all()) else head


def column_density(
    blocks: Iterable[tuple[range, Tensor]],
    span: range,
    real: Tensor | None = None,
    *,
    published: bool = False,
) -> Tensor:
    """How much attention each column of `span` receives from the rows below it.

    Args:
        blocks: the softmax map in blocks of rows: (row indices, (batch, heads, rows, columns)). A
            whole map is ``[(range(n), attention)]``.
        span: the columns [s, e) to look at.
        real: (batch, rows) False on padding, whose rows count for nothing; None without padding.
        published: divide by e − (c − s) instead of by the number of rows below.

    Returns (batch, heads, span): the sum over rows r > c over their number; 0 without rows below.
    """
    total = count = None
    for rows, weights in blocks:
        seen = weights[..., span.start : span.stop]
        at = seen.new_tensor(list(rows))[:, None]
        below = (at > seen.new_tensor(list(span)))[None].to(seen)  # (1, rows, span)
        if real is not None:
            below = below * real[:, rows.start : rows.stop, None]
        block = (seen * below[:, None]).sum(2)
        total = block if total is None else total + block
        count = below.sum(1) if count is None else count + below.sum(1)
    if total is None or count is None:
        raise ValueError("blocks is empty; give at least one block of rows")
    if published:
        count = count.new_tensor([span.stop - (c - span.start) for c in span])[None]
    return total / count.clamp(min=1)[:, None]


def densest_head(
    density: Tensor, image: Tensor, threshold: Tensor, *, published: bool = False
) -> Tensor:
    """The head with most sink columns, the first of those that have equally many.

    Args:
        density: (batch, heads, span), from `column_density`.
        image: (batch, span) True on image columns.
        threshold: (batch,) a sink's density is above it.
        published: the first image column is no sink, and where head 0 comes first nothing happens.

    Returns (batch,) long; −1 for a row without any sink.
    """
    if published:
        image = image & (image.cumsum(1) > 1)
    sinks = (density > threshold[:, None, None]) & image[:, None]
    number = sinks.sum(-1)  # (batch, heads)
    heads = number.shape[1]
    # One number an entry, so that the first of equals wins on every device.
    order = number * heads - number.new_tensor(list(range(heads)))
    head = order.argmax(1)
    none = number.amax(1) == 0
    if published:
        none = none | (head == 0)
    return head.masked_fill(none, -1)
