"""A session: methods at work on a model, from ``with`` to the end of its block.

It installs what the methods' verbs need and nothing else, makes one `Run` per generation, and puts
everything back on exit, also after an exception. Nothing outside the one model is touched but two
lookup tables of transformers, which get one entry each for the session's lifetime.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from seesay.engine import streams
from seesay.engine.attention import Call, attend
from seesay.engine.compaction import compact
from seesay.engine.method import Stack
from seesay.engine.plan import plan_layers
from seesay.engine.readout import Readout, Record
from seesay.engine.run import ImageColumns, Prompt, Run
from seesay.engine.switch import original_kernel, switched
from seesay.errors import EngineError
from seesay.models import ModelView

_OPEN: WeakKeyDictionary[nn.Module, Session] = WeakKeyDictionary()
"""The session that each model is in: the attention switch is one per model, so is a session."""


class Session:
    """Methods installed on a model; use it as a context manager.

    Args:
        model: a Hugging Face vision-language model.
        stack: the methods; ``Stack()`` for none.
        processor, images, readout: see `Method.__call__`.

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
        readout: bool = False,
    ) -> None:
        self.view = ModelView.of(model, processor)
        self.stack = stack
        self.images = images
        self.run: Run | None = None
        self.record: Record | None = None
        self._readout = readout
        self._plans = plan_layers(self.view, stack, readout)
        self._streams = streams.second_streams(stack)
        self._compacts = {i: p.compact for i, p in self._plans.items() if p.compact}
        self._undo = ExitStack()
        self._generating = False
        self._preparing = False  # a matcher may run the model itself, which is then left alone

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
            undo.callback(model.register_forward_pre_hook(self._before, with_kwargs=True).remove)
            undo.callback(model.register_forward_hook(self._after, with_kwargs=True).remove)
            self._generate = model.generate
            before = vars(model).get("generate")
            vars(model)["generate"] = self.generate
            undo.callback(_restore_generate, model, before)
            self._undo = undo.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._undo.close()
        self.run = None

    # ---- generation ------------------------------------------------------------------------

    def generate(self, inputs: Tensor | None = None, **kwargs: Any) -> Any:
        """`model.generate` under the methods; same arguments, same return value.

        Inside the session's block ``model.generate`` is this function. Afterwards `record` holds
        what was read out, if the session was opened with ``readout=True``.
        """
        if inputs is not None:
            kwargs["input_ids"] = inputs
        cache = kwargs.get("past_key_values")
        past = _length(cache)
        if past and not self._knows(cache):
            raise self._foreign_cache(past)
        self.run = self._continue(kwargs, past) if past else self._begin(kwargs)
        self._generating = True
        try:
            if not self._readout:
                return self._generate(**kwargs)
            return self._generate_and_record(kwargs)
        finally:
            self._generating = False

    def _generate_and_record(self, kwargs: dict[str, Any]) -> Any:
        wants_dict = kwargs.get("return_dict_in_generate")
        output = self._generate(**{**kwargs, "return_dict_in_generate": True})
        run = self.run
        if run is not None and run.readout is not None:
            beams = output.get("beam_indices")
            beams = None if beams is None else beams.cpu()
            start = kwargs["input_ids"].shape[1] if "input_ids" in kwargs else 0
            self.record = run.readout.record(output.sequences[:, start:], beams)
        return output if wants_dict else output.sequences

    def _begin(self, inputs: Mapping[str, Any]) -> Run:
        """A run for these inputs, with the images of its second streams prepared."""
        mask = self._columns(inputs)
        run = Run(self.view, ImageColumns.of(mask), mask.shape[1])
        run.readout = self._new_readout(inputs)
        prompt = Prompt(self.view, inputs, mask, self.images)
        for method in self._streams:
            self._preparing = True
            try:
                given = method.prepare(prompt)
            finally:
                self._preparing = False
            if given is None:
                continue
            if inputs.get("prefill_chunk_size"):
                raise EngineError(
                    f"{method.name} brings a second image, which a prefill in chunks cannot "
                    "carry; generate without prefill_chunk_size"
                )
            run.overrides[method] = given
            if _takes_features(self.view.model):
                with torch.no_grad():
                    run.features[method] = self.view.encode_images(**{**inputs, **given})
        run.streams += len(run.overrides)
        return run

    def _continue(self, inputs: Mapping[str, Any], past: int) -> Run:
        """The run of a later turn: the cache, its streams and its image columns go on."""
        run = self.run
        if run is None:
            raise EngineError("there is no earlier turn to go on from")
        if run.streams > 1 and inputs.get("pixel_values") is not None:
            raise EngineError(
                f"{self.stack} has a second stream, and a later turn brings a new image; start a "
                "new generation with all images"
            )
        mask = self._columns(inputs)
        if mask.shape[1] <= past:  # only the new tokens were passed
            gap = mask.new_zeros(len(mask), past - run.prompt.mask.shape[1])
            mask = torch.cat([run.prompt.mask, gap, mask], dim=1)
        run.prompt, run.length, run.image = ImageColumns.of(mask), mask.shape[1], None
        run.readout = self._new_readout(inputs)
        return run

    def _columns(self, inputs: Mapping[str, Any]) -> Tensor:
        if inputs.get("input_ids") is None:
            raise EngineError("a session needs input_ids: image columns are read from them")
        return self.view.image_columns(**inputs)

    def _new_readout(self, inputs: Mapping[str, Any]) -> Readout | None:
        if not self._readout:
            return None
        config = inputs.get("generation_config") or self.view.model.generation_config
        ends = inputs.get("eos_token_id", config.eos_token_id)
        ids = [] if ends is None else torch.as_tensor(ends).flatten().tolist()
        return Readout(self.view.n_layers, self.view.n_heads, ids)

    # ---- each forward ----------------------------------------------------------------------

    def _before(
        self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if self._preparing:
            return args, kwargs
        names = list(inspect.signature(model.forward).parameters) if args else []
        kwargs = {**dict(zip(names, args, strict=False)), **kwargs}
        ids, cache = kwargs.get("input_ids"), kwargs.get("past_key_values")
        past = _length(cache)
        if not self._generating:
            if past and not self._knows(cache):
                raise self._foreign_cache(past)
            if not past:
                self.run = self._begin(kwargs)
        run = self.run
        if run is None:
            return (), kwargs
        tokens = ids if ids is not None else kwargs["inputs_embeds"]
        rows, run.seen = len(tokens), past + tokens.shape[1]
        if rows != run.rows or run.image is None:
            run.rows = rows
            run.image = run.prompt.for_rows(rows, run.streams)
        run.cache = cache
        if run.streams > 1 or run.readout is not None:
            streams.pair_cache(cache, run)
        if run.readout is not None:
            run.readout.begin_forward(rows, ids if run.seen > run.length else None)
        if run.streams > 1:
            kwargs = streams.doubled(kwargs, run)
        if self._compacts:
            mask = kwargs.get("attention_mask")
            run.padding = mask if isinstance(mask, Tensor) and mask.dim() == 2 else None
        return (), kwargs

    def _after(
        self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any
    ) -> Any:
        run = self.run
        if run is None or self._preparing:
            return output
        if isinstance(output, tuple):
            raise EngineError(
                "under a session the model must return its named outputs; call it "
                "with return_dict=True"
            )
        run.cache = output.get("past_key_values")
        plain = output.logits[: run.rows]
        if any(m.active and m.overrides("fold") for m in self.stack.parts):
            output.logits = streams.folded(output.logits, self.stack, run)
            streams.narrow(output, run.rows)
        if run.readout is not None and run.seen >= run.length:
            run.readout.take_logits(plain[:, -1], output.logits[:, -1])
        if self._compacts and run.cache is not None:
            compact(self._compacts, run)
        return output

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
        plan = None if layer is None else self._plans.get(layer)
        run = self.run
        if layer is None or plan is None or run is None or run.image is None:
            return self._original(
                module, query, key, value, attention_mask, scaling=scaling, **kwargs
            )
        if kwargs.get("softcap") is not None:
            raise EngineError(
                f"layer {layer} caps its attention scores, which {self.stack} does "
                "not support; choose a model without soft-capped attention"
            )
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        call = Call(layer, query, key, value, attention_mask, scale, run.image, run)
        return attend(plan, self._original, module, call, **kwargs)

    def _knows(self, cache: Any) -> bool:
        return self.run is not None and self.run.cache is cache

    def _foreign_cache(self, past: int) -> EngineError:
        return EngineError(
            f"the cache with {past} tokens was filled outside this session, so its image columns "
            "are unknown; start the generation inside the session"
        )


def _length(cache: Any) -> int:
    return 0 if cache is None else int(cache.get_seq_length())


def _takes_features(model: Any) -> bool:
    """Whether generate encodes images before the first forward and passes on the features."""
    return "mm_encoder_outputs" in inspect.signature(model.forward).parameters


def _restore_generate(model: nn.Module, before: Any) -> None:
    if before is None:
        vars(model).pop("generate", None)
    else:
        vars(model)["generate"] = before
