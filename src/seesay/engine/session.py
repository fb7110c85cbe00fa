"""A session: methods at work on a model, from ``with`` to the end of its block.

It installs what the methods' verbs need and nothing else, makes a `GenerationState` for each
generation, and puts everything back on exit, also after an exception. Nothing outside the one model
is touched but two lookup tables of transformers, which get one entry each while it is open.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from enum import Enum, auto
from typing import Any, Literal, Self
from weakref import WeakKeyDictionary

from torch import Tensor, nn

from seesay.engine import contrastive, embeddings, readout, recompute, state
from seesay.engine.attention import (
    Call,
    aligned,
    attend,
    original_kernel,
    plan_layers,
    shadowed,
    switched,
)
from seesay.engine.kv_cache import prune, recounted
from seesay.engine.method import Stack
from seesay.engine.probes import Probe, hooked
from seesay.engine.readout import Record
from seesay.engine.state import GenerationState
from seesay.errors import EngineError
from seesay.models import compat
from seesay.models.view import ModelView


class Phase(Enum):
    """What a session is at."""

    WAITING = auto()
    """Nothing: a forward of the model that comes now begins a generation by hand, or goes on."""
    GENERATING = auto()
    """A call of `generate` or `read`: its forwards belong to the generation at hand."""
    PREPARING = auto()
    """The model works for a method, or for a question aside: it is the plain one."""
    RECOMPUTING = auto()
    """The step at hand runs once more, with the gated method."""


_OPEN: WeakKeyDictionary[nn.Module, Session] = WeakKeyDictionary()
"""The session that each model is in: the attention switch is one per model, so is a session."""


class Session:
    """Methods installed on a model; use it as a context manager.

    Args:
        model: a Hugging Face vision-language model.
        stack: the methods; ``Stack()`` for none.
        processor, images, image_columns, readout, probes: see `Method.__call__`.

    Raises:
        ModelError: the model has no image columns or does not use transformers' attention table.
        MethodError: a layer outside the model, or a method that cannot act on it.
        EngineError: the model is in another session.
    """

    def __init__(
        self,
        model: nn.Module,
        stack: Stack,
        *,
        processor: Any = None,
        images: list[Any] | None = None,
        image_columns: Tensor | None = None,
        readout: bool | Literal["deep"] = False,
        probes: Sequence[Probe] = (),
    ) -> None:
        compat.check_versions()
        self.view = ModelView.of(model, processor, vision=image_columns is None)
        self._cache = self.view.cache_name
        self.stack = stack = stack.resolved_for(self.view)
        self.images = images
        self.image_columns = image_columns
        self.run: GenerationState | None = None
        self.record: Record | None = None
        self._readout, self._deep = bool(readout), readout == "deep"
        if self._deep:
            _ = self.view.lens  # found out by a forward, so before the session is open
        self._probes = tuple(probes)
        probed = self._probed()
        self._plans = plan_layers(self.view, stack, probed)
        self._gate = recompute.gated_in_layers(stack)
        self._sure_plans = self._plans
        if self._gate is not None:
            others = Stack(tuple(m for m in stack.parts if m is not self._gate))
            self._sure_plans = plan_layers(self.view, others, probed)
        self._compacts = {i: p.prune_cache for i, p in self._plans.items() if p.prune_cache}
        self._undo = ExitStack()
        self._phase = Phase.WAITING
        self._reached = False  # whether a layer of the plan ran in the forward at hand

    @classmethod
    def of(cls, model: nn.Module) -> Session | None:
        """The session that `model` is in, if it is in one."""
        return _OPEN.get(model)

    # ---- on and off ------------------------------------------------------------------------

    def __enter__(self) -> Self:
        model = self.view.model
        if model in _OPEN:
            raise EngineError(
                f"the model is already in a session ({_OPEN[model].stack}); close it first, or "
                "compose methods with '+' in one session"
            )
        with ExitStack() as undo:
            _OPEN[model] = self
            undo.callback(_OPEN.pop, model, None)
            if self._plans:
                decoder = self.view.decoder
                self._original = original_kernel(decoder)
                undo.enter_context(switched(decoder, f"seesay-{id(model):x}", self._attend))
            steps = self.view.language_model  # the model itself, or a part of it
            undo.callback(model.register_forward_pre_hook(self._asked, with_kwargs=True).remove)
            undo.callback(steps.register_forward_pre_hook(self._before, with_kwargs=True).remove)
            undo.callback(steps.register_forward_hook(self._after, with_kwargs=True).remove)
            undo.enter_context(embeddings.handed_on(self.view, self.stack, self._current))
            undo.enter_context(recounted(self.view, self.stack, self._current))
            undo.enter_context(hooked(self.view, self._hooked(), self._current))
            self._generate = model.generate
            undo.enter_context(shadowed(model, "generate", self.generate))
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()
        self.run = None

    # ---- generation ------------------------------------------------------------------------

    def generate(self, inputs: Tensor | None = None, **kwargs: Any) -> Any:
        """`model.generate` under the methods; same arguments, same return value.

        Inside the session's block ``model.generate`` is this function. Afterwards `record` holds
        what was read out, if the session was opened with ``readout=True``.
        """
        if inputs is not None:
            kwargs[self.view.model.main_input_name] = inputs
        state.refuse_unfit(self.stack, kwargs, self._readout)
        with self._at(Phase.GENERATING):
            run = self._begin(kwargs, compat.cache_in(kwargs))
            if self._readout:
                output, self.record = readout.generate(run, self._generate, kwargs, deep=self._deep)
            else:
                output = self._generate(**kwargs)
        if not run.seen:
            raise EngineError(
                f"{type(self.view.model).__name__} generates without a forward of its own, so "
                f"{self.stack} had no effect; this family is not supported yet"
            )
        return output

    def read(self, tokens: Tensor, **inputs: Any) -> Record:
        """Read a given text behind a prompt in one forward, as if the plain model had written it.

        Args:
            tokens: (tokens,) of the text; an end token last, so that its last word has a row too.
            inputs: of generate, one prompt.

        Raises:
            EngineError: methods in the session, which act on one new token at a time.
            InputError: several prompts, or more tokens than the model takes.
        """
        with self._at(Phase.GENERATING):
            run = self._begin(inputs, None)
            self.record = readout.read(run, self.stack, inputs, tokens, self._deep)
        return self.record

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """The plain model inside the block, for a question in the middle of a generation, which
        goes on behind it as if nothing had been asked."""
        model, run = self.view.model, self.run
        _OPEN.pop(model, None)
        self.run = None
        try:
            with self._at(Phase.PREPARING):
                yield
        finally:
            _OPEN[model] = self
            self.run = run

    @contextmanager
    def _at(self, phase: Phase) -> Iterator[None]:
        before, self._phase = self._phase, phase
        try:
            yield
        finally:
            self._phase = before

    def _probed(self) -> set[int]:
        """The layers whose attention is seen."""
        if self._readout:
            return set(range(self.view.n_layers))
        by_attention = [p for p in self._probes if p.wants("take_row") or p.wants("take_rows")]
        every = range(self.view.n_layers)
        return {n for p in by_attention for n in (every if p.layers is None else p.layers)}

    def _hooked(self) -> set[str]:
        """What probes want that hooks on modules see."""
        wanted = {"take_state"} if self._deep else set()
        names = ("take_state", "take_added")
        return wanted | {name for name in names if any(p.wants(name) for p in self._probes)}

    def _current(self) -> GenerationState | None:
        return None if self._phase is Phase.PREPARING else self.run

    def _begin(self, inputs: Mapping[str, Any], cache: Any) -> GenerationState:
        """Make the run of a generation or of a bare forward; go on with it if it knows `cache`."""
        past = _length(cache)
        if not past:
            with self._at(Phase.PREPARING):  # a matcher may run the model itself
                self.run = state.prepare(
                    self.view, self.stack, inputs, self.images, self.image_columns
                )
        elif self.run is None or self.run.cache is not cache:
            raise EngineError(
                f"the cache with {past} tokens was filled outside this session, so its image "
                "columns are unknown; start the generation inside the session"
            )
        elif self._phase is Phase.GENERATING:
            state.next_turn(self.run, self.stack, inputs, past)
        self.run.probes = self._probes
        return self.run

    # ---- each forward ----------------------------------------------------------------------

    def _asked(self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A bare forward of the whole model begins a run, or goes on with the one at hand."""
        if self._phase is Phase.WAITING:
            kwargs = state.named(model, args, kwargs)
            self._begin(kwargs, compat.cache_in(kwargs))

    def _before(
        self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if self._phase is Phase.PREPARING:
            return args, kwargs
        kwargs = state.named(model, args, kwargs)
        wanted = kwargs.get("output_attentions")
        if self._plans and (
            self.view.decoder.config.output_attentions if wanted is None else wanted
        ):
            raise EngineError(
                "output_attentions: layers in a session return no maps; take what is wanted of "
                "them by a probe (probes=) or readout=True, or generate outside the session"
            )
        ids, cache = kwargs.get("input_ids"), compat.cache_in(kwargs)
        past, run = _length(cache), self.run
        self._reached = False
        mine = self._phase is Phase.GENERATING
        if run is None or not (mine or not run.seen or (past and run.cache is cache)):
            raise state.called_alone(self.view)
        tokens = ids if ids is not None else kwargs["inputs_embeds"]
        rows, seen = len(tokens), past + tokens.shape[1]
        if seen < run.length <= run.seen:
            raise compat.broken(f"a step came without its cache of {run.seen} columns")
        run.seen = seen
        if rows != run.rows or run.image is None:
            run.rows = rows
            run.image = run.prompt.for_rows(rows, run.streams)
        if self._plans and run.cache is not cache and (unknown := compat.unknown_layer(cache)):
            raise EngineError(
                f"the cache has a {unknown}, of which it is not known which columns it hands out, "
                "so nothing was computed; generate with one of transformers' own caches"
            )
        run.cache = cache
        if run.streams > 1 or run.readout is not None or self._compacts:
            contrastive.pair_cache(cache, run)
        if run.readout is not None:
            run.readout.begin_forward(rows, ids if run.seen > run.length else None)
        if run.streams > 1:
            kwargs = contrastive.doubled(kwargs, run)
        mask = kwargs.get("attention_mask")
        run.padding = mask if isinstance(mask, Tensor) and mask.dim() == 2 else None
        return (), kwargs

    def _after(
        self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any
    ) -> Any:
        run = self.run
        if run is None or self._phase is Phase.PREPARING:
            return output
        if isinstance(output, tuple):
            raise EngineError("under a session the model must be called with return_dict=True")
        if self._sure_plans and not self._reached:
            raise compat.broken(
                f"{type(self.view.decoder).__name__} ran without the attention function that was "
                "put in its place"
            )
        run.cache = output.get(self._cache)
        if output.get("logits") is None:  # a decoder without its head
            return output
        if self._gate is not None and run.seen >= run.length:
            output = self._look_again(model, kwargs, output)
        plain, *others = output.logits.split(run.rows)
        folded = plain
        if any(m.active and m.overrides("logits_term") for m in self.stack.parts):
            output.logits = folded = contrastive.folded(output.logits, self.stack, run)
            contrastive.narrow(output, run.rows)
        if run.readout is not None and run.seen >= run.length:
            run.readout.take_logits(plain, folded, run.acted, others)
        if self._compacts and run.cache is not None:
            prune(self._compacts, run)
        return output

    def _look_again(self, model: nn.Module, kwargs: dict[str, Any], output: Any) -> Any:
        """The step once more with the gated method, in the rows that are in doubt."""
        run, method = self.run, self._gate
        if run is None or method is None or method.gate_threshold is None:
            return output

        def forward() -> Any:
            with self._at(Phase.RECOMPUTING):
                return model.forward(**kwargs)  # not model(): hooks have had their turn

        ids = kwargs.get("input_ids")
        queries = (kwargs["inputs_embeds"] if ids is None else ids).shape[1]
        return recompute.look_again(output, run, method.gate_threshold, queries, forward)

    def _attend(
        self,
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        scaling: float | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor | None]:
        layer = getattr(module, "layer_idx", None)
        plans = self._plans if self._phase is Phase.RECOMPUTING else self._sure_plans
        plan = None if layer is None else plans.get(layer)
        run = self._current()
        self._reached |= layer is not None and layer in self._plans
        seen = 0 if run is None else run.seen
        key, value, attention_mask = aligned(query, key, value, attention_mask, seen)
        if layer is None or plan is None or run is None or run.image is None:
            return self._original(
                module, query, key, value, attention_mask, scaling=scaling, **kwargs
            )
        tensors = query, key, value, attention_mask
        call = Call.of(layer, tensors, scaling, run.image, run, kwargs, self._original)
        return attend(plan, self._original, module, call, **kwargs)


def _length(cache: Any) -> int:
    return 0 if cache is None else int(cache.get_seq_length())
