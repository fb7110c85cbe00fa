"""What a generation leaves behind, or a text that the model was made to say.

One decoding step of a readout: the rows that predicted, and what became of them.

Takes what a generation computes, step by step, and gathers it for the sequences that won.

Everything comes from rows that are computed anyway; nothing stores an n×n map. While the model
runs, values are kept by decoding step and by row (beam); at the end they are gathered for the
sequences that were returned, so scores follow the winning beam. A text that is only read, not
generated, is one step whose rows are the text's tokens.

Generations and readings with a readout: what comes of them is a `Record`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from seesay.engine.attention import Call
from seesay.engine.deep import HiddenStates, neighbours
from seesay.engine.method import Stack
from seesay.engine.probes import Probe
from seesay.engine.state import GenerationState, ImageColumns
from seesay.errors import EngineError, InputError
from seesay.models.compat import broken, with_answer_types
from seesay.models.view import ModelView


@dataclass(frozen=True)
class Record:
    """What was recorded, one row a returned sequence; float32 on the CPU, NaN after a text's end.

    The row that *predicts* token t stands at index t; the token's own row, whose query it is, at
    index t + 1. A text that was not cut ends with its end token, so its last word has both.

    Attributes:
        tokens: (sequences, tokens) the new tokens.
        logprob: (sequences, tokens) log-probability of each token under the distribution it was
            chosen from: after the fold, before temperature and other processors. −inf where the
            plausibility cut had removed a token that was forced.
        plain_logprob: the same under the model's own distribution.
        entropy: (sequences, tokens) of the model's own distribution, in nats.
        first: (sequences, vocabulary) log-probabilities that the first token was chosen from.
        var: (sequences, tokens, layers, heads) VAR of Attention Lens (arXiv 2411.16724): the
            attention that the row predicting the token pays to all image tokens, 0 to 1; NaN for
            heads that a layer with fewer than others does not have.
        image_attention: (sequences, tokens, image tokens) what of it goes to each image token, in
            the order of the prompt; mean over heads and over the middle layers (5 to 18 of 32, by
            relative depth). NaN behind a prompt's last image token and under a compacted cache,
            whose entries stand for no one token.
        text_attention: (sequences, tokens) the attention that layer 0 pays to the tokens generated
            before, mean over heads (PAS, arXiv 2511.11502). NaN under a compacted cache.
        acted: (sequences, tokens) 1 where a gated method acted, 0 where the model was sure; None
            without a gate.
        disagreement: (sequences, tokens) Jensen-Shannon divergence of the plain distribution from
            a second stream's, mean over streams, 0 to ln 2; None without a second stream.
        dispersion: (sequences, tokens, layers, 2), only in a deep readout of a family whose patch
            order is known: see `deep.dispersion`.
        consistency: (sequences, tokens, layers) mean of the five largest cosines between the row's
            hidden state and those of the image tokens (CGC, arXiv 2604.04863); deep only.
        confidence: (sequences, tokens) internal confidence (arXiv 2410.02762): the largest
            probability, over layers and image tokens, that the logit lens gives the token; deep
            only.
    """

    tokens: Tensor
    logprob: Tensor
    plain_logprob: Tensor
    entropy: Tensor
    first: Tensor
    var: Tensor
    image_attention: Tensor
    text_attention: Tensor
    acted: Tensor | None = None
    disagreement: Tensor | None = None
    dispersion: Tensor | None = None
    consistency: Tensor | None = None
    confidence: Tensor | None = None


def middle_layers(layers: int) -> range:
    """The layers over which it is averaged where a row looks: 5 to 18 of 32, by relative depth."""
    return range(5 * layers // 32, 18 * layers // 32 + 1)


@dataclass
class DecodingStep:
    """Values of the rows that predicted.

    Attributes:
        values: (rows, ...) by the record's names.
        plain, folded: (rows, vocabulary) log-probabilities; dropped once the tokens are known.
        ends: (rows, 2, end tokens) plain and folded log-probability of ending here.
        parents: (children,) the row that each row of the next step came from.
        tokens: (children,) what each of them took.
        chosen: (children, 2) plain and folded log-probability of that token.
    """

    values: dict[str, Tensor]
    plain: Tensor
    folded: Tensor
    ends: Tensor
    parents: Tensor | None = None
    tokens: Tensor | None = None
    chosen: Tensor | None = None

    def settle(self, tokens: Tensor, beams: Tensor | None) -> None:
        """The tokens that the rows chose are known: keep their values, drop the rest.

        Args:
            tokens: (children,).
            beams: (children,) the row each one goes on from; None without beams.
        """
        parents = torch.arange(len(tokens)) if beams is None else beams
        at = parents.to(tokens.device)
        both = [part[at, tokens] for part in (self.plain, self.folded)]
        self.chosen = torch.stack(both, -1).cpu()
        self.parents, self.tokens = parents.cpu(), tokens.cpu()
        self.plain = self.folded = self.plain.new_empty(0)

    def logprobs(self, rows: Tensor, tokens: Tensor, ends: Tensor) -> Tensor:
        """Plain and folded log-probability of `tokens` from `rows`; (sequences, 2).

        Args:
            rows, tokens: (sequences,).
            ends: the ids that end a text.
        """
        if self.chosen is None:
            plain, folded = (part.cpu()[rows, tokens] for part in (self.plain, self.folded))
            return torch.stack([plain, folded], -1)
        found = torch.full((len(rows), 2), math.nan)
        if self.parents is not None and self.tokens is not None:
            same = (self.parents == rows[:, None]) & (self.tokens == tokens[:, None])
            child = same.int().argmax(1)
            found = torch.where(same.any(1)[:, None], self.chosen[child], found)
        if len(ends):
            # A text that ends may never be fed back, so its last value was put aside at the time.
            end = tokens[:, None] == ends
            values = self.ends.cpu()[rows, :, end.int().argmax(1)]
            found = torch.where((end.any(1) & found.isnan().all(1))[:, None], values, found)
        return found


def divergence(one: Tensor, other: Tensor) -> Tensor:
    """Jensen-Shannon divergence in nats of log-probabilities (rows, vocabulary); (rows,)."""
    middle = torch.logaddexp(one, other) - math.log(2)
    parts = [(p.exp() * (p - middle)).nansum(-1) for p in (one, other)]
    return (parts[0] + parts[1]) / 2


class Readout(Probe):
    """Takes what the engine computes, step by step.

    Args:
        layers, heads: of the decoder.
        ends: the token ids that end a text.
        prompt: columns of the prompt, behind which generated text begins.
        deep: reads hidden states too, if given.
        rows: how many of a forward's newest rows predict: 1, or all of a text that is read.
    """

    def __init__(
        self,
        layers: int,
        heads: int,
        ends: list[int],
        *,
        prompt: int = 0,
        deep: HiddenStates | None = None,
        rows: int = 1,
    ) -> None:
        self.deep, self.rows = deep, rows
        self._shape, self._prompt = (layers, heads), prompt
        self._middle = middle_layers(layers)
        self._ends = torch.tensor(ends, dtype=torch.long)
        self._steps: list[DecodingStep] = []
        self._batch = 0
        self._seen: dict[int, Tensor] = {}
        self._first_look: dict[int, Tensor] = {}
        self._scattered: set[int] = set()  # layers whose heads hold other entries each
        self._summed: dict[int, tuple[Tensor, Tensor]] = {}  # of a text: over columns, over heads
        self._text: Tensor | None = None
        self._first: Tensor | None = None
        self._image: ImageColumns | None = None
        self._beams: Tensor | None = None

    # ---- while the model runs --------------------------------------------------------------

    def begin_forward(self, rows: int, answer: Tensor | None) -> None:
        """A forward starts on `rows` rows.

        Args:
            answer: (rows, columns) its input ids, the last of which the step before has chosen;
                None while the prompt is read.
        """
        self._batch = rows
        self._seen, self._scattered, self._text = {}, set(), None
        if answer is not None and self._steps:
            self._steps[-1].settle(answer[:, -1], self._beams)
            self._beams = None

    def wants(self, what: str) -> bool:
        return what == ("take_rows" if self.rows > 1 else "take_row")

    def take_row(
        self, layer: int, weights: Tensor, image: ImageColumns, run: GenerationState
    ) -> None:
        own = weights[: self._batch]
        if missing := self._shape[1] - own.shape[1]:  # layers differ in their heads
            own = functional.pad(own, (0, 0, 0, missing), value=math.nan)
        seen = own[:, :, image.start : image.stop]
        self._seen[layer] = seen if image.weight is None else seen * image.weight[: self._batch]
        if image.by_head:
            self._scattered.add(layer)
            return
        self._image = whole = run.image or image
        # What has left a layer's window gets nothing.
        width = max(min(whole.stop, run.seen) - whole.start, 0)
        self._seen[layer] = _behind_nothing(self._seen[layer], width)
        if layer == 0:
            gone = max(0, run.seen - own.shape[-1])
            self._text = own[:, :, max(0, self._prompt - gone) :].sum(-1).nanmean(-1)

    def take_rows(self, call: Call) -> None:
        # A text's maps of all layers would not fit, so each is summed at once.
        sums, means, text, image = [], [], [], call.image
        for _, weights in call.row_blocks(64, call.n_queries - self.rows):
            own = weights[0].transpose(0, 1)  # (rows, heads, columns)
            if missing := self._shape[1] - own.shape[1]:
                own = functional.pad(own, (0, 0, 0, missing), value=math.nan)
            seen = own[..., image.start : image.stop]
            seen = seen if image.weight is None else seen * image.weight[:1]
            sums.append(seen.sum(-1))
            means.append(seen.nanmean(1))
            text.append(own[..., self._prompt :].sum(-1).nanmean(-1))
        self._image = image
        self._summed[call.layer] = torch.cat(sums), torch.cat(means)
        if call.layer == 0:
            self._text = torch.cat(text)

    def look_again(self) -> None:
        """The step at hand is computed a second time; see `keep`."""
        self._first_look, self._seen = self._seen, {}
        if self.deep is not None:
            self.deep.look_again()

    def keep(self, doubt: Tensor) -> None:
        """Keep the second look of the rows in `doubt` (rows,) and the first one of the others."""
        for layer, first in self._first_look.items():
            self._seen[layer] = torch.where(doubt[:, None, None], self._seen[layer], first)
        if self.deep is not None:
            self.deep.keep(doubt)

    def take_logits(
        self,
        plain: Tensor,
        folded: Tensor,
        acted: Tensor | None = None,
        others: Sequence[Tensor] = (),
    ) -> None:
        """The logits of a forward before and after the fold, (batch, positions, vocabulary).

        Args:
            acted: (batch,) whether a gated method acted.
            others: those of the further streams.
        """
        own = self._newest(plain).log_softmax(-1)
        final = own if folded is plain else self._newest(folded).log_softmax(-1)
        if self._first is None:
            self._first = final
        values = {"entropy": torch.special.entr(own.exp()).sum(-1), **self._looks(own)}
        if acted is not None:
            values["acted"] = acted.float()
        if others:
            parts = [divergence(own, self._newest(other).log_softmax(-1)) for other in others]
            values["disagreement"] = torch.stack(parts).mean(0)
        ends = self._ends.to(own.device)
        self._steps.append(
            DecodingStep(values, own, final, torch.stack([own[:, ends], final[:, ends]], 1))
        )

    def take_beams(self, beams: Tensor) -> None:
        """Beam search moved rows: row i goes on from row ``beams[i]``."""
        self._beams = beams

    # ---- afterwards ------------------------------------------------------------------------

    def record(self, new_tokens: Tensor, beam_indices: Tensor | None = None) -> Record:
        """Gather what belongs to the returned sequences; also while a text is being written.

        Args:
            new_tokens: (sequences, tokens) without the prompt.
            beam_indices: (sequences, tokens) the row each token was picked from, −1 after the end;
                None without beams.
        """
        new_tokens = new_tokens.cpu()
        count, length = new_tokens.shape
        found = {"logprob": (), "plain_logprob": (), "entropy": (), "var": self._shape} | {
            name: value.shape[1:] for step in self._steps for name, value in step.values.items()
        }
        out = {name: torch.full((count, length, *shape), math.nan) for name, shape in found.items()}
        going = torch.ones(count, dtype=torch.bool)
        whole = torch.zeros(count, length, dtype=torch.bool)
        first = torch.zeros(count, dtype=torch.long)
        for t in range(length):
            step, rows = self._at(t, count, beam_indices)
            going &= rows >= 0
            whole[:, t] = going
            if step is None:
                break
            which = going.nonzero()[:, 0]
            rows, tokens = rows[which], new_tokens[which, t]
            if t == 0:
                first[which] = rows
            for name, value in step.values.items():
                out[name][which, t] = value.cpu()[rows].float()
            both = step.logprobs(rows, tokens, self._ends)
            out["plain_logprob"][which, t], out["logprob"][which, t] = both.unbind(-1)
            going = going & ~torch.isin(new_tokens[:, t], self._ends)
        for name in ("plain_logprob", "entropy", "var"):  # what every token has, in every layer
            missing = out[name][whole].isnan()
            if bool(missing.all(-1).any() if name == "var" else missing.any()):
                raise broken(f"a written token was read without its {name}")
        gaze = out.pop("image_attention", None)
        blank = torch.full((count, length), math.nan)
        return Record(
            new_tokens,
            first=blank[:, :0] if self._first is None else self._first.cpu()[first],
            image_attention=self._by_image_token(gaze, first, length),
            text_attention=out.pop("text_attention", blank),
            confidence=self._confidence(new_tokens, first),
            **out,
        )

    def _newest(self, logits: Tensor) -> Tensor:
        """The rows that predict, (rows, vocabulary) float32."""
        return (logits[:, -1] if self.rows == 1 else logits[0, -self.rows :]).float()

    def _at(
        self, t: int, count: int, beam_indices: Tensor | None
    ) -> tuple[DecodingStep | None, Tensor]:
        """The step that predicted token t, and the row of each sequence in it."""
        if self.rows > 1:  # one step for the whole text
            step = self._steps[0] if self._steps and t < self.rows else None
            return step, torch.full((count,), t)
        step = self._steps[t] if t < len(self._steps) else None
        return step, torch.arange(count) if beam_indices is None else beam_indices[
            :, t
        ].cpu().long()

    def _looks(self, like: Tensor) -> dict[str, Tensor]:
        """What the rows at hand look at: VAR and the like, by the record's names.

        Layers are summed at once: one small sum a layer would cost as much as the attention.
        """
        reached = bool(self._seen or self._summed)  # a layer without attention pays none: 0
        var = like.new_full((len(like), *self._shape), 0.0 if reached else math.nan)
        for layer in self._scattered:
            var[:, layer] = self._seen[layer].sum(-1)
        found = {"var": var}
        if self._text is not None:
            found["text_attention"] = self._text
        if self._summed:
            whole = sorted(self._summed)
            sums, means = zip(*(self._summed[layer] for layer in whole), strict=True)
            var[:, whole], by_layer = torch.stack(sums, 1).to(var), torch.stack(means, 1)
        else:
            whole = [layer for layer in self._seen if layer not in self._scattered]
            if not whole:
                return found | self._depths(None)
            stacked = torch.stack([self._seen[layer] for layer in whole], 1)
            var[:, whole] = stacked.sum(-1).to(var)
            if self.deep is None:  # heat maps need the middle layers alone
                stacked = stacked[:, [layer in self._middle for layer in whole]]
                whole = [layer for layer in whole if layer in self._middle]
            by_layer = stacked.nanmean(2)
        middle = [at for at, layer in enumerate(whole) if layer in self._middle]
        if len(middle) == len(self._middle):
            found["image_attention"] = by_layer[:, middle].mean(1)
        return found | self._depths(by_layer if len(whole) == self._shape[0] else None)

    def _depths(self, by_layer: Tensor | None) -> dict[str, Tensor]:
        """What a deep readout adds; `by_layer` is (rows, layers, image span)."""
        if self.deep is None:
            return {}
        found = {"consistency": self.deep.consistency()}
        if by_layer is not None and self._image is not None:
            spread = self.deep.dispersion(by_layer, self._image)
            if spread is not None:
                found["dispersion"] = spread
        return found

    def _by_image_token(self, gaze: Tensor | None, rows: Tensor, length: int) -> Tensor:
        """(sequences, tokens, image span) laid in the order of each prompt's image tokens."""
        if gaze is None or self._image is None:
            return torch.full((len(rows), length, 0), math.nan)
        mask = self._image.mask.cpu()
        out = torch.full((len(rows), length, int(mask.sum(1).max())), math.nan)
        for i in range(len(rows)):
            own = mask[0 if self.rows > 1 else int(rows[i])].nonzero()[:, 0] - self._image.start
            out[i, :, : len(own)] = gaze[i][:, own]
        return out

    def _confidence(self, tokens: Tensor, rows: Tensor) -> Tensor | None:
        if self.deep is None or self.deep.words is None:
            return None
        words = self.deep.words.cpu()
        return words[torch.zeros_like(rows) if self.rows > 1 else rows].gather(1, tokens)


def _behind_nothing(seen: Tensor, width: int) -> Tensor:
    """`seen` (..., columns) with zeros before it, up to `width` columns."""
    return functional.pad(seen, (width - seen.shape[-1], 0)) if seen.shape[-1] < width else seen


def generate(
    run: GenerationState, generate: Callable[..., Any], inputs: Mapping[str, Any], *, deep: bool
) -> tuple[Any, Record]:
    """What `generate(**inputs)` returns, and its record.

    Args:
        deep: whether hidden states are read too.
    """
    config = inputs.get("generation_config") or run.view.generation_config
    wants_dict = inputs.get("return_dict_in_generate", config.return_dict_in_generate)
    readout = _attach(run, inputs, deep=deep)
    output = generate(**{**inputs, "return_dict_in_generate": True})
    # Without input ids, generate returns the new tokens alone.
    ids = inputs.get("input_ids")
    new_tokens = output.sequences[:, 0 if ids is None else ids.shape[1] :]
    record = readout.record(new_tokens, output.get("beam_indices"))
    return output if wants_dict else output.sequences, record


def read(
    run: GenerationState, stack: Stack, inputs: Mapping[str, Any], tokens: Tensor, deep: bool
) -> Record:
    """A given text's record; see `Session.read`."""
    _refuse_unreadable(stack, inputs, tokens, run.view)
    readout = _attach(run, inputs, deep=deep, rows=len(tokens))
    run.view.model(**with_text(run.view, inputs, tokens[None, :-1]), logits_to_keep=len(tokens))
    return readout.record(tokens[None])


def _attach(
    run: GenerationState, inputs: Mapping[str, Any], *, deep: bool, rows: int = 1
) -> Readout:
    """Give the generation a new readout, which knows what ends a text under these settings.

    Args:
        inputs: of generate.
        deep: whether hidden states are read too.
        rows: how many rows of a forward predict; see `Readout`.
    """
    view = run.view
    config = inputs.get("generation_config") or view.generation_config
    ends = inputs.get("eos_token_id", config.eos_token_id)
    ids = [] if ends is None else torch.as_tensor(ends).flatten().tolist()
    depths = HiddenStates(view, neighbours(view, inputs, run.prompt)) if deep else None
    shape = view.n_layers, view.n_heads
    run.readout = Readout(*shape, ids, prompt=run.length, deep=depths, rows=rows)
    run.probes += (run.readout,) if depths is None else (run.readout, depths)
    return run.readout


def _refuse_unreadable(
    stack: Stack, inputs: Mapping[str, Any], tokens: Tensor, view: ModelView
) -> None:
    """Refuse what cannot be read in one forward; see `read`."""
    if any(method.active for method in stack.parts):
        raise EngineError(
            f"{stack} acts on one new token at a time, and a given text is read in one forward; "
            "read it with the plain model"
        )
    rows, prompt = inputs["input_ids"].shape
    if rows != 1:
        raise InputError(f"{rows} prompts, but one text is read behind one prompt at a time")
    room = getattr(view.decoder.config, "max_position_embeddings", None)
    if room is not None and prompt + len(tokens) > room:
        raise InputError(
            f"the text has {len(tokens)} tokens and its prompt {prompt}, the model takes {room} in "
            "all; split the text into parts"
        )


def with_text(view: ModelView, inputs: Mapping[str, Any], texts: Tensor) -> dict[str, Any]:
    """The inputs of prompts with the tokens of an answer behind each.

    Args:
        texts: (prompts, tokens).
    """
    ids: Tensor = inputs["input_ids"]
    said = texts.to(ids)
    joined = {}
    for name, value in inputs.items():
        its_own = name.startswith("qformer_")  # another tokenizer's, of equal length by chance
        if isinstance(value, Tensor) and value.shape == ids.shape and not its_own:
            if name == "token_type_ids":
                joined[name] = with_answer_types(view.model, value, said.shape[1])
                continue
            # What marks columns marks open text behind the prompt: nothing but the mask is 1.
            more = torch.full_like(said, int(name == "attention_mask"), dtype=value.dtype)
            value = torch.cat([value, said if name == "input_ids" else more], 1)
        joined[name] = value
    joined.pop("labels", None)
    return joined
