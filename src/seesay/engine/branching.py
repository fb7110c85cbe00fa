"""Where questions leave the prompts whose pictures they are about."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from seesay.engine.layout import Branch
from seesay.errors import InputError
from seesay.processors import chat_prompt

PROMPT_BOUND: Final = (
    "its pictures are read with the prompt in view, so none serves another question"
)
Question: TypeAlias = str | tuple[int, ...]
"""A text, put in the chat template; or a whole prompt as tokens, its picture not expanded, behind
which an answer may have begun."""


def branches_of(
    processor: Any,
    forbidden: frozenset[int],
    ids: Tensor,
    image: Tensor,
    prompts: Sequence[str],
    questions: Sequence[Sequence[Question]],
) -> list[list[Branch]]:
    """Each row's questions, as what they share with its prompt and what they add.

    Args:
        forbidden: the tokens that stand for a picture.
        ids: (rows, columns) the prompts as the model took them.
        image: (rows, columns) bool, their image columns.
        prompts: the text of each row.
        questions: for each row its questions; a row may have none, and is not looked at.

    Raises:
        InputError: see `Fork.replies`.
    """
    # Pictures share most of their questions.
    tokens = functools.cache(functools.partial(_tokens, processor))
    every: list[list[Branch]] = []
    given = ids.tolist()
    for row, texts in enumerate(questions):
        branches = []
        for question in texts:
            new = tokens(question) if isinstance(question, str) else list(question)
            branch = _branch(given[row], image[row], tokens(prompts[row]), new)
            if branch is None:
                raise InputError(
                    f"row {row} is not {prompts[row]!r} behind its picture in the chat template, "
                    "so the picture's cached part is unknown; ask about it anew (Fork.fresh) with "
                    "the picture before the text"
                )
            if forbidden.intersection(branch.ids):
                raise InputError(
                    f"the question {question!r} holds an image token; leave it out, the picture "
                    "is in the prompt already"
                )
            branches.append(branch)
        every.append(branches)
    return every


def _branch(ids: list[int], image: Tensor, old: list[int], new: list[int]) -> Branch | None:
    """Where a question leaves its prompt; None where that is not behind the prompt's picture.

    Args:
        ids, image: (columns,) of the prompt.
        old, new: prompt and question in the chat template, the picture not expanded.
    """
    # The prompt's last row may be a method's, and a question needs a row to be read from.
    most = min(len(old), len(new)) - 1
    shared = next((k for k in range(most) if old[k] != new[k]), most)
    column = len(ids) - (len(old) - shared)
    if ids[column:] != old[shared:] or bool(image[column:].any()):
        return None
    return Branch(column, new[shared:])


def words_of(
    processor: Any,
    questions: Sequence[Sequence[Question]],
    words: Sequence[Sequence[str]],
    branches: Sequence[Sequence[Branch]],
) -> Tensor:
    """(rows, most questions of a row) how far before each question's last row its word's stands.

    Args:
        words: of each question, "" for the row that answers.
        branches: the questions as `branches_of` has them; what they share has no row.
    """
    far = [
        [
            min(_behind(processor, question, word), len(branch.ids) - 1)
            for question, word, branch in zip(*its, strict=True)
        ]
        for its in zip(questions, words, branches, strict=True)
    ]
    return pad_sequence([torch.tensor(its, dtype=torch.long) for its in far], batch_first=True)


def one_each(prompt: str | Sequence[str], rows: int) -> tuple[str, ...]:
    """The prompt of each row, given one for all or one a row."""
    prompts = (prompt,) * rows if isinstance(prompt, str) else tuple(prompt)
    if len(prompts) != rows:
        raise InputError(f"{len(prompts)} prompts for {rows} rows; give one, or one for each row")
    return prompts


def _behind(processor: Any, question: Question, word: str) -> int:
    """How many tokens of a question, as the chat template puts it, follow the last one of `word`;
    0, the row that answers, where the question does not hold it."""
    if not word or not isinstance(question, str):
        return 0
    text, adds_special = chat_prompt(processor, question)
    at = text.lower().rfind(word.lower())
    if at < 0:
        return 0
    texts = [text, text[: at + len(word)]]
    whole, part = processor.tokenizer(texts, add_special_tokens=adds_special)["input_ids"]
    pairs = enumerate(zip(whole, part, strict=False))
    shared = next((k for k, (a, b) in pairs if a != b), min(len(whole), len(part)))
    return len(whole) - max(shared, 1)


def _tokens(processor: Any, prompt: str) -> list[int]:
    """A prompt in the chat template, its picture not yet expanded."""
    text, adds_special = chat_prompt(processor, prompt)
    ids: list[int] = processor.tokenizer(text, add_special_tokens=adds_special)["input_ids"]
    return ids
