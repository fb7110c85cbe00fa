"""One generation: everything that changes while a model runs under methods.

A `Run` is made anew for every generation and thrown away after it, so nothing can leak from one
image to the next. Methods keep what they need during a run in `Run.state`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import Tensor

from seesay import patches

if TYPE_CHECKING:
    from seesay.engine.compaction import LastRow
    from seesay.engine.method import Method
    from seesay.engine.readout import Readout
    from seesay.models import ModelView


@dataclass(frozen=True)
class Prompt:
    """What `Method.prepare` sees of a generation before it starts.

    Attributes:
        view: the model.
        inputs: the model inputs as passed to generate (or forward): input_ids, pixel_values, ...
        columns: (batch, prompt columns) bool, which columns hold image tokens.
        images: the original pictures, if the session was opened with them.
    """

    view: ModelView
    inputs: Mapping[str, Any]
    columns: Tensor
    images: list[Any] | None = None

    def pictures(self) -> list[PromptPicture]:
        """The pictures of all prompts, in order of appearance, as the model saw them.

        Raises:
            ModelError: a family whose patch order is not known (see `patches`).
        """
        rows, columns = self.columns.nonzero(as_tuple=True)
        found: list[PromptPicture] = []
        start = 0
        for tiles in patches.split(self.view, self.inputs):
            stop = start + patches.run_length(self.view, tiles)
            row = int(rows[start])
            index = found[-1].index + 1 if found and found[-1].row == row else 0
            found.append(PromptPicture(row, index, columns[start:stop], tiles))
            start = stop
        return found


@dataclass(frozen=True, eq=False)
class PromptPicture:
    """One picture of a prompt.

    Attributes:
        row: the prompt that it belongs to.
        index: which of that prompt's pictures it is, from 0.
        columns: (image tokens,) long, where its tokens stand in the row.
        tiles: the crops of it that the model saw.
    """

    row: int
    index: int
    columns: Tensor
    tiles: list[patches.Tile]


@dataclass(frozen=True)
class ImageColumns:
    """The image columns of a batch, as the narrowest span that holds all of them.

    Attributes:
        mask: (rows, columns) bool.
        start, stop: the span; stop is exclusive. Empty (0, 0) without image tokens.
        weight: (rows, 1, stop − start) float32, 1 on image columns and 0 elsewhere, or None if
            every column of the span is an image column in every row. Of a compacted layer, whose
            heads hold different entries: (rows, heads, stop − start).
    """

    mask: Tensor
    start: int
    stop: int
    weight: Tensor | None

    @property
    def by_head(self) -> bool:
        """Whether columns are a compacted layer's entries, other ones in each head."""
        return self.weight is not None and self.weight.shape[1] > 1

    @classmethod
    def of(cls, mask: Tensor) -> ImageColumns:
        """Find the span in `mask`, (rows, columns) bool."""
        anywhere = mask.any(0).nonzero()
        if not len(anywhere):
            return cls(mask, 0, 0, None)
        start, stop = int(anywhere[0]), int(anywhere[-1]) + 1
        inside = mask[:, start:stop]
        return cls(mask, start, stop, None if bool(inside.all()) else inside[:, None].float())

    def within(self, columns: int) -> ImageColumns:
        """Those among the first `columns` columns."""
        return ImageColumns.of(self.mask[:, :columns])

    def for_rows(self, rows: int, streams: int) -> ImageColumns:
        """The same for a batch of `rows` rows: beams of a sample stand together, streams follow.

        Args:
            rows: a multiple of this batch's rows (beams, several sequences a prompt).
            streams: how often the whole batch is repeated behind itself.
        """
        beams = rows // self.mask.shape[0]
        if beams == 1 and streams == 1:
            return self
        return ImageColumns.of(self.mask.repeat_interleave(beams, 0).repeat(streams, 1))


@dataclass
class Run:
    """The state of one generation.

    Attributes:
        view: the model.
        prompt: image columns of the prompt as passed, one row a prompt.
        length: the prompt's columns; the row at column ``length − 1 + t`` predicts token t.
        streams: 1 + the number of second streams.
        overrides: for each method with a second stream, the inputs that differ in it.
        features: for each of them with another image, that image encoded, if the model takes that.
        image: image columns for the rows the decoder sees now, second streams included.
        rows: rows of the first stream now (batch × beams).
        seen: columns seen after the forward at hand.
        padding: the attention mask (rows, columns) the model was given, 0 on padding; None without.
        cache: the key-value cache of the last forward.
        readout: what is being recorded, or None.
        state: whatever methods keep during the run, by method.
        acted: (rows,) whether a gated method acted in the newest step; None without a gate.
        last_rows: by layer, the newest row of attention, for methods that compact.
        notes: by layer and name, (rows, heads, entries): what methods keep beside cache entries. It
            follows beams and compaction; see `compaction.noted`.
    """

    view: ModelView
    prompt: ImageColumns
    length: int
    streams: int = 1
    overrides: dict[Method, dict[str, Tensor]] = field(default_factory=dict)
    features: dict[Method, Any] = field(default_factory=dict)
    image: ImageColumns | None = None
    rows: int = 0
    seen: int = 0
    padding: Tensor | None = None
    cache: Any = None
    readout: Readout | None = None
    state: dict[Method, Any] = field(default_factory=dict)
    acted: Tensor | None = None
    last_rows: dict[int, LastRow] = field(default_factory=dict)
    notes: dict[int, dict[str, Tensor]] = field(default_factory=dict)
