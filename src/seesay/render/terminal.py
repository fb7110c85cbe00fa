"""Accounts in a terminal. The marks are text and survive a pipe; colour only repeats them.

`[knife?]` is a doubtful word, `~~knife~~` one that is known not to be in the picture, and
`[~~knife~~?]` one that is both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from seesay.render.account import (
    Account,
    Panel,
    Total,
    invented,
    is_invented,
    named,
    pieces,
    repeats,
)

DOUBTFUL, INVENTED = "yellow", "red strike"


def panel(shown: Panel, *, doubts: bool = True) -> Group:
    """The title, what is there (if known), and every account under its label."""
    parts: list[RenderableType] = [Text(printable(shown.title), style="bold")]
    if shown.question:
        parts.append(Text(printable(shown.question), style="italic"))
    if shown.present is not None:
        parts.append(there(shown.present))
    for index, account in enumerate(shown.accounts):
        same = repeats(account, shown.accounts[:index])
        parts.append(_heading(account, shown.present, same))
        if same is not None:
            continue
        parts.append(Padding(marked(account, shown.present), (0, 0, 0, 4), expand=False))
        if account.withheld:
            parts.append(Padding(unsaid(account, shown.present), (0, 0, 0, 4), expand=False))
        if doubts and any(mention.doubtful for mention in account.mentions):
            parts.append(Padding(doubt_table(account, shown.present), (0, 0, 0, 4), expand=False))
    if shown.note:
        parts.append(Text(printable(shown.note), style="dim"))
    return Group(*parts)


def marked(account: Account, present: frozenset[str] | None = None) -> Text:
    """The text with its doubtful and invented words marked."""
    text = Text()
    for piece in pieces(account, present):
        word = printable(piece.text)
        if piece.invented:
            word = f"~~{word}~~"
        if piece.doubtful:
            word = f"[{word}?]"
        style = INVENTED if piece.invented else DOUBTFUL if piece.doubtful else ""
        text.append(word, style=style)
    if not account.text:
        text.append("(no text)", style="dim")
    if not account.ended:
        text.append(" … (cut at the token limit)", style="dim")
    return text


def unsaid(account: Account, present: frozenset[str] | None = None) -> Text:
    """A line for each word that was thought and not said, and why."""
    lines = []
    for one in account.withheld:
        wrong = is_invented(one.mention, present)
        truth = "" if present is None else " (not there)" if wrong else " (it is there)"
        truth = truth if one.detail is None else ""
        lines.append(f"{printable(str(one))}{truth}")
    return Text("\n".join(lines), style="dim")


def there(present: frozenset[str]) -> Text:
    """What is in the picture, where that is known."""
    names = ", ".join(sorted(present)) or "nothing"
    return Text.assemble(("in the picture: ", "dim"), (names, "green"))


def contradictions(account: Account) -> Text:
    """A line for each word that the text denies and the model, asked, affirms."""
    return Text(
        "\n".join(
            f"the text says that there is no {printable(mention.word)}; asked, the model says yes "
            f"(P(yes) {mention.scores['self_check']:.2f})"
            for mention in account.mentions
            if mention.contradicted
        ),
        style=DOUBTFUL,
    )


def doubt_table(account: Account, present: frozenset[str] | None = None) -> Table:
    """One row a doubtful word: its risk (a rank unless calibrated) and the scores behind it."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("doubtful")
    columns = ("risk", "log-prob", "SVAR", "word no.")
    for column in columns:
        table.add_column(column, justify="right")
    if present is not None:
        table.add_column("truth")
    for mention in account.mentions:
        if not mention.doubtful:
            continue
        scores = mention.scores
        cells = [f"{mention.risk:.2f}", f"{scores['logprob']:.2f}", f"{scores['svar']:.2f}"]
        cells.append(f"{scores['position'] + 1:.0f}")
        if present is not None:
            cells.append("not there" if is_invented(mention, present) else "there")
        table.add_row(Text(printable(mention.word), style=DOUBTFUL), *cells)
    return table


def total_table(rows: Iterable[Total]) -> Table:
    """One row a label: what it invented, what of that is marked, what it named, how fast."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("method", style="cyan")
    for name in ("invented words", "of these marked", "objects named", "seconds a picture"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            printable(row.label),
            f"{row.invented} of {row.words}",
            str(row.marked),
            f"{row.named} of {row.present}",
            "" if row.seconds is None else f"{row.seconds:.2f}",
        )
    return table


def printable(text: str) -> str:
    """`text` without control characters, so that a model cannot steer the terminal."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


# C0 but tab and newline, DEL, C1, the marks that reverse the direction of writing, and halves of
# characters, which no file can hold (a file name that is no UTF-8 brings them).
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def gate_share(acted: float) -> str:
    """How much of a text a gated method had a hand in."""
    return f"acted in {acted:.0%} of the steps"


def _heading(account: Account, present: frozenset[str] | None, same: str | None) -> Text:
    return Text.assemble(
        ("  " + printable(account.label), "cyan"),
        *((f"  {fact}", "dim") for fact in _facts(account, present, same)),
    )


def _facts(account: Account, present: frozenset[str] | None, same: str | None) -> Iterator[str]:
    if account.seconds is not None:
        yield f"{account.seconds:.2f} s"
    if account.acted is not None:
        yield gate_share(account.acted)
    if same is not None:
        yield f"the same as {printable(same)}"
    elif present is not None:
        yield f"{invented(account, present)} of {len(account.mentions)} object words invented"
        yield f"{named(account, present)} of {len(present)} objects named"
