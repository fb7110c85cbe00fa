"""Sentences written anew: back to where one began, without the words that failed.

All texts of a batch are generated again in one go, each made to repeat what of it stands and free
from there on; a text that is done repeats itself. Under greedy decoding the same sentence would
come again up to the failed word, so the token before that word is forbidden behind the same path
too. A sentence that still fails after its tries is kept, and its clauses are left out at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessor

from seesay.grounding import Reading, Vocabulary
from seesay.grounding.clauses import sentences
from seesay.grounding.withheld import Withheld
from seesay.looking.looker import Looker, sentence_at

MOST_ROUNDS = 12
"""Generations of a batch beside its first; what is undone by then is left out instead."""


@dataclass(eq=False)
class Path:
    """One text on its way.

    Attributes:
        reading: the newest version.
        first: objects of the first version; any other needs a surer answer.
        stands: tokens from the start that stand.
        tried: how often the sentence behind them was written anew.
        failed: objects that may not be named behind them.
        blocked: token sequences that may not come again behind them, path and last token.
        dropped: what versions that were given up had named.
        done: nothing is left to write anew.
    """

    reading: Reading
    first: frozenset[str]
    stands: int = 0
    tried: int = 0
    failed: set[str] = field(default_factory=set)
    blocked: list[tuple[int, ...]] = field(default_factory=list)
    dropped: list[Withheld] = field(default_factory=list)
    done: bool = False

    @property
    def ids(self) -> list[int]:
        return [token.id for token in self.reading.tokens]


def rewritten(looker: Looker, paths: Sequence[Path], again: Callable[[], list[Reading]]) -> None:
    """Write failing sentences anew until none is left to try.

    Args:
        paths: of the first versions, asked after; they are changed.
        again: generates the batch within the bounds of the paths as they are, and asks.
    """
    for _ in range(MOST_ROUNDS):
        for path in paths:
            _next(looker, path)
        if all(path.done for path in paths):
            return
        for path, reading in zip(paths, again(), strict=True):
            if not path.done:
                path.reading = reading


def _next(looker: Looker, path: Path) -> None:
    """Go back to the first sentence that fails and may be tried again; done if there is none."""
    if path.done:
        return
    reading, look = path.reading, looker.look
    looked = looker.looked(reading, path.first)
    failing = {name for name, its in looked.items() if its.fails}
    for start, end in sentences(reading.text):
        wrong = [m for m in reading.mentions if m.name in failing and start <= m.span[0] < end]
        first = next((k for k, t in enumerate(reading.tokens) if t.span[1] > start), 0)
        if not wrong or first < path.stands:
            continue
        if first > path.stands:
            path.stands, path.tried, path.blocked = first, 0, []
        if path.tried >= look.tries:
            path.stands = first + 1  # stays for `withhold`; go on behind it
            continue
        path.tried += 1
        path.failed |= {m.name for m in wrong}
        at = wrong[0].token
        if at > first:
            path.blocked.append(tuple(path.ids[first:at]))
        path.dropped += [
            Withheld(
                mention=m,
                sentence=sentence_at(reading.text, m.span[0]),
                at=start,
                looked=looked[m.name],
                forbidden=True,
            )
            for m in wrong
            if all(m.name != known.mention.name for known in path.dropped)
        ]
        return
    path.done = True


class Bounds(LogitsProcessor):  # type: ignore[misc]  # transformers is untyped here
    """Leaves each text no choice but what of it stands, and no failed word behind it.

    Args:
        words: the vocabulary of each text.
        prompt: columns of the prompt.
        ends: the tokens that end a text.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        words: Sequence[Vocabulary],
        tokenizer: Any,
        prompt: int,
        ends: Sequence[int],
    ) -> None:
        self.prompt, self.paths = prompt, paths
        self._said = [
            [*path.ids, *ends[:1]] if path.done else path.ids[: path.stands] for path in paths
        ]
        self._banned = [
            [] if path.done else _spellings(tokenizer, its, path.failed)
            for path, its in zip(paths, words, strict=True)
        ]

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        scores = scores.clone()
        for row, (path, said) in enumerate(zip(self.paths, self._said, strict=True)):
            new = input_ids[row, self.prompt :].tolist()
            if len(new) < len(said):
                only = torch.full_like(scores[row], -torch.inf)
                only[said[len(new)]] = 0
                scores[row] = only
                continue
            behind = new[path.stands :]
            gone = [b[-1] for b in path.blocked if tuple(behind) == b[:-1]]
            gone += [b[-1] for b in self._banned[row] if _ends_in(behind, b[:-1])]
            scores[row, gone] = -torch.inf
        return scores


def _ends_in(ids: list[int], tail: tuple[int, ...]) -> bool:
    return not tail or tuple(ids[-len(tail) :]) == tail


def _spellings(tokenizer: Any, words: Vocabulary, names: set[str]) -> list[tuple[int, ...]]:
    """The token sequences that write any of the objects, in the middle and at the start."""
    found: set[tuple[int, ...]] = set()
    for surface, name in words.surfaces.items():
        if name in names:
            for form in (surface, surface.capitalize()):
                for text in (form, f" {form}"):
                    found.add(tuple(tokenizer(text, add_special_tokens=False)["input_ids"]))
    return sorted(ids for ids in found if ids)
