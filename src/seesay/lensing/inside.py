"""One forward of a model over a prompt and a text so far, with what goes on inside written down.

Nothing changes: hooks read hidden states, a session that acts nowhere reads attention, and both are
gone afterwards. The logit lens reads a layer's image tokens as they come, some at a time, so no
hidden state outlives its layer and no (patches × vocabulary × layers) tensor is ever held.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from seesay.engine import Method, Stack
from seesay.engine.state import Run
from seesay.errors import ModelError
from seesay.models.view import ModelView

_AT_ONCE = 64  # image tokens under the head at once


@dataclass(frozen=True, eq=False)
class Inside:
    """What goes on as a model predicts one token behind one prompt.

    Attributes:
        attention: (layers, heads, image tokens) of the row that predicts, float32.
        contribution: (layers,) lm_head(attention's output at that row)[token].
        reads: (layers, image tokens) the likeliest vocabulary entry of each hidden state.
        sure: (layers, image tokens) its probability.
        says: (layers, image tokens) the probability of the token.
        logits: (vocabulary,) that the token is chosen from, float32.
    """

    attention: Tensor
    contribution: Tensor
    reads: Tensor
    sure: Tensor
    says: Tensor
    logits: Tensor


def look_inside(
    view: ModelView, inputs: Mapping[str, Any], token: int, *, norm: bool = True
) -> Inside:
    """Read what goes on as the model predicts `token`.

    Args:
        inputs: of the model, one prompt, with the text up to the token behind it;
            see `engine.recording.with_text`.
        norm: whether the logit lens applies the final norm, softmax(lm_head(norm(h))). The code
            published with arXiv 2411.16724 does not.

    Raises:
        EngineError: the model is in a session already.
        ModelError: a layer without an attention module of its own.
    """
    columns = view.image_columns(**inputs)[0].nonzero()[:, 0]
    rows = _Rows(columns)
    lens = _LogitLens(view, columns, token, norm)
    added: dict[int, Tensor] = {}
    with torch.no_grad(), ExitStack() as undo:
        for layer, module in enumerate(view.layers):

            def read(module: nn.Module, args: Any, output: Any, layer: int = layer) -> None:
                lens.read(layer, _first(output)[0])

            def add(module: nn.Module, args: Any, output: Any, layer: int = layer) -> None:
                added[layer] = _first(output)[0, -1]

            undo.callback(module.register_forward_hook(read).remove)
            undo.callback(attention_of(module).register_forward_hook(add).remove)
        undo.enter_context(Stack((rows,))(view.model, processor=view.processor))
        output = view.model(**inputs, use_cache=True, logits_to_keep=1)
        states = torch.stack([added[layer] for layer in range(view.n_layers)])
        contribution = view.head(states)[:, token]
    return Inside(
        attention=torch.stack([rows.seen[layer] for layer in range(view.n_layers)]),
        contribution=contribution.float().cpu(),
        reads=torch.stack(lens.reads),
        sure=torch.stack(lens.sure),
        says=torch.stack(lens.says),
        logits=output.logits[0, -1].float().cpu(),
    )


def attention_of(layer: nn.Module) -> nn.Module:
    """A decoder layer's attention, whose output is that of its output projection."""
    for name, child in layer.named_children():
        if ("attn" in name or "attention" in name) and "norm" not in name:
            return child
    raise ModelError(
        f"{type(layer).__name__} has no attention module of its own (a hybrid decoder), so its "
        "attention cannot be read; use a model whose layers all attend"
    )


@dataclass(frozen=True, repr=False, eq=False)
class _Rows(Method):
    """Changes nothing; keeps each layer's newest row of attention on the image `columns`."""

    columns: Tensor
    seen: dict[int, Tensor] = field(default_factory=dict)

    def compact(self, layer: int, run: Run) -> None:
        weights = run.last_rows[layer].weights[0]  # (heads, columns)
        self.seen[layer] = weights[:, self.columns.to(weights.device)].float().cpu()


class _LogitLens:
    """Reads the hidden states of image columns, layer after layer."""

    def __init__(self, view: ModelView, columns: Tensor, token: int, norm: bool) -> None:
        self.view, self.columns, self.token, self.norm = view, columns, token, norm
        self.reads: list[Tensor] = []
        self.sure: list[Tensor] = []
        self.says: list[Tensor] = []

    def read(self, layer: int, hidden: Tensor) -> None:
        """Take a layer's output (columns, hidden); layers come in order."""
        reads, sure, says = [], [], []
        for chunk in torch.split(hidden[self.columns.to(hidden.device)], _AT_ONCE):
            logits = self.view.read_hidden(chunk, norm=self.norm)
            shares = logits.float().softmax(-1)  # (image tokens, vocabulary)
            best = shares.max(-1)
            reads.append(best.indices.cpu())
            sure.append(best.values.cpu())
            says.append(shares[:, self.token].cpu())
        for kept, parts in ((self.reads, reads), (self.sure, sure), (self.says, says)):
            kept.append(torch.cat(parts))


def _first(output: Any) -> Tensor:
    """A module's output, of which some give more than a tensor."""
    tensor: Tensor = output[0] if isinstance(output, tuple) else output
    return tensor
