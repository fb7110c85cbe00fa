"""One forward over prompts and what was said behind them, with notes taken layer by layer.

A text that is read gives the very rows that its generation computed, since attention is causal; so
all rows are there at once and no map has to be kept. `Watch` is a method that changes nothing (or
sets FarSight's registers) and hands each layer's rows, a block at a time, to takers, who keep a few
numbers of each.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor, nn

from seesay import options
from seesay.engine import Method, Stack
from seesay.engine.attention import Call, block_mask, masked, scores_of
from seesay.engine.state import Prompt
from seesay.explain.diagnose.types import DescribedImage
from seesay.explain.lens import attention_of
from seesay.methods.farsight import FarSight, sink_logit
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
        inputs = options.inputs_for(vlm.model, vlm.processor, list(images), prompt)
        joined = _with_texts(inputs, [one.ids for one in told])
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


class Probe:
    """Takes notes of a reading; override what is needed and nothing else is computed.

    Attributes:
        registers: read with these in every layer; takers with equal ones share a forward.
    """

    registers: FarSight | None = None

    def __init__(self, batch: Batch) -> None:
        self.batch = batch

    def take_text(self, layer: int, steps: range, weights: Tensor) -> None:
        """The rows that predict tokens `steps` of the texts, (pictures, heads, steps, columns);
        with registers they sum to less than 1."""

    def take_prompt(self, layer: int, blocks: Iterator[tuple[range, Tensor]]) -> None:
        """The prompt's rows: (rows, (pictures, heads, rows, prompt columns)), in order."""

    def take_state(self, layer: int, hidden: Tensor) -> None:
        """A layer's output (pictures, columns, hidden)."""

    def take_added(self, layer: int, added: Tensor) -> None:
        """What a layer's attention adds, after its output projection; shape as the state."""

    def results(self) -> list[dict[str, Any]]:
        """The notes of each picture, JSON types only."""
        raise NotImplementedError

    def overrides(self, name: str) -> bool:
        return getattr(type(self), name) is not getattr(Probe, name)


def read(batch: Batch, takers: Sequence[Probe], processor: Any = None) -> None:
    """Read the batch once for each kind of registers, with everybody taking notes."""
    kinds = list(dict.fromkeys(taker.registers for taker in takers))
    for registers in kinds:
        _forward(batch, [t for t in takers if t.registers == registers], registers, processor)


def _forward(
    batch: Batch, takers: Sequence[Probe], registers: FarSight | None, processor: Any
) -> None:
    view = batch.view
    with torch.no_grad(), ExitStack() as undo:
        for layer, module in enumerate(view.layers):
            for name, part in (("take_state", module), ("take_added", None)):
                chosen = [taker for taker in takers if taker.overrides(name)]
                if chosen:
                    place = part or attention_of(module)
                    hook = place.register_forward_hook(_telling(chosen, name, layer))
                    undo.callback(hook.remove)
        watch = Watch(batch, tuple(takers), registers)
        undo.enter_context(options.explained())
        undo.enter_context(Stack((watch,))(view.model, processor=processor))
        view.model(**batch.inputs, use_cache=False, logits_to_keep=1)


@dataclass(frozen=True, repr=False, eq=False)
class Watch(Method):
    """Shows takers each layer's rows, in the one verb that sees all rows; changes nothing unless it
    sets registers."""

    batch: Batch
    takers: tuple[Probe, ...]
    registers: FarSight | None = None

    def sink_logit(self, call: Call) -> float | None:
        sink = None if self.registers is None else sink_logit(self.registers.sigma, math.inf)
        length, columns = self.batch.length, call.n_queries
        for taker in self.takers:
            if taker.overrides("take_prompt"):
                prompt = ((rows, w[..., :length]) for rows, w in blocks(call, 0, length, sink))
                taker.take_prompt(call.layer, prompt)
        texts = [taker for taker in self.takers if taker.overrides("take_text")]
        if texts:
            for rows, weights in blocks(call, length - 1, columns - 1, sink):
                steps = range(rows.start - length + 1, rows.stop - length + 1)
                for taker in texts:
                    taker.take_text(call.layer, steps, weights)
        return sink


def blocks(
    call: Call, first: int, stop: int, sink: float | None = None
) -> Iterator[tuple[range, Tensor]]:
    """The softmax map of rows `first` to `stop` (exclusive), in blocks.

    Args:
        sink: the logit of one more entry, whose share is dropped.

    Yields (rows, (pictures, heads, rows, columns) float32).
    """
    for start in range(first, stop, _ROWS):
        rows = range(start, min(start + _ROWS, stop))
        scores = scores_of(call.query[:, :, rows.start : rows.stop], call.key, call.scaling)
        scores = masked(scores, block_mask(call.mask, rows, call.rows_at.start, call.key))
        weights = scores.softmax(-1)
        if sink is not None:
            weights = weights * (scores.logsumexp(-1, keepdim=True) - sink).sigmoid()
        yield rows, weights


def _telling(takers: Sequence[Probe], name: str, layer: int) -> Any:
    """A forward hook that passes a module's output on."""

    def tell(module: nn.Module, args: Any, output: Any) -> None:
        hidden = output[0] if isinstance(output, tuple) else output
        for taker in takers:
            getattr(taker, name)(layer, hidden)

    return tell


def _with_texts(inputs: Mapping[str, Any], texts: Sequence[Sequence[int]]) -> dict[str, Any]:
    """The inputs of prompts with texts behind them.

    A shorter text is filled up with its last token; nothing before it can see that.
    """
    ids: Tensor = inputs["input_ids"]
    longest = max(map(len, texts))
    said = torch.zeros(len(texts), longest, dtype=ids.dtype)
    for row, text in enumerate(texts):
        last = text[-1] if text else next((other[0] for other in texts if other), 0)
        said[row] = torch.tensor([*text, *[last] * (longest - len(text))])
    joined = dict(inputs)
    for name, value in inputs.items():
        if isinstance(value, Tensor) and value.shape == ids.shape:
            # What marks columns marks open text behind the prompt: nothing but the mask is 1.
            more = torch.full_like(said, int(name == "attention_mask"), dtype=value.dtype)
            more = said if name == "input_ids" else more
            joined[name] = torch.cat([value, more.to(value.device)], 1)
    return joined
