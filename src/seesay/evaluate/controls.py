"""What else could have made the gain: plain answers, edited to share one side effect of a method.

* **length**: plain captions cut to the method's lengths, by rank. A shorter text invents less.
* **recall**: plain captions without their least probable mentions, as many as bring their recall
  down to the method's. Who says less of what is there says less of what is not.
* **yes-shift**: plain answers with the threshold on P(yes) moved until as many are yes as with the
  method. A model that says no more often does better where too much yes is the fault.

All three need records alone, no model, and are scored by the benchmark like any answers, so that a
method stands beside its control on the same pictures (`statistics.compare`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from seesay.evaluate.benchmark import Answer, Benchmark, Sample
from seesay.statistics.metrics import Score

Name = Literal["length", "recall", "yes-shift"]
RECALL_METRICS = ("recall", "Cover")
"""What benchmarks call the share of what is there that is named."""

_WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class Control:
    """Plain, edited to match a method in one respect.

    Attributes:
        name: in which respect.
        score: its counts; None where the control cannot be made.
        what: what was done, or why it cannot be.
    """

    name: Name
    score: Score | None
    what: str


def controls(
    benchmark: Benchmark,
    samples: Sequence[Sample],
    plain: Mapping[str, Answer],
    method: Mapping[str, Answer],
    scored: Score,
    reduced: Reduced | None = None,
) -> list[Control]:
    """Every control that this kind of benchmark has.

    Args:
        plain, method: their answers, by sample id.
        scored: the method's score.
        reduced: `Reduced(benchmark, samples, plain)`, to share its work between methods.
    """
    if benchmark.kind == "caption":
        reduced = reduced or Reduced(benchmark, samples, plain)
        return [
            _length(benchmark, samples, plain, method),
            _recall(reduced, scored),
        ]
    if benchmark.kind == "yes-no":
        return [_yes_shift(benchmark, samples, plain, scored)]
    return []


def cut_to_lengths(plain: Mapping[str, Answer], method: Mapping[str, Answer]) -> dict[str, Answer]:
    """Plain's texts, the longest cut to the length of the method's longest, the next to that of its
    next, and so on; never lengthened. Lengths are words between blanks.

    Texts that one of the two lacks are left out.
    """
    both = [k for k in plain if k in method and not (plain[k].error or method[k].error)]
    lengths = sorted((words(method[k].text) for k in both), reverse=True)
    longest = sorted(both, key=lambda k: -words(plain[k].text))
    short = {k: _cut(plain[k], n) for k, n in zip(longest, lengths, strict=True)}
    return {k: short[k] for k in both}


def without(answer: Answer, dropped: Iterable[tuple[int, int]]) -> Answer:
    """An answer without these mentions (start, end) and the blanks before them."""
    gone = set(dropped)
    holes, at = [], 0
    for start, end in sorted(gone):
        first = at + len(answer.text[at:start].rstrip(" "))
        holes.append((first, end))
        at = end

    def moved(place: int) -> int:
        return place - sum(end - start for start, end in holes if end <= place)

    edges = [0, *(edge for hole in holes for edge in hole), len(answer.text)]
    text = "".join(answer.text[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True))
    kept = tuple(
        replace(said, span=(moved(said.span[0]), moved(said.span[1])))
        for said in answer.mentions
        if said.span not in gone
    )
    return replace(answer, text=text, mentions=kept)


class Reduced:
    """Plain's captions without their least probable mentions, for any number of these.

    Attributes:
        mentions: how many there are, of all captions together; any of them can be left out.
        recall: the name of the benchmark's metric for what is named of what is there, or None.
    """

    def __init__(
        self, benchmark: Benchmark, samples: Sequence[Sample], plain: Mapping[str, Answer]
    ) -> None:
        self._benchmark, self._samples, self._plain = benchmark, samples, plain
        self.metrics = benchmark.metrics
        self.recall = next((name for name in RECALL_METRICS if name in benchmark.metrics), None)
        found = [
            (said.logprob if math.isfinite(said.logprob) else math.inf, answer.id, said.span)
            for answer in plain.values()
            for said in answer.mentions
        ]
        self._order = [(key, span) for _, key, span in sorted(found, key=lambda one: one[0])]
        self._scores: dict[int, Score] = {}

    @property
    def mentions(self) -> int:
        return len(self._order)

    def answers(self, dropped: int) -> dict[str, Answer]:
        """All captions, without the `dropped` least probable mentions of all."""
        spans: dict[str, list[tuple[int, int]]] = {}
        for key, span in self._order[:dropped]:
            spans.setdefault(key, []).append(span)
        return {
            key: without(answer, spans[key]) if key in spans else answer
            for key, answer in self._plain.items()
        }

    def score(self, dropped: int) -> Score:
        if dropped not in self._scores:
            self._scores[dropped] = self._benchmark.score(self._samples, self.answers(dropped))
        return self._scores[dropped]

    def figure(self, metric: str, dropped: int) -> float:
        return float(self.metrics[metric].of(self.score(dropped).totals))

    def down_to(self, metric: str, value: float) -> int:
        """The fewest mentions without which plain's `metric`, which falls with each of them, is at
        most `value`; by bisection."""
        low, high = 0, self.mentions
        while low < high:
            middle = (low + high) // 2
            if self.figure(metric, middle) <= value:
                high = middle
            else:
                low = middle + 1
        return low


def shift_yes(plain: Mapping[str, Answer], yes: int) -> tuple[dict[str, Answer], float]:
    """Plain's answers by a threshold on P(yes) that makes as close to `yes` of them a yes as
    thresholds can; answers with one P(yes) stay together. Returns them and the threshold.

    Every answer must have its P(yes).
    """
    values = sorted((a.yes for a in plain.values() if a.yes is not None), reverse=True)
    # Thresholds between two different values, or beyond either end.
    reached = [0, *(k for k in range(1, len(values)) if values[k] != values[k - 1]), len(values)]
    count = min(reached, key=lambda k: abs(k - yes))
    above = values[count - 1] if count else 1.0
    below = values[count] if count < len(values) else 0.0
    threshold = math.inf if not count else (above + below) / 2
    shifted = {
        key: replace(a, text="Yes" if a.yes is not None and a.yes >= above and count else "No")
        for key, a in plain.items()
    }
    return shifted, threshold


def words(text: str) -> int:
    """Words between blanks."""
    return len(text.split())


def _length(
    benchmark: Benchmark,
    samples: Sequence[Sample],
    plain: Mapping[str, Answer],
    method: Mapping[str, Answer],
) -> Control:
    short = cut_to_lengths(plain, method)
    if not short:
        return Control("length", None, "no text that both gave")
    before, after = (
        sum(words(texts[key].text) for key in short) / len(short) for texts in (plain, short)
    )
    what = f"plain cut from {before:.1f} to {after:.1f} words on average, by rank"
    return Control("length", benchmark.score(samples, short), what)


def _recall(reduced: Reduced, scored: Score) -> Control:
    metric = reduced.recall
    if metric is None:
        return Control("recall", None, "the benchmark has no recall")
    if not reduced.mentions:
        return Control("recall", None, "plain's records hold no mentions with probabilities")
    wanted = float(reduced.metrics[metric].of(scored.totals))
    if not wanted >= 0:
        return Control("recall", None, "the method's recall is not defined")
    count = reduced.down_to(metric, wanted)
    what = (
        f"plain without its {count} least probable of {reduced.mentions} mentions: "
        f"{metric} {reduced.figure(metric, count):.1f} beside the method's {wanted:.1f}"
    )
    return Control("recall", reduced.score(count), what)


def _yes_shift(
    benchmark: Benchmark,
    samples: Sequence[Sample],
    plain: Mapping[str, Answer],
    scored: Score,
) -> Control:
    said = {key: said_yes(one) for key, one in scored.parsed.items()}
    usable = {
        key: answer
        for key, answer in plain.items()
        if answer.error is None and said.get(key) is not None
    }
    if not usable:
        return Control("yes-shift", None, "the scorer does not tell which answers say yes")
    if any(answer.yes is None for answer in usable.values()):
        return Control("yes-shift", None, "plain's records hold no P(yes)")
    wanted = sum(said[key] is True for key in usable)
    shifted, threshold = shift_yes(usable, wanted)
    reached = sum(answer.text == "Yes" for answer in shifted.values())
    what = (
        f"plain says yes from P(yes) {threshold:.3f} on: {reached} of {len(usable)} times, "
        f"the method {wanted}"
    )
    return Control("yes-shift", benchmark.score(samples, shifted), what)


def _cut(answer: Answer, most: int) -> Answer:
    found = list(_WORD.finditer(answer.text))
    if len(found) <= most:
        return answer
    end = found[most - 1].end() if most else 0
    kept = tuple(said for said in answer.mentions if said.span[1] <= end)
    return replace(answer, text=answer.text[:end], mentions=kept, ended=False)


def said_yes(parsed: Any) -> bool | None:
    """Whether what `Score.parsed` holds of an answer counts as a yes; None if it does not tell."""
    return parsed["said"] == "yes" if isinstance(parsed, Mapping) and "said" in parsed else None


def right(parsed: Any) -> bool | None:
    """Whether what `Score.parsed` holds of an answer counts as right; None if it does not tell."""
    return bool(parsed["right"]) if isinstance(parsed, Mapping) and "right" in parsed else None
