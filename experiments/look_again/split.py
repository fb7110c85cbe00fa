"""Everything that the page tells about one split, computed from its runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from experiments.look_again import figures
from experiments.look_again.figures import ADDED, THRESHOLDS, Curve, Point
from experiments.look_again.runs import ADDING, BASES, HABIT, PLAIN, REWRITE, SWEEPS, Text
from seesay.errors import InputError
from seesay.grounding import Calibration
from seesay.methods import LookAgain
from seesay.methods.look_again import Evidence
from seesay.verification.policy import Policy

EVIDENCE: tuple[Evidence, ...] = ("combined", "self-check", "risk")
BY_PROBABILITY, CUT = "dropped by log-probability", "cut to a length"
WITH_MORE, HABIT_OFF = "and adding", "{}, habit taken off"
SHOWN_ADD = 0.9
"""P(yes) of the variant that adds: what `stricter` asks of new objects too, not chosen here."""


@dataclass(frozen=True, eq=False)
class Measured:
    """One split.

    Attributes:
        plain, look: the plain model, and Look Again at its default.
        rivals: by method, its points at growing strength.
        curves: Look Again over thresholds, by evidence, and so with the habit taken off; what it
            adds over bars, its threshold at the default, with stricter thresholds below; dropping
            by log-probability; cut texts.
        variants: other settings and modes of Look Again, at their defaults.
        added: by base method, the base, and Look Again on top of it: by its default evidence, and
            by self-check alone.
        same_length: plain's captions cut to the lengths of `look`'s, by rank.
        flags: of the objects marked at the default the share that is not there, and of those not
            there the share that is marked, in percent.
    """

    plain: Point
    look: Point
    rivals: Mapping[str, tuple[Point, ...]]
    curves: Mapping[str, Curve]
    variants: tuple[Point, ...]
    added: Mapping[str, tuple[Point, Point, Point]]
    same_length: Point
    flags: tuple[float, float]

    @property
    def points(self) -> list[Point]:
        """Every point of every rival."""
        return [point for points in self.rivals.values() for point in points]

    @property
    def curve(self) -> Curve:
        """Look Again's over thresholds."""
        return self.curves["combined"]

    @property
    def whole(self) -> Curve:
        """Look Again's over thresholds and, from its default on, over what it adds."""
        return self.curves[WITH_MORE]

    @property
    def more(self) -> Point:
        """Look Again adding at `SHOWN_ADD`."""
        return self.variants[-1]

    @property
    def rewritten(self) -> Point:
        """Look Again with ``mode=rewrite``."""
        return self.variants[-2]


def measure(
    runs: Mapping[str, Sequence[Text]],
    present: Sequence[frozenset[str]],
    calibration: Calibration | None,
) -> Measured:
    """Figures of one split.

    Args:
        runs: by method; see `runs.wanted`.

    Raises:
        InputError: a model without a calibration that holds self-check.
    """
    if calibration is None or calibration.checked is None:
        raise InputError(
            "Look Again is measured with the model's calibration, and it has none with self-check; "
            "run `seesay calibrate` first"
        )
    texts = runs[PLAIN]

    def fitted(look: LookAgain, known: Calibration | None) -> LookAgain:
        single = known.single.strongest() if known else None
        return look.fitted(single, known.checked.strongest() if known and known.checked else None)

    def point(label: str, look: LookAgain, of: Sequence[Text] = texts) -> Point:
        return Point(label, figures.counts(figures.look_again(of, look, calibration), present))

    def said(label: str, of: Sequence[Text]) -> Point:
        return Point(label, figures.counts([text.reading for text in of], present))

    plain, default = said(PLAIN, texts), fitted(LookAgain(), calibration)
    look = point("look-again", default)
    asking = fitted(LookAgain(evidence="self-check"), calibration)
    curves: dict[str, Curve] = {
        evidence: Curve(
            evidence,
            tuple(point(f"{t:g}", LookAgain(threshold=t, evidence=evidence)) for t in THRESHOLDS),
        )
        for evidence in EVIDENCE
    }
    for evidence in (default.evidence, asking.evidence):
        name = HABIT_OFF.format(evidence)
        habit_off = (LookAgain(threshold=t, evidence=evidence) for t in THRESHOLDS)
        curves[name] = Curve(name, tuple(point("", look, runs[HABIT]) for look in habit_off))
    adding = [
        Point(repr(replace(LookAgain(), add=bar)),
              figures.counts(figures.with_more(
                  texts, runs[ADDING], replace(default, add=bar), calibration), present))
        for bar in ADDED
    ]  # fmt: skip
    over = zip(THRESHOLDS, curves[default.evidence].points, strict=True)
    stricter = [its for threshold, its in over if threshold < (default.threshold or 0)]
    curves[WITH_MORE] = Curve(WITH_MORE, (*stricter, look, *adding))
    probable = (figures.dropped(texts, 1 - t) for t in THRESHOLDS[:-1])
    points = (Point(BY_PROBABILITY, figures.counts(its, present)) for its in probable)
    curves[BY_PROBABILITY] = Curve(BY_PROBABILITY, (*points, plain))
    longest = max(len(text.reading.text.split()) for text in texts)
    steps = sorted({max(1, longest * k // 16) for k in range(3, 17)})
    cuts = (figures.cut(texts, [words] * len(texts)) for words in steps)
    points = (Point(CUT, figures.counts(its, present)) for its in cuts)
    curves[CUT] = Curve(CUT, (*points, plain))
    like = figures.look_again(texts, default, calibration)
    shortened = figures.cut(texts, figures.lengths(texts, like))
    variants = [
        point(repr(its), its)
        for its in (
            default,
            fitted(LookAgain(evidence="risk"), calibration),
            asking,
        )
    ]
    return Measured(
        plain=plain,
        look=look,
        rivals={
            name: tuple(said(method, runs[method]) for method in points_)
            for name, points_ in SWEEPS.items()
        },
        curves=curves,
        variants=(
            *variants,
            said(REWRITE, runs[REWRITE]),
            next(one for one, bar in zip(adding, ADDED, strict=True) if bar == SHOWN_ADD),
        ),
        added={
            base: (
                said(base, runs[base]),
                point(f"{base} + look-again", default, runs[base]),
                point(f"{base} + look-again(evidence=self-check)", asking, runs[base]),
            )
            for base in BASES
        },
        same_length=Point("plain, cut to these lengths", figures.counts(shortened, present)),
        flags=_flags(texts, present, Policy(default, calibration)),
    )


def _flags(
    texts: Sequence[Text], present: Sequence[frozenset[str]], looker: Policy
) -> tuple[float, float]:
    pairs = list(_judged(texts, present, looker))
    marked = [wrong for fails, wrong in pairs if fails]
    invented = [fails for fails, wrong in pairs if wrong]
    shares = (100 * sum(of) / max(len(of), 1) for of in (marked, invented))
    return next(shares), next(shares)


def _judged(
    texts: Sequence[Text], present: Sequence[frozenset[str]], looker: Policy
) -> Iterator[tuple[bool, bool]]:
    """For each object of each text whether it fails, and whether it is not there."""
    for text, there in zip(texts, present, strict=True):
        for name, looked in looker.looked(text.reading).items():
            yield looked.fails, name not in there
