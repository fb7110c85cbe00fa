"""A report: one self-contained HTML page that opens from disk and asks no network for anything.

What the page shows of each object word, and of several texts beside each other.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seesay.grounding import Mention
from seesay.grounding.removed import Removed
from seesay.render import wording
from seesay.render.account import (
    Account,
    Panel,
    Piece,
    invented,
    is_invented,
    named,
    pieces,
    repeats,
    totals,
)
from seesay.render.charts import curve, data_uri
from seesay.render.heat_maps import Ground, Heat, heat
from seesay.render.terminal import printable
from seesay.render.wording import Fact

if TYPE_CHECKING:
    from jinja2 import Environment


def render(
    panels: Sequence[Panel],
    *,
    title: str = "seesay",
    lead: str = "",
    protocol: Mapping[str, Any] | None = None,
) -> str:
    """The page as text. Everything that a model or a user wrote is escaped.

    Args:
        panels: pictures with their accounts.
        lead: a sentence or two under the title.
        protocol: how the texts were made, printed at the foot; its "risk" stands at the head too.
    """
    views = shown(panels)
    mentions = [m for panel in panels for account in panel.accounts for m in account.mentions]
    return (
        environment()
        .get_template("page.html")
        .render(
            title=title,
            lead=lead,
            panels=views,
            first=first_choice(views),
            ranked=not all(mention.calibrated for mention in mentions),
            scale=(protocol or {}).get("risk"),
            totals=totals(panels) if len(panels) > 1 else [],
            protocol=rows(protocol or {}),
            truth_known=any(panel.present is not None for panel in panels),
        )
    )


@lru_cache
def environment() -> Environment:
    """Where pages are made: everything that goes into a template is escaped unless it says `safe`,
    and `clean` takes control characters out."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("seesay", "render"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["clean"] = printable
    made.globals.update(
        data_uri=data_uri,
        digest=digest,
        invented=invented,
        named=named,
        part=part,
        share=wording.share,
    )
    return made


def digest(script: str) -> str:
    """What a page's security policy names the one script by that may run in it."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def part(name: str) -> str:
    """A style sheet or a script that pages hold; no model or user wrote any of it."""
    return files("seesay.render").joinpath(name).read_text(encoding="utf-8")


def rows(protocol: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The protocol as (name, value) lines; nested values are written out."""
    lines = []
    for name, value in protocol.items():
        if isinstance(value, Mapping):
            value = ", ".join(f"{key} {item}" for key, item in value.items())
        elif isinstance(value, list | tuple):
            value = ", ".join(map(str, value))
        lines.append((name.replace("_", " "), "none" if value is None else str(value)))
    return lines


@dataclass(frozen=True, eq=False)
class Card:
    """One object word: its place on the page, its doubt, its scores, where the model looked.

    `invented` is None where nobody knows what is in the picture; `heat` where the model's patch
    order is not known or its cache was compacted; `again`, where it looked when it was asked after
    the object, where it was not asked; `curve` is an SVG, empty where the layers were not recorded.
    """

    id: str
    mention: Mention
    invented: bool | None
    facts: Sequence[Fact]
    heat: Heat | None
    again: Heat | None
    curve: str

    @property
    def risk(self) -> str:
        return wording.risk(self.mention)

    @property
    def verdict(self) -> str:
        return wording.verdict(self.mention)

    @property
    def marks(self) -> tuple[str, str]:
        """What stands before and behind the word, so that its doubt needs no colour."""
        return ("[", "?]") if self.mention.doubtful else ("", "")


@dataclass(frozen=True, eq=False)
class ShownText:
    """One account as the page shows it: its text in pieces, those that name an object with a card.
    `same` is the label of an earlier account that says the same; scores may differ. `unsaid` is
    what was thought and not said, with cards too."""

    id: str
    account: Account
    same: str | None
    words: Sequence[tuple[Piece, Card | None]]
    unsaid: Sequence[tuple[Removed, Card]] = ()

    @property
    def cards(self) -> list[Card]:
        return [card for _, card in self.words if card is not None]

    @property
    def scores(self) -> list[str]:
        """The names of all scores that any of its words has."""
        return list(dict.fromkeys(name for m in self.account.mentions for name in m.scores))

    @property
    def doubts(self) -> int:
        return sum(mention.doubtful for mention in self.account.mentions)


@dataclass(frozen=True, eq=False)
class ShownImage:
    """One panel as the page shows it."""

    id: str
    panel: Panel
    ground: Ground | None
    told: Sequence[ShownText]

    @property
    def objects(self) -> list[str]:
        """Every object that any of the texts names, in the order of naming."""
        accounts = self.panel.accounts
        return list(dict.fromkeys(m.name for one in accounts for m in one.mentions))

    def card(self, told: ShownText, name: str) -> Card | None:
        """The card of the most doubtful word for the object `name` in a text, if it says one."""
        cards = [card for card in told.cards if card.mention.name == name]
        return max(cards, key=lambda card: card.mention.risk, default=None)


def shown(panels: Sequence[Panel]) -> list[ShownImage]:
    """All panels with ids that are unique on the page."""
    return [_shown(panel, f"{k}") for k, panel in enumerate(panels, 1)]


def _heat(values: NDArray[np.float32] | None) -> Heat | None:
    """None too where a compacted cache left nothing to read: its numbers are none."""
    return None if values is None or bool(np.isnan(values).all()) else heat(values)


def first_choice(panels: Sequence[ShownImage]) -> str | None:
    """The id of the card that stands open at first: the first text's most doubtful word, where the
    page has one text; None where there is more to see first."""
    if len(panels) != 1 or len(panels[0].told) != 1:
        return None
    cards = panels[0].told[0].cards
    return max(cards, key=lambda card: card.mention.risk).id if cards else None


def _shown(panel: Panel, number: str) -> ShownImage:
    ground = Ground.of(panel.picture, panel.sight)
    told = []
    for k, account in enumerate(panel.accounts):
        same = repeats(account, panel.accounts[:k])
        told.append(_told(account, same, panel, f"{number}-{k + 1}"))
    return ShownImage(f"picture-{number}", panel, ground, told)


def _told(account: Account, same: str | None, panel: Panel, number: str) -> ShownText:
    unsaid = [one.mention for one in account.withheld]
    mentions = [*account.mentions, *unsaid]
    names = [f"word-{number}-{k}" for k in range(1, len(account.mentions) + 1)]
    names += [f"unsaid-{number}-{k}" for k in range(1, len(unsaid) + 1)]
    curves = [mention.layers for mention in mentions]
    known = [value for values in curves if values for value in values if math.isfinite(value)]
    cards = []
    for k, (name, mention) in enumerate(zip(names, mentions, strict=True)):
        own, others = curves[k], [c for i, c in enumerate(curves) if c and i != k]
        card = Card(
            id=name,
            mention=mention,
            invented=None if panel.present is None else is_invented(mention, panel.present),
            facts=[*wording.facts(mention.scores), *wording.told(mention)],
            heat=_heat(mention.heatmap),
            again=_heat(mention.heatmap_again),
            curve=curve(own, others, max(known, default=1.0)) if own else "",
        )
        cards.append(card)
    following = iter(cards)
    words = [
        (piece, None if piece.mention is None else next(following))
        for piece in pieces(account, panel.present)
    ]
    thoughts = list(zip(account.withheld, following, strict=True))
    return ShownText(f"text-{number}", account, same, words, thoughts)
