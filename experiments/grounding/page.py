"""The page of figures, as Markdown."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Sequence

from experiments.grounding.given import section
from experiments.grounding.measure import (
    CHECKED_RISK,
    LONGEST,
    RESAMPLES,
    RISK,
    Difference,
    Row,
    Said,
    Spent,
    differences,
    doubt,
    layer_curve,
    rows,
    truths,
)
from seesay.errors import InputError
from seesay.grounding import Calibration
from seesay.statistics import detection_metrics
from seesay.statistics.intervals import Interval
from seesay.vlm import PROMPT, VLM

TARGET = 0.05
"""The expected calibration error that a calibrated risk should stay under."""

MEANING = {
    RISK: "calibrated, from the caption's own pass",
    CHECKED_RISK: "calibrated, with self-check",
    "self_check": "P(yes) when asked in a fresh dialogue",
    "logprob": "log-probability of the word",
    "entropy": "of the distribution it was chosen from",
    "svar": "attention on the image, layers of the calibration, predicting row",
    "svar_own": "the same, the word's own row",
    "svar, by depth": "the published layers, carried by relative depth",
    "text_attention": "layer 0 on the text before (PAS)",
    "confidence": "logit lens on image tokens (internal confidence)",
    "consistency": "likeness to the image's states (CGC)",
    "grouped": "attention in connected patches (after ADS)",
    "scattered": "entropy of its other attention (after ADS)",
    "token": "tokens before: a baseline",
    "position": "object words before: the baseline",
}
SPLITS = {"kept": "habit-keeping", "broken": "habit-breaking"}


def page(vlm: VLM, words: Sequence[Said], others: Sequence[Said], cost: Spent, seeds: range) -> str:
    """All figures of the words.

    Args:
        words, others: of the model's own captions, and of given texts.
        seeds: of the scenes, of each split.
    """
    if vlm.calibration is None:
        raise InputError(f"{vlm.id} has no calibration to measure; see `seesay calibrate`")
    parts = [
        *_head(vlm, vlm.calibration, words, seeds),
        *_scores(words),
        *_differences(differences(words)),
        *_reliability(words),
        *_layers(words, vlm.calibration),
        *section(others, len({word.picture for word in others})),
        *_cost(cost),
        *_limits(),
    ]
    return "\n".join(parts) + "\n"


def _head(vlm: VLM, calibration: Calibration, words: Sequence[Said], seeds: range) -> Iterator[str]:
    firsts = [word for word in words if word.first]
    protocol = ", ".join(f"{name} {version}" for name, version in calibration.versions.items())
    yield "# Which words to doubt: every score, measured\n"
    yield (
        "How well each score tells objects that a caption invents from those that are there, on "
        "drawn scenes that neither training nor calibration has seen. **Nothing here says anything "
        "about large models**: run `seesay calibrate` on yours. This page is generated.\n"
    )
    yield _table(
        ["", ""],
        [
            ["command", f"`python -m experiments.grounding --scenes {len(seeds)} "
                        "--out docs/grounding.md`"],
            ["model", f"{vlm.id}, revision `{vlm.revision}`"],
            ["calibration", f"{calibration.made_from}; {calibration.words} objects, layers "
                            f"{calibration.layers[0]} to {calibration.layers[1]}"],
            ["scenes", f"seeds {seeds[0]} to {seeds[-1]} of habit-keeping and of habit-breaking "
                       f"scenes: {2 * len(seeds)} captions"],
            ["prompt, decoding", f"“{PROMPT}”; greedy, at most {LONGEST} tokens, float32, CPU"],
            ["objects", f"{len(firsts)} by their first mentions, {int(truths(firsts).sum())} of "
                        f"them not there; {len(words) - len(firsts)} later mentions"],
            ["versions", f"{protocol}, Python {platform.python_version()}"],
        ],
    )  # fmt: skip
    yield (
        f"\nBrackets hold 95 % intervals from {RESAMPLES:,} draws of pictures with return. AUROC "
        "is the chance that an invented object looks more doubtful than a true one; *within "
        "position* compares objects named equally late only (first, second, ... sixth or later), "
        "so that a score gains nothing from falling along a text. AP is average precision; by "
        "chance it is the share of invented objects.\n"
    )


def _scores(words: Sequence[Said]) -> Iterator[str]:
    found = rows(words)
    yield "## Scores\n"
    header = ["score", "AUROC", "within position", "AP", "AUROC, every mention", "what it is"]
    yield _table(
        header,
        [
            [f"`{row.name}`", _in(row.auroc), _in(row.within), _in(row.precision),
             f"{row.every:.3f}", MEANING.get(row.name, "")]
            for row in found
        ],
    )  # fmt: skip
    yield (
        "\nAn object has one risk in a caption, that of its first mention: later ones are copied "
        "from the text before and look safe whether or not the object is there, which the last "
        "column of figures shows.\n"
    )
    yield "Both kinds of scenes apart:\n"
    apart = {split: {row.name: row for row in rows(_of(words, split))} for split in SPLITS}
    header = ["score", *(f"{name}, {what}" for name in SPLITS.values() for what in _APART)]
    yield _table(
        header,
        [
            [f"`{row.name}`", *(cell for one in apart.values() for cell in _cells(one[row.name]))]
            for row in found
        ],
    )


_APART = ("AUROC", "within position", "AP")


def _cells(row: Row) -> list[str]:
    return [_in(row.auroc), _in(row.within), _in(row.precision)]


def _differences(found: Iterable[Difference]) -> Iterator[str]:
    yield "\n## Do the risks beat the single scores?\n"
    for one in found:
        low, high = one.difference.low, one.difference.high
        verdict = "beats" if low > 0 else "is worse than" if high < 0 else "is no better than"
        yield (
            f"* `{one.risk}` {verdict} `{one.best}`, the best of the scores that it is held "
            f"against: AUROC {one.difference.value:+.3f} [{low:+.3f}, {high:+.3f}], paired."
        )


def _reliability(words: Sequence[Said]) -> Iterator[str]:
    yield "\n## Are the risks probabilities?\n"
    firsts = [word for word in words if word.first]
    groups = {"both": firsts} | {name: _of(firsts, split) for split, name in SPLITS.items()}
    figures, errors = [], {}
    for name, group in groups.items():
        cells = [name]
        for risk in (RISK, CHECKED_RISK):
            values, kept = doubt(group, risk)
            pictures = [word.picture for word in kept]
            error = detection_metrics.calibration_error(
                values, truths(kept), pictures, resamples=RESAMPLES
            )
            cells.append(_in(error))
            errors[name, risk] = error.value
        figures.append(cells)
    yield "Expected calibration error over ten equally wide bins:\n"
    yield _table(["scenes", f"`{RISK}`", f"`{CHECKED_RISK}`"], figures)
    met = all(errors["both", risk] <= TARGET for risk in (RISK, CHECKED_RISK))
    apart = [
        f"{name} ({risk}: {errors[name, risk]:.3f})"
        for name in SPLITS.values()
        for risk in (RISK, CHECKED_RISK)
        if errors[name, risk] > TARGET
    ]
    yield (
        f"\nTarget ≤ {TARGET:.2f} on both kinds together, as calibrated: "
        f"{'met' if met else 'not met'}"
        + (
            f". Apart it is exceeded for {', '.join(apart)}: no score knows what kind of scene it "
            "looks at, and one kind invents three times as often."
            if apart
            else "; on each kind apart as well."
        )
    )
    yield "\nWhat was said, and what was so:\n"
    curves = [
        {int(min(step.probability, 0.999) * 10): step for step in _curve(firsts, risk)}
        for risk in (RISK, CHECKED_RISK)
    ]
    body = []
    for k in range(10):
        cells = [f"{k / 10:.1f}–{(k + 1) / 10:.1f}"]
        for curve in curves:
            step = curve.get(k)
            cells += (
                [f"{step.probability:.2f}", f"{step.share:.2f}", str(step.items)]
                if step
                else ["", "", "0"]
            )
        body.append(cells)
    three = ["said", "invented", "objects"]
    header = ["risk", *(f"`{RISK}` {what}" for what in three)]
    yield _table([*header, *(f"`{CHECKED_RISK}` {what}" for what in three)], body)


def _curve(words: Sequence[Said], risk: str) -> list[detection_metrics.ReliabilityBin]:
    values, kept = doubt(words, risk)
    return detection_metrics.reliability(values, truths(kept))


def _layers(words: Sequence[Said], calibration: Calibration) -> Iterator[str]:
    yield "\n## Attention on the image, layer by layer\n"
    yield (
        "AUROC of each layer's VAR alone (mean over heads), by the row that predicts the word and "
        "by the word's own row. The calibration takes layers "
        f"{calibration.layers[0]} to {calibration.layers[1]}, chosen on its own scenes.\n"
    )
    yield _table(
        ["layer", "predicting row", "own row", "when calibrated"],
        [
            [str(layer), f"{ahead:.3f}", f"{own:.3f}", f"{calibration.by_layer[layer]:.3f}"]
            for layer, (ahead, own) in enumerate(layer_curve(words))
        ],
    )


def _cost(cost: Spent) -> Iterator[str]:
    check = cost.check
    yield "\n## What self-check costs\n"
    yield _table(
        [f"{cost.captions} captions", "captions", "self-check", "share"],
        [
            ["forwards", str(cost.caption_forwards), str(check.forwards),
             f"{check.forwards / cost.caption_forwards:.0%}"],
            ["tokens read or written", str(cost.caption_tokens), str(check.tokens),
             f"{check.tokens / cost.caption_tokens:.0%}"],
            ["pictures encoded", str(cost.captions), str(check.image_passes),
             f"{check.image_passes / cost.captions:.0%}"],
            ["seconds", f"{cost.caption_seconds:.1f}", f"{check.seconds:.1f}",
             f"{check.seconds / cost.caption_seconds:.0%}"],
        ],
    )  # fmt: skip
    yield (
        f"\n{check.questions} questions, each with its own share of the cached prompt; batches of "
        "32. Tokens of a caption are those written; its prompt of one picture is not counted.\n"
    )


def _limits() -> Iterator[str]:
    yield "## What is not here\n"
    yield (
        "* VAR-MLP, a small network on all heads' VAR: this model has 24 of them, and a "
        "calibration that people can read was preferred.\n"
        "* `disagreement`: these captions are the plain model's, so no second stream ran.\n"
        "* ADS mixes its two quantities in a way that is not public; both stand here apart."
    )


def _of(words: Sequence[Said], split: str) -> list[Said]:
    return [word for word in words if word.split == split]


def _in(figure: Interval) -> str:
    if figure.value != figure.value:
        return "–"  # too few of a kind to compare
    return f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]"


def _table(header: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *body]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
