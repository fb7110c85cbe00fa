"""Describing the pictures, under the plain model and under methods, and counting the objects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from seesay.engine import AnyMethod
from seesay.evaluate.diagnose.content import Told, Word
from seesay.evaluate.diagnose.pictures import Shown
from seesay.grounding import Vocabulary
from seesay.grounding.risk import Mention
from seesay.pictures import Opened
from seesay.vlm import VLM

COUNTS = ("invented", "named", "present", "words")
"""What is counted of a text: objects named that are not there, objects named, objects there, and
words of the text; an object counts once."""


def describe(
    vlm: VLM,
    shown: Sequence[Shown],
    opened: Sequence[Opened],
    *,
    prompt: str,
    max_new_tokens: int,
    vocabulary: Vocabulary | None,
) -> list[Told]:
    """What the plain model says, greedily."""
    texts = vlm.describe(
        list(opened),
        prompt=prompt,
        max_new_tokens=max_new_tokens,
        vocabulary=vocabulary,
        batch_size=len(opened),
    )
    return [
        Told(
            one.id,
            tuple(token.id for token in text.tokens),
            tuple(_words(text.mentions, one.objects)),
            None if one.objects is None else len(one.objects),
        )
        for one, text in zip(shown, texts, strict=True)
    ]


def count(
    vlm: VLM,
    shown: Sequence[Shown],
    opened: Sequence[Opened],
    method: AnyMethod | None,
    *,
    prompt: str,
    max_new_tokens: int,
    vocabulary: Vocabulary | None,
) -> list[list[int]]:
    """`COUNTS` of what is said under a method, picture by picture; all have known objects."""
    texts = vlm.describe(
        list(opened),
        method=method,
        prompt=prompt,
        max_new_tokens=max_new_tokens,
        vocabulary=vocabulary,
        batch_size=len(opened),
    )
    found = []
    for one, text in zip(shown, texts, strict=True):
        objects = one.objects or frozenset()
        named = {mention.name for mention in text.mentions}
        found.append(
            [len(named - objects), len(named), len(objects), len(text.text.split())]
        )  # as COUNTS
    return found


def _words(mentions: Iterable[Mention], objects: frozenset[str] | None) -> Iterable[Word]:
    """The first mention of each object."""
    names: dict[str, None] = {}
    for mention in mentions:
        if mention.name not in names:
            names[mention.name] = None
            invented = None if objects is None else mention.name not in objects
            yield Word(mention.name, mention.token, len(names), invented)
