"""What a generation recorded about each word: the scores that a doubt can rest on.

Every score is read from rows that the generation computed anyway. A word's score is that of its
first token: later pieces of a word are easy to guess once it has begun.

| score | meaning | more doubtful when |
|---|---|---|
| logprob | log-probability of the token under the model's own distribution | low |
| entropy | of that distribution, in nats | high |
| svar | attention on the image: heads averaged, a range of layers summed (arXiv 2411.16724) | low |
| position | how many object words came before | high |

SVAR falls along a text whether or not the words are true, so it partly repeats `position`, which
stands beside it for that reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from seesay.errors import InputError

if TYPE_CHECKING:
    from seesay.engine import Record

    Score = Callable[["Record", int, int, tuple[int, int]], float]


def score_token(record: Record, row: int, token: int, layers: tuple[int, int]) -> dict[str, float]:
    """Every score of one token. `layers` is the range of SVAR, both ends included."""
    return {name: score(record, row, token, layers) for name, score in SCORES.items()}


def svar_layers(n_layers: int) -> tuple[int, int]:
    """The paper's layers 5 to 18 of 32, carried to `n_layers` by relative depth; inclusive."""
    return 5 * n_layers // 32, 18 * n_layers // 32


def _logprob(record: Record, row: int, token: int, layers: tuple[int, int]) -> float:
    return float(record.plain_logprob[row, token])


def _entropy(record: Record, row: int, token: int, layers: tuple[int, int]) -> float:
    return float(record.entropy[row, token])


def _svar(record: Record, row: int, token: int, layers: tuple[int, int]) -> float:
    var = record.var[row, token]  # (layers, heads)
    first, last = layers
    if not 0 <= first <= last < var.shape[0]:
        raise InputError(f"layers {first} to {last} are outside the model's {var.shape[0]} layers")
    return float(var[first : last + 1].mean(-1).sum())


SCORES: dict[str, Score] = {"logprob": _logprob, "entropy": _entropy, "svar": _svar}


def alignment(prefixes: Sequence[str]) -> list[tuple[int, int]]:
    """The characters that each token wrote, as (start, end) in the finished text.

    `prefixes[k]` decodes the tokens up to and including k, so `prefixes[-1]` is the text. A token
    that ends inside a multi-byte character writes nothing; the one that completes it writes all of
    it.
    """
    if not prefixes:
        return []
    ends = [0]
    for prefix in prefixes:
        ends.append(max(ends[-1], _agreement(prefix, prefixes[-1])))
    return list(pairwise(ends))


def tokens_of(span: tuple[int, int], spans: Sequence[tuple[int, int]]) -> range:
    """The tokens that wrote any character of `span`."""
    touching = [k for k, (start, end) in enumerate(spans) if start < span[1] and end > span[0]]
    return range(touching[0], touching[-1] + 1) if touching else range(0)


def _agreement(prefix: str, text: str) -> int:
    """How many characters both begin with."""
    if text.startswith(prefix):
        return len(prefix)
    return next(k for k, char in enumerate(prefix) if text[k : k + 1] != char)
