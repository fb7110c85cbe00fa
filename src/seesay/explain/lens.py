"""The lens: where a model looked and what it made of it, just before it wrote one word.

from seesay.explain.lens import lens
from seesay.render import lens_page
from seesay.storage import files

seen = lens(seesay.load(), "toy:broken/9", word="horse")
files.save("horse.html", lens_page.render(seen))

Which word of a text a lens looks at.

One forward of a model over a prompt and a text so far, with what goes on inside written down.

Nothing changes: hooks read hidden states, a session that acts nowhere reads attention, and both are
gone afterwards. The logit lens reads a layer's image tokens as they come, some at a time, so no
hidden state outlives its layer and no (patches × vocabulary × layers) tensor is ever held.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from seesay.engine import Stack
from seesay.engine.probes import Probe
from seesay.engine.readout import with_text
from seesay.engine.state import GenerationState, ImageColumns, Prompt, PromptImage
from seesay.errors import InputError
from seesay.explain.observation import say
from seesay.grounding import Mention, ScoredText, Vocabulary, read
from seesay.grounding.scores import svar_layers, tokens_of
from seesay.models.compat import versions
from seesay.models.image_geometry import PatchGrid, pixels, places
from seesay.models.processors import inputs_for
from seesay.models.view import ModelView
from seesay.options import GenerationOptions
from seesay.pictures import Opened, Picture, open_picture
from seesay.render.lens_page import Crop, Lens, Viewed
from seesay.render.method_trace import Numbers
from seesay.vlm import PROMPT, VLM

__all__ = ["lens"]

MAX_NEW_TOKENS = 256


def lens(
    vlm: VLM,
    picture: Picture | list[Picture],
    word: str | None = None,
    *,
    token: int | None = None,
    layers: tuple[int, int] | None = None,
    head: int | None = None,
    norm: bool = True,
    prompt: str = PROMPT,
    max_new_tokens: int = MAX_NEW_TOKENS,
    vocabulary: Vocabulary | None = None,
) -> Lens:
    """Look inside a model at one word of what it says about a picture.

    The plain model writes its text (greedy); then one forward reads prompt and text up to the word,
    and what its last row, which predicts the word's first token, sees and does is written down.

    Args:
        picture: as for `VLM.describe`; a list is asked about in one prompt.
        word: any word of the text, its first occurrence; or the class of an object word. None takes
            the most doubtful object word.
        token: the index of any generated token, from 0, in the place of a word.
        layers: the range for heat maps, both ends included. None is the calibrated range, or the
            middle layers by relative depth.
        head: one head for heat maps. None is the mean of all heads.
        norm: whether the logit lens applies the final norm, see `inside.look_inside`.
        vocabulary: the object words to look for. Default: the model's.

    Raises:
        InputError: a word that was not said, or a token, layer or head that is not there.
        ModelError: a family whose patch order is not known; it names those that are.
        EngineError: as `VLM.describe`.
    """
    opened = [open_picture(one) for one in (picture if isinstance(picture, list) else [picture])]
    if not opened:
        raise InputError("no picture to look at; give one or several")
    chosen_layers = _layers(vlm, layers)
    _require_head(vlm, head)
    asked = GenerationOptions.of(prompt, max_new_tokens=max_new_tokens, vocabulary=vocabulary)
    images = [one.image for one in opened]
    inputs = inputs_for(vlm.model, vlm.processor, images, prompt, together=True)
    columns = vlm.view.image_columns(**inputs)
    prompted = Prompt(vlm.view, inputs, columns, images).pictures()  # refuses before the long part
    record = say(vlm, Stack(), inputs, asked).record
    reading = read(
        record,
        0,
        tokenizer=vlm.processor.tokenizer,
        end_ids=asked.end_ids(vlm.view),
        vocabulary=vocabulary or opened[0].vocabulary or vlm.vocabulary,
        calibration=vlm.calibration,
    )
    chosen = choose(reading, word, token)
    tokens = record.tokens[0]
    said = int(tokens[chosen.token])
    inside = look_inside(
        vlm.view, with_text(vlm.view, inputs, tokens[None, : chosen.token]), said, norm=norm
    )
    return Lens(
        text=reading.text,
        span=chosen.span,
        index=chosen.token,
        token=_written(vlm.processor.tokenizer, said),
        probability=float(inside.logits.softmax(-1)[said]),
        mention=chosen.mention,
        pictures=list(_viewed(vlm, opened, prompted, inside)),
        layers=chosen_layers,
        head=head,
        var=_array(inside.attention.sum(-1)),
        contribution=_array(inside.contribution),
        norm=norm,
        protocol=_protocol(vlm, opened, asked),
    )


def _viewed(
    vlm: VLM, opened: Sequence[Opened], prompted: Sequence[PromptImage], inside: Inside
) -> Iterator[Viewed]:
    """What went on at the image tokens, laid on the crops of each picture."""
    tokenizer = vlm.processor.tokenizer
    words = {int(entry): _written(tokenizer, int(entry)) for entry in torch.unique(inside.reads)}
    start = 0
    for one, picture in zip(opened, prompted, strict=True):
        own = slice(start, start + len(picture.columns))
        start = own.stop
        crops = []
        lying = places(vlm.view, picture.tiles, one.image.size)
        for tile, place in zip(picture.tiles, lying, strict=True):
            reads = inside.reads[:, own][:, tile.tokens].tolist()
            crops.append(
                Crop(
                    sight=PatchGrid(tile.tokens, place, pixels(vlm.view, tile)),
                    whole=tile.whole,
                    attention=_array(inside.attention[:, :, own][:, :, tile.tokens]),
                    reads=[[[words[entry] for entry in row] for row in rows] for rows in reads],
                    sure=_array(inside.sure[:, own][:, tile.tokens]),
                    says=_array(inside.says[:, own][:, tile.tokens]),
                )
            )
        yield Viewed(one.name, one.image, crops)


def _protocol(vlm: VLM, opened: Sequence[Opened], asked: GenerationOptions) -> dict[str, Any]:
    return {
        "model": vlm.id,
        "revision": vlm.revision,
        "prompt": asked.prompt,
        "decoding": asked.decoding,
        "pictures": [one.name for one in opened],
        "dtype": str(vlm.model.dtype).removeprefix("torch."),
        "device": str(vlm.model.device),
        "versions": versions(),
    }


def _layers(vlm: VLM, layers: tuple[int, int] | None) -> tuple[int, int]:
    count = vlm.view.n_layers
    if layers is None:
        return vlm.calibration.layers if vlm.calibration else svar_layers(count)
    first, last = layers
    if not 0 <= first <= last < count:
        raise InputError(
            f"layers {first} to {last} are no range of this model's layers, 0 to {count - 1}"
        )
    return first, last


def _require_head(vlm: VLM, head: int | None) -> None:
    if head is not None and not 0 <= head < vlm.view.n_heads:
        raise InputError(f"no head {head}: this model's heads are 0 to {vlm.view.n_heads - 1}")


def _written(tokenizer: Any, entry: int) -> str:
    """A vocabulary entry as text; one that writes nothing goes by its name."""
    word = tokenizer.decode([entry], skip_special_tokens=True).strip()
    return str(word or tokenizer.convert_ids_to_tokens(entry))


def _array(values: Tensor) -> Numbers:
    return np.asarray(values.double().numpy())


_MOST_WORDS = 40


class Chosen(NamedTuple):
    """A word: its characters, the index of its first token, and its mention if it is one."""

    span: tuple[int, int]
    token: int
    mention: Mention | None


def choose(reading: ScoredText, word: str | None = None, token: int | None = None) -> Chosen:
    """The word of a text that was asked for.

    Args:
        word: any word or words of the text, in any case, or the class of an object word; the first
            occurrence counts. None is the object word with the highest risk.
        token: the index of a token, from 0, in the place of a word.

    Raises:
        InputError: not said; the message lists what was. Both given, or neither in a text that
            names no object.
    """
    if word is not None and token is not None:
        raise InputError(f"a word ({word!r}) and a token ({token}) at once; give one of them")
    if token is not None:
        return _by_token(reading, token)
    if word is None:
        if not reading.mentions:
            raise InputError(f"the text names no object; choose one of its words: {_said(reading)}")
        return _of(max(reading.mentions, key=lambda mention: mention.risk))
    if word.strip():
        # Not \b: a word may begin or end with a mark.
        pattern = rf"(?<!\w){re.escape(word.strip())}(?!\w)"
        if found := re.search(pattern, reading.text, re.IGNORECASE):
            return _by_span(reading, found.span())
        named = [m for m in reading.mentions if m.name.lower() == word.strip().lower()]
        if named:
            return _of(named[0])
    raise InputError(f"{word!r} was not said; the words that were: {_said(reading)}")


def _by_token(reading: ScoredText, token: int) -> Chosen:
    if not 0 <= token < len(reading.tokens):
        raise InputError(
            f"no token {token}: the text has {len(reading.tokens)}, the first of which is 0"
        )
    start, end = reading.tokens[token].span
    written = reading.text[start:end]
    span = (end - len(written.lstrip()), start + len(written.rstrip()))  # tokens bring their space
    inside = (m for m in reading.mentions if m.span[0] <= span[0] < m.span[1])
    return Chosen(span, token, next(inside, None))


def _by_span(reading: ScoredText, span: tuple[int, int]) -> Chosen:
    first = tokens_of(span, [token.span for token in reading.tokens]).start
    mention = next((m for m in reading.mentions if m.span == span), None)
    return Chosen(span, first, mention)


def _of(mention: Mention) -> Chosen:
    return Chosen(mention.span, mention.token, mention)


def _said(reading: ScoredText) -> str:
    """The words of a text, each once."""
    words = list(dict.fromkeys(re.findall(r"\w+(?:['’-]\w+)*", reading.text.lower())))
    more = "" if len(words) <= _MOST_WORDS else f" and {len(words) - _MOST_WORDS} more"
    return (", ".join(words[:_MOST_WORDS]) or "none at all, the text is empty") + more


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
            see `engine.readout.with_text`.
        norm: whether the logit lens applies the final norm, softmax(lm_head(norm(h))). The code
            published with arXiv 2411.16724 does not.

    Raises:
        EngineError: the model is in a session already.
        ModelError: a layer without an attention module of its own.
    """
    columns = view.image_columns(**inputs)[0].nonzero()[:, 0]
    row, lens = _NewestRow(columns), _LogitLens(view, columns, token, norm)
    _ = view.lens  # found out by a forward, so before the session is open
    with torch.no_grad(), Stack()(view.model, processor=view.processor, probes=[row, lens]):
        output = view.model(**inputs, use_cache=True, logits_to_keep=1)
        states = torch.stack([row.added[layer] for layer in range(view.n_layers)])
        contribution = view.head(states)[:, token]
    return Inside(
        attention=torch.stack([row.seen[layer] for layer in range(view.n_layers)]),
        contribution=contribution.float().cpu(),
        reads=torch.stack(lens.reads),
        sure=torch.stack(lens.sure),
        says=torch.stack(lens.says),
        logits=output.logits[0, -1].float().cpu(),
    )


class _NewestRow(Probe):
    """Each layer's newest row of attention on the image `columns`, and what it adds."""

    def __init__(self, columns: Tensor) -> None:
        self.columns = columns
        self.seen: dict[int, Tensor] = {}
        self.added: dict[int, Tensor] = {}

    def take_row(
        self, layer: int, weights: Tensor, image: ImageColumns, run: GenerationState
    ) -> None:
        self.seen[layer] = weights[0][:, self.columns.to(weights.device)].float().cpu()

    def take_added(self, layer: int, added: Tensor, run: GenerationState) -> None:
        self.added[layer] = added[0, -1]


class _LogitLens(Probe):
    """Reads the hidden states of image columns, layer after layer."""

    def __init__(self, view: ModelView, columns: Tensor, token: int, norm: bool) -> None:
        self.view, self.columns, self.token, self.norm = view, columns, token, norm
        self.reads: list[Tensor] = []
        self.sure: list[Tensor] = []
        self.says: list[Tensor] = []

    def take_state(self, layer: int, hidden: Tensor, run: GenerationState) -> None:
        reads, sure, says = [], [], []  # layers come in order
        for chunk in torch.split(hidden[0, self.columns.to(hidden.device)], _AT_ONCE):
            logits = self.view.read_hidden(chunk, norm=self.norm)
            shares = logits.float().softmax(-1)  # (image tokens, vocabulary)
            if not self.norm:  # as the published code: over the 50 likeliest entries alone
                likeliest = shares.topk(min(50, shares.shape[-1]), -1).values
                among = shares >= likeliest[:, -1:]
                shares = shares * among / likeliest.sum(-1, keepdim=True)
            best = shares.max(-1)
            reads.append(best.indices.cpu())
            sure.append(best.values.cpu())
            says.append(shares[:, self.token].cpu())
        for kept, parts in ((self.reads, reads), (self.sure, sure), (self.says, says)):
            kept.append(torch.cat(parts))
