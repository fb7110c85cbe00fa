"""From a record to a text whose words know their tokens, scores and risks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from seesay.grounding.calibration import Calibration
from seesay.grounding.risk import Mention, weigh
from seesay.grounding.scores import Aggregate, alignment, score_word, svar_layers, tokens_of
from seesay.grounding.vocabulary import Vocabulary, Word

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from seesay.engine import Record


class Token(NamedTuple):
    """A generated token: its id, the characters of the text that it wrote (start, end), and the
    log-probability that the model itself gave it."""

    id: int
    span: tuple[int, int]
    logprob: float


@dataclass(frozen=True)
class ScoredText:
    """A generated text, its tokens up to the end-of-text token (left out), and its object words.
    `ended` is whether the model ended it, `acted` the share of its steps in which a gated method
    acted (None without a gate), `given` whether another wrote the text."""

    text: str
    tokens: tuple[Token, ...]
    mentions: tuple[Mention, ...]
    ended: bool
    acted: float | None = None
    given: bool = False


def read(
    record: Record,
    row: int,
    *,
    tokenizer: Any,
    end_ids: frozenset[int],
    vocabulary: Vocabulary,
    calibration: Calibration | None,
    cells: Tensor | None = None,
    aggregate: Aggregate = "first",
    given: tuple[str, Sequence[tuple[int, int]]] | None = None,
) -> ScoredText:
    """Row `row` of a record as text.

    Args:
        end_ids: the token ids that end a text.
        calibration: also gives SVAR's layers. Without it they go by relative depth.
        cells: (rows, columns) the image token of each patch, for heat maps.
        aggregate: from a word's tokens to its scores, see `score_word`.
        given: the text and its tokens' characters, where it was not generated.
    """
    ids = [int(token) for token in record.tokens[row]]
    length = next((k for k, token in enumerate(ids) if token in end_ids), len(ids))
    text, spans = given or decode(tokenizer, ids[:length])
    tokens = tuple(
        Token(ids[k], spans[k], float(record.plain_logprob[row, k])) for k in range(length)
    )
    layers = calibration.layers if calibration else svar_layers(record.var.shape[2])
    words, firsts, scores = [], [], []
    for word in vocabulary.find(text):
        wrote = tokens_of((word.start, word.end), spans)
        if len(wrote):
            words.append(word)
            firsts.append(wrote.start)
            scores.append(score_word(record, row, wrote, layers, aggregate))
    mentions = weigh(text, words, firsts, scores, calibration, given is not None)
    return ScoredText(
        text,
        tokens,
        tuple(_looked(mention, record, row, cells) for mention in mentions),
        ended=length < len(ids),
        acted=None if record.acted is None else float(record.acted[row].nanmean()),
        given=given is not None,
    )


def checked(
    reading: ScoredText,
    answers: Mapping[str, float],
    calibration: Calibration | None,
    again: Mapping[str, NDArray[np.float32] | None] | None = None,
) -> ScoredText:
    """The reading with `self_check` among its words' scores, weighed anew.

    Args:
        answers: class → P(yes).
        again: class → `Mention.heatmap_again`.
    """
    mentions = reading.mentions
    scores = [
        {**m.scores, "self_check": answers[m.name]} if m.name in answers else m.scores
        for m in mentions
    ]
    words = [Word(m.name, *m.span) for m in mentions]
    tokens = [m.token for m in mentions]
    weighed = weigh(reading.text, words, tokens, scores, calibration, reading.given)
    kept = tuple(
        replace(
            now,
            layers=m.layers,
            own_layers=m.own_layers,
            heatmap=m.heatmap,
            details=m.details,
            heatmap_again=(again or {}).get(m.name),
        )
        for now, m in zip(weighed, mentions, strict=True)
    )
    return replace(reading, mentions=kept)


def _looked(mention: Mention, record: Record, row: int, cells: Tensor | None) -> Mention:
    """The mention with where the row that predicts it looked."""
    by_layer = record.var[row].nanmean(-1)  # (tokens, layers)
    own = mention.token + 1
    cut = own >= len(by_layer) or bool(by_layer[own].isnan().any())
    return replace(
        mention,
        layers=tuple(by_layer[mention.token].tolist()),
        own_layers=None if cut else tuple(by_layer[own].tolist()),
        heatmap=on_grid(record.image_attention[row, mention.token], cells),
    )


def on_grid(gaze: Tensor | None, cells: Tensor | None) -> NDArray[np.float32] | None:
    """The attention on each image token, (image tokens,), as the patches lie in the picture.

    Args:
        cells: see `read`.
    """
    if gaze is None or cells is None or not len(gaze):
        return None
    laid: NDArray[np.float32] = gaze[cells].numpy()
    return laid


def decode(tokenizer: Any, ids: Sequence[int]) -> tuple[str, list[tuple[int, int]]]:
    """The text of `ids` without surrounding white space, and the characters that each wrote."""
    prefixes = [written(tokenizer, ids[: k + 1]) for k in range(len(ids))]
    whole = prefixes[-1] if prefixes else ""
    text = whole.strip()
    shift = len(whole) - len(whole.lstrip())
    spans = [
        (min(max(start - shift, 0), len(text)), min(max(end - shift, 0), len(text)))
        for start, end in alignment(prefixes)
    ]
    return text, spans


def written(tokenizer: Any, ids: Sequence[int]) -> str:
    """What tokens wrote, special ones left out."""
    text: str = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return text
