"""Does a text say that what it names is there? "There is no fork", "it could be a fork" and "is
there a fork?" do not, and are never marked, struck or counted as invented."""

from __future__ import annotations

import re
from typing import Final, Literal

from seesay.grounding.vocabulary.matching import Word

Reading = Literal["asserted", "negated", "uncertain"]


def reading(text: str, start: int, end: int) -> Reading:
    """How a text means the object that it names at `text[start:end]`.

    "negated": no fork, without a fork, neither a cup nor a fork, cannot see any fork, instead of a
    fork, a fork is not visible. "uncertain": could be a fork, perhaps a fork, if there were a fork,
    is there a fork? Everything else is asserted, what stands behind a negated object's preposition
    too ("no fork on the table").
    """
    before, behind = text[max(0, start - _FAR) : start], text[end : end + _FAR]
    words = [
        word.lower().replace("’", "'") for word in _WORD.findall(_SENTENCE_END.split(before)[-1])
    ]
    if _denied(words) or _ABSENT.match(behind):
        return "negated"
    stop = _SENTENCE_END.search(behind)
    if (stop is not None and "?" in stop[0]) or _doubted(words):
        return "uncertain"
    return "asserted"


def _denied(words: list[str]) -> bool:
    """Whether what stands before a word of the same sentence denies it, read from right to left."""
    indefinite = -1
    for k in range(len(words) - 1, max(len(words) - 14, -1), -1):
        word, then = words[k], words[k + 1] if k + 1 < len(words) else ""
        if word in _NO:
            return then not in _NO_NO
        if word in ("of", "than") and words[k - 1 : k] and words[k - 1] in _LACKING[word]:
            return True
        if word.endswith("n't") or word in _NOT:
            return then != "but" and k < indefinite <= k + 4
        if word in ("a", "an", "any"):
            indefinite = k if indefinite < 0 else indefinite
        if word in _BEYOND or (
            word == "and" and words[k - 1 : k] == [","] and then in ("a", "an", "the")
        ):
            return False
    return False


def _doubted(words: list[str]) -> bool:
    """Whether a sentence takes the word that follows for possible only."""
    for k in range(len(words) - 1, max(len(words) - 8, -1), -1):
        word, before = words[k], words[max(k - 2, 0) : k]
        if word in _PERHAPS or (word in _MAY_BE and not _MODALS.isdisjoint(before)):
            return True
        if (
            word in ("were", "was", "is", "are")
            and before[-1:] == ["there"]
            and words[k - 2 : k - 1] in (["if"], ["whether"])
        ):
            return True
        if word in _BEYOND:
            return False
    return False


def asserted(text: str, word: Word) -> bool:
    """Whether the text says that the object is there."""
    return reading(text, word.start, word.end) == "asserted"


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_FAR: Final = 120
_WORD: Final = re.compile(r"[\w'’]+|,")
_SENTENCE_END: Final = re.compile(r"[.!?;]+(?=\s|$)|\n|[。！？]")
_NO: Final = _set("no without neither nor lacks lack lacking missing zero")
_NO_NO: Final = _set("doubt longer one matter more , of")
_LACKING: Final = {"of": _set("instead devoid free absence lack"), "than": _set("rather other")}
_NOT: Final = _set("not never cannot nobody none")
_PERHAPS: Final = _set("perhaps possibly maybe")
_MODALS: Final = _set("could might may")
_MAY_BE: Final = _set("be contain include show")
# Words that end what a "no" denies: it says nothing of what stands behind a preposition or verb.
_BEYOND: Final = _set(
    """
    in on at by near beside behind under above below over around along next close with for from to
    through is are was were has can but only just while that which who there where as it he she they
    except though
    """
)
_ABSENT: Final = re.compile(
    r"(?:\s+(?!(?:is|are|and|or|but|with|while)\b)[\w'’-]+){0,2}\s+"
    r"(?:(?:is|are|was|were)(?:\s+not|n['’]t)\s+(?:\w+ly\s+)?"
    r"(?:visible|present|there|seen|shown|pictured|depicted|included|"
    r"in (?:the|this) (?:image|picture|photo|scene))|"
    r"(?:cannot|can['’]t|can not|could not) be (?:seen|found|spotted)|"
    r"(?:is|are) (?:absent|missing|nowhere))\b",
    re.IGNORECASE,
)
