"""Words of a text, cut where the tokenizer of the published CHAIR and AMBER scorers cuts.

That is NLTK's `word_tokenize` (3.10): sentences first, then Penn Treebank rules. What counts here
are its habits: a slash, a hyphen or a full stop without a space after it joins ("dog/cat",
"dog.a"), clitics are words ("'s", "n't"), a few abbreviations keep their full stop.
"""

from __future__ import annotations

import re
from typing import Final

_ALONE: Final = re.compile(
    r"\.{2,}|--|[;@#$%&?!*\[\](){}<>\"“”«»‘’„`‒–—―]|[:,](?!\d)"
    r"|(?<!\w)'(?=\w)(?!(?:re|ve|ll|m|t|s|d|n)\b)"
)
_CLITIC: Final = re.compile(r"(?<=[^'])(?:'(?:s|m|d|ll|re|ve)?|n't)$")
_FUSED: Final = {
    "cannot": ["can", "not"],
    "gonna": ["gon", "na"],
    "gotta": ["got", "ta"],
    "wanna": ["wan", "na"],
    "gimme": ["gim", "me"],
    "lemme": ["lem", "me"],
}
# Inside a text these keep their full stop, as do numbers and single letters before a word: no
# sentence ends there.
_ABBREVIATED: Final = "st. mr. mrs. ms. dr. jr. sr. vs. ave. co. corp. inc. ltd. u.s. a.m. p.m."
_ABBREVIATIONS: Final = frozenset(_ABBREVIATED.split())
_NUMBER_OR_LETTER: Final = re.compile(r"(?:.*[:\d])?\d\.|[a-z]\.")


def tokenize(text: str) -> list[str]:
    """Words and marks in order, as they are written; clitics are known in lower case.

    >>> tokenize("The TV's on, isn't it? A dog.A cat")
    ['The', 'TV', "'s", 'on', ',', 'is', "n't", 'it', '?', 'A', 'dog.A', 'cat']
    """
    chunks = _ALONE.sub(r" \g<0> ", text).split()
    if not chunks:
        return []
    tokens: list[str] = []
    for chunk, following in zip(chunks, [*chunks[1:], ""], strict=True):
        if (chunk.isalpha() and chunk not in _FUSED) or _keeps_stop(chunk, following):
            tokens.append(chunk)
        else:
            tokens += _parts(chunk)
    return tokens


def _keeps_stop(chunk: str, following: str) -> bool:
    if not chunk.endswith(".") or not following:
        return False
    return chunk in _ABBREVIATIONS or bool(
        _NUMBER_OR_LETTER.fullmatch(chunk) and following[0].isalpha()
    )


def _parts(chunk: str) -> list[str]:
    """A chunk between spaces: its word, its clitic, its full stop and its closing quote."""
    after: list[str] = []
    word = chunk
    if word.endswith(".'"):
        word, after = word[:-1], ["'"]
    if word.endswith(".") and word.strip("."):
        word, after = word[:-1], [".", *after]
    found = _CLITIC.search(word)
    if found:
        word, after = word[: found.start()], [found.group(), *after]
    return [*_FUSED.get(word, [word]), *after]
