"""Which methods act in which layer."""

from __future__ import annotations

from dataclasses import dataclass

from seesay.engine.method import ATTENTION_VERBS, Method, Stack
from seesay.errors import MethodError
from seesay.models import ModelView


@dataclass(frozen=True)
class LayerPlan:
    """The methods that act in one layer, by verb, and whether the layer is read out."""

    rewrite_qk: tuple[Method, ...] = ()
    key_scale: tuple[Method, ...] = ()
    score_bias: tuple[Method, ...] = ()
    sink_logmass: tuple[Method, ...] = ()
    compact: tuple[Method, ...] = ()
    readout: bool = False

    @property
    def changes_row(self) -> bool:
        """Whether any verb changes a single row; `rewrite_qk` acts while the prompt is read."""
        return bool(self.key_scale or self.score_bias or self.sink_logmass)


def plan_layers(view: ModelView, stack: Stack, readout: bool) -> dict[int, LayerPlan]:
    """Which methods act in which layer; layers that stand in no plan are left alone."""
    plans: dict[int, dict[str, list[Method]]] = {}
    for method in stack.parts:
        verbs = [v for v in (*ATTENTION_VERBS, "compact") if method.overrides(v)]
        if not method.active or not verbs:
            continue
        layers = method.acts_in(view)
        outside = sorted(layer for layer in layers if not 0 <= layer < view.n_layers)
        if outside:
            raise MethodError(
                f"{method}: layer {outside[-1]} is outside the model, whose decoder has layers 0 "
                f"to {view.n_layers - 1}"
            )
        for layer in layers:
            for verb in verbs:
                plans.setdefault(layer, {}).setdefault(verb, []).append(method)
    if readout:
        for layer in range(view.n_layers):
            plans.setdefault(layer, {})
    return {
        layer: LayerPlan(**{v: tuple(ms) for v, ms in verbs.items()}, readout=readout)
        for layer, verbs in sorted(plans.items())
    }
