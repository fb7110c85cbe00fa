"""The contract that every method keeps, to run on your own: ``check_method(MyMethod())``.

It needs no network and no accelerator: the bundled model and a random one with grouped heads serve.
Each check either holds or raises `ContractError`; a way of decoding that a method declares in
`Method.refuses` must indeed be refused, and every other one must be right. Methods that act on the
steps of a generation are held to it in `steps`, those that act on texts in `texts`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from seesay.engine import Method
from seesay.models.loading import load_model
from seesay.testing import steps, texts
from seesay.testing.contract import ContractError

__all__ = ["Check", "ContractError", "check_method", "offline_models"]


class Check(NamedTuple):
    """One check's outcome: "held", or "refused: " or "stands aside: " and the reason."""

    model: str
    name: str
    outcome: str


def check_method(method: Method, model: Any = None, processor: Any = None) -> list[Check]:
    """Run the contract on `method`.

    Args:
        method: the method with the settings to test; they should have an effect.
        model, processor: what to run on; by default `offline_models`.

    Returns the checks that held, and the ways of decoding that were refused as declared.

    Raises:
        ContractError: a check failed.
    """
    models = {"given": (model, processor)} if model is not None else offline_models()
    case = texts.TextCase if method.acts_on == "texts" else steps.StepCase
    return [
        Check(name, *outcome)
        for name, (one, its_processor) in models.items()
        for outcome in case(method, one, its_processor).outcomes()
    ]


def offline_models() -> dict[str, tuple[Any, Any]]:
    """The bundled model, and a random one of its shape with two query heads to a key head."""
    bundled, processor = load_model()
    config = type(bundled.config).from_dict(bundled.config.to_dict())
    config.text_config.num_key_value_heads = config.text_config.num_attention_heads // 2
    state = torch.random.get_rng_state()
    torch.manual_seed(0)
    grouped = type(bundled)(config).eval().requires_grad_(False)
    for parameter in grouped.parameters():
        if parameter.dim() > 1:
            parameter.normal_(0, 0.2)  # large enough that attention is far from uniform
    torch.random.set_rng_state(state)
    grouped.generation_config = bundled.generation_config
    # A random model may say an image token, which no model would accept back.
    grouped.get_output_embeddings().weight[config.image_token_id] = 0
    return {"bundled": (bundled, processor), "grouped heads": (grouped, processor)}
