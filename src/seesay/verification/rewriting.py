"""Sentences written anew: back to where one began, without the words that failed.

All texts of a batch are generated again in one go, each made to repeat what of it stands and free
from there on; a text that is done repeats itself. Under greedy decoding the same sentence would
come again up to the failed word, so the token before that word is forbidden behind the same path
too. A new sentence is taken only if it names something new that is found; else the first one comes
back, and its clauses are left out in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import LogitsProcessor

from seesay.grounding import Mention, ScoredText, Vocabulary
from seesay.grounding.removed import Removed
from seesay.grounding.sentences import sentences
from seesay.verification.policy import Policy, sentence_at

MOST_ROUNDS = 12
"""Generations of a batch beside its first; what is undone by then is left out instead."""


@dataclass(eq=False)
class Path:
    """One text on its way.

    Attributes:
        reading: the newest version.
        first: objects of the first version; any other needs a surer answer.
        stands: tokens from the start that stand.
        before: the version before the sentence behind them was tried anew, None if none is.
        tried: how often that was done.
        failed: objects that may not be named behind them.
        blocked: token sequences that may not come again behind them, path and last token.
        dropped: what sentences that were replaced had named.
        done: nothing is left to write anew.
    """

    reading: ScoredText
    first: frozenset[str]
    stands: int = 0
    before: ScoredText | None = None
    tried: int = 0
    failed: set[str] = field(default_factory=set)
    blocked: list[tuple[int, ...]] = field(default_factory=list)
    dropped: list[Removed] = field(default_factory=list)
    done: bool = False

    @property
    def ids(self) -> list[int]:
        return [token.id for token in self.reading.tokens]


def rewritten(looker: Policy, paths: Sequence[Path], again: Callable[[], list[ScoredText]]) -> None:
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


def _next(looker: Policy, path: Path) -> None:
    """Judge the try that has come back, and go back to the next sentence that fails."""
    if path.done:
        return
    if path.before is not None and not _taken(looker, path, path.before):
        if path.tried < looker.look.tries:
            _block(path, _sentence(path.reading, path.stands), looker)
            return
        path.reading, path.stands = path.before, path.stands + 1  # its clauses are left out
    path.before, path.tried, path.blocked = None, 0, []
    for sentence in _sentences(path.reading):
        if sentence.first >= path.stands and _failing(looker, path, sentence):
            path.before, path.stands = path.reading, sentence.first
            _block(path, sentence, looker)
            return
    path.done = True


class _Sentence(NamedTuple):
    """A sentence of a reading: its first token and its mentions."""

    first: int
    mentions: list[Mention]


def _sentences(reading: ScoredText) -> list[_Sentence]:
    found = []
    for start, end in sentences(reading.text):
        first = next((k for k, t in enumerate(reading.tokens) if t.span[1] > start), 0)
        inside = [m for m in reading.mentions if start <= m.span[0] < end]
        found.append(_Sentence(first, inside))
    return found


def _sentence(reading: ScoredText, first: int) -> _Sentence:
    """The sentence that begins with token `first`; an empty one where the text has ended."""
    every = _sentences(reading)
    return next((one for one in every if one.first >= first), _Sentence(first, []))


def _failing(looker: Policy, path: Path, sentence: _Sentence) -> list[Mention]:
    looked = looker.looked(path.reading, path.first)
    return [m for m in sentence.mentions if m.name in looked and looked[m.name].fails]


def _taken(looker: Policy, path: Path, before: ScoredText) -> bool:
    """Whether the new sentence fails in nothing, keeps what did not fail in the one before it, and
    names something that was not said yet."""
    sentence, old = _sentence(path.reading, path.stands), _sentence(before, path.stands)
    looked = looker.looked(before, path.first)
    failed = [m for m in old.mentions if m.name in looked and looked[m.name].fails]
    stays = {m.name for m in old.mentions} - {m.name for m in failed}
    said = {m.name for m in path.reading.mentions if m.token < path.stands}
    names = {m.name for m in sentence.mentions}
    if not names - said - stays or not names >= stays - said or _failing(looker, path, sentence):
        return False
    path.dropped += [
        Removed(m, sentence_at(before.text, m.span[0]), m.span[0], looked[m.name], forbidden=True)
        for m in failed
    ]
    return True


def _block(path: Path, sentence: _Sentence, looker: Policy) -> None:
    """No failing word of `sentence` may come again, nor the path that led to it."""
    path.tried += 1
    wrong = _failing(looker, path, sentence) or sentence.mentions
    path.failed |= {m.name for m in _failing(looker, path, sentence)}
    if wrong and wrong[0].token > path.stands:
        path.blocked.append(tuple(path.ids[path.stands : wrong[0].token]))


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
