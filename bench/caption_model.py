"""A small language model of captions, which stands in for the model that wrote them.

Interpolated word 4-grams with absolute discounting: what a word's chances are behind the three
before it, mixed with those behind two, one and none. It sees no picture, so it can judge how
natural a sentence is and nothing else. Trained in seconds on captions that are not edited.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from seesay.verification.judge import Judge, Scored, by_likelihood

ORDER, DISCOUNT = 4, 0.75
_WORD = re.compile(r"\w+(?:[-'’]\w+)*|[^\w\s]")


class CaptionModel:
    """Word n-grams.

    Args:
        sentences: what is learnt.
    """

    def __init__(self, sentences: Iterable[str]) -> None:
        self.counts: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        for sentence in sentences:
            words = ["<s>"] * (ORDER - 1) + _words(sentence)
            for k in range(ORDER - 1, len(words)):
                for n in range(ORDER):
                    self.counts[tuple(words[k - n : k])][words[k]] += 1
        self.totals = {context: sum(its.values()) for context, its in self.counts.items()}
        self.size = len(self.counts[()]) + 1

    def probability(self, word: str, context: tuple[str, ...]) -> float:
        """P(word | context), 0 to 1."""
        its = self.counts.get(context)
        shorter = self.probability(word, context[1:]) if context else 1 / self.size
        if its is None:
            return shorter
        left = DISCOUNT * len(its) / self.totals[context]
        return max(its[word] - DISCOUNT, 0) / self.totals[context] + left * shorter

    def scored(self, sentence: str) -> Scored:
        words = ["<s>"] * (ORDER - 1) + _words(sentence)
        return [
            (words[k], math.log(self.probability(words[k], tuple(words[k - ORDER + 1 : k]))))
            for k in range(ORDER - 1, len(words))
        ]

    @property
    def judge(self) -> Judge:
        def logprobs(_: str, sentences: Sequence[str]) -> list[Scored]:
            return [self.scored(sentence) for sentence in sentences]

        return by_likelihood(logprobs)


def _words(sentence: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(sentence)]
