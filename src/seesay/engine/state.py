"""One generation: everything that changes while a model runs under methods.

A `GenerationState` is made anew for every generation and thrown away after it, so nothing can leak
from one image to the next. Methods keep what they need during it in `GenerationState.state`.

How a run starts: image columns found, second images prepared and encoded; later turns.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from PIL.Image import Image
from torch import Tensor

from seesay.engine.method import AnyMethod, Method, Stack
from seesay.errors import EngineError, InputError
from seesay.models import patch_layout
from seesay.models.compat import encodes_ahead
from seesay.models.images import open_image
from seesay.models.view import ModelView

if TYPE_CHECKING:
    from seesay.engine.kv_cache import LastRow
    from seesay.engine.method import Method
    from seesay.engine.probes import Probe
    from seesay.engine.readout import Readout
    from seesay.models.view import ModelView


_PIXELS = ("pixel_values", "pixel_values_images")


@dataclass(frozen=True)
class Prompt:
    """What `Method.prepare` sees of a generation before it starts.

    Attributes:
        view: the model.
        inputs: the model inputs as passed to generate (or forward): input_ids, pixel_values, ...
        columns: (batch, prompt columns) bool, which columns hold image tokens.
        images: the original pictures, if the session was opened with them.
    """

    view: ModelView
    inputs: Mapping[str, Any]
    columns: Tensor
    images: list[Any] | None = None

    def pixels(self) -> str | None:
        """The name of the pixel input; None for prompts without a picture.

        Raises:
            EngineError: pictures that come as features, of which no second one can be made.
        """
        found = (name for name in _PIXELS if self.inputs.get(name) is not None)
        name = next(found, None)
        if name is None and bool(self.columns.any()):
            raise EngineError(
                "the prompt's pictures come without pixels (as features made before), so no second "
                "picture can be made of them; pass pixel_values"
            )
        return name

    def originals(self) -> list[Image] | None:
        """The original pictures, opened; None if they are not at hand."""
        return None if self.images is None else [open_image(one) for one in self.images]

    def pictures(self) -> list[PromptImage]:
        """The pictures of all prompts, in order of appearance, as the model saw them.

        Raises:
            ModelError: a family whose patch order is not known (see `patches`).
        """
        rows, columns = self.columns.nonzero(as_tuple=True)
        found: list[PromptImage] = []
        start = 0
        for tiles in patch_layout.split(self.view, self.inputs, self.originals()):
            stop = start + patch_layout.run_length(tiles)
            row = int(rows[start])
            index = found[-1].index + 1 if found and found[-1].row == row else 0
            found.append(PromptImage(row, index, columns[start:stop], tiles))
            start = stop
        return found


@dataclass(frozen=True, eq=False)
class PromptImage:
    """One picture of a prompt.

    Attributes:
        row: the prompt that it belongs to.
        index: which of that prompt's pictures it is, from 0.
        columns: (image tokens,) long, where its tokens stand in the row.
        tiles: the crops of it that the model saw.
    """

    row: int
    index: int
    columns: Tensor
    tiles: list[patch_layout.Tile]


@dataclass(frozen=True)
class ImageColumns:
    """The image columns of a batch, as the narrowest span that holds all of them.

    Attributes:
        mask: (rows, columns) bool.
        start, stop: the span; stop is exclusive. Empty (0, 0) without image tokens.
        weight: (rows, 1, stop − start) float32, 1 on image columns and 0 elsewhere, or None if
            every column of the span is an image column in every row. Of a compacted layer, whose
            heads hold different entries: (rows, heads, stop − start).
    """

    mask: Tensor
    start: int
    stop: int
    weight: Tensor | None

    @property
    def by_head(self) -> bool:
        """Whether columns are a compacted layer's entries, other ones in each head."""
        return self.weight is not None and self.weight.shape[1] > 1

    @classmethod
    def of(cls, mask: Tensor) -> ImageColumns:
        """Find the span in `mask`, (rows, columns) bool."""
        anywhere = mask.any(0).nonzero()
        if not len(anywhere):
            return cls(mask, 0, 0, None)
        start, stop = int(anywhere[0]), int(anywhere[-1]) + 1
        inside = mask[:, start:stop]
        return cls(mask, start, stop, None if bool(inside.all()) else inside[:, None].float())

    def within(self, columns: int) -> ImageColumns:
        """Those among the first `columns` columns."""
        return ImageColumns.of(self.mask[:, :columns])

    def behind(self, column: int) -> ImageColumns:
        """Those of a layer that holds the columns from `column` on: a window's."""
        if not column:
            return self
        start, stop = max(self.start - column, 0), max(self.stop - column, 0)
        weight = self.weight
        if weight is not None:
            weight = weight[..., weight.shape[-1] - (stop - start) :]
        return ImageColumns(self.mask[:, column:], start, stop, weight)

    def for_rows(self, rows: int, streams: int) -> ImageColumns:
        """The same for a batch of `rows` rows: beams of a sample stand together, streams follow.

        Args:
            rows: a multiple of this batch's rows (beams, several sequences a prompt).
            streams: how often the whole batch is repeated behind itself.
        """
        beams = rows // self.mask.shape[0]
        if beams == 1 and streams == 1:
            return self
        return ImageColumns.of(self.mask.repeat_interleave(beams, 0).repeat(streams, 1))


@dataclass
class GenerationState:
    """The state of one generation.

    Attributes:
        view: the model.
        prompt: image columns of the prompt as passed, one row a prompt.
        length: the prompt's columns; the row at column ``length − 1 + t`` predicts token t.
        streams: 1 + the number of second streams.
        overrides: for each method with a second stream, the inputs that differ in it.
        features: for each of them with another image, that image encoded, if the model takes that.
        image: image columns for the rows the decoder sees now, second streams included.
        pictured: (prompts,) bool, which hold a picture; None where all do, or none does.
        rows: rows of the first stream now (batch × beams).
        seen: columns seen after the forward at hand.
        padding: the attention mask (rows, columns) the model was given, 0 on padding; None without.
        cache: the key-value cache of the last forward.
        readout: what is being recorded, or None.
        probes: those that see this generation, the readout's among them.
        state: whatever methods keep during the run, by method.
        acted: (rows,) whether a gated method acted in the newest step; None without a gate.
        last_rows: by layer, the newest row of attention, for methods that compact.
        notes: by layer and name, (rows, heads, entries): what methods keep beside cache entries. It
            follows beams and compaction; see `compaction.noted`.
    """

    view: ModelView
    prompt: ImageColumns
    length: int
    streams: int = 1
    overrides: dict[Method, dict[str, Tensor]] = field(default_factory=dict)
    features: dict[Method, Any] = field(default_factory=dict)
    image: ImageColumns | None = None
    pictured: Tensor | None = None
    rows: int = 0
    seen: int = 0
    padding: Tensor | None = None
    cache: Any = None
    readout: Readout | None = None
    probes: tuple[Probe, ...] = ()
    state: dict[Method, Any] = field(default_factory=dict)
    acted: Tensor | None = None
    last_rows: dict[int, LastRow] = field(default_factory=dict)
    notes: dict[int, dict[str, Tensor]] = field(default_factory=dict)


# Verbs whose row is the newest one; the others treat every row alike.
_NEWEST_ROW_VERBS = ("score_bias", "prune_cache", "logits_term")
# Verbs whose effect on the prompt lasts through the cache, or which act on the cache itself.
_CACHE_VERBS = ("shared_head", "prune_cache")


# Verbs that mean nothing without image columns.
_IMAGE_VERBS = ("score_bias", "shared_head")


def prepare(
    view: ModelView,
    stack: Stack,
    inputs: Mapping[str, Any],
    images: list[Any] | None = None,
    image_columns: Tensor | None = None,
) -> GenerationState:
    """A run for these inputs of generate or forward.

    Args:
        images: the original pictures, if they are at hand.
        image_columns: (batch, columns) bool; None reads them from the input ids.

    Raises:
        EngineError: no input ids; or a prefill in chunks with a second stream, or of a Q-former
            model.
        InputError: `image_columns` of another shape than the prompt, or without any column that a
            method could act on; pixels to a prompt without an image token.
    """
    mask = _image_columns(view, inputs) if image_columns is None else image_columns.bool()
    if image_columns is not None:
        _check_given(mask, inputs, stack)
    elif inputs.get("pixel_values") is not None and not bool(mask.any()):
        raise InputError(
            "pixel_values are given, but the prompt holds no image token, so the model does not "
            "see them; make both with the processor, from a prompt in its chat template"
        )
    if inputs.get("prefill_chunk_size") and view.language_model is not view.model:
        raise EngineError(
            f"{type(view.model).__name__} hands its language model embeddings, which transformers "
            "cannot read in chunks; generate without prefill_chunk_size"
        )
    run = GenerationState(view, ImageColumns.of(mask), mask.shape[1], pictured=_pictured(mask))
    prompt = Prompt(view, inputs, mask, images)
    for method in stack.parts:
        given = method.second_input(prompt) if brings_stream(method) else None
        if given is None:
            continue
        if inputs.get("prefill_chunk_size"):
            raise EngineError(
                f"{method.name} brings a second stream, which a prefill in chunks cannot carry; "
                "generate without prefill_chunk_size"
            )
        run.overrides[method] = given
        if any(name in given for name in _PIXELS) and encodes_ahead(view.model):
            with torch.no_grad():
                features = view.encode_images(**{**inputs, **given})
            if view.language_model is view.model:
                run.features[method] = features
            else:  # each step takes embeddings, not pictures
                shown = _embedded(view, inputs, mask, features)
                run.overrides[method] = {**given, "inputs_embeds": shown}
    run.streams += len(run.overrides)
    return run


def next_turn(
    run: GenerationState, stack: Stack, inputs: Mapping[str, Any], past: int
) -> GenerationState:
    """The run of an earlier turn, ready for more: its cache, streams and image columns go on.

    Args:
        inputs: of the new turn, with all tokens so far or with the new ones alone.
        past: tokens in the cache.
    """
    if run.streams > 1 and inputs.get("pixel_values") is not None:
        raise EngineError(
            f"{stack} has a second stream, and a later turn brings a new image; start a new "
            "generation with all images"
        )
    mask = _image_columns(run.view, inputs)
    if mask.shape[1] <= past:  # only the new tokens were passed
        gap = mask.new_zeros(len(mask), past - run.prompt.mask.shape[1])
        mask = torch.cat([run.prompt.mask, gap, mask], dim=1)
    run.prompt, run.length, run.image = ImageColumns.of(mask), mask.shape[1], None
    run.pictured = _pictured(mask)
    return run


def _pictured(mask: Tensor) -> Tensor | None:
    """`GenerationState.pictured` of prompts (rows, columns); asked once, not in every step."""
    found = mask.any(1)
    return found if bool(found.any()) and not bool(found.all()) else None


def refuse_unfit(stack: Stack, inputs: Mapping[str, Any], readout: bool) -> None:
    """Refuse ways of decoding that would give wrong results without a word.

    Raises:
        EngineError: assisted decoding, which scores several rows in one forward, under a method
            that acts on the newest row alone; no cache under a readout or under a method whose
            doings live in it; a method that acts on texts.
    """
    for method in stack.parts:
        if method.active and method.acts_on == "texts":
            raise EngineError(
                f"{method} acts on words about a picture, and generate returns tokens; call "
                f"seesay.VLM.describe(picture, method={method.name!r}), which reads them"
            )
    assisted = inputs.get("assistant_model") or inputs.get("prompt_lookup_num_tokens")
    by_row = [m for m in stack.parts if m.active and any(map(m.overrides, _NEWEST_ROW_VERBS))]
    if assisted and (by_row or readout):
        what = " + ".join(map(repr, by_row)) or "a readout"
        raise EngineError(
            f"{what} works on one new token at a time, and assisted decoding checks several at "
            "once; generate without an assistant"
        )
    if inputs.get("use_cache") is False:
        cached = [m for m in stack.parts if m.active and any(map(m.overrides, _CACHE_VERBS))]
        if cached or readout:
            what = " + ".join(map(repr, cached)) or "a readout"
            raise EngineError(f"{what} follows the cache; generate with use_cache=True")


def one_by_one(method: AnyMethod) -> bool:
    """Whether a batch would be answered otherwise than its pictures singly."""
    return any("batch" in part.refuses or "batch" in part.inactive_in for part in method.methods)


def called_alone(view: ModelView) -> EngineError:
    """What to say where a Q-former's language model was called, and not the model around it."""
    whole, part = type(view.model).__name__, type(view.language_model).__name__
    return EngineError(
        f"{part} was called by itself, with embeddings that do not say which columns are image; "
        f"call {whole} with input_ids, or open a session on {part} with image_columns="
    )


def named(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call of `module`, all by name."""
    names = list(inspect.signature(module.forward).parameters) if args else []
    return {**dict(zip(names, args, strict=False)), **kwargs}


def brings_stream(method: Method) -> bool:
    """Whether `method` may ask for a second stream."""
    return method.active and method.overrides("second_input")


def _image_columns(view: ModelView, inputs: Mapping[str, Any]) -> Tensor:
    if inputs.get("input_ids") is None:
        raise EngineError("a session needs input_ids: image columns are read from them")
    return view.image_columns(**inputs)


def _embedded(view: ModelView, inputs: Mapping[str, Any], columns: Tensor, features: Any) -> Tensor:
    """A prompt's embeddings (batch, columns, hidden) with another image's features in it."""
    found: Tensor = view.model.get_input_embeddings()(inputs["input_ids"])
    image = features.pooler_output.to(found).flatten(0, -2)  # (image tokens, hidden)
    return found.masked_scatter(columns[..., None].to(found.device), image)


def _check_given(mask: Tensor, inputs: Mapping[str, Any], stack: Stack) -> None:
    ids = inputs.get("input_ids")
    prompt = inputs["inputs_embeds"] if ids is None else ids
    if mask.shape != prompt.shape[:2]:
        raise InputError(
            f"image_columns has shape {tuple(mask.shape)}, the prompt {tuple(prompt.shape[:2])} "
            "(batch, columns); give one bool for every column of the prompt"
        )
    lookers = [m for m in stack.parts if m.active and any(map(m.overrides, _IMAGE_VERBS))]
    if lookers and not bool(mask.any()):
        raise InputError(
            f"image_columns marks no column, so {' + '.join(map(repr, lookers))} has no image to "
            "act on; mark the image's columns, or run the model without it"
        )
