"""Which word of a text a lens looks at."""

from __future__ import annotations

import re
from typing import NamedTuple

from seesay.errors import InputError
from seesay.grounding import Mention, Reading
from seesay.grounding.scores import tokens_of

_MOST_WORDS = 40


class Chosen(NamedTuple):
    """A word: its characters, the index of its first token, and its mention if it is one."""

    span: tuple[int, int]
    token: int
    mention: Mention | None


def choose(reading: Reading, word: str | None = None, token: int | None = None) -> Chosen:
    """The word of a text that was asked for.

    Args:
        word: any word or words of the text, in any case, or the class of an object word; the first
            occurrence counts. None is the object word with the highest risk.
        token: the index of a token, from 0, in the place of a word.

    Raises:
        InputError: not said; the message lists what was. Both given, or neither in a text that
            names no object.
    """
    if word is not None and token is not None:
        raise InputError(f"a word ({word!r}) and a token ({token}) at once; give one of them")
    if token is not None:
        return _by_token(reading, token)
    if word is None:
        if not reading.mentions:
            raise InputError(f"the text names no object; choose one of its words: {_said(reading)}")
        return _of(max(reading.mentions, key=lambda mention: mention.risk))
    if word.strip():
        # Not \b: a word may begin or end with a mark.
        pattern = rf"(?<!\w){re.escape(word.strip())}(?!\w)"
        if found := re.search(pattern, reading.text, re.IGNORECASE):
            return _by_span(reading, found.span())
        named = [m for m in reading.mentions if m.name.lower() == word.strip().lower()]
        if named:
            return _of(named[0])
    raise InputError(f"{word!r} was not said; the words that were: {_said(reading)}")


def _by_token(reading: Reading, token: int) -> Chosen:
    if not 0 <= token < len(reading.tokens):
        raise InputError(
            f"no token {token}: the text has {len(reading.tokens)}, the first of which is 0"
        )
    start, end = reading.tokens[token].span
    written = reading.text[start:end]
    span = (end - len(written.lstrip()), start + len(written.rstrip()))  # tokens bring their space
    inside = (m for m in reading.mentions if m.span[0] <= span[0] < m.span[1])
    return Chosen(span, token, next(inside, None))


def _by_span(reading: Reading, span: tuple[int, int]) -> Chosen:
    first = tokens_of(span, [token.span for token in reading.tokens]).start
    mention = next((m for m in reading.mentions if m.span == span), None)
    return Chosen(span, first, mention)


def _of(mention: Mention) -> Chosen:
    return Chosen(mention.span, mention.token, mention)


def _said(reading: Reading) -> str:
    """The words of a text, each once."""
    words = list(dict.fromkeys(re.findall(r"\w+(?:['’-]\w+)*", reading.text.lower())))
    more = "" if len(words) <= _MOST_WORDS else f" and {len(words) - _MOST_WORDS} more"
    return (", ".join(words[:_MOST_WORDS]) or "none at all, the text is empty") + more
