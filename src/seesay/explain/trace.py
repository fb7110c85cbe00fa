"""What a method changes, measured on one picture: the numbers behind `seesay show`.

The plain model writes its text, and so does the method. Then the method is made to say the plain
text, token by token, so that before and after stand behind the same words. Which parts are measured
follows from the method's verbs alone: a method from outside is traced like ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seesay import pipeline
from seesay.engine import AnyMethod, Method, Record, Stack
from seesay.engine.method import ATTENTION_VERBS
from seesay.errors import MethodError, ModelError
from seesay.explain.observation import Generation, Notes, say
from seesay.grounding import ScoredText, read
from seesay.grounding.scores import svar_layers
from seesay.models import patch_layout
from seesay.models.image_geometry import pixels
from seesay.models.patch_layout import Tile
from seesay.models.processors import inputs_for
from seesay.options import GenerationOptions
from seesay.pictures import Picture, open_picture
from seesay.render.account import Account, Panel
from seesay.render.method_trace import (
    AttentionChange,
    Gated,
    Keys,
    Moment,
    Numbers,
    Odds,
    Part,
    Shared,
    Sink,
    Stream,
    Trace,
)
from seesay.verification import steps_of
from seesay.vlm import PROMPT, VLM

MAX_NEW_TOKENS = 96
_VERBS = ("second_input", *ATTENTION_VERBS, "prune_cache", "logits_term")
_TOP, _MOST_TOKENS = 5, 7
_NO_CHANGE = "the very same picture: not one pixel differs"


def trace(
    vlm: VLM,
    picture: Picture,
    method: str | AnyMethod,
    *,
    prompt: str = PROMPT,
    max_new_tokens: int = MAX_NEW_TOKENS,
) -> Trace:
    """Measure what `method` changes on one picture.

    The moment that is looked at is an object word of the plain text: the one at which the two texts
    part, or else the one at which the method changes most: attention to the picture where it acts
    on attention or the cache, else the word's probability. In a text that names no object every
    token counts as such a word.

    Args:
        picture: as for `VLM.describe`.
        method: a method, a sum of methods, or the text of either.

    Raises:
        MethodError: unknown, or no method at all.
        InputError, EngineError, ModelError: as `VLM.describe`.
    """
    opened = open_picture(picture)
    asked = GenerationOptions.of(prompt, method=method, max_new_tokens=max_new_tokens)
    if asked.plain:
        raise MethodError("plain changes nothing, so there is nothing to show; name a method")
    inputs = inputs_for(vlm.model, vlm.processor, [opened.image], prompt)
    name, notes = repr(asked.method), Notes()
    steps = steps_of(asked.method)
    plain = say(vlm, Stack(), inputs, asked)
    changed = say(vlm, steps, inputs, asked) if steps.parts else plain
    forced = say(vlm, steps, inputs, asked, plain.record.tokens[0], notes)

    vocabulary = opened.vocabulary or vlm.vocabulary
    how: dict[str, Any] = {
        "tokenizer": vlm.processor.tokenizer,
        "end_ids": asked.end_ids(vlm.view),
        "vocabulary": vocabulary,
        "calibration": vlm.calibration,
    }
    readings = [read(said.record, 0, **how) for said in (plain, changed)]
    accounts = [Account(label, reading.text, reading.mentions, ended=reading.ended)
                for label, reading in zip(("plain", name), readings, strict=True)]  # fmt: skip
    case = _Case(vlm, inputs, steps.resolved_for(vlm.view), notes, plain, forced)
    moment, revised = case.moment(readings[0], changed.record), None
    if steps.methods != asked.method.methods:
        revised = pipeline.answer(vlm, [opened], asked)[0]
        accounts[1] = replace(revised.account(), label=name)
        failed = [one.mention for one in revised.withheld if one.beside is one.detail is None]
        if failed and not steps.parts:
            moment = Moment(failed[0].token, failed[0].word, failed[0].span, parting=True)
    return Trace(
        method=name,
        parts=tuple(_part(part.resolved_for(vlm.view)) for part in asked.method.methods),
        model=vlm.id,
        panel=Panel(
            title=opened.name,
            question=prompt,
            accounts=accounts,
            picture=opened.image,
            present=opened.present if vocabulary is opened.vocabulary else None,
        ),
        seen=None if case.tile is None else pixels(vlm.view, case.tile),
        moment=moment,
        odds=case.odds(moment) if steps.parts else None,
        gaze=case.gaze(moment) if case.overrides(*ATTENTION_VERBS) else None,
        sink=case.sink(moment) if case.overrides("sink_logit") else None,
        shared=case.shared(),
        keys=case.keys(moment),
        streams=case.streams(),
        cache=forced.cache if case.overrides("prune_cache") else None,
        gated=_gated(case.method, changed.record, readings[1]),
        withheld=None if revised is None else revised.withheld,
    )


@dataclass(frozen=True, eq=False)
class _Case:
    """The plain text said twice: by the plain model, and under the method with notes taken."""

    vlm: VLM
    inputs: Mapping[str, Any]
    method: Stack
    notes: Notes
    plain: Generation
    forced: Generation

    def overrides(self, *verbs: str) -> bool:
        """Whether any method overrides any of `verbs`."""
        return any(part.active and any(map(part.overrides, verbs)) for part in self.method)

    def moment(self, reading: ScoredText, changed: Record) -> Moment:
        """Where to look; see `trace`."""
        own, other = self.plain.record.tokens[0].tolist(), changed.tokens[0].tolist()
        pairs = enumerate(zip(own, other, strict=False))
        part = next((k for k, (said, instead) in pairs if said != instead), None)
        places = [Moment(m.token, m.word, m.span, m.token == part) for m in reading.mentions]
        if not places:
            spans = [token.span for token in reading.tokens] or [(0, 0)]
            places = [
                Moment(k, self.token(own[k]), span, k == part) for k, span in enumerate(spans)
            ]
        change = self._gaze_change() if self.overrides(*ATTENTION_VERBS, "prune_cache") else None
        if change is None:
            odds = [said.record.logprob[0].exp() for said in (self.plain, self.forced)]
            change = (odds[1] - odds[0]).abs()
        return max(places, key=lambda place: (place.parting, float(change[place.token])))

    def token(self, token: int) -> str:
        """A token as text; one that writes nothing goes by its name."""
        tokenizer = self.vlm.processor.tokenizer
        word = tokenizer.decode([token], skip_special_tokens=True).strip()
        return str(word or tokenizer.convert_ids_to_tokens(token))

    def gaze(self, moment: Moment) -> AttentionChange:
        plain, changed = self.plain.record, self.forced.record
        acting = [part for part in self.method if part.active and _on_attention(part)]
        return AttentionChange(
            plain=self._on_grid(plain.image_attention[0, moment.token]),
            changed=self._on_grid(self._looked()[moment.token]),
            plain_var=_array(plain.var[0, moment.token].nanmean(-1)),
            changed_var=_array(changed.var[0, moment.token].nanmean(-1)),
            layers=frozenset(layer for part in acting for layer in part.acts_in(self.vlm.view)),
        )

    def sink(self, moment: Moment) -> Sink:
        mass, rows = self.notes.mass[moment.token], list(self.notes.rows.values())
        kept = torch.stack(rows).mean(0) if rows else torch.full((len(self._image),), torch.nan)
        layers = np.array([mass[layer] for layer in sorted(mass)])
        return Sink(layers, _array(kept), self._image.numpy())

    def shared(self) -> tuple[Shared, ...]:
        return tuple(
            Shared(layer, head, *(self._on_grid(part[self._image]) for part in (before, after)))
            for layer, (head, before, after) in sorted(self.notes.shared.items())
        )

    def keys(self, moment: Moment) -> Keys | None:
        if (factors := self.notes.factors.get(moment.token)) is None:
            return None
        mean = torch.stack(factors).nanmean(0)
        return Keys(_array(mean), self.forced.cache.kinds[: len(mean)])

    def streams(self) -> tuple[Stream, ...]:
        found = []
        for name, given in self.notes.streams.items():
            if given is None:
                continue
            picture, note = None, "the same picture"
            if "attention_mask" in given:
                closed = int(((given["attention_mask"][0] == 0).cpu() & self._image).sum())
                note = f"no access to {closed} of the {int(self._image.sum())} image tokens"
            if "pixel_values" in given:
                now, before = (given["pixel_values"].float(), self.inputs["pixel_values"].float())
                share = float((now != before).float().mean())
                note = f"{share:.0%} of the pixel values differ" if share else _NO_CHANGE
                tile = _whole_tile(self.vlm, {**self.inputs, **given})
                picture = None if tile is None else pixels(self.vlm.view, tile)
            found.append(Stream(name, picture, note))
        return tuple(found)

    def odds(self, moment: Moment) -> Odds:
        step, said = moment.token, int(self.plain.record.tokens[0, moment.token])
        logits = {"plain model": self.plain.logits[step]}
        if self.overrides("logits_term") and self.overrides(*ATTENTION_VERBS):
            logits["attention changed"] = self.notes.first[step]
        for name, own in self.notes.own.items():
            label = "second run" if len(self.notes.own) == 1 else f"second run ({name})"
            logits[label] = own[step]
        parts, final = self.method.parts, self.forced.logits[step]
        logits["with the sum" if len(parts) > 1 else f"with {parts[0].name}"] = final
        shares = torch.stack([row.softmax(-1) for row in logits.values()])
        ends = shares[[0, -1]]  # (2, vocabulary)
        top = ends.topk(min(_TOP, ends.shape[1]))
        likely = set(top.indices[top.values > 0].tolist()) - {said}
        order = sorted(likely, key=lambda token: -float(ends[:, token].max()))
        order = sorted([said, *order[: _MOST_TOKENS - 1]], key=lambda t: -float(ends[0, t]))
        return Odds(
            tokens=tuple(map(self.token, order)),
            said=order.index(said),
            columns=tuple(logits),
            shares=_array(shares[:, order]),
            cut=tuple(bool(final[token].isneginf()) for token in order),
            beta=max(part.plausibility for part in parts),
        )

    @cached_property
    def tile(self) -> Tile | None:
        """The crop that shows the whole picture; None where the family's patches are not known."""
        return _whole_tile(self.vlm, self.inputs)

    @property
    def _image(self) -> Tensor:
        """(prompt columns,) which of them are image tokens."""
        kinds = self.forced.cache.kinds[: self.inputs["input_ids"].shape[1]]
        return torch.tensor([kind == "image" for kind in kinds])

    def _looked(self) -> Tensor:
        """(tokens, image tokens) as `Record.image_attention`, compacted caches not left out."""
        looked = self.forced.record.image_attention[0].clone()
        first, last = svar_layers(self.vlm.view.n_layers)
        for step, layers in self.notes.gaze.items():
            if step < len(looked) and bool(looked[step].isnan().all()):
                middle = [layers[layer][: len(self._image)] for layer in range(first, last + 1)]
                looked[step] = torch.stack(middle).mean(0)[self._image]
        return looked

    def _gaze_change(self) -> Tensor:
        """(tokens,) how much of the attention to the picture lies elsewhere than in plain."""
        return (self._looked() - self.plain.record.image_attention[0]).abs().nansum(-1)

    def _on_grid(self, values: Tensor) -> Numbers | None:
        """(image tokens,) laid on the patch grid of the picture."""
        return None if self.tile is None else _array(values[self.tile.tokens])


def _on_attention(method: Method) -> bool:
    return any(map(method.overrides, ATTENTION_VERBS))


def _part(method: Method) -> Part:
    acts = ("texts",) if method.acts_on == "texts" else filter(method.overrides, _VERBS)
    verbs = tuple(acts) if method.active else ()
    return Part(repr(method), method.summary, method.paper, verbs)


def _gated(method: Stack, record: Record, reading: ScoredText) -> Gated | None:
    if record.acted is None:
        return None
    acted = [token.span for k, token in enumerate(reading.tokens) if record.acted[0, k] == 1]
    below = max(part.gate_threshold or 0.0 for part in method)
    return Gated(tuple(acted), len(reading.tokens), below)


def _whole_tile(vlm: VLM, inputs: Mapping[str, Any]) -> Tile | None:
    try:
        pictures = patch_layout.split(vlm.view, inputs)
    except ModelError:  # a family whose patch order is not known: all else is shown
        return None
    return next((tile for tiles in pictures for tile in tiles if tile.whole), None)


def _array(values: Tensor) -> Numbers:
    return np.asarray(values.detach().cpu().double().numpy())
