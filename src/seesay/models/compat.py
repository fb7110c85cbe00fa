"""What differs between versions of transformers and torch; the rest of the code asks here.

A forward's cache argument has had several names, and so has the cache among its outputs: which one
a model takes is read from its signature. Everything of transformers that is not its public face
(cache layers, the attention and mask tables, a processor's parts) is imported here and nowhere
else, so a new release is looked at in one place.
"""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from importlib import metadata
from typing import Any, Final

from torch import Tensor
from transformers.cache_utils import (
    Cache,
    DynamicCache,
    DynamicLayer,
    DynamicSlidingWindowLayer,
    StaticLayer,
)
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS, AttentionInterface
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING
from transformers.processing_utils import ProcessorMixin

from seesay.errors import EngineError, UntestedVersionWarning

__all__ = [
    "Cache",
    "DynamicCache",
    "DynamicLayer",
    "DynamicSlidingWindowLayer",
    "ProcessorMixin",
    "StaticLayer",
]

Kernel = Callable[..., tuple[Tensor, Tensor | None]]
"""A function as transformers' AttentionInterface holds them."""

TESTED: Final = {"transformers": ("5.23", "5.24"), "torch": ("2.9", "2.14")}
"""The oldest and newest minor version that tests were run with; `make test-versions` runs all of
them. Before 5.23 transformers reads a padded prompt in chunks wrongly."""

CACHE_NAMES: Final = ("cache", "past_key_values")
"""What forwards call their key-value cache; where one takes several, the first is the newest."""


# ---- versions ----------------------------------------------------------------------------------


@cache
def version(name: str) -> str:
    """An installed distribution's version, whose metadata take 10 ms to read."""
    return metadata.version(name)


def versions() -> dict[str, str]:
    """The versions that a result depends on."""
    return {name: version(name) for name in ("seesay", *reversed(TESTED))}


def broken(what: str) -> EngineError:
    """What to raise where a model does not run as every tested version runs it.

    Args:
        what: what does not hold, as a clause.
    """
    at_work = " and ".join(f"{name} {version(name)}" for name in TESTED)
    tested = " and ".join(f"{name} {old} to {new}" for name, (old, new) in TESTED.items())
    return EngineError(
        f"{what}, so nothing that is read or changed here could be trusted; at work are {at_work}, "
        f"tested were {tested}: install one of those, or report this if it is one"
    )


def untested(name: str) -> bool:
    """Whether a library's minor version is newer than all that were tested."""
    return name in TESTED and minor(version(name)) > minor(TESTED[name][1])


@lru_cache
def check_versions() -> None:
    """Warn, once a process, of libraries that are newer than what was tested.

    Raises:
        EngineError: one that is older, which is known to differ.
    """
    for name, (oldest, _) in TESTED.items():
        if minor(version(name)) < minor(oldest):
            raise EngineError(
                f"{name} {version(name)} is older than {oldest}, the oldest that seesay works "
                f"with; upgrade it: pip install '{name}>={oldest}'"
            )
    newer = [
        f"{name} {version(name)} is newer than {newest}"
        for name, (_, newest) in TESTED.items()
        if untested(name)
    ]
    if newer:
        warnings.warn(
            f"{' and '.join(newer)}, the newest that seesay {version('seesay')} was tested with; "
            "if a result looks wrong, go back to that one",
            UntestedVersionWarning,
            stacklevel=2,
        )


def minor(number: str) -> tuple[int, ...]:
    """Major and minor version: (5, 24) of "5.24.1"."""
    return tuple(int(part) for part in re.findall(r"\d+", number)[:2])


# ---- the cache of a forward --------------------------------------------------------------------


def cache_name(module: Any) -> str:
    """What the forward of `module` calls its key-value cache.

    Raises:
        EngineError: a forward whose signature holds none of the names that are known.
    """
    taken = inspect.signature(module.forward).parameters
    found = next((name for name in CACHE_NAMES if name in taken), None)
    if found is None:
        raise broken(
            f"the forward of {type(module).__name__} takes no cache under a name that is known "
            f"here ({', '.join(CACHE_NAMES)})"
        )
    return found


def cache_in(arguments: Mapping[str, Any]) -> Cache | None:
    """The cache among the arguments of a forward or of generate, under whichever name: newer
    models take the older one too, and rename it behind the hooks that ask here."""
    return next((arguments[name] for name in CACHE_NAMES if name in arguments), None)


def cache_kinds(config: Any) -> set[str]:
    """The classes of layers that generate's own cache has for a decoder of this config."""
    return {type(layer).__name__ for layer in DynamicCache(config=config).layers}


CACHE_LAYERS: Final = frozenset({
    "DynamicLayer", "DynamicSlidingWindowLayer", "StaticLayer", "StaticSlidingWindowLayer",
    "QuantizedLayer", "QuantoQuantizedLayer", "HQQQuantizedLayer", "LinearAttentionLayer",
    "LinearAttentionAndFullAttentionLayer", "LinearAttentionAndSlidingWindowAttentionLayer",
    "LinearAttentionAndStaticFullAttentionLayer", "DummyLayer",
    "LinearAttentionAndStaticSlidingWindowAttentionLayer",
})  # fmt: skip
"""transformers' cache layers that hand out keys in order: all columns, or the newest of them."""


def unknown_layer(cache: Any) -> str | None:
    """The class of a cache's layer of which it is not known what it hands out; None if all are."""
    for layer in getattr(cache, "layers", ()):
        kind = type(layer)
        known = kind.__name__ in CACHE_LAYERS and kind.__module__.startswith("transformers.")
        if not known and not kind.__module__.startswith("seesay."):
            return kind.__name__
    return None


def with_answer_types(model: Any, types: Tensor, count: int) -> Tensor:
    """Token types (rows, columns) of a prompt with those that generate gives `count` tokens behind
    it: in a family that reads a prompt in both directions they mark where the answer begins."""
    for _ in range(count):
        given = model._update_model_kwargs_for_generation({}, {"token_type_ids": types})
        types = given["token_type_ids"]
    return types


# ---- attention ---------------------------------------------------------------------------------


def implementation(decoder: Any) -> str:
    """The name of the attention function that `decoder` runs on: "eager", "sdpa", ..."""
    return str(decoder.config._attn_implementation)


def attention_function(name: str) -> Kernel:
    """The attention function that is registered under `name`."""
    return ALL_ATTENTION_FUNCTIONS[name]  # type: ignore[no-any-return]


@contextmanager
def registered(name: str, attend: Kernel, *, masks: str) -> Iterator[None]:
    """`attend` under `name` in transformers' table inside the block, with the masks of another.

    Without a mask function under the same name transformers passes no mask at all, silently, and
    left-padded rows attend to padding.
    """
    AttentionInterface.register(name, attend)
    AttentionMaskInterface.register(name, ALL_MASK_ATTENTION_FUNCTIONS[masks])
    try:
        yield
    finally:
        # There is no public way to take a registered name back.
        for table in (AttentionInterface, AttentionMaskInterface):
            table._global_mapping.pop(name, None)


# ---- processors --------------------------------------------------------------------------------


def processor_of(config: Any) -> type[Any] | None:
    """The processor of a config's family; None if transformers knows of none."""
    return PROCESSOR_MAPPING.get(type(config), None)  # type: ignore[no-any-return]


def encodes_ahead(model: Any) -> bool:
    """Whether generate encodes images before the first forward and hands the features on."""
    return "mm_encoder_outputs" in inspect.signature(model.forward).parameters


# ---- LLaVA-NeXT's own arithmetic, which has no public name --------------------------------------


def without_padding(cells: Tensor, size: Sequence[int]) -> Tensor:
    """The cells (channels, rows, columns) of a canvas that show an image of `size` (height, width),
    as the model drops the others."""
    from transformers.models.llava_next.modeling_llava_next import unpad_image

    return unpad_image(cells, size)  # type: ignore[no-any-return]


def crop_grid(size: Sequence[int], pinpoints: Any, side: int) -> tuple[int, int]:
    """Into how many rows and columns of square crops an image of `size` (height, width) is cut."""
    from transformers.models.llava_next.modeling_llava_next import get_anyres_image_grid_shape

    rows, columns = get_anyres_image_grid_shape(size, pinpoints, side)
    return rows, columns
