"""The contract of methods that act on texts: `seesay.testing.check_method` hands them over.

A session has nothing to do for such a method, so it is tested where it acts, through
`VLM.describe`: the same checks under the same names, held against texts, their marks and what was
withheld. A bare ``generate`` under it must be refused, since it would do nothing without a word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from seesay.engine import REGISTRY, AnyMethod, Method, Stack, parse
from seesay.errors import EngineError, MethodError
from seesay.grounding import Vocabulary
from seesay.grounding.attributes import KINDS, AttributeQualification
from seesay.grounding.qualification import Qualification
from seesay.models.view import ModelView
from seesay.response import Response
from seesay.testing.contract import ContractError
from seesay.vlm import VLM

NEW_TOKENS = 24
_PICTURES = tuple(f"toy:broken/{seed}" for seed in range(4))
_KNOWS = Qualification(pictures=16, pairs=1.0, accuracy=1.0, mass=1.0)
_KNOWS_DETAILS = {kind: AttributeQualification(kind, 1.0, 32) for kind in KINDS}

Outcomes = Iterator[tuple[str, str]]


@dataclass
class TextCase:
    """A method on a model that writes about drawn scenes."""

    method: Method
    model: Any
    processor: Any
    vlm: VLM = field(init=False)

    def __post_init__(self) -> None:
        view = ModelView.of(self.model, self.processor)
        self.vlm = VLM(self.model, self.processor, view, "given", vocabulary=Vocabulary.toy())
        # The contract is about what a method does, not about what this model knows.
        vars(self.vlm)["exam"] = _KNOWS
        self.vlm.detail_exams.update(_KNOWS_DETAILS)

    def outcomes(self) -> Outcomes:
        """Every check: its name, and that it held or was refused as declared.

        Raises:
            ContractError: one did neither.
        """
        yield from self._itself()
        plain, said = self.told(Stack()), self.told(self.method)
        if said == plain:
            raise ContractError(f"{self.method!r} changes nothing here; test it where it does")
        zero = self.told(self.method.at_zero())
        self._same("strength 0", [one[0] for one in plain], [one[0] for one in zero])
        yield "strength 0 is plain", "held"
        self._same("the plain model behind it", plain, self.told(Stack()))
        self._interrupted()
        self._same("the plain model behind an exception", plain, self.told(Stack()))
        yield "restored after exit and exception", "held"
        yield self._mode("batch", lambda: self._alone(said))
        yield self._mode("beams", lambda: self._alone(self.told(self.method, num_beams=3), 3))
        draw = {"do_sample": True, "seed": 5}
        yield self._mode("sampling", lambda: self._twice(**draw))
        yield self._mode("streaming", self._streamed)
        for mode, how in _DECODING.items():
            yield self._mode(mode, lambda how=how: self._as(said, how))  # type: ignore[misc]
        self._same("a second time", said, self.told(self.method))
        yield "no state between generations", "held"
        yield from self._composed()

    def told(self, method: AnyMethod, **how: Any) -> list[tuple[Any, ...]]:
        """What is said of each picture, together."""
        seen = self.vlm.describe(list(_PICTURES), method=method, max_new_tokens=NEW_TOKENS, **how)
        return list(map(_told, seen))

    def _itself(self) -> Outcomes:
        if parse(repr(self.method)) != self.method:
            raise ContractError(f"parse({self.method!r}) gives {parse(repr(self.method))!r}")
        yield "repr round-trips", "held"
        with self.method(self.model, processor=self.processor):
            try:
                self.model.generate()
            except EngineError as error:
                yield "bare generate", f"refused: {error}"
                return
        raise ContractError(f"{self.method!r}: a bare generate is not refused, and does nothing")

    def _interrupted(self) -> None:
        def stop(*_: object) -> None:
            raise KeyboardInterrupt

        try:
            self.vlm.describe(_PICTURES[0], method=self.method, on_token=stop)
        except KeyboardInterrupt:
            return

    def _alone(self, together: list[tuple[Any, ...]], beams: int = 1) -> None:
        how: dict[str, Any] = {"max_new_tokens": NEW_TOKENS, "num_beams": beams}
        for picture, expected in zip(_PICTURES, together, strict=True):
            alone = _told(self.vlm.describe(picture, method=self.method, **how))
            self._same(f"{picture} alone", [expected], [alone])

    def _twice(self, **how: Any) -> None:
        one, two = (self.told(self.method, **how) for _ in range(2))
        self._same("sampling twice with one seed", one, two)

    def _as(self, said: list[tuple[Any, ...]], how: dict[str, Any]) -> None:
        self._same(f"{how}", said, self.told(self.method, generation=how))

    def _streamed(self) -> None:
        for picture in _PICTURES:
            heard: list[str] = []
            seen = self.vlm.describe(
                picture, method=self.method, max_new_tokens=NEW_TOKENS,
                on_text=lambda text, _: heard.append(text),  # noqa: B023  # called in this turn
            )  # fmt: skip
            whole = self.vlm.describe(picture, method=self.method, max_new_tokens=NEW_TOKENS)
            self._same("a text that is followed", [_told(whole)], [_told(seen)])
            if heard and heard[-1] != seen.text:
                raise ContractError(f"{self.method!r}: {heard[-1]!r} was told, not {seen.text!r}")
            for before, after in pairwise(heard):
                if not after.startswith(before):
                    raise ContractError(f"{self.method!r} takes back {before!r}: {after!r}")

    def _composed(self) -> Outcomes:
        for name, kind in sorted(REGISTRY.items()):
            if not kind.standalone or name == self.method.name:
                continue
            try:
                self.vlm.describe(_PICTURES[0], method=self.method + kind(), max_new_tokens=2)
            except (MethodError, EngineError) as error:
                yield f"with {name}", f"refused: {error}"
            else:
                yield f"with {name}", "held"

    def _mode(self, title: str, run: Callable[[], None]) -> tuple[str, str]:
        declared = self.method.refuses.get(title)
        try:
            run()
        except EngineError as error:
            if declared is None:
                raise ContractError(
                    f"{self.method!r} refuses {title} without declaring it"
                ) from error
            return title, f"refused: {declared}"
        if declared is not None:
            raise ContractError(f"{self.method!r} declares that it refuses {title}, and does not")
        return title, "held"

    def _same(self, title: str, expected: list[Any], got: list[Any]) -> None:
        if expected != got:
            raise ContractError(f"{self.method!r}: {title} gives another text")


_DECODING = {
    "static cache": {"cache_implementation": "static"},
    "prefill in chunks": {"prefill_chunk_size": 16},
}


def _told(seen: Response) -> tuple[Any, ...]:
    """What must agree: the text, its marks, and what was thought and not said."""
    marks = [(m.name, m.span, m.doubtful) for m in seen.mentions]
    return seen.text, marks, [str(one.mention.word) for one in seen.withheld]
