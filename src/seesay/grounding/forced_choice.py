"""Questions with more answers than yes and no: how much of the probability one of them gets.

Most models answer "Is the fork red?". A small one that was never asked so can still go on where its
own answer has begun: behind "Yes, there is" it says "a red fork" or "a blue fork", and the share of
what was claimed among all that could stand there is its answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from seesay.grounding.self_check import ask
from seesay.models.processors import answer_lead, chat_prompt

if TYPE_CHECKING:
    from seesay.engine.prefix import CachedPrefix

Ids: TypeAlias = tuple[int, ...]


class ForcedChoice(NamedTuple):
    """A question, and what is looked for in the answer.

    Attributes:
        question: as a user would put it.
        begun: how the answer begins.
        said: what was claimed to stand behind that; "" asks for yes and no.
        instead: what else could stand there.
    """

    question: str
    begun: str = ""
    said: str = ""
    instead: tuple[str, ...] = ()


def shares(fork: CachedPrefix, inquiries: Sequence[Sequence[ForcedChoice]]) -> list[list[float]]:
    """P(said) / (P(said) + Σ P(instead)) of each inquiry, or P(yes) / (P(yes) + P(no)); 0 to 1.

    Args:
        fork: the pictures' cached prompts.
        inquiries: for each prompt of the fork, all for yes and no or none.

    Raises:
        ModelError, InputError, EngineError: see `self_check.ask` and `CachedPrefix.logits`.
    """
    if all(one.said for its in inquiries for one in its):
        return _continued(fork, inquiries)
    answers = ask(fork, [[one.question for one in its] for its in inquiries])
    return [[answer.p_yes for answer in its] for its in answers]


def _continued(
    fork: CachedPrefix, inquiries: Sequence[Sequence[ForcedChoice]]
) -> list[list[float]]:
    """By how the answers go on, every place where they part in one forward."""
    ways = [[_ways(fork.processor, one) for one in its] for its in inquiries]
    stems = [list(dict.fromkeys(s for one in its for s in _stems(one))) for its in ways]
    found = []
    for its, places, logits in zip(ways, stems, fork.logits(stems), strict=True):
        at = dict(zip(places, logits.log_softmax(-1), strict=True)) if places else {}
        found.append([_share(one, at) for one in its])
    return found


def _ways(processor: Any, inquiry: ForcedChoice) -> list[Ids]:
    """The tokens of the prompt, the answer begun and gone on with, the claimed way first."""
    prompt, adds_special = chat_prompt(processor, inquiry.question)
    begun = f"{prompt}{answer_lead(prompt)}{inquiry.begun} "
    texts = [begun + way for way in (inquiry.said, *inquiry.instead)]
    ids = processor.tokenizer(texts, add_special_tokens=adds_special)["input_ids"]
    return [tuple(one) for one in ids]


def _stems(ways: Sequence[Ids]) -> Iterator[Ids]:
    """What each token that tells the ways apart follows upon."""
    shared = _shared(ways)
    yield from (way[:k] for way in ways for k in range(shared, len(way)))


def _shared(ways: Sequence[Ids]) -> int:
    """How many tokens all ways begin with: they weigh the same in each."""
    first, last = min(ways), max(ways)
    pairs = enumerate(zip(first, last, strict=False))
    return next((k for k, (a, b) in pairs if a != b), min(len(first), len(last)))


def _share(ways: Sequence[Ids], at: Any) -> float:
    """The first way's share of all, from log-probabilities (vocabulary,) by stem."""
    import torch

    shared = _shared(ways)
    logs = [sum(at[way[:k]][way[k]] for k in range(shared, len(way))) for way in ways]
    return float(torch.stack(logs).softmax(0)[0])
