"""A text released sentence by sentence, each looked at again before it is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import Tensor

from seesay.engine import Record, Session
from seesay.grounding import ScoredText
from seesay.grounding.scored_text import decode
from seesay.grounding.sentences import settled
from seesay.options import OnText
from seesay.verification.policy import Policy
from seesay.verification.verifier import Verifier


class Released:
    """Follows a generation of one text and tells `on_text` what of it has stood a second look.

    A sentence is looked at when the next one has begun. What becomes of a sentence depends on it
    and those before it alone, so what was told is never taken back.
    """

    def __init__(
        self,
        looker: Policy,
        checks: Verifier | None,
        session: Session,
        read: Callable[[Record], ScoredText],
        tokenizer: Any,
        on_text: OnText,
    ) -> None:
        self.looker, self.checks, self.session = looker, checks, session
        self.read, self.tokenizer, self.on_text = read, tokenizer, on_text
        self._settled, self._told = 0, 0

    def __call__(self, new: Tensor) -> None:
        """After a step: `new` (1, tokens) is the text so far."""
        whole = settled(decode(self.tokenizer, new[0].tolist())[0])
        run = self.session.run
        if whole <= self._settled or run is None or run.readout is None:
            return
        self._settled = whole
        reading = beginning(self.read(run.readout.record(new)), whole)
        judge = None if self.checks is None else self.checks.judge(0)
        with self.session.suspended():
            if self.checks is not None:
                reading = self.checks.after(self.session).ask([reading])[0]
            told = self.looker.revised(reading, whole=False, judge=judge).reading
        if len(told.text) > self._told:
            self._told = len(told.text)
            self.on_text(told.text, told.mentions)


def beginning(reading: ScoredText, end: int) -> ScoredText:
    """The first `end` characters of a text."""
    return replace(
        reading,
        text=reading.text[:end],
        tokens=tuple(token for token in reading.tokens if token.span[1] <= end),
        mentions=tuple(mention for mention in reading.mentions if mention.span[1] <= end),
    )
