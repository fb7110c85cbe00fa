"""How natural an edited sentence is: by the likelihood that a model gives to the words that stay.

For each candidate the words behind the cut are scored where they stand now, and where they stood in
the sentence as it was written:

    naturalness = Σ min(0, log P(word | what is left before) − log P(word | what was before)) / n

over the first n of them, their end included. 0 says that each is at least as likely as it was. It
needs no grammar of any language, only the model that wrote the text.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import TypeAlias

Judge: TypeAlias = Callable[[str, str, Sequence[str]], Sequence[float]]
"""(what is left of the text before, a sentence, the same sentence edited in some ways) → how
natural each way is, in nats a word, 0 the best; NaN takes none of them."""

Scored: TypeAlias = Sequence[tuple[Hashable, float]]
"""The tokens of a sentence, by any name, each with its log-probability behind those before it."""
Logprobs: TypeAlias = Callable[[str, Sequence[str]], Sequence[Scored]]
"""(what is left of the text before, sentences) → each of them scored."""

FIRST = 6
"""How many tokens behind a cut are looked at: the rest hardly feels it."""


def by_likelihood(logprobs: Logprobs) -> Judge:
    """A judge from the log-probabilities of a model."""

    def judge(before: str, sentence: str, edited: Sequence[str]) -> list[float]:
        whole, *rest = logprobs(before, [sentence, *edited])
        return [naturalness(whole, one) for one in rest]

    return judge


def naturalness(whole: Scored, edited: Scored) -> float:
    """How natural the words behind a cut are, see the module; NaN where a score is none, and where
    no word stands behind it.

    Args:
        whole, edited: the tokens of a sentence before and after, with their log-probabilities.
    """
    start = next((k for k, (a, b) in enumerate(zip(whole, edited, strict=False)) if a[0] != b[0]),
                 min(len(whole), len(edited)))  # fmt: skip
    shared = 0
    while (
        shared < min(len(whole), len(edited)) - start
        and whole[-1 - shared][0] == edited[-1 - shared][0]
    ):
        shared += 1
    put = len(edited) - start - shared  # what was set anew counts as it is
    scores = [edited[start + k][1] + 1.0 for k in range(put)]
    behind = zip(edited[len(edited) - shared :], whole[len(whole) - shared :], strict=True)
    scores += [now[1] - then[1] for now, then in list(behind)[:FIRST]]
    if not scores or any(map(math.isnan, scores)):
        return math.nan
    return sum(min(0.0, score) for score in scores) / len(scores)
