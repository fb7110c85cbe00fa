"""Key-value entries kept, merged and dropped: a cache layer shorter than the text it stands for.

Logical length is what the model counts (positions, the width of its masks); physical length is
what the layer holds. Keys keep the rotation they were cached with, so later tokens keep their true
positions (unless a method has them counted by the cache, see `positions`); the layer brings its own
mask, since the model's speaks of logical columns.

Positions that follow from a shortened cache, for methods that ask (`Method.reindexes_positions`).

A decoder turns positions into rotations once a forward and hands them to all layers. Once layers
have lost different numbers of entries, each gets rotations of its own: the same module is asked
again, with each row's positions less the entries that the layer has lost of this row. Everything
else about positions (several axes, kinds of layers, scaling) stays the decoder's own affair.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from seesay.engine.method import Method, Stack
from seesay.engine.state import GenerationState, ImageColumns
from seesay.errors import EngineError
from seesay.models.compat import DynamicLayer
from seesay.models.view import ModelView

if TYPE_CHECKING:
    from seesay.engine.method import Method
    from seesay.engine.state import GenerationState

_BY_ROW = ("keys", "values", "origin", "valid", "lost")


@dataclass(frozen=True)
class LastRow:
    """The newest row of attention of one layer.

    Attributes:
        query: (rows, heads, head_dim), rotated.
        weights: (rows, heads, columns) float32 over the layer's physical entries.
        image: which of the entries are image tokens.
    """

    query: Tensor
    weights: Tensor
    image: ImageColumns


@dataclass(frozen=True)
class KeptEntries:
    """What `Method.compact` decides for one layer; the same counts for every row and head.

    Attributes:
        entries: (rows, kv_heads, kept) long, ascending: the physical entries that stay.
        keys, values: (rows, kv_heads, merged, head_dim), entries that stand for dropped ones.
        valid: (rows, kv_heads, merged) False where one only fills up to the count of other rows.
        notes: by name, (rows, heads, merged): what is noted beside them, 0 if nothing is given.
    """

    entries: Tensor
    keys: Tensor | None = None
    values: Tensor | None = None
    valid: Tensor | None = None
    notes: Mapping[str, Tensor] = field(default_factory=dict)


class CompactedLayer(DynamicLayer):  # type: ignore[misc]  # transformers is untyped here
    """A cache layer that holds fewer entries than the text has tokens.

    Attributes:
        origin: (rows, kv_heads, entries) the logical column of each entry, −1 if merged.
        valid: (rows, kv_heads, entries) False on padding.
        lost: (rows,) how many entries fewer than tokens each row has, padding not counted.
        logical: tokens that the layer stands for.
    """

    keys: Tensor
    values: Tensor
    origin: Tensor
    valid: Tensor
    lost: Tensor
    logical: int

    @classmethod
    def of(cls, layer: Any, kept: KeptEntries, padding: Tensor | None) -> CompactedLayer:
        """Compact `layer`, a dynamic cache layer or one compacted before.

        Args:
            padding: (rows, columns) the model's attention mask, 0 on padding; None without any.

        Raises:
            EngineError: a cache layer of another kind (static, quantized, sliding).
        """
        refuse_other_caches(layer)
        origin, valid = entries_of(layer, padding)
        logical = layer.logical if isinstance(layer, cls) else layer.keys.shape[2]
        wide = kept.entries[..., None].expand(-1, -1, -1, layer.keys.shape[-1])
        new = cls()
        new.lazy_initialization(layer.keys, layer.values)
        new.keys, new.values = layer.keys.gather(2, wide), layer.values.gather(2, wide)
        new.origin, new.valid = origin.gather(2, kept.entries), valid.gather(2, kept.entries)
        new.logical = logical
        if kept.keys is not None and kept.values is not None:
            new._append(kept.keys, kept.values, origin=-1, valid=kept.valid)
        before = layer.lost if isinstance(layer, cls) else 0
        new.lost = before + valid[:, 0].sum(-1) - new.valid[:, 0].sum(-1)
        return new

    # ---- what transformers asks a cache layer ----------------------------------------------

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        self._append(key_states, value_states, origin=self.logical)
        self.logical += key_states.shape[2]
        return self.keys, self.values

    def get_seq_length(self) -> int:
        return self.logical

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.logical + query_length, 0

    def reorder_cache(self, beam_idx: Tensor) -> None:
        self.batch_select_indices(beam_idx.to(self.keys.device))

    def batch_select_indices(self, indices: Tensor) -> None:
        for name in _BY_ROW:
            setattr(self, name, getattr(self, name)[indices])

    def batch_repeat_interleave(self, repeats: int) -> None:
        for name in _BY_ROW:
            setattr(self, name, getattr(self, name).repeat_interleave(repeats, dim=0))

    def crop(self, tokens_to_remove: int) -> None:
        raise EngineError(
            "a compacted cache cannot be cut back (assisted decoding does so); "
            "generate without an assistant or without compaction"
        )

    # ---- what the attention function asks --------------------------------------------------

    def mask(self, queries: int, heads: int) -> Tensor | None:
        """(rows, heads, queries, entries) bool for the newest `queries`, None if all is open."""
        if queries == 1 and bool(self.valid.all()):
            return None
        open_to = self.valid[:, :, None].expand(-1, -1, queries, -1).clone()
        triangle = torch.ones(queries, queries, dtype=torch.bool, device=open_to.device).tril()
        open_to[..., -queries:] &= triangle
        return open_to.repeat_interleave(heads // open_to.shape[1], dim=1)

    def image_columns(self, image: ImageColumns, heads: int) -> ImageColumns:
        """Which of the physical entries are image tokens, given the logical `image` columns."""
        width = image.mask.shape[1]
        known = (self.origin >= 0) & (self.origin < width)
        at = self.origin.clamp(0, width - 1)
        rows = torch.arange(at.shape[0], device=at.device)[:, None, None]
        inside = (image.mask[rows, at] & known).repeat_interleave(heads // at.shape[1], dim=1)
        return ImageColumns(inside.any(1), 0, inside.shape[-1], inside.float())

    def _append(
        self, keys: Tensor, values: Tensor, *, origin: int, valid: Tensor | None = None
    ) -> None:
        """Add entries; the first of them stands at logical column `origin`, −1 for merged ones."""
        count = keys.shape[2]
        at = torch.full((count,), -1, device=keys.device)
        if origin >= 0:
            at = torch.arange(origin, origin + count, device=keys.device)
        self.keys = torch.cat([self.keys, keys], dim=2)
        self.values = torch.cat([self.values, values], dim=2)
        head = (*keys.shape[:2], count)
        self.origin = torch.cat([self.origin, at.expand(head)], dim=2)
        if valid is None:
            valid = torch.ones_like(at, dtype=torch.bool).expand(head)
        self.valid = torch.cat([self.valid, valid], dim=2)


def refuse_other_caches(layer: Any) -> None:
    """Raise EngineError if a cache layer is of a kind whose entries cannot be dropped."""
    if type(layer) not in (DynamicLayer, CompactedLayer):
        raise EngineError(
            f"compaction needs a dynamic cache, but a layer is a {type(layer).__name__}; "
            "generate without cache_implementation"
        )


def entries_of(layer: Any, padding: Tensor | None) -> tuple[Tensor, Tensor]:
    """`CompactedLayer.origin` and `CompactedLayer.valid` of any dynamic cache layer."""
    if isinstance(layer, CompactedLayer):
        return layer.origin, layer.valid
    rows, kv_heads, entries, _ = layer.keys.shape
    origin = torch.arange(entries, device=layer.keys.device).expand(rows, kv_heads, -1)
    real = torch.ones(rows, entries, device=layer.keys.device, dtype=torch.bool)
    if padding is not None:
        real[:, : padding.shape[1]] = padding[:, :entries].bool()
    return origin, real[:, None].expand(rows, kv_heads, -1)


def prune(layers: dict[int, tuple[Method, ...]], run: GenerationState) -> None:
    """After a forward: ask the methods of each layer what stays, and replace the cache layers."""
    for layer, methods in layers.items():
        for method in methods:
            kept = method.prune_cache(layer, run)
            if kept is not None:
                cache_layers = run.cache.layers
                _compact_notes(run.notes.get(layer, {}), kept, cache_layers[layer].keys.shape[2])
                cache_layers[layer] = CompactedLayer.of(cache_layers[layer], kept, run.padding)


def noted(run: GenerationState, layer: int, name: str, like: Tensor) -> Tensor:
    """What is noted beside the cache entries of a layer: `like`'s shape, 0 where nothing was yet.

    Put it back into ``run.notes[layer][name]`` once it is changed.

    Args:
        like: (rows, heads, entries).
    """
    note = run.notes.setdefault(layer, {}).get(name)
    return torch.zeros_like(like) if note is None else _grown(note, like.shape[-1])


def _compact_notes(notes: dict[str, Tensor], kept: KeptEntries, entries: int) -> None:
    """Notes of the entries that stay, then those of the merged ones."""
    for name, note in notes.items():
        groups = note.shape[1] // kept.entries.shape[1]
        stay = _grown(note, entries).gather(2, kept.entries.repeat_interleave(groups, dim=1))
        if kept.keys is not None:
            none = note.new_zeros(*note.shape[:2], kept.keys.shape[2])
            stay = torch.cat([stay, kept.notes.get(name, none)], dim=2)
        notes[name] = stay


def _grown(note: Tensor, entries: int) -> Tensor:
    more = entries - note.shape[-1]
    return functional.pad(note, (0, more)) if more else note


_ROTARY, _ROTATIONS, _POSITIONS = "rotary_emb", "position_embeddings", "position_ids"


@contextmanager
def recounted(
    view: ModelView, stack: Stack, current: Callable[[], GenerationState | None]
) -> Iterator[None]:
    """Inside the block a token stands, in each layer, right behind what the layer's cache holds.

    Does nothing unless a method of `stack` asks for it.

    Args:
        current: the run at hand; None while the model works for itself.

    Raises:
        EngineError: a decoder that does not hand its layers the rotations of a module named
            rotary_emb; when the session opens, or else at the first forward.
    """
    asking = [method for method in stack.parts if method.active and method.reindexes_positions]
    if not asking:
        yield
        return
    decoder = view.decoder
    rotary = [m for name, m in decoder.named_modules() if name.rpartition(".")[2] == _ROTARY]
    if not rotary:
        raise _unknown(asking[0], decoder)
    positions = _Recounted(asking[0], decoder, current)
    with ExitStack() as undo:
        undo.callback(decoder.register_forward_pre_hook(positions.forget).remove)
        for module in rotary:
            hook = module.register_forward_hook(positions.remember, with_kwargs=True)
            undo.callback(hook.remove)
        for index, layer in enumerate(view.layers):
            shift = positions.shift(index)
            undo.callback(layer.register_forward_pre_hook(shift, with_kwargs=True).remove)
        yield


@dataclass
class _Recounted:
    """The hooks of one session, and the rotations of the forward at hand."""

    method: Method
    decoder: nn.Module
    current: Callable[[], GenerationState | None]
    made: list[tuple[Any, nn.Module, dict[str, Any]]] = field(default_factory=list)

    def forget(self, decoder: nn.Module, args: tuple[Any, ...]) -> None:
        self.made.clear()

    def remember(
        self, rotary: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any
    ) -> None:
        given = inspect.signature(rotary.forward).bind(*args, **kwargs).arguments
        self.made.append((output, rotary, given))

    def shift(self, index: int) -> Callable[..., Any]:
        """The hook of one layer."""

        def hook(layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            run = self.current()
            if run is None:
                return None
            rotations = kwargs.get(_ROTATIONS)
            found = (call for call in self.made if call[0] is rotations)
            _, rotary, given = next(found, (None, None, {}))
            if rotary is None or not isinstance(given.get(_POSITIONS), Tensor):
                raise _unknown(self.method, self.decoder)
            cached = run.cache.layers if run.cache is not None else ()
            if index >= len(cached) or not isinstance(cached[index], CompactedLayer):
                return None
            own = given[_POSITIONS] - cached[index].lost[:, None].to(given[_POSITIONS].device)
            # Not rotary(...), which `remember` would take for the decoder's own call.
            return args, {**kwargs, _ROTATIONS: rotary.forward(**{**given, _POSITIONS: own})}

        return hook


def _unknown(method: Method, decoder: nn.Module) -> EngineError:
    return EngineError(
        f"{method} counts positions by each layer's cache, which {type(decoder).__name__} does not "
        f"let it: its layers are not given what a {_ROTARY} makes of positions; choose "
        "positions='true'"
    )
