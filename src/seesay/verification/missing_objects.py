"""What the model did not name and affirms when asked: said at the end of the text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from seesay.grounding import Mention, Vocabulary
from seesay.grounding.questions import existence
from seesay.methods.look_again import LookAgain
from seesay.verification.policy import Revised


def unsaid(revised: Revised, words: Vocabulary) -> list[str]:
    """The classes that could still be said: neither named nor looked for again in vain."""
    failed = {one.mention.name for one in revised.withheld if one.beside is one.detail is None}
    named = {mention.name for mention in revised.reading.mentions}
    return sorted(words.classes - named - failed)


def completed(revised: Revised, answers: Mapping[str, float], look: LookAgain) -> Revised:
    """With one more sentence about the objects that are affirmed, the surest first.

    Args:
        answers: P(yes) of objects that the text does not name, by class.
        look: says from which P(yes) they are said, and what stands where nothing was left.
    """
    reading, found = revised.reading, [name for name in answers if look.adds(answers[name])]
    names = sorted(found, key=lambda name: -answers[name])
    if not names:
        return revised
    before = "" if not reading.mentions and reading.text == look.otherwise else reading.text
    sentence = existence(names, also=bool(reading.mentions))
    start = len(before) + bool(before)
    mentions = _mentions(sentence, names, answers, start, len(reading.tokens))
    told = replace(
        reading,
        text=f"{before} {sentence}".strip(),
        mentions=(*reading.mentions, *mentions),
    )
    return replace(revised, reading=told)


def _mentions(
    sentence: str, names: list[str], answers: Mapping[str, float], start: int, token: int
) -> Iterator[Mention]:
    """`start`: where the sentence stands; `token`: behind the last one, for no token wrote them."""
    at = 0
    for name in names:
        at = sentence.index(name, at)
        yield Mention(
            word=name,
            name=name,
            span=(start + at, start + at + len(name)),
            token=token,
            scores={"self_check": answers[name]},
            risk=1 - answers[name],
            doubtful=False,
        )
        at += len(name)
