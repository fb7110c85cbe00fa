"""Scores in words: what a number says to somebody who has never heard its name."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from seesay.grounding import Mention


class Fact(NamedTuple):
    """One score of a word: what it is about, what it says, and its technical name and value."""

    about: str
    says: str
    name: str


class _Meaning(NamedTuple):
    about: str
    says: Callable[[float], str]
    name: str


def facts(scores: Mapping[str, float]) -> list[Fact]:
    """Every score that is a number, the known ones explained and in a fixed order."""
    known = [name for name in _MEANINGS if name in scores]
    found = []
    for name in [*known, *sorted(scores.keys() - _MEANINGS.keys())]:
        value = scores[name]
        if math.isnan(value):
            continue
        if name in _MEANINGS:
            about, says, technical = _MEANINGS[name]
            found.append(Fact(about, says(value), f"{technical} {value:.3g}"))
        else:
            found.append(Fact(name.replace("_", " "), f"{value:.3g}", name))
    return found


def told(mention: Mention) -> list[Fact]:
    """What the text says of the object beside its name, as far as the model was asked after it."""
    return [
        Fact(f"Asked again whether “{detail.value}” holds, it says yes", share(detail.p_yes),
             f"self-check, {detail.kind}")
        for detail in mention.details
        if detail.p_yes is not None
    ]  # fmt: skip


def verdict(mention: Mention) -> str:
    """What the risk of a word says, in a sentence; a rank is never called a chance."""
    if mention.contradicted:
        sentence = "The text says that it is not there; asked again, the model says that it is."
    elif mention.meaning != "asserted":
        sentence = "The text does not say that it is there, so it is not doubted."
    elif mention.calibrated:
        sentence = (
            f"Of 100 words with such evidence, about {100 * mention.risk:.0f} name something that "
            "is not in the picture."
        )
    else:
        sentence = (
            f"Its evidence ranks at {mention.risk:.2f} on a scale from 0, the best supported, to "
            "1, the least. A rank is no probability."
        )
    return sentence


def risk(mention: Mention) -> str:
    """The risk as short as a label has room for: a chance in percent, or a rank."""
    return share(mention.risk) if mention.calibrated else f"{mention.risk:.2f}"


def share(value: float) -> str:
    """A share from 0 to 1 in percent, small ones with more digits."""
    if value == 0:
        return "0 %"
    if value < 0.001:
        return "under 0.1 %"
    if value < 0.0995:
        return f"{100 * value:.1f} %"
    return "over 99 %" if 0.99 < value < 1 else f"{100 * value:.0f} %"


def _choices(entropy: float) -> str:
    count = math.exp(entropy)
    if count < 1.5:
        return "hardly anything else came into question"
    return f"as open as between {count:.0f} equally likely words"


def _plain(value: float) -> str:
    return f"{value:.2f}"


_MEANINGS = {
    "logprob": _Meaning(
        "How sure the model was of this word", lambda v: share(math.exp(v)), "log-probability"
    ),
    "entropy": _Meaning("How open the choice was", _choices, "entropy"),
    "self_check": _Meaning("Asked again whether it is there, it says yes", share, "self-check"),
    "svar": _Meaning("Attention to the picture, middle layers added up", _plain, "SVAR"),
    "svar_own": _Meaning("The same just after the word", _plain, "SVAR, own row"),
    "text_attention": _Meaning("Attention to its own text so far, first layer", share, "PAS"),
    "confidence": _Meaning(
        "How strongly any patch of the picture reads as this word", share, "internal confidence"
    ),
    "consistency": _Meaning("Likeness of the word to its best patches", _plain, "CGC"),
    "grouped": _Meaning("Attention on patches that belong together", share, "ADS, grouped"),
    "scattered": _Meaning("How scattered the rest of it is", _plain, "ADS, scattered"),
    "disagreement": _Meaning("How far the second run disagrees", _plain, "stream disagreement"),
    "position": _Meaning(
        "Place in the text; later words are wrong more often",
        lambda v: f"object word no. {v + 1:.0f}",
        "position",
    ),
    "token": _Meaning("Words and parts of words before it", lambda v: f"{v:.0f}", "token"),
}
