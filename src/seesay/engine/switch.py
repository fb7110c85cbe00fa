"""Which attention function a decoder runs on: switching it, and putting it back."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from seesay.compat import Kernel, attention_function, implementation, registered


@contextmanager
def switched(decoder: Any, name: str, attend: Kernel) -> Iterator[None]:
    """Run `decoder` on the attention function `attend`, and put everything back on the way out."""
    before = implementation(decoder)
    with registered(name, attend, masks="eager" if before == "eager" else "sdpa"):
        try:
            decoder.set_attn_implementation(name)
            yield
        finally:
            decoder.set_attn_implementation(before)


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
    if implementation(decoder) != "eager":
        return attention_function("sdpa")

    def eager(module: nn.Module, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor | None]:
        home = sys.modules[type(module).__module__]
        return home.eager_attention_forward(module, *args, **kwargs)  # type: ignore[no-any-return]

    return eager


def current_kernel(decoder: Any) -> Kernel:
    """As `original_kernel`, but a session's own function in a session, which may stand aside."""
    name = implementation(decoder)
    return attention_function(name) if name.startswith("seesay-") else original_kernel(decoder)
