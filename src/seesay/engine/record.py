"""What a generation leaves behind, or a text that the model was made to say."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Record:
    """What was recorded, one row a returned sequence; float32 on the CPU, NaN after a text's end.

    The row that *predicts* token t stands at index t; the token's own row, whose query it is, at
    index t + 1. A text that was not cut ends with its end token, so its last word has both.

    Attributes:
        tokens: (sequences, tokens) the new tokens.
        logprob: (sequences, tokens) log-probability of each token under the distribution it was
            chosen from: after the fold, before temperature and other processors. −inf where the
            plausibility cut had removed a token that was forced.
        plain_logprob: the same under the model's own distribution.
        entropy: (sequences, tokens) of the model's own distribution, in nats.
        first: (sequences, vocabulary) log-probabilities that the first token was chosen from.
        var: (sequences, tokens, layers, heads) VAR of Attention Lens (arXiv 2411.16724): the
            attention that the row predicting the token pays to all image tokens, 0 to 1.
        image_attention: (sequences, tokens, image tokens) what of it goes to each image token, in
            the order of the prompt; mean over heads and over the middle layers (5 to 18 of 32, by
            relative depth). NaN behind a prompt's last image token and under a compacted cache,
            whose entries stand for no one token.
        text_attention: (sequences, tokens) the attention that layer 0 pays to the tokens generated
            before, mean over heads (PAS, arXiv 2511.11502). NaN under a compacted cache.
        acted: (sequences, tokens) 1 where a gated method acted, 0 where the model was sure; None
            without a gate.
        disagreement: (sequences, tokens) Jensen-Shannon divergence of the plain distribution from
            a second stream's, mean over streams, 0 to ln 2; None without a second stream.
        dispersion: (sequences, tokens, layers, 2), only in a deep readout of a family whose patch
            order is known: see `deep.dispersion`.
        consistency: (sequences, tokens, layers) mean of the five largest cosines between the row's
            hidden state and those of the image tokens (CGC, arXiv 2604.04863); deep only.
        confidence: (sequences, tokens) internal confidence (arXiv 2410.02762): the largest
            probability, over layers and image tokens, that the logit lens gives the token; deep
            only.
    """

    tokens: Tensor
    logprob: Tensor
    plain_logprob: Tensor
    entropy: Tensor
    first: Tensor
    var: Tensor
    image_attention: Tensor
    text_attention: Tensor
    acted: Tensor | None = None
    disagreement: Tensor | None = None
    dispersion: Tensor | None = None
    consistency: Tensor | None = None
    confidence: Tensor | None = None


def middle_layers(layers: int) -> range:
    """The layers over which it is averaged where a row looks: 5 to 18 of 32, by relative depth."""
    return range(5 * layers // 32, 18 * layers // 32 + 1)
