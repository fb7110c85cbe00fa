"""Scores of a word from hand-made records."""

from __future__ import annotations

import math

import pytest
import torch

from seeing import record
from seesay.errors import InputError
from seesay.grounding.scores import DOUBTFUL_HIGH, SCORES, score_word, svar_layers

TOKENS = [5, 6, 7, 8, 9]
LAYERS = (1, 2)
DEEP = ("confidence", "consistency", "grouped", "scattered")


def full(**changes):
    """A record with everything that a readout can leave behind."""
    generator = torch.Generator().manual_seed(4)

    def drawn(*more: int) -> torch.Tensor:
        return torch.rand(1, len(TOKENS), *more, generator=generator)

    fields = {
        "disagreement": drawn(),
        "confidence": drawn(),
        "consistency": drawn(4),
        "dispersion": drawn(4, 2),
    }
    return record(TOKENS, **{**fields, **changes})


def by_hand(made, token: int) -> dict[str, float]:
    """Every score of one token, written out."""
    layers = range(LAYERS[0], LAYERS[1] + 1)
    heads = range(made.var.shape[3])

    def svar(at: int) -> float:
        return sum(sum(made.var[0, at, lr, h].item() for h in heads) / 2 for lr in layers)

    def mean(values) -> float:
        return sum(values[layer].item() for layer in layers) / 2

    return {
        "logprob": made.plain_logprob[0, token].item(),
        "entropy": made.entropy[0, token].item(),
        "svar": svar(token),
        "svar_own": svar(token + 1),
        "text_attention": made.text_attention[0, token].item(),
        "disagreement": made.disagreement[0, token].item(),
        "confidence": made.confidence[0, token].item(),
        "consistency": mean(made.consistency[0, token + 1]),
        "grouped": mean(made.dispersion[0, token, :, 0]),
        "scattered": mean(made.dispersion[0, token, :, 1]),
        "token": float(token),
    }


@pytest.mark.parametrize("word", [range(1, 2), range(1, 4), range(3)])
def test_every_score_of_a_word_by_hand(word: range) -> None:
    made = full()
    each = [by_hand(made, token) for token in word]
    assert set(each[0]) == set(SCORES)
    expected = {
        "first": {name: each[0][name] for name in SCORES},
        "mean": {name: sum(one[name] for one in each) / len(each) for name in SCORES},
        "min": {
            name: (max if DOUBTFUL_HIGH[name] else min)(one[name] for one in each)
            for name in SCORES
        },
    }
    for aggregate, scores in expected.items():
        found = score_word(made, 0, word, LAYERS, aggregate)
        assert found == pytest.approx(scores, abs=1e-6)
    assert score_word(made, 0, word, LAYERS) == score_word(made, 0, word, LAYERS, "first")


def test_min_takes_the_most_doubtful_token_by_each_score() -> None:
    made = full(
        plain_logprob=torch.tensor([[-1.0, -3.0, -2.0, 0.0, 0.0]]),
        entropy=torch.tensor([[1.0, 0.5, 2.0, 0.0, 0.0]]),
    )
    found = score_word(made, 0, range(3), LAYERS, "min")
    assert (found["logprob"], found["entropy"]) == (-3.0, 2.0)


def test_the_own_row_of_a_cut_texts_last_token_is_unknown() -> None:
    made = full()
    last = len(TOKENS) - 1
    found = score_word(made, 0, range(last, last + 1), LAYERS)
    unknown = {name for name, value in found.items() if math.isnan(value)}
    assert unknown == {"svar_own", "consistency"}
    # Of a word of two tokens the first one's is known.
    for aggregate in ("first", "min", "mean"):
        two = score_word(made, 0, range(last - 1, last + 1), LAYERS, aggregate)
        assert two["svar_own"] == pytest.approx(by_hand(made, last - 1)["svar_own"], abs=1e-6)
        assert not any(map(math.isnan, two.values()))


def test_what_was_not_read_is_left_out() -> None:
    plain = score_word(record(TOKENS), 0, range(1, 2), LAYERS)
    assert set(plain) == set(SCORES) - {"disagreement", *DEEP}
    deep = score_word(full(disagreement=None), 0, range(1, 2), LAYERS)
    assert set(deep) == set(SCORES) - {"disagreement"}


def test_the_rows_of_a_batch_are_told_apart() -> None:
    one, other = full(), full(plain_logprob=-torch.rand(1, 5), var=torch.rand(1, 5, 4, 2))
    fields = {
        name: torch.cat([getattr(one, name), getattr(other, name)])
        for name in one.__dataclass_fields__
        if getattr(one, name) is not None
    }
    both = type(one)(**fields)
    for row, alone in enumerate((one, other)):
        assert score_word(both, row, range(2, 4), LAYERS, "mean") == score_word(
            alone, 0, range(2, 4), LAYERS, "mean"
        )


def test_bad_layers_and_aggregates_are_refused() -> None:
    with pytest.raises(InputError, match="layers 1 to 4 are outside the model's 4 layers"):
        score_word(full(), 0, range(1), (1, 4))
    with pytest.raises(InputError, match="layers 2 to 1"):
        score_word(full(), 0, range(1), (2, 1))
    with pytest.raises(InputError, match="one of first, min, mean, not 'last'"):
        score_word(full(), 0, range(1), LAYERS, "last")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("layers", "expected"), [(32, (5, 18)), (40, (6, 22)), (8, (1, 4)), (4, (0, 2)), (1, (0, 0))]
)
def test_svar_layers_follow_relative_depth(layers: int, expected: tuple[int, int]) -> None:
    assert svar_layers(layers) == expected


def test_every_score_says_which_way_it_speaks_for_doubt() -> None:
    assert set(DOUBTFUL_HIGH) == {*SCORES, "position", "self_check"}
    trusted = {name for name, high in DOUBTFUL_HIGH.items() if not high}
    assert trusted == {
        "logprob", "svar", "svar_own", "confidence", "consistency", "grouped", "self_check",
    }  # fmt: skip
