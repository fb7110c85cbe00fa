"""The layers of a decoder: which attend, how, and whether a method can act in them.

A family is read by what its code does, not by its name: an attention module is one whose code asks
transformers' attention table for a kernel. What such a module does beside that and is not known
here is refused when a model is looked at, before anything is computed.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Final

from torch import nn

from seesay.errors import ModelError

PASSED_ON: Final = frozenset({
    "cache_position", "cu_seq_lens_k", "cu_seq_lens_q", "dropout", "is_causal", "labels",
    "logits_to_keep", "max_length_k", "max_length_q", "mm_token_type_ids", "num_items_in_batch",
    "output_attentions", "output_hidden_states", "output_router_logits", "position_embeddings",
    "position_ids", "return_dict", "sliding_window", "token_type_ids", "use_cache",
})  # fmt: skip
"""Keywords of an attention call that change no score: windows and order are in the mask."""

UNDERSTOOD: Final = frozenset({"scaling", "softcap", "s_aux", "attention_mask"})
"""Keywords of an attention call whose effect on scores is computed here too."""

_TABLE = "ALL_ATTENTION_FUNCTIONS"
_CALLED = "attention_interface"
_OWN_MASK = "_attn_implementation"


def attention_of(layer: nn.Module) -> nn.Module | None:
    """The module in a decoder layer that attends through transformers' table; None if none does."""
    kinds: Iterator[tuple[nn.Module, Any]] = ((part, type(part)) for part in layer.modules())
    return next((part for part, kind in kinds if _TABLE in _source(kind)), None)


def layers_of(decoder: nn.Module) -> tuple[nn.Module, nn.ModuleList] | None:
    """The first list of layers of which some attend, and the module that holds it."""
    for parent in decoder.modules():
        for child in parent.children():
            if isinstance(child, nn.ModuleList) and any(map(attention_of, child)):
                return parent, child
    return None


def refuse_unknown(attention: nn.Module, name: str) -> None:
    """Raise ModelError if this attention does something that is not known here.

    Args:
        name: of the model, for the message.
    """
    kind: Any = type(attention)
    if unknown := sorted(_keywords(kind) - PASSED_ON - UNDERSTOOD):
        raise ModelError(
            f"{name}: its {kind.__name__} attends with {', '.join(unknown)}, which is not "
            "understood, so what a method or a readout did there could not be trusted; use another "
            "family"
        )
    if _makes_own_mask(kind):
        raise ModelError(
            f"{name}: its {kind.__name__} masks columns by itself under transformers' own kernels "
            "alone (sparse indices), and would attend to all of them under a method; use another "
            "family"
        )


@cache
def _keywords(kind: Any) -> frozenset[str]:
    """The keywords that a class hands to the attention function."""
    calls = (node for node in _nodes(kind) if isinstance(node, ast.Call))
    named = (call for call in calls if isinstance(call.func, ast.Name) and call.func.id == _CALLED)
    return frozenset(word.arg for call in named for word in call.keywords if word.arg)


@cache
def _makes_own_mask(kind: Any) -> bool:
    """Whether a class compares the kernel's name with "sdpa"."""
    compared = (node for node in _nodes(kind) if isinstance(node, ast.Compare))
    return any(_OWN_MASK in (text := ast.unparse(node)) and "'sdpa'" in text for node in compared)


def _nodes(kind: Any) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(_source(kind)))


@cache
def _source(kind: Any) -> str:
    """The code of a class's methods, inherited ones too, without torch's own; "" where it cannot be
    had, and the engine then refuses at the first call."""
    found = []
    for name in dir(kind):
        method = inspect.unwrap(getattr(kind, name))
        if inspect.isfunction(method) and not method.__module__.startswith("torch."):
            try:
                found.append(textwrap.dedent(inspect.getsource(method)))
            except (OSError, TypeError):
                continue
    return "\n".join(found)


def generates_by(model: Any) -> str | None:
    """The name of the part whose `generate` a model's own hands the prompt to; None if it has no
    such part."""
    return _hands_over_to(type(model).generate)


@cache
def _hands_over_to(generate: Callable[..., Any]) -> str | None:
    """`generates_by`, read once of each function: parsing one takes tens of milliseconds."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(generate)))
    except (OSError, TypeError, SyntaxError):
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == "generate":
            part = node.value
            if isinstance(part, ast.Attribute) and ast.unparse(part.value) == "self":
                return part.attr
    return None
