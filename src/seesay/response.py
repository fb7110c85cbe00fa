"""What a model said about a picture, how well each object word is supported, and under which
protocol it was said."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from PIL.Image import Image

    from seesay.engine.prefix import QuestionCost
    from seesay.grounding import Mention, Token
    from seesay.grounding.removed import Removed
    from seesay.models.image_geometry import PatchGrid
    from seesay.render.account import Account, Panel

SCHEMA = "seesay.seen/1"


class Protocol(BaseModel):
    """Everything that is needed to say the same thing again. A text without it is an anecdote."""

    model_config = ConfigDict(frozen=True)

    model: str
    revision: str | None
    method: str
    prompt: str
    decoding: dict[str, Any]
    seed: int | None
    picture: str
    picture_sha256: str
    dtype: str
    device: str
    vocabulary: str
    risk: str
    readout: str
    versions: dict[str, str]

    def record(self) -> dict[str, Any]:
        """As JSON types."""
        return self.model_dump(mode="json", fallback=str)


@dataclass(frozen=True)
class Response:
    """A text about a picture.

    Attributes:
        text: what the model said.
        tokens: the generated tokens, aligned with `text`.
        mentions: every object word of the vocabulary, in order, with its scores and risk.
        method: the method's repr; `parse` reads it back. "plain" is the untouched model.
        seconds: wall time of the generation; in a batch, the batch's time shared evenly.
        ended: whether the model ended its text; False if it was cut at `max_new_tokens`.
        acted: share of the text's steps in which a gated method acted; None without a gate.
        protocol: model, revision, prompt, decoding, versions, ...
        present: the objects in the picture if they are known (drawn scenes), else None.
        picture: the picture as it was given to the processor.
        yes: P(yes) / (P(yes) + P(no)) at the first token: what a yes/no answer was chosen from.
        check: what asking after the objects cost, for all of its batch; None where nothing asked.
        draft: what the model wrote before it was looked at again; None where nothing did.
        withheld: the words of the draft that are not said, in its order, and why; what was written
            anew comes first.
        sight: how the model saw it; None where the family's patch order is not known.
    """

    text: str
    tokens: tuple[Token, ...]
    mentions: tuple[Mention, ...]
    method: str
    seconds: float
    ended: bool
    protocol: Protocol
    present: frozenset[str] | None = None
    acted: float | None = None
    yes: float | None = None
    check: QuestionCost | None = None
    draft: str | None = None
    withheld: tuple[Removed, ...] = ()
    picture: Image | None = field(default=None, repr=False, compare=False)
    sight: PatchGrid | None = field(default=None, repr=False, compare=False)

    @property
    def doubtful(self) -> tuple[Mention, ...]:
        """The mentions that are marked as doubtful."""
        return tuple(mention for mention in self.mentions if mention.doubtful)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; a number that is not finite becomes None."""
        record = {
            "schema": SCHEMA,
            "text": self.text,
            "ended": self.ended,
            "method": self.method,
            "seconds": self.seconds,
            "acted": self.acted,
            "yes": self.yes,
            "check": None if self.check is None else asdict(self.check),
            "draft": self.draft,
            "withheld": [one.to_dict() for one in self.withheld],
            "mentions": [mention.to_dict() for mention in self.mentions],
            "tokens": [token._asdict() for token in self.tokens],
            "present": None if self.present is None else sorted(self.present),
            "protocol": self.protocol.record(),
        }
        finite: dict[str, Any] = _finite(record)
        return finite

    def to_json(self, *, indent: int | None = None) -> str:
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=indent, allow_nan=False)

    def account(self) -> Account:
        """This text as `seesay.render` takes it."""
        from seesay.render.account import Account

        told = (self.text, self.mentions, self.seconds, self.ended, self.acted)
        return Account(self.method, *told, self.withheld)

    def save(self, path: str | Path) -> Path:
        """Write a report: one self-contained HTML page with picture, marked text and protocol.

        The file appears whole or not at all. Returns its path.
        """
        return report([self], path)


def report(texts: list[Response], path: str | Path) -> Path:
    """Write several texts about one picture as one page; see `Response.save`."""
    from seesay.render import page
    from seesay.storage import files

    protocol = texts[0].protocol.record()
    if len(texts) > 1:
        protocol["method"] = "; ".join(seen.method for seen in texts)
    title = f"What the model says about {texts[0].protocol.picture}"
    return files.save(path, page.render([panel_of(texts)], title=title, protocol=protocol))


def panel_of(texts: list[Response], note: str = "") -> Panel:
    """Several texts about one picture side by side."""
    from seesay.render.account import Panel

    first = texts[0]
    return Panel(
        title=first.protocol.picture,
        question=first.protocol.prompt,
        accounts=[seen.account() for seen in texts],
        picture=first.picture,
        sight=first.sight,
        present=first.present,
        note=note,
    )


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
