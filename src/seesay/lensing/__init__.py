"""The lens: where a model looked and what it made of it, just before it wrote one word.

from seesay.lensing import lens
from seesay.render import lens_page, page

seen = lens(seesay.load(), "toy:broken/9", word="horse")
page.save("horse.html", lens_page.render(seen))
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seesay import asking
from seesay.asking import Asked
from seesay.engine import Stack
from seesay.engine.readout import with_text
from seesay.engine.state import Prompt, PromptPicture
from seesay.errors import InputError
from seesay.grounding import Vocabulary, read
from seesay.grounding.scores import svar_layers
from seesay.lensing.choosing import choose
from seesay.lensing.inside import Inside, look_inside
from seesay.models.compat import versions
from seesay.models.image_geometry import Sight, pixels, places
from seesay.pictures import Opened, Picture, open_picture
from seesay.render.lens_page import Crop, Lens, Viewed
from seesay.render.method_trace import Numbers
from seesay.vlm import PROMPT, VLM
from seesay.watching import say

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
    asked = Asked.of(prompt, max_new_tokens=max_new_tokens, vocabulary=vocabulary)
    images = [one.image for one in opened]
    inputs = asking.inputs_for(vlm.model, vlm.processor, images, prompt, together=True)
    columns = vlm.view.image_columns(**inputs)
    prompted = Prompt(vlm.view, inputs, columns).pictures()  # refuses before the long part
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
    inside = look_inside(vlm.view, with_text(inputs, tokens[: chosen.token]), said, norm=norm)
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
    vlm: VLM, opened: Sequence[Opened], prompted: Sequence[PromptPicture], inside: Inside
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
                    sight=Sight(tile.tokens, place, pixels(vlm.view, tile)),
                    whole=tile.whole,
                    attention=_array(inside.attention[:, :, own][:, :, tile.tokens]),
                    reads=[[[words[entry] for entry in row] for row in rows] for rows in reads],
                    sure=_array(inside.sure[:, own][:, tile.tokens]),
                    says=_array(inside.says[:, own][:, tile.tokens]),
                )
            )
        yield Viewed(one.name, one.image, crops)


def _protocol(vlm: VLM, opened: Sequence[Opened], asked: Asked) -> dict[str, Any]:
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
