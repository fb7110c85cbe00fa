"""How questions are laid out behind a cached prompt: tensors of one forward.

A prompt's questions stand end to end in its row, each in a slot of one width at whose right end it
stands, so all of them end at the same columns. A mask shows each question its part of the prompt
and itself; positions go on from where it leaves the prompt.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from seesay.compat import (
    DynamicCache,
    DynamicLayer,
    DynamicSlidingWindowLayer,
    StaticLayer,
    implementation,
)
from seesay.engine.compaction import CompactedLayer
from seesay.errors import EngineError

if TYPE_CHECKING:
    from seesay.models import ModelView


class Branch(NamedTuple):
    """A question: the column at which it leaves its prompt, and its tokens from there on."""

    column: int
    ids: list[int]


class Prefix(NamedTuple):
    """Keys and values (rows, kv_heads, columns, head_dim) of a layer's prompt columns, and how
    many columns back the layer looks (None: all)."""

    keys: Tensor
    values: Tensor
    window: int | None


class Laid(NamedTuple):
    """The input of one forward.

    Attributes:
        ids, positions: (rows, slots · width) long.
        mask: (rows, 1, slots · width, columns + slots · width) bool, True where open.
        ends: (slots,) long, the last token of each slot.
        tokens: how many tokens are no padding.
    """

    ids: Tensor
    positions: Tensor
    mask: Tensor
    ends: Tensor
    tokens: int


def lay_out(branches: Sequence[Sequence[Branch]], real: Tensor, positions: Tensor) -> Laid:
    """Questions as tensors.

    Args:
        branches: each row's questions, at least one.
        real, positions: (rows, columns) of the prompts up to the last column that a question
            shares: where they are no padding, and their positions.
    """
    rows, columns = real.shape
    slots = max(map(len, branches))
    width = max(len(branch.ids) for its in branches for branch in its)
    ids = torch.zeros(rows, slots, width, dtype=torch.long)
    at, own = torch.zeros_like(ids), torch.zeros_like(ids, dtype=torch.bool)
    shared = torch.zeros(rows, slots, columns, dtype=torch.bool)
    shared[:, :, 0] = True  # an empty slot attends to something, and is never read
    real, positions = real.cpu(), positions.cpu()
    for row, its in enumerate(branches):
        for slot, (column, tokens) in enumerate(its):
            begin = int(positions[row, :column].max()) + 1
            ids[row, slot, -len(tokens) :] = torch.tensor(tokens)
            at[row, slot, -len(tokens) :] = torch.arange(begin, begin + len(tokens))
            own[row, slot, -len(tokens) :] = True
            shared[row, slot] = real[row] & (torch.arange(columns) < column)
    ends = torch.arange(1, slots + 1) * width - 1
    return Laid(ids.flatten(1), at.flatten(1), _mask(shared, own), ends, int(own.sum()))


def _mask(shared: Tensor, own: Tensor) -> Tensor:
    """`Laid.mask`.

    Args:
        shared: (rows, slots, columns) bool, the part of the prompt that a question shares.
        own: (rows, slots, width) bool, where a slot holds its question.
    """
    _, slots, width = own.shape
    prompt = shared[:, :, None].expand(-1, -1, width, -1)
    same = torch.eye(slots, dtype=torch.bool)[:, None, :, None]
    before = torch.ones(width, width, dtype=torch.bool).tril()[None, :, None]
    mine = (same & before & own[:, None, None]).flatten(3)  # (rows, slots, width, slots · width)
    return torch.cat([prompt, mine], -1).flatten(1, 2)[:, None]


def additive(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """A mask as the eager kernel too takes it: 0 where open, the lowest number elsewhere."""
    closed = torch.zeros(mask.shape, dtype=dtype, device=mask.device)
    return closed.masked_fill(~mask, torch.finfo(dtype).min)


def prefix_of(layer: Any, rows: slice, columns: int) -> Prefix:
    """A cache layer's entries of the prompt, as views where the cache will not write over them.

    Raises:
        EngineError: a kind of layer that does not hold all of the prompt, or not in order.
    """
    window = None
    if isinstance(layer, CompactedLayer):
        first = torch.arange(columns, device=layer.keys.device)
        origin = layer.origin[rows, :, :columns]
        intact = origin.shape[-1] == columns and bool((origin == first).all())
    elif type(layer) is DynamicSlidingWindowLayer:
        window = int(layer.sliding_window)
        intact = layer.keys.shape[2] == layer.get_seq_length() >= columns
    else:
        intact = type(layer) in (DynamicLayer, StaticLayer) and layer.get_seq_length() >= columns
    if not intact:
        raise EngineError(
            f"the cache does not hold the prompt entry by entry (a {type(layer).__name__}), so no "
            "question can go on from it; use Fork.fresh, which encodes the pictures once more"
        )
    keys, values = layer.keys[rows, :, :columns], layer.values[rows, :, :columns]
    if type(layer) is StaticLayer:  # the next generation may fill the same memory
        keys, values = keys.clone(), values.clone()
    return Prefix(keys, values, window)


def refuse_far(layers: Sequence[Prefix], position: int) -> None:
    """Raise EngineError if a layer no longer looks back to the prompt's beginning at `position`."""
    windows = [layer.window for layer in layers if layer.window is not None]
    if windows and position >= min(windows):
        raise EngineError(
            f"a question at position {position} reaches past this model's sliding window of "
            f"{min(windows)}, which would hide the picture's beginning; use smaller pictures"
        )


def cache_of(layers: Sequence[Prefix], rows: Sequence[int], columns: int) -> DynamicCache:
    """A cache of the first columns of some rows; what it grows by is its own.

    The mask comes with the forward, so a layer with a sliding window needs no kind of its own.
    """
    cache = DynamicCache()
    for keys, values, _ in layers:
        layer = DynamicLayer()
        layer.lazy_initialization(keys, values)
        all_rows = list(rows) == list(range(len(keys)))
        at = slice(None) if all_rows else torch.tensor(rows, device=keys.device)
        layer.keys, layer.values = keys[at, :, :columns], values[at, :, :columns]
        cache.layers.append(layer)
    return cache


def real_columns(inputs: Mapping[str, Any]) -> Tensor:
    """(rows, columns) bool, False on padding."""
    mask = inputs.get("attention_mask")
    return torch.ones_like(inputs["input_ids"], dtype=torch.bool) if mask is None else mask.bool()


def positions_of(view: ModelView, inputs: Mapping[str, Any]) -> Tensor:
    """The prompts' positions as generate gives them, (rows, columns); of families that count time,
    height and width apart the highest of the three, which is what text goes on from."""
    find = getattr(view.model.base_model, "get_rope_index", None)
    if find is None:
        return (real_columns(inputs).long().cumsum(-1) - 1).clamp(min=0)
    taken = inspect.signature(find).parameters.keys() & inputs.keys()
    positions: Tensor = find(**{name: inputs[name] for name in taken})[0]
    return positions.amax(0)


def logits_at(view: ModelView, columns: int | Tensor) -> dict[str, Any]:
    """The argument that limits logits to the last columns, or to some, where the model takes it."""
    takes = "logits_to_keep" in inspect.signature(view.language_model.forward).parameters
    return {"logits_to_keep": columns} if takes else {}


@contextmanager
def maskable(decoder: Any) -> Iterator[None]:
    """Run `decoder` on a kernel that takes a mask for each query; flash kernels do not."""
    before = implementation(decoder)
    if before in ("eager", "sdpa") or before.startswith("seesay-"):  # a session's takes both
        yield
        return
    decoder.set_attn_implementation("sdpa")
    try:
        yield
    finally:
        decoder.set_attn_implementation(before)
