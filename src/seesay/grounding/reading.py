"""From a generation's record to a text whose words know their tokens, scores and risks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from seesay.grounding.risk import Mention, Reference, weigh
from seesay.grounding.scores import alignment, score_token, svar_layers, tokens_of
from seesay.grounding.words import Vocabulary

if TYPE_CHECKING:
    from torch import Tensor

    from seesay.engine import Record


class Token(NamedTuple):
    """A generated token: its id, the characters of the text that it wrote (start, end), and the
    log-probability that the model itself gave it."""

    id: int
    span: tuple[int, int]
    logprob: float


@dataclass(frozen=True)
class Reading:
    """A generated text, its tokens up to the end-of-text token (left out), and its object words.
    `ended` is whether the model ended it, `acted` the share of its steps in which a gated method
    acted (None without a gate)."""

    text: str
    tokens: tuple[Token, ...]
    mentions: tuple[Mention, ...]
    ended: bool
    acted: float | None = None


def read(
    record: Record,
    row: int,
    *,
    tokenizer: Any,
    end_ids: frozenset[int],
    vocabulary: Vocabulary,
    reference: Reference | None,
    cells: Tensor | None = None,
) -> Reading:
    """Row `row` of a record as text.

    Args:
        cells: (rows, columns) the image token of each patch, for heat maps.
        end_ids: the token ids that end a text.
        reference: what its scores look like for true objects; also gives SVAR's layers. Without
            it the layers go by relative depth.
    """
    ids = [int(token) for token in record.tokens[row]]
    length = next((k for k, token in enumerate(ids) if token in end_ids), len(ids))
    text, spans = decode(tokenizer, ids[:length])
    tokens = tuple(
        Token(ids[k], spans[k], float(record.plain_logprob[row, k])) for k in range(length)
    )
    layers = reference.layers if reference else svar_layers(record.var.shape[2])
    words, firsts, scores = [], [], []
    for word in vocabulary.find(text):
        first = tokens_of((word.start, word.end), spans).start
        words.append(word)
        firsts.append(first)
        scores.append(score_token(record, row, first, layers))
    mentions = weigh(text, words, firsts, scores, reference)
    if cells is not None:
        looked = record.image_attention[row]  # (tokens, image tokens)
        mentions = tuple(replace(m, heatmap=looked[m.token][cells].numpy()) for m in mentions)
    acted = None if record.acted is None else float(record.acted[row].nanmean())
    return Reading(text, tokens, mentions, ended=length < len(ids), acted=acted)


def decode(tokenizer: Any, ids: Sequence[int]) -> tuple[str, list[tuple[int, int]]]:
    """The text of `ids` without surrounding white space, and the characters that each wrote."""
    prefixes = [
        tokenizer.decode(ids[: k + 1], skip_special_tokens=True, clean_up_tokenization_spaces=False)
        for k in range(len(ids))
    ]
    whole = prefixes[-1] if prefixes else ""
    text = whole.strip()
    shift = len(whole) - len(whole.lstrip())
    spans = [
        (min(max(start - shift, 0), len(text)), min(max(end - shift, 0), len(text)))
        for start, end in alignment(prefixes)
    ]
    return text, spans
