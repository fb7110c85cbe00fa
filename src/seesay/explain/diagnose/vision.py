"""Where vision is read: which layers look at the picture when an object word is written.

After Attention Lens ("Devils in Middle Layers", arXiv 2411.16724), findings 1 and 2: middle layers
read the picture, image tokens come to mean the object as layers go on, and a word is more often
invented where its row pays the image little attention (SVAR). The paper compares layers 0–4, 5–18,
19–26 and 27–31 of 32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from seesay.evaluate import risk_model
from seesay.explain.diagnose.figures import Floats, Words, too_few_pictures
from seesay.explain.diagnose.object_attention import ObjectAttention, ObjectLens
from seesay.explain.diagnose.text_probe import Batch, TextProbe
from seesay.explain.diagnose.types import Claim, Diagnosis, Evidence, Finding, FindingPart, Numbers
from seesay.explain.diagnose.wording import columns, interval, layers
from seesay.grounding.scores import svar_layers
from seesay.render import charts
from seesay.statistics.intervals import Interval

_PAPER = ((0, 4), (5, 18), (19, 26), (27, 31))  # of 32 layers


class Vision(Diagnosis):
    name = "vision"
    title = "Where the picture is read"
    question = "Which layers look at the picture when the model writes the name of an object?"
    paper = "Devils in Middle Layers (Attention Lens), CVPR 2025, arXiv 2411.16724"

    def probes(self, batch: Batch) -> list[TextProbe]:
        return [ObjectAttention(batch), ObjectLens(batch)]

    def conclude(self, evidence: Evidence) -> Finding:
        told, notes = evidence.of(self.name)
        words = Words(told)
        if not len(words):
            return self.skipped("the texts name no object that the vocabulary knows")
        var = stacked(notes, "var")  # (words, layers, heads)
        parts = [_looked(words, var), _added(words, notes), _refined(words, notes)]
        if not words.known.any():
            skipped = "True and invented words: skipped, since nobody said what is in the pictures."
            return self.finding(parts, remarks=(skipped,), advice=(_by_depth(evidence),))
        parts += [_svar(words, var), windows(words, var)]
        return self.finding(parts, advice=(suggestion(words, var, evidence.view.n_layers),))


def stacked(notes: Sequence[Any], name: str) -> Floats:
    """What was noted of all words, (words, ...)."""
    return np.array([value for one in notes for value in one[name]], float)


def _looked(words: Words, var: Floats) -> FindingPart:
    by_layer = var.mean(2)
    count = by_layer.shape[1]
    middle = slice(*_thirds(count))
    others = np.delete(by_layer, np.arange(count)[middle], 1)
    apart = by_layer[:, middle].mean(1) - others.mean(1) if others.size else by_layer[:, 0] * 0
    claim = Claim(
        "the middle layers look at the picture more than the others",
        f"attention on the picture in layers {middle.start} to {middle.stop - 1} minus that of the "
        "other layers",
        words.curve(apart[:, None])[0],
        unable=too_few_pictures(len(set(words.owner.tolist()))),
    )
    best = var.mean(0)
    return FindingPart(
        "How much of its attention each head pays to the picture",
        "Each cell is one attention head. Its number is the share of its attention (0 to 1) that "
        "goes to the picture just before the model writes the name of an object (VAR), averaged "
        "over all object words. The rest goes to text.",
        Numbers(
            ("layer", "mean of heads", "head that looks most"),
            columns(
                layers(count),
                words.curve(by_layer),
                [f"{row.argmax()}: {row.max():.3f}" for row in best],
            ),
        ),
        charts.grid("Attention on the picture by layer and head", best),
        (claim,),
    )


def _added(words: Words, notes: Sequence[Any]) -> FindingPart:
    added = stacked(notes, "added")
    kinds = ("true", "invented") if words.select("invented").any() else ("all",)
    found = {kind: words.curve(added, kind) for kind in kinds}
    lines = [
        charts.ChartLine(_named(kind), curve, charts.COLOURS[k])
        for k, (kind, curve) in enumerate(found.items())
    ]
    return FindingPart(
        "What attention adds to the word",
        "In each layer attention writes something into the model's running state. The curve says "
        "by how much that alone would raise the score (logit) of the object word that is about to "
        "be written: high where the word is fetched. Bands hold 95 % over pictures.",
        Numbers(("layer", *map(_named, kinds)), columns(layers(added.shape[1]), *found.values())),
        charts.curves("Attention's contribution to the word", lines, y_name="added to the logit"),
    )


def _refined(words: Words, notes: Sequence[Any]) -> FindingPart:
    reads, sure, elsewhere = (stacked(notes, name) for name in ("reads", "sure", "elsewhere"))
    count = sure.shape[1]
    half = count // 2
    more = sure - elsewhere
    rises = more[:, half:].mean(1) - more[:, :half].mean(1) if half else more[:, 0] * 0
    claim = Claim(
        "patches come to mean the object as layers go on (semantic refinement)",
        "probability of the word at the patch that says it loudest, less that in pictures "
        "whose text does not say it, later half of the layers minus earlier half",
        words.curve(rises[:, None])[0],
        unable=too_few_pictures(len(set(words.owner.tolist()))),
    )
    curves = {
        "probability of the word at its loudest patch": words.curve(sure),
        "the same in pictures where it is not said": words.curve(elsewhere),
        "share of patches that say the word": words.curve(reads),
    }
    lines = [
        charts.ChartLine(name, curve, charts.COLOURS[k])
        for k, (name, curve) in enumerate(curves.items())
    ]
    return FindingPart(
        "What the patches themselves say",
        "If each patch of the picture had to name a word after each layer (the logit lens), would "
        "it name the object that the text names? All curves go from 0 to 1. A model's favourite "
        "words are likely anywhere, so the same word is looked for in other pictures whose text "
        "does not say it: only what lies above that comes from the picture.",
        Numbers(("layer", *curves), columns(layers(count), *curves.values())),
        charts.curves("Patches that read as the object", lines, y_name="agreement"),
        (claim,),
    )


def _svar(words: Words, var: Floats) -> FindingPart:
    first, last = svar_layers(var.shape[1])
    svar = var[:, first : last + 1].mean(2).sum(1)
    few = words.too_few()
    true, invented = (svar[words.select(kind)] for kind in ("true", "invented"))
    kinds = {kind: words.curve(svar[:, None], kind)[0] for kind in ("true", "invented")}
    position = words.auroc(-words.number.astype(float))
    plain, held = words.auroc(svar), words.auroc(svar, controlled=True)
    claim = Claim(
        "true words look at the picture more than invented ones, also beside words of the same "
        "place in the text",
        f"AUROC of SVAR over layers {first} to {last}, compared within the mention's number",
        held,
        0.5,
        unable=few,
    )
    rows = [
        ("SVAR of true words, mean", interval(kinds["true"])),
        ("SVAR of invented words, mean", interval(kinds["invented"])),
        ("AUROC of SVAR", interval(plain)),
        ("AUROC of SVAR within the mention's number", interval(held)),
        ("AUROC of the mention's number alone", interval(position)),
    ]
    return FindingPart(
        "Do true words look longer than invented ones?",
        "SVAR is a word's attention on the picture, summed over the middle layers "
        f"({first} to {last} here, the paper's range by depth). AUROC is the chance that a true "
        "word has more of it than an invented one: 0.5 is a coin, 1 is perfect. Later words look "
        "less at the picture and are invented more often, whatever the reason; so the figure that "
        "counts compares words only with others of the same place in the text.",
        Numbers(("figure", "value"), rows),
        charts.densities(
            "SVAR of true and invented words",
            (("true", true, charts.COLOURS[0]), ("invented", invented, charts.COLOURS[1])),
            "SVAR",
        ),
        (claim,),
    )


def windows(words: Words, var: Floats) -> FindingPart:
    """AUROC of SVAR over sliding windows of layers, and over the paper's four."""
    by_layer = var.mean(2)
    count = by_layer.shape[1]
    width = min(count, max(2, count // 4))
    ranges = [(a, a + width - 1) for a in range(count - width + 1)]
    paper = [(a * count // 32, max(a, b) * count // 32) for a, b in _PAPER]
    rows, plain, held = [], [], []
    for first, last in [*ranges, *dict.fromkeys(paper)]:
        svar = by_layer[:, first : last + 1].sum(1)
        plain.append(words.auroc(svar))
        held.append(words.auroc(svar, controlled=True))
        known = f"{first}–{last}" if len(plain) <= len(ranges) else f"{first}–{last} (paper)"
        rows.append((known, interval(plain[-1]), interval(held[-1])))
    position = words.auroc(-words.number.astype(float))
    across = len(ranges)
    lines = [
        charts.ChartLine("plain", plain[:across]),
        charts.ChartLine("within the mention's number", held[:across], charts.COLOURS[1]),
        charts.ChartLine(
            "position alone", [_bare(position)] * across, charts.COLOURS[5], dashed=True
        ),
    ]
    return FindingPart(
        "Which layers tell true from invented words",
        f"The same AUROC for each stretch of {width} layers, by its first layer, and in the table "
        "for the paper's four stretches carried over by depth. The dashed line knows nothing but "
        "the word's place in the text: plain AUROC below it is no news.",
        Numbers(("layers", "AUROC of SVAR", "within the mention's number"), rows),
        charts.curves(
            "AUROC of SVAR by layers", lines, x_name="first layer", y_name="AUROC", level=0.5
        ),
    )


def suggestion(words: Words, var: Floats, n_layers: int) -> tuple[str, str]:
    """The range of layers whose attention tells true from invented words best, as a method, and
    how far it can be trusted: scores of folds that had no part in choosing it."""
    if few := words.too_few():
        return _method(svar_layers(n_layers)), f"the paper's range by depth; {few}"
    looks = var.mean(2)
    cases = [
        risk_model.Case(str(owner), "", word.name, {}, tuple(look), (), bool(word.invented))
        for owner, word, look in zip(words.owner, words.words, looks.tolist(), strict=True)
    ]
    scores = np.full(len(cases), np.nan)
    for train, test in risk_model.folds(cases):
        (a, b), _, _ = risk_model.layer_range(
            [c for c, own in zip(cases, train, strict=True) if own]
        )
        sums = looks[:, a : b + 1].sum(1)
        # Ranges differ from fold to fold; on one scale their sums compare.
        scores[test] = ((sums - sums[train].mean()) / (sums[train].std() or 1.0))[test]
    best, _, _ = risk_model.layer_range(cases)
    plain, held = words.auroc(scores), words.auroc(scores, controlled=True)
    reason = (
        f"layers {best[0]} to {best[1]}, whose attention on the picture tells true from invented "
        f"words best, have an AUROC of {interval(plain)} on pictures that had no part in the "
        f"choice, and of {interval(held)} within the mention's number"
    )
    if held.low <= 0.5:
        reason = (
            f"the paper's range by depth, since none stands out: {reason}, no better than a coin"
        )
        return _method(svar_layers(n_layers)), reason
    return _method(best), reason


def _by_depth(evidence: Evidence) -> tuple[str, str]:
    reason = "the paper's range by depth; choosing one takes pictures whose objects are known"
    return _method(svar_layers(evidence.view.n_layers)), reason


def _method(chosen: tuple[int, int]) -> str:
    return f"attention-lens(layers={chosen})"


def _thirds(count: int) -> tuple[int, int]:
    """The middle third of the layers, one at least."""
    first = count // 3
    return first, max(first + 1, count - count // 3)


def _named(kind: str) -> str:
    return f"{kind} words"


def _bare(figure: Interval) -> Interval:
    return Interval(figure.value, float("nan"), float("nan"))
