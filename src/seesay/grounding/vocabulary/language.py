"""Is a text English? Words of another language are not looked for with English ones."""

from __future__ import annotations

import re
from typing import Final

NOT_ENGLISH: Final = "the text does not look English: words were not looked for"


def looks_english(text: str) -> bool:
    """Whether a text may be English: it is too short to say, or its commonest words are not those
    of another language, nor its letters of another script. Goes by its first 2,000 characters."""
    words = re.findall(r"[^\W\d_]+", text[:2000].lower())
    letters = "".join(words)
    if not letters:
        return True
    if sum(not ("a" <= letter <= "z") for letter in letters) > 0.3 * len(letters):
        return False
    english = sum(word in _ENGLISH for word in words)
    foreign = sum(word in _FOREIGN for word in words)
    return foreign < 2 or foreign <= english


_ENGLISH: Final = frozenset(
    """
    the of and is are with to there it that this on image by for from has as an can be which near i
    and two
    """.split()  # noqa: SIM905
)
_FOREIGN: Final = frozenset(
    """
    der die das und ist ein eine einen einem einer auf mit im den dem neben sitzt steht zwei nicht
    auch von zu
    le la les une un est et dans sur avec des du au aux il elle sont qui deux pas
    el los las una en y con por del al hay es que se su sobre dos está
    il lo gli uno di e è con nel nella sul sulla due che sono c
    um uma os as no na em com do da dos das há ao são
    het een van op met zijn er naast
    ett och på med av som en är det och og på til av det er
    jest na się w z i oraz
    """.split()  # noqa: SIM905
) - frozenset("i as no do in on an a is at by to so am be he me we us of or c".split())  # noqa: SIM905
