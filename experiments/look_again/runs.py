"""What is run: each method once a split, at a few strengths; all else is computed from its texts.

Look Again leaves the generation alone, so its curve over thresholds, dropping by log-probability
and cutting to length all follow from one run of the plain model, and so do its compositions from
one run of the other method. Only `rewrite` generates again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from seesay import toy
from seesay.grounding import Mention, ScoredText
from seesay.grounding.attributes import Detail
from seesay.grounding.scored_text import Token
from seesay.methods import parse
from seesay.response import Response
from seesay.toy.world import Split
from seesay.vlm import VLM

FIRST_SEED: Final = 9_000_000
BATCH: Final = 32
LONGEST: Final = 96
SPLITS: Final[tuple[Split, ...]] = ("kept", "broken")

PLAIN: Final = "plain"
SWEEPS: Final = {
    "attention-lens": ("attention-lens(alpha=0.25)", "attention-lens", "attention-lens(alpha=1.0)"),
    "agla": ("agla(alpha=1.0)", "agla"),
    "eah": ("eah",),
    "farsight": ("farsight(sigma=0.05)", "farsight"),
    "vasparse": ("vasparse", "vasparse(keep=0.7, every=8)"),
    "pai": ("pai(alpha=0.2)", "pai"),
    "vcd": ("vcd(alpha=0.25)", "vcd"),
}
"""The published methods, each at a few strengths; the default is among them."""

BASES: Final = ("attention-lens", "agla", "gate(attention-lens(alpha=1.0))")
"""Methods that Look Again is added to."""

REWRITE: Final = "look-again(mode=rewrite)"
ADDING: Final = "look-again(add=0.1)"
"""What else is affirmed of each scene; stricter values follow from it."""
HABIT: Final = "look-again(mode=mark, evidence=self-check, habit=0.5)"
"""Plain's texts asked after with the habit taken off."""
DETAILS: Final = "look-again(mode=mark, attributes=True)"
"""Plain's texts asked after their colours."""


@dataclass(frozen=True)
class Text:
    """A text and what is known of its words; `seconds` and the rest are shared within its batch."""

    reading: ScoredText
    seconds: float


def wanted() -> list[str]:
    """Every run, by its method."""
    swept = [method for points in SWEEPS.values() for method in points]
    return [PLAIN, *dict.fromkeys([*swept, *BASES, REWRITE, ADDING, HABIT, DETAILS])]


def run(vlm: VLM, method: str, split: Split, scenes: int) -> list[Text]:
    """The texts of one method on the scenes of one split, asked after where it is needed."""
    asks = method in (PLAIN, *BASES)
    pictures = [f"toy:{split}/{FIRST_SEED + k}" for k in range(scenes)]
    texts: list[Text] = []
    for first in range(0, scenes, BATCH):
        started = time.process_time()
        seen = vlm.describe(
            pictures[first : first + BATCH], method=parse(method), batch_size=BATCH,
            max_new_tokens=LONGEST, self_check=asks,
        )  # fmt: skip
        seconds = (time.process_time() - started) / len(seen)
        texts += [Text(_reading(one), seconds) for one in seen]
    return texts


def drawn(split: Split, scenes: int) -> list[toy.Scene]:
    """What is described."""
    return [toy.scene(split, FIRST_SEED + k) for k in range(scenes)]


def kept(folder: Path, method: str, split: Split, scenes: int, vlm: VLM) -> list[Text]:
    """As `run`, read from `folder` if the same model's texts lie there, else run and put there."""
    name = "".join(c if c.isalnum() else "-" for c in method).strip("-")
    path = folder / f"{name}-{split}.json"
    header = {"method": method, "split": split, "scenes": scenes, "model": vlm.revision}
    if path.is_file():
        stored = json.loads(path.read_text())
        if stored["of"] == header:
            return [_text(row) for row in stored["texts"]]
    texts = run(vlm, method, split, scenes)
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"of": header, "texts": list(map(_row, texts))}))
    return texts


def _reading(seen: Response) -> ScoredText:
    return ScoredText(seen.text, seen.tokens, seen.mentions, seen.ended)


def _row(text: Text) -> dict[str, Any]:
    return {
        "text": text.reading.text,
        "ended": text.reading.ended,
        "seconds": text.seconds,
        "tokens": [[t.id, *t.span, t.logprob] for t in text.reading.tokens],
        "mentions": [
            [m.name, *m.span, m.token, dict(m.scores), [[*d.span, d.p_yes] for d in m.details]]
            for m in text.reading.mentions
        ],
    }


def _text(row: dict[str, Any]) -> Text:
    tokens = tuple(Token(id_, (a, b), logprob) for id_, a, b, logprob in row["tokens"])
    mentions = tuple(_mentions(row["text"], row["mentions"]))
    return Text(ScoredText(row["text"], tokens, mentions, row["ended"]), row["seconds"])


def _mentions(text: str, rows: Sequence[Any]) -> Iterator[Mention]:
    for name, a, b, token, scores, said in rows:
        details = tuple(Detail("attribute", text[c:d].lower(), (c, d), p_yes=p) for c, d, p in said)
        yield Mention(
            text[a:b], name, (a, b), token, scores, risk=0.0, doubtful=False, details=details
        )
