"""One forward over prompts and what was said behind them, seen layer by layer.

A text that is read gives the very rows that its generation computed, since attention is causal; so
all rows are there at once and no map has to be kept: probes see a block of rows at a time and keep
a few numbers of each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor, nn

from seesay import options
from seesay.engine import Stack
from seesay.engine.attention import Call
from seesay.engine.probes import Probe
from seesay.engine.readout import with_text
from seesay.engine.state import Prompt
from seesay.explain.diagnose.types import DescribedImage
from seesay.methods.farsight import FarSight
from seesay.models.processors import inputs_for
from seesay.models.view import ModelView
from seesay.vlm import VLM

_ROWS = 64  # of a block: (pictures × heads × rows × columns) is all that is held of a layer's map


@dataclass(frozen=True, eq=False)
class Batch:
    """Some pictures, what was said about each, and both as one input.

    Attributes:
        told: the texts, in order.
        images: the pictures as the processor was given them.
        prompt_inputs: the processor's outputs for the prompts alone.
        inputs: of the model: left-padded prompts with the texts behind them, padded at the right.
        length: the prompt's columns; token t of a text stands at column length + t and is predicted
            by the row before it.
    """

    view: ModelView
    tokenizer: Any
    told: Sequence[DescribedImage]
    images: Sequence[Image]
    prompt_inputs: Mapping[str, Any]
    inputs: Mapping[str, Any]
    length: int

    @classmethod
    def of(
        cls, vlm: VLM, told: Sequence[DescribedImage], images: Sequence[Image], prompt: str
    ) -> Batch:
        """Ask about the pictures as the texts were asked for, and put the texts behind."""
        inputs = inputs_for(vlm.model, vlm.processor, list(images), prompt)
        joined = with_text(vlm.view, inputs, _padded([one.ids for one in told]))
        length = inputs["input_ids"].shape[1]
        return cls(vlm.view, vlm.processor.tokenizer, told, images, inputs, joined, length)

    @property
    def ids(self) -> Tensor:
        """(pictures, columns) of prompt and text."""
        found: Tensor = self.inputs["input_ids"]
        return found

    @cached_property
    def image(self) -> Tensor:
        """(pictures, columns) bool, which hold image tokens."""
        columns = self.view.image_columns(**self.prompt_inputs)
        return nn.functional.pad(columns, (0, self.ids.shape[1] - self.length))

    @cached_property
    def real(self) -> Tensor:
        """(pictures, columns) bool, which hold no padding."""
        mask = self.prompt_inputs.get("attention_mask")
        prompt = torch.ones_like(self.ids[:, : self.length]) if mask is None else mask
        texts = torch.arange(self.ids.shape[1] - self.length, device=prompt.device)
        lengths = torch.tensor([len(one.ids) for one in self.told], device=prompt.device)
        return torch.cat([prompt.bool(), texts < lengths[:, None]], 1)

    @cached_property
    def visible(self) -> Tensor:
        """(pictures, columns) float, how many tokens each row can attend to, itself among them."""
        return self.real.cumsum(1).float()

    @cached_property
    def words(self) -> tuple[Tensor, Tensor, Tensor]:
        """All texts' object words, one after the other: picture, token index and token id."""
        found = [
            (row, word.token, one.ids[word.token])
            for row, one in enumerate(self.told)
            for word in one.words
        ]
        table = torch.tensor(found, dtype=torch.long).view(-1, 3).to(self.ids.device)
        return table[:, 0], table[:, 1], table[:, 2]

    @property
    def prompt(self) -> Prompt:
        """The prompts as methods see them."""
        return Prompt(self.view, self.prompt_inputs, self.image[:, : self.length], None)

    def predicts(self, steps: range) -> Tensor:
        """(pictures, steps) bool, whether a token of the text is predicted there."""
        at = slice(self.length + steps.start, self.length + steps.stop)
        return self.real[:, at]

    def by_picture(self, values: Tensor) -> list[list[Any]]:
        """Values of words (words, ...) as nested lists, picture by picture."""
        counts = [len(one.words) for one in self.told]
        return [part.tolist() for part in torch.split(values, counts)]


class TextProbe(Probe):
    """Sees a reading of prompts and texts; override what is needed, the engine's `Probe.take_state`
    and `Probe.take_added` among it, and nothing else is computed.

    Attributes:
        registers: read under these; probes with equal ones share a forward.
    """

    registers: FarSight | None = None

    def __init__(self, batch: Batch) -> None:
        self.batch = batch

    def take_text(self, layer: int, steps: range, weights: Tensor) -> None:
        """The rows that predict tokens `steps` of the texts, (pictures, heads, steps, columns);
        with registers they sum to less than 1."""

    def take_prompt(self, layer: int, blocks: Iterator[tuple[range, Tensor]]) -> None:
        """The prompt's rows: (rows, (pictures, heads, rows, prompt columns)), in order."""

    def results(self) -> list[dict[str, Any]]:
        """The notes of each picture, JSON types only."""
        raise NotImplementedError

    def wants(self, what: str) -> bool:
        return getattr(type(self), what) is not getattr(TextProbe, what)


class _Rows(Probe):
    """Hands each layer's rows to all text probes of a forward, each block computed once."""

    def __init__(self, batch: Batch, probes: Sequence[TextProbe]) -> None:
        self.length = batch.length
        self.of_prompt = [probe for probe in probes if probe.wants("take_prompt")]
        self.of_texts = [probe for probe in probes if probe.wants("take_text")]

    def take_rows(self, call: Call) -> None:
        length = self.length
        for probe in self.of_prompt:
            blocks = call.row_blocks(_ROWS, 0, length)
            probe.take_prompt(call.layer, ((rows, w[..., :length]) for rows, w in blocks))
        if self.of_texts:
            for rows, weights in call.row_blocks(_ROWS, length - 1, call.n_queries - 1):
                steps = range(rows.start - length + 1, rows.stop - length + 1)
                for probe in self.of_texts:
                    probe.take_text(call.layer, steps, weights)


def read(batch: Batch, probes: Sequence[TextProbe], processor: Any = None) -> None:
    """Read the batch once for each kind of registers, seen by all probes."""
    for registers in dict.fromkeys(probe.registers for probe in probes):
        together = [probe for probe in probes if probe.registers == registers]
        methods = Stack(() if registers is None else (registers,))
        seen = [_Rows(batch, together), *together]
        session = methods(batch.view.model, processor=processor, probes=seen)
        with torch.no_grad(), options.explained(), session:
            batch.view.model(**batch.inputs, use_cache=False, logits_to_keep=1)


def _padded(texts: Sequence[Sequence[int]]) -> Tensor:
    """Texts as one tensor; a shorter one is filled up with its last token, which nothing before it
    can see."""
    longest = max(map(len, texts))
    said = torch.zeros(len(texts), longest, dtype=torch.long)
    for row, text in enumerate(texts):
        last = text[-1] if text else next((other[0] for other in texts if other), 0)
        said[row] = torch.tensor([*text, *[last] * (longest - len(text))])
    return said
