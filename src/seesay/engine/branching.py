"""Where questions leave the prompts whose pictures they are about."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, TypeAlias

from torch import Tensor

from seesay.engine.layout import Branch
from seesay.errors import InputError
from seesay.processors import chat_prompt

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


def _tokens(processor: Any, prompt: str) -> list[int]:
    """A prompt in the chat template, its picture not yet expanded."""
    text, adds_special = chat_prompt(processor, prompt)
    ids: list[int] = processor.tokenizer(text, add_special_tokens=adds_special)["input_ids"]
    return ids
