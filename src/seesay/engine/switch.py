"""Which attention function a decoder runs on: switching it, and putting it back."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS, AttentionInterface

Kernel = Callable[..., tuple[Tensor, Tensor | None]]
"""A function as transformers' AttentionInterface holds them."""


@contextmanager
def switched(decoder: Any, name: str, attend: Kernel) -> Iterator[None]:
    """Run `decoder` on the attention function `attend`, and put everything back on the way out.

    The mask function is registered under the same name: without it transformers passes no mask at
    all, silently, and left-padded rows attend to padding.
    """
    before = decoder.config._attn_implementation
    masks = "eager" if before == "eager" else "sdpa"
    AttentionInterface.register(name, attend)
    AttentionMaskInterface.register(name, ALL_MASK_ATTENTION_FUNCTIONS[masks])
    try:
        decoder.set_attn_implementation(name)
        yield
    finally:
        decoder.set_attn_implementation(before)
        # There is no public way to take a registered name back.
        for table in (AttentionInterface, AttentionMaskInterface):
            table._global_mapping.pop(name, None)


@contextmanager
def shadowed(owner: Any, name: str, value: Any) -> Iterator[None]:
    """`owner.name` is `value` inside the block, on this one instance."""
    own, before = name in vars(owner), vars(owner).get(name)
    vars(owner)[name] = value
    try:
        yield
    finally:
        if own:
            vars(owner)[name] = before
        else:
            vars(owner).pop(name, None)


def original_kernel(decoder: Any) -> Kernel:
    """The kernel that `decoder` uses now, for layers that nothing touches.

    Flash kernels take masks of another form; under a session their place is taken by torch's
    scaled_dot_product_attention, which picks a flash kernel itself where it can.
    """
    if decoder.config._attn_implementation != "eager":
        return ALL_ATTENTION_FUNCTIONS["sdpa"]  # type: ignore[no-any-return]

    def eager(module: nn.Module, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor | None]:
        home = sys.modules[type(module).__module__]
        return home.eager_attention_forward(module, *args, **kwargs)  # type: ignore[no-any-return]

    return eager


def current_kernel(decoder: Any) -> Kernel:
    """As `original_kernel`, but a session's own function in a session, which may stand aside."""
    name = decoder.config._attn_implementation
    if name.startswith("seesay-"):
        return ALL_ATTENTION_FUNCTIONS[name]  # type: ignore[no-any-return]
    return original_kernel(decoder)
