"""A text that is shown as it grows, word by word, in a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seesay.grounding import Mention
    from seesay.render.account import Account


class Growing:
    """What has been shown of a text so far. Called with what has settled, see `Options.on_text`.

    Args:
        present: the objects in the picture if they are known.
    """

    def __init__(self, present: frozenset[str] | None) -> None:
        from rich.console import Console

        self._present = present
        self._console = Console(highlight=False, emoji=False, markup=False)
        self._shown = ""

    def __call__(self, text: str, mentions: Sequence[Mention]) -> None:
        from seesay.render import terminal
        from seesay.render.account import Account

        marked = terminal.marked(Account("", text, mentions), self._present)
        self._console.print(marked[len(self._shown) :], end="", soft_wrap=True)
        self._shown = marked.plain

    def whole(self, account: Account) -> bool:
        """Whether all of an account stands there as it would be printed now."""
        from seesay.render import terminal

        return bool(self._shown) and terminal.marked(account, self._present).plain == self._shown

    def close(self) -> None:
        if self._shown:
            self._console.print()


@contextmanager
def growing(wanted: bool, present: frozenset[str] | None) -> Iterator[Growing | None]:
    """What shows a text as it grows; None where it is not wanted or stdout is no terminal, which
    then gets the finished text alone."""
    shown = Growing(present) if wanted and sys.stdout.isatty() else None
    try:
        yield shown
    finally:
        if shown is not None:
            shown.close()
