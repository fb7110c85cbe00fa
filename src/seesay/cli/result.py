"""How a text with its doubts is printed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seesay.cli.output import emit, say

if TYPE_CHECKING:
    from rich.console import RenderableType

    from seesay.cli.streaming import Growing
    from seesay.response import Response


def show(
    seen: Response, as_json: bool, report: Path | None, growing: Growing | None = None
) -> None:
    """A text with its doubts, as the options want it.

    Args:
        growing: what has been shown of it already.
    """
    if as_json:
        emit_json(seen.to_dict())
    else:
        from seesay.render import terminal

        account = seen.account()
        there_already = growing is not None and growing.whole(account)
        parts: list[RenderableType] = []
        if not there_already:
            parts.append(terminal.marked(account, seen.present))
        if seen.withheld:
            parts.append(terminal.unsaid(account, seen.present))
        if seen.doubtful:
            parts.append(terminal.doubt_table(account, seen.present))
        if any(mention.contradicted for mention in seen.mentions):
            parts.append(terminal.contradictions(account))
        if seen.present is not None:
            parts.append(terminal.there(seen.present))
        if seen.acted is not None:
            parts.append(f"{seen.method} {terminal.gate_share(seen.acted)}")
        emit(*parts, *_cost(seen), scale(seen))
    if report is not None:
        written(seen.save(report))


def _cost(seen: Response) -> Iterator[RenderableType]:
    """What asking after the objects took, beside the text itself."""
    from rich.text import Text

    if (cost := seen.check) is not None and cost.questions:
        yield Text(
            f"self-check: {cost.questions} questions, {cost.tokens} tokens, forwards: "
            f"{cost.forwards}, {cost.seconds:.2f} of {seen.seconds:.2f} s",
            style="dim",
        )


def scale(seen: Response) -> RenderableType:
    """What a risk means here."""
    from rich.text import Text

    return Text(f"risk: {seen.protocol.risk}", style="dim")


def emit_json(record: Any) -> None:
    emit(json.dumps(record, ensure_ascii=False, indent=2, allow_nan=False))


def written(path: Path) -> None:
    say(f"wrote {path}")
