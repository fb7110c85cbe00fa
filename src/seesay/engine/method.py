"""What a method is: a frozen dataclass of hyperparameters that overrides verbs.

A method never holds state and never touches a model. Whatever changes during a generation lives in
that generation's `GenerationState`; the `Session` decides when each verb is called. Only overridden
verbs are installed, so a method costs what its verbs cost and nothing else.

Inside one layer the verbs act in a fixed order: ``shared_head``, ``key_scale``, ``score_bias``,
``sink_logit``, then the readout. A composition therefore means the same in whatever order it was
written, and `Stack` keeps its methods sorted by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from seesay.errors import MethodError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from seesay.engine.attention import Call
    from seesay.engine.kv_cache import KeptEntries
    from seesay.engine.probes import Probe
    from seesay.engine.session import Session
    from seesay.engine.state import GenerationState, Prompt
    from seesay.models.view import ModelView

REGISTRY: dict[str, type[Method]] = {}
"""Every method class by its name, filled as method modules are imported."""

MODES = ("batch", "beams", "sampling", "streaming", "static cache", "prefill in chunks")
"""Ways of decoding beside plain greedy that a method serves or refuses."""

ATTENTION_VERBS = ("shared_head", "key_scale", "score_bias", "sink_logit")

VERBS: list[str] = []
"""Every verb, in the order in which `Method` defines them."""


def _verb(function: Verb) -> Verb:
    VERBS.append(function.__name__)
    return function


Verb = TypeVar("Verb", bound=Callable[..., Any])


class Composable:
    """What a single method and a stack share: they compose with ``+`` and open on a model."""

    @property
    def methods(self) -> tuple[Method, ...]:
        raise TypeError(f"{type(self).__name__} must say which methods it holds")

    def __add__(self, other: Composable) -> Stack:
        if not isinstance(other, Composable):
            return NotImplemented
        return Stack(self.methods + other.methods)

    def __call__(
        self,
        model: nn.Module,
        *,
        processor: Any = None,
        images: list[Any] | None = None,
        image_columns: Tensor | None = None,
        readout: bool | Literal["deep"] = False,
        probes: Sequence[Probe] = (),
    ) -> Session:
        """Open a session on `model`: ``with method(model): model.generate(...)``.

        Args:
            model: any Hugging Face vision-language model that `ModelView.of` accepts.
            processor: its processor; methods that need to know what a black pixel is ask it.
            images: the original pictures, for matchers that look at them at their own size.
            image_columns: (batch, columns) bool, for a decoder whose prompts do not say themselves
                which columns are image: a text-only model driven by `inputs_embeds`.
            readout: record attention, log-probabilities and, "deep", hidden states (`Record`).
            probes: what sees the model at work and changes nothing.
        """
        from seesay.engine.session import Session

        return Session(
            model,
            Stack(self.methods),
            processor=processor,
            images=images,
            image_columns=image_columns,
            readout=readout,
            probes=probes,
        )


class Method(Composable):
    """One mitigation method. Subclass it as ``@dataclass(frozen=True, repr=False)``.

    Class attributes: `name` (what users write, in lower case with hyphens), `summary` (one clause),
    `paper` (title, venue, arXiv id). `acts_on` says whether verbs act on each step of a generation,
    or `VLM.describe` hands the method a finished text; a session then leaves it alone.
    """

    name: ClassVar[str] = ""
    summary: ClassVar[str] = ""
    paper: ClassVar[str] = ""
    standalone: ClassVar[bool] = True  # False for one that needs another method to act on
    acts_on: ClassVar[Literal["steps", "texts"]] = "steps"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # A subclass that brings no name of its own is a variant, not a new entry.
        if vars(cls).get("name"):
            REGISTRY[cls.name] = cls

    # ---- what a method says of itself ------------------------------------------------------

    @property
    def methods(self) -> tuple[Method, ...]:
        return (self,)

    @property
    def active(self) -> bool:
        """False at strength 0: then no verb is installed and the model is the plain one."""
        return True

    def at_zero(self) -> Method:
        """This method at strength 0, the control that must equal the plain model."""
        raise MethodError(f"{self.name}: no strength 0 is defined; override `at_zero`")

    @property
    def refuses(self) -> Mapping[str, str]:
        """Ways of decoding that this method cannot serve, and why; all others it serves right.

        Keys are among `MODES`; `seesay.testing.check_method` holds a method to it. What follows
        from a method's verbs stands here already.
        """
        reasons = {}
        if self.overrides("second_input"):
            reasons["prefill in chunks"] = "a second stream's image cannot be cut into chunks"
        if self.overrides("prune_cache"):
            reasons["static cache"] = "a static cache cannot be shortened"
        return reasons

    @property
    def inactive_in(self) -> Mapping[str, str]:
        """Ways of decoding, among `MODES`, in which the plain model answers, and why."""
        return {}

    def resolved_for(self, view: ModelView) -> Method:
        """This method with the fields that were left open filled in for a model."""
        return self

    def acts_in(self, view: ModelView) -> Collection[int]:
        """The decoder layers (0-based) in which the attention verbs act; all by default."""
        return range(view.n_layers)

    def __repr__(self) -> str:
        changed = [
            f"{f.name}={getattr(self, f.name)!r}"
            for f in fields(self)  # type: ignore[arg-type]  # every subclass is a dataclass
            if getattr(self, f.name) != f.default
        ]
        return f"{self.name}({', '.join(changed)})" if changed else self.name

    # ---- verbs: override what the method needs ---------------------------------------------

    @_verb
    def second_input(self, prompt: Prompt) -> dict[str, Tensor] | None:
        """Once a prompt: what differs in a second stream's inputs, or None for no second one.

        Returns entries of ``prompt.inputs``: pixel inputs of the original's shape; where
        ``attention_mask`` (batch, columns) is 0 it closes columns, for all later tokens too, and
        leaves positions as they are.
        """
        return None

    @_verb
    def read_embeddings(self, embeddings: Tensor, run: GenerationState) -> None:
        """Before the decoder, in every forward: its input, the pictures' tokens among it.

        Args:
            embeddings: (rows, columns, hidden) of the columns up to ``run.seen``, with the rows of
                second streams behind those of the first.
        """

    @_verb
    def shared_head(self, call: Call) -> Tensor | None:
        """Prefill: whose attention map every head of this layer uses: a long tensor (batch,), the
        query head to broadcast, -1 for "leave this row alone"."""
        return None

    @_verb
    def key_scale(self, call: Call) -> Tensor | None:
        """A factor on the keys, (batch, kv_heads, columns); for a single row (``not
        call.is_prefill``) it may differ by query head: (batch, heads, columns)."""
        return None

    @_verb
    def score_bias(self, call: Call, scores: Tensor) -> Tensor | None:
        """The last row of every forward: what to add to the scores of the image columns.

        Args:
            scores: (batch, heads, image columns) float32, before masking and softmax: the span
                that holds all image columns; columns of the span that are no image are ignored.

        Returns a bias that broadcasts to `scores`.
        """
        return None

    @_verb
    def sink_logit(self, call: Call) -> Tensor | float | None:
        """Every row: the logit of one more softmax entry whose value is zero, a float or a tensor
        that broadcasts to (batch, heads, queries)."""
        return None

    @_verb
    def prune_cache(self, layer: int, run: GenerationState) -> KeptEntries | None:
        """After a forward: which cache entries of this layer stay, and what replaces the rest."""
        return None

    @_verb
    def logits_term(self, plain: Tensor, own: Tensor | None, run: GenerationState) -> Tensor | None:
        """Per step: the term this method adds to the plain logits.

        Args:
            plain: (batch, positions, vocabulary) float32, the first stream's logits.
            own: the same of this method's second stream, None if it has none.
        """
        return None

    @property
    def plausibility(self) -> float:
        """β of the adaptive plausibility cut: tokens under ``max(plain) + ln β`` become −inf."""
        return 0.0

    @property
    def reindexes_positions(self) -> bool:
        """Whether a token's position in a layer follows from what its cache still holds."""
        return False

    @property
    def gate_threshold(self) -> float | None:
        """Act only where the plain model's highest probability is under this; None is always."""
        return None

    # ---- helpers for subclasses ------------------------------------------------------------

    def overrides(self, verb: str) -> bool:
        """Whether this method gives `verb` a meaning of its own."""
        return getattr(type(self), verb) is not getattr(Method, verb)

    def _require(self, ok: bool, field: str, reason: str) -> None:
        """Raise `MethodError` naming the method, the field, its value and the reason."""
        if not ok:
            raise MethodError(f"{self.name}: {field}={getattr(self, field)!r} {reason}")

    def _require_number(
        self, field: str, low: float = -math.inf, high: float = math.inf, *, above: bool = False
    ) -> None:
        """Require a finite number within [low, high]; (low, high] with `above`."""
        value = getattr(self, field)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        inside = number and math.isfinite(value) and low <= value <= high
        inside = inside and (value > low or not above)
        start = "" if math.isinf(low) else f" above {low:g}" if above else f" from {low:g}"
        end = "" if math.isinf(high) else f" to {high:g}"
        self._require(inside, field, f"must be a finite number{start}{end}")

    def _require_layers(self, layers: tuple[int, int] | None) -> None:
        """Require the field `layers` to be None or (first, last), going upwards from 0."""
        if layers is None:
            return
        pair = isinstance(layers, tuple) and [type(layer) for layer in layers] == [int, int]
        self._require(pair, "layers", "must be two whole numbers, such as (5, 18)")
        self._require(0 <= layers[0] <= layers[1], "layers", "must go upwards from 0")


class Wrapper(Method):
    """A method around another one: whatever it does not say itself, the inner method says and does.

    Every verb goes through, those that are added to `Method` later too. A subclass is a frozen
    dataclass with the field `method`.
    """

    method: Method

    @property
    def active(self) -> bool:
        return self.method.active

    @property
    def refuses(self) -> Mapping[str, str]:
        return self.method.refuses

    @property
    def inactive_in(self) -> Mapping[str, str]:
        return self.method.inactive_in

    @property
    def plausibility(self) -> float:
        return self.method.plausibility

    @property
    def reindexes_positions(self) -> bool:
        return self.method.reindexes_positions

    @property
    def gate_threshold(self) -> float | None:
        return self.method.gate_threshold

    def overrides(self, verb: str) -> bool:
        return self.method.overrides(verb)

    def resolved_for(self, view: ModelView) -> Method:
        return replace(self, method=self.method.resolved_for(view))  # type: ignore[type-var]

    def acts_in(self, view: ModelView) -> Collection[int]:
        return self.method.acts_in(view)


def _passed_on(verb: str) -> Callable[..., Any]:
    def pass_on(self: Wrapper, *arguments: Any) -> Any:
        return getattr(self.method, verb)(*arguments)

    return pass_on


for _name in VERBS:
    setattr(Wrapper, _name, _passed_on(_name))


@dataclass(frozen=True, repr=False)
class Stack(Composable):
    """Several methods at once, or none: ``Stack()`` is the plain model.

    Raises:
        MethodError: the same method stands in it twice, or two methods claim a verb that only one
            can have.
    """

    parts: tuple[Method, ...] = ()

    def __post_init__(self) -> None:
        ordered = tuple(sorted(self.parts, key=lambda method: method.name))
        object.__setattr__(self, "parts", ordered)
        for first, second in pairwise(ordered):
            if first.name == second.name:
                raise MethodError(
                    f"{first} + {second}: {first.name} stands twice; keep the one you mean"
                )
        for verb in ("shared_head", "sink_logit"):
            claim = [method for method in ordered if method.overrides(verb)]
            if len(claim) > 1:
                raise MethodError(
                    f"{' + '.join(map(repr, claim))}: both set {verb}, and a layer has only one"
                )

    @property
    def methods(self) -> tuple[Method, ...]:
        return self.parts

    def resolved_for(self, view: ModelView) -> Stack:
        """These methods with the fields that were left open filled in for a model."""
        return Stack(tuple(method.resolved_for(view) for method in self.parts))

    def __iter__(self) -> Iterator[Method]:
        return iter(self.parts)

    def __repr__(self) -> str:
        return " + ".join(map(repr, self.parts)) or "plain"


AnyMethod = Method | Stack
