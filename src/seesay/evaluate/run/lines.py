"""A record: an answer and its prompt as one line of JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from seesay.errors import InputError
from seesay.evaluate.benchmark import Answer, Said


def read_records(path: Path) -> list[Answer]:
    """The answers of a file, without a half-written last line; none if there is no file."""
    return [answer for _, answer in lines(path)] if path.is_file() else []


def lines(path: Path) -> Iterator[tuple[bytes, Answer]]:
    """The whole lines of a file and their answers; a last line that was cut off is passed over.

    Raises:
        InputError: a broken line before the last.
    """
    found = path.read_bytes().splitlines(keepends=True)
    for number, text in enumerate(found, 1):
        try:
            if not text.endswith(b"\n"):
                raise ValueError("no end of line")
            yield text, _answer(json.loads(text))
        except (ValueError, KeyError, TypeError) as error:
            if number == len(found):
                return
            raise InputError(
                f"line {number} of {str(path)!r} is no record ({error}); delete the file, and the "
                "run will ask its items again"
            ) from error


def line(answer: Answer, prompt: str) -> str:
    """An answer to a prompt as a line of JSON; a number that is not finite becomes null.

    ASCII alone, so that whatever a model says the line stays one line for every reader.
    """
    record = {
        "id": answer.id,
        "prompt": prompt,
        "text": answer.text,
        "tokens": answer.tokens,
        "seconds": round(answer.seconds, 6),
        "ended": answer.ended,
        "mentions": [
            {
                "name": said.name,
                "span": said.span,
                "logprob": _finite(said.logprob),
                "risk": _finite(said.risk),
            }
            for said in answer.mentions
        ],
        "yes": None if answer.yes is None else _finite(answer.yes),
        "error": answer.error,
    }
    return json.dumps(record, allow_nan=False) + "\n"


def _answer(record: dict[str, Any]) -> Answer:
    return Answer(
        id=record["id"],
        text=record["text"],
        tokens=record["tokens"],
        seconds=record["seconds"],
        ended=record["ended"],
        mentions=tuple(
            Said(m["name"], (m["span"][0], m["span"][1]), _number(m["logprob"]), _number(m["risk"]))
            for m in record["mentions"]
        ),
        yes=record["yes"],
        error=record["error"],
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _number(value: float | None) -> float:
    return math.nan if value is None else value
