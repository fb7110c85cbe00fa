"""From pictures and a question to what was said: generating, reading given texts, checking.

The machinery behind `VLM.describe` and `VLM.audit`: batches, sessions, records read as texts, and
the model asked once more about what it named.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import Tensor

from seesay import options
from seesay.engine import Record, Session, Stack
from seesay.errors import EngineError, InputError, ModelError
from seesay.grounding import ScoredText, Vocabulary, read
from seesay.grounding.scored_text import written
from seesay.grounding.self_check import yes_no_tokens
from seesay.models.compat import versions
from seesay.models.image_geometry import patch_grids
from seesay.models.processors import answer_lead, chat_prompt, inputs_for
from seesay.options import GenerationOptions
from seesay.pictures import Opened
from seesay.response import Protocol, Response
from seesay.verification import Revised, Verification, steps_of

if TYPE_CHECKING:
    from seesay.vlm import VLM

AUDITED = "given text"


def answer(vlm: VLM, pictures: Sequence[Opened], asked: GenerationOptions) -> list[Response]:
    """Ask the same about each picture, batch by batch."""
    if asked.on_text is not None and len(pictures) != 1:
        raise InputError(f"on_text follows one text; {len(pictures)} pictures give as many")
    seen: list[Response] = []
    for first in range(0, len(pictures), asked.batch_size):
        seen += _Batch(vlm, pictures[first : first + asked.batch_size], asked).seen()
    return seen


def audit(vlm: VLM, picture: Opened, text: str, asked: GenerationOptions) -> Response:
    """Read a given text as if the model had said it."""
    if not text.strip():
        raise InputError("the text to audit is empty; give the text that is to be checked")
    return _Batch(vlm, [picture], asked).audited(text.strip())


def vocabulary(vlm: VLM, picture: Opened, asked: GenerationOptions) -> Vocabulary:
    """The object words to look for in a text about this picture."""
    return asked.vocabulary or picture.vocabulary or vlm.vocabulary


class _Batch:
    """Some pictures, asked about at once."""

    def __init__(self, vlm: VLM, pictures: Sequence[Opened], asked: GenerationOptions) -> None:
        self.vlm, self.pictures, self.asked = vlm, pictures, asked
        self.images = [picture.image for picture in pictures]
        self.inputs = inputs_for(vlm.model, vlm.processor, self.images, asked.prompt)
        self.sights = patch_grids(vlm.view, self.inputs, self.images)
        self.cells = [None if sight is None else sight.cells for sight in self.sights]
        self.words = [vocabulary(vlm, picture, asked) for picture in pictures]

    def seen(self) -> list[Response]:
        """The model's own texts."""
        asked, look = self.asked, self._second_look()
        started = time.perf_counter()
        record = self._generated(look, lambda session: self._followers(session, look))
        readings = self._readings(record)
        if asked.on_text is not None and look.looker is None and readings[0].text:
            asked.on_text(readings[0].text, readings[0].mentions)
        revised = look.revised(
            look.asked_after(readings),
            lambda bounds: self._readings(self._generated(look, logits_processor=bounds)),
        )
        if asked.on_text is not None and look.looker is not None and revised[0].reading.text:
            asked.on_text(revised[0].reading.text, revised[0].reading.mentions)
        seconds = (time.perf_counter() - started) / len(readings)
        method = repr(asked.method)
        return [
            self._seen(row, one, method, seconds, _yes(self.vlm, record, row), look)
            for row, one in enumerate(revised)
        ]

    def audited(self, text: str) -> Response:
        """The scores of a given text, read in one forward."""
        asked = self.asked
        if not asked.plain:
            raise InputError(
                f"a given text is read by the plain model, so {asked.method} has no place here; "
                "leave it out"
            )
        look = self._second_look()
        tokens, spans = self._tokens(text)
        session = self._session()
        started = time.perf_counter()
        with torch.no_grad(), options.explained(), session:
            record = session.read(tokens, **self.inputs)
        reading = look.asked_after([self._read(record, 0, (text, spans))])[0]
        seconds = time.perf_counter() - started
        return self._seen(0, Revised(reading), AUDITED, seconds, None, look)

    def _second_look(self) -> Verification:
        return Verification(self.vlm, self.asked, self.inputs, self.images, self.words, self.cells)

    def _generated(
        self,
        look: Verification,
        followers: Callable[[Session], list[options.Follow]] = lambda _: [],
        **more: Any,
    ) -> Record:
        """The record of one generation of all texts."""
        asked, session = self.asked, self._session()
        with options.seeded(asked.seed), options.explained(), session:
            session.generate(**self.inputs, **asked.arguments(*followers(session)), **more)
            look.written(session)
        return _recorded(session)

    def _readings(self, record: Record) -> list[ScoredText]:
        return [self._read(record, row) for row in range(len(self.pictures))]

    def _session(self) -> Session:
        asked = self.asked
        return steps_of(asked.method)(
            self.vlm.model,
            processor=self.vlm.processor,
            images=self.images,
            readout="deep" if asked.deep else True,
        )

    def _read(
        self, record: Record, row: int, given: tuple[str, Sequence[tuple[int, int]]] | None = None
    ) -> ScoredText:
        return read(
            record,
            row,
            tokenizer=self.vlm.processor.tokenizer,
            end_ids=self.asked.end_ids(self.vlm.view),
            vocabulary=self.words[row],
            calibration=self.vlm.calibration,
            cells=self.cells[row],
            aggregate=self.asked.aggregate,
            given=given,
        )

    def _followers(self, session: Session, look: Verification) -> list[options.Follow]:
        """Who is told of each step: `on_text`, of what has settled since it was last called."""
        on_text, told = self.asked.on_text, 0
        if look.looker is not None:
            return look.followers(session, lambda record: self._read(record, 0))
        if on_text is None:
            return []
        tokenizer, words = self.vlm.processor.tokenizer, self.words[0]
        held = options.held_back(words)

        def follow(new: Tensor) -> None:
            nonlocal told
            settled = options.settled(written(tokenizer, new[0].tolist()).strip(), words, held)
            if settled <= told or session.run is None or session.run.readout is None:
                return
            told = settled
            reading = self._read(session.run.readout.record(new), 0)
            said = [mention for mention in reading.mentions if mention.span[1] <= settled]
            on_text(reading.text[:settled].rstrip(), said)

        return [follow]

    def _tokens(self, text: str) -> tuple[Tensor, list[tuple[int, int]]]:
        """A given text's tokens behind the prompt, an end token last; and their characters.

        Raises:
            ModelError: a tokenizer that cannot say which characters a token stands for.
            InputError: a text that holds one of the tokenizer's special tokens.
        """
        tokenizer = self.vlm.processor.tokenizer
        prompt, _ = chat_prompt(self.vlm.processor, self.asked.prompt)
        if not tokenizer.is_fast:
            raise ModelError(
                f"{type(tokenizer).__name__} cannot say which characters a token stands for, so "
                "no score can be given to a word; load the model with its fast tokenizer"
            )
        lead = answer_lead(prompt)
        coded = tokenizer(
            prompt + lead + text, add_special_tokens=False, return_offsets_mapping=True
        )
        self._refuse_marks(text)
        start = len(prompt) + len(lead)
        both = [
            (token, (max(first - start, 0), last - start))
            for token, (first, last) in zip(
                coded["input_ids"], coded["offset_mapping"], strict=True
            )
            if last > start
        ]
        ends = sorted(self.asked.end_ids(self.vlm.view))
        ids = [token for token, _ in both] + ends[:1]
        return torch.tensor(ids), [span for _, span in both]

    def _refuse_marks(self, text: str) -> None:
        for mark in self.vlm.processor.tokenizer.all_special_tokens:
            if mark in text:
                raise InputError(f"the text holds {mark!r}, no word to this model; leave it out")

    def _seen(
        self,
        row: int,
        said: Revised,
        method: str,
        seconds: float,
        yes: float | None,
        look: Verification,
    ) -> Response:
        vlm, asked, picture, words = self.vlm, self.asked, self.pictures[row], self.words[row]
        reading, moved = said.reading, bool(steps_of(asked.method).methods)
        effect = (
            _ON_A_GIVEN_TEXT
            if method == AUDITED and asked.self_check
            else _UNDER_A_METHOD
            if moved
            else ""
        )
        asked_nothing = method == AUDITED and not asked.self_check and vlm.calibration
        remarks = [RANKED if asked_nothing else vlm.scale, effect, look.remark]
        protocol = Protocol(
            model=vlm.id,
            revision=vlm.revision,
            method=AUDITED if method == AUDITED else repr(look.method),
            prompt=asked.prompt,
            decoding=asked.decoding,
            seed=asked.seed,
            picture=picture.name,
            picture_sha256=hashlib.sha256(picture.image.tobytes()).hexdigest(),
            dtype=str(vlm.model.dtype).removeprefix("torch."),
            device=str(vlm.model.device),
            vocabulary=words.name,
            risk="; ".join(filter(None, remarks)),
            readout=asked.readout,
            versions=versions(),
        )
        return Response(
            text=reading.text,
            tokens=reading.tokens,
            mentions=reading.mentions,
            method=method,
            seconds=seconds,
            ended=reading.ended,
            acted=reading.acted,
            yes=yes,
            check=look.cost,
            draft=said.draft,
            withheld=said.withheld,
            protocol=protocol,
            present=picture.present if words is picture.vocabulary else None,
            picture=picture.image,
            sight=self.sights[row],
        )


# A method moves the scores themselves: Attention Lens raises every SVAR, for instance.
_UNDER_A_METHOD = "the method's own effect on the scores is not allowed for"
# Measured in docs/grounding.md: another's wording costs each word probability, true or not.
_ON_A_GIVEN_TEXT = "of a given text: self-check alone"
RANKED = "ranks within the text, which mark nothing: the model was not asked (self-check asks it)"


def _recorded(session: Session) -> Record:
    if session.record is None:
        raise EngineError(f"{session.stack}: the session recorded nothing; please report this")
    return session.record


def _yes(vlm: VLM, record: Record, row: int) -> float | None:
    """P(yes) / (P(yes) + P(no)) of the first token; None for a tokenizer without such tokens."""
    try:
        yes, no = yes_no_tokens(vlm.processor.tokenizer)
    except ModelError:
        return None
    both = [record.first[row, ids].logsumexp(0) for ids in (yes, no)]
    share = float((both[0] - both[1]).sigmoid())
    return share if share == share else None


def untouched(vlm: VLM) -> float:
    """How far an empty session moves the logits on a grey image, over the prompt and 12 decoded
    tokens: 0.0 if not at all. A readout computes decoded rows itself, so there it counts from what
    rounding cannot explain."""
    image = Image.new("RGB", (224, 224), (127, 127, 127))
    inputs = inputs_for(vlm.model, vlm.processor, [image], "Please describe this image in detail.")
    how: dict[str, Any] = {"max_new_tokens": 12, "min_new_tokens": 12, "do_sample": False}
    how |= {"return_dict_in_generate": True, "output_logits": True}

    def logits() -> Tensor:
        return torch.cat(vlm.model.generate(**inputs, **how).logits).float()  # (tokens, vocabulary)

    with torch.no_grad(), options.explained():
        plain = logits()
        with Stack()(vlm.model, processor=vlm.processor):
            empty = logits()
        with Stack()(vlm.model, processor=vlm.processor, readout=True):
            seen = logits()
    said = plain.argmax(-1), seen.argmax(-1)
    apart = (said[0] != said[1]).nonzero()
    same = int(apart[0]) + 1 if len(apart) else len(plain)  # up to a tie that rounding breaks
    off = (plain - seen)[:same].abs().amax(-1)
    rounding = torch.finfo(vlm.model.dtype).eps * _ROUNDINGS * plain.std()
    off[1:][off[1:] < rounding] = 0.0
    return float(max((plain - empty).abs().max(), off.max()))


_ROUNDINGS = 2**14  # of a layer's row, summed over a decoder
