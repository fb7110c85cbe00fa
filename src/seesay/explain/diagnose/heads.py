"""Heads that disagree: do the heads look at one place for true words and at many for invented ones?

After Attention Lens ("Devils in Middle Layers", arXiv 2411.16724), finding 3: heads of the middle
layers attend to inconsistent objects when a word is invented.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from seesay.explain.diagnose.figures import Floats, Words
from seesay.explain.diagnose.text_probe import Batch, TextProbe, read
from seesay.explain.diagnose.types import (
    Claim,
    DescribedImage,
    Diagnosis,
    Evidence,
    Finding,
    FindingPart,
    Numbers,
)
from seesay.explain.diagnose.vision import stacked
from seesay.explain.diagnose.wording import columns, layers
from seesay.grounding.scores import svar_layers
from seesay.models.image_geometry import patch_grids
from seesay.render import charts

_MOST_HEADS = 8
_ACROSS = 4


class Heads(Diagnosis):
    name = "heads"
    title = "Do the heads agree where to look?"
    question = "When a word is invented, do the model's attention heads look at different places?"
    paper = "Devils in Middle Layers (Attention Lens), CVPR 2025, arXiv 2411.16724"

    def probes(self, batch: Batch) -> list[TextProbe]:
        return [HeadMaps(batch)]

    def conclude(self, evidence: Evidence) -> Finding:
        told, notes = evidence.of(self.name)
        words = Words(told)
        if not words.known.any():
            return self.skipped(
                "it compares true with invented words, and nobody said what is in the pictures"
                if len(words)
                else "the texts name no object that the vocabulary knows"
            )
        agreement, entropy = stacked(notes, "agreement"), stacked(notes, "entropy")
        parts = [_agree(words, agreement), _spread(words, entropy)]
        first, last = svar_layers(agreement.shape[1])
        example = on_the_picture(evidence, told, (first + last) // 2)
        return self.finding([*parts, *([example] if example else [])])


class HeadMaps(TextProbe):
    """Each object word's head maps over the picture, in two numbers a layer.

    Notes, by word: `agreement` (layers,) mean Pearson correlation over pairs of heads, −1 to 1;
    `entropy` (layers,) of the heads' mean map over the log of the image tokens, 0 (one patch) to 1
    (all alike). NaN, written as null, with one head or a constant map.
    """

    def __init__(self, batch: Batch) -> None:
        super().__init__(batch)
        shape = len(batch.words[0]), batch.view.n_layers
        self.agreement, self.entropy = torch.zeros(shape), torch.zeros(shape)

    def take_text(self, layer: int, steps: range, weights: Tensor) -> None:
        rows, tokens, _ = self.batch.words
        here = (tokens >= steps.start) & (tokens < steps.stop)
        for k in here.nonzero()[:, 0].tolist():
            row = int(rows[k])
            maps = weights[row, :, int(tokens[k]) - steps.start]
            maps = maps[:, self.batch.image[row]].float().cpu()
            self.agreement[k, layer] = agreement_of(maps)
            self.entropy[k, layer] = entropy_of(maps.mean(0))

    def results(self) -> list[dict[str, Any]]:
        pairs = zip(
            self.batch.by_picture(self.agreement),
            self.batch.by_picture(self.entropy),
            strict=True,
        )
        return [{"agreement": agreement, "entropy": entropy} for agreement, entropy in pairs]


def agreement_of(maps: Tensor) -> float:
    """Mean Pearson correlation over all pairs of (heads, patches); NaN with one head, pairs with a
    constant map left out."""
    centred = maps - maps.mean(1, keepdim=True)
    length = centred.norm(dim=1)
    unit = centred[length > 0] / length[length > 0, None]
    count = len(unit)
    if count < 2:
        return math.nan
    return float((unit @ unit.T).sum() - count) / (count * (count - 1))


def entropy_of(image: Tensor) -> float:
    """Entropy of (patches,) as shares, over the log of their number; NaN of nothing."""
    total = float(image.sum())
    if len(image) < 2 or not total:
        return math.nan
    return float(torch.special.entr(image / total).sum()) / math.log(len(image))


def _agree(words: Words, agreement: Floats) -> FindingPart:
    first, last = svar_layers(agreement.shape[1])
    middle = agreement[:, first : last + 1].mean(1)
    claim = Claim(
        "heads agree more on true words than on invented ones",
        f"AUROC of the heads' agreement in layers {first} to {last}, compared within the mention's "
        "number",
        words.auroc(middle, controlled=True),
        0.5,
        unable=words.too_few(),
    )
    return _by_kind(
        words,
        agreement,
        "How alike the heads' maps are",
        "Each head lays its attention over the patches of the picture. The curve is how alike two "
        "heads' maps are on average (correlation: 1 the same, 0 unrelated) just before a true or "
        "an invented word.",
        "agreement of heads",
        claim,
    )


def _spread(words: Words, entropy: Floats) -> FindingPart:
    first, last = svar_layers(entropy.shape[1])
    middle = entropy[:, first : last + 1].mean(1)
    claim = Claim(
        "the heads together look at fewer places for true words than for invented ones",
        f"AUROC of how narrow their mean map is in layers {first} to {last}, compared within the "
        "mention's number",
        words.auroc(-middle, controlled=True),
        0.5,
        unable=words.too_few(),
    )
    return _by_kind(
        words,
        entropy,
        "How widely they look together",
        "The entropy of the heads' mean map: 0 if all attention on the picture lies on one patch, "
        "1 if all patches get as much.",
        "entropy, 0 to 1",
        claim,
    )


def _by_kind(
    words: Words, values: Floats, title: str, caption: str, y_name: str, claim: Claim
) -> FindingPart:
    found = {f"{kind} words": words.curve(values, kind) for kind in ("true", "invented")}
    lines = [
        charts.ChartLine(name, curve, charts.COLOURS[k])
        for k, (name, curve) in enumerate(found.items())
    ]
    return FindingPart(
        title,
        caption + " Bands hold 95 % over pictures.",
        Numbers(("layer", *found), columns(layers(values.shape[1]), *found.values())),
        charts.curves(title, lines, y_name=y_name),
        (claim,),
    )


def on_the_picture(
    evidence: Evidence, told: list[DescribedImage], layer: int
) -> FindingPart | None:
    """Head maps of a true and an invented word of one text; None where no text has both, or where
    patches have no known place."""
    both = [one for one in told if {word.invented for word in one.words} >= {True, False}]
    if not both:
        return None
    chosen = next(iter(both))
    pair = [next(w for w in chosen.words if w.invented is kind) for kind in (False, True)]
    batch = evidence.reopen(replace(chosen, words=tuple(pair)))
    sight = patch_grids(batch.view, batch.prompt_inputs, batch.images)[0]
    if sight is None:
        return None
    probe = _Maps(batch, layer)
    read(batch, [probe])
    heads = min(_MOST_HEADS, batch.view.n_heads)
    side, gap = 82.0, 10.0
    body, y, rows = "", 8.0, []
    for k, word in enumerate(pair):
        maps = probe.maps[k]
        top = max(float(one.max()) for one in maps.values())
        kind = "invented" if word.invented else "true"
        body += charts.text(8, y + 14, f"“{word.name}”, {kind}", "name")
        y += 24
        for h in range(heads):
            x = 8 + (h % _ACROSS) * (side + gap)
            values = maps[h][sight.cells].double().numpy()
            drawn, high = charts.heat(x, y + 14, side, values, charts.sequential(top), sight.crop)
            body += charts.text(x, y + 10, f"head {h}", "small") + drawn
            if h % _ACROSS == _ACROSS - 1 or h == heads - 1:
                y += high + 26
        alike = agreement_of(torch.stack([maps[h] for h in sorted(maps)]))
        rows.append((f"{word.name} ({kind})", f"{alike:.3f}"))
        y += 8
    return FindingPart(
        "The heads' maps on one picture",
        f"Picture {chosen.picture}, layer {layer}: where each head looks just before a word that "
        "is true and one that is invented. The darker, the more attention; one scale a word.",
        Numbers(("word", "agreement of all heads"), rows),
        charts.document(charts.WIDTH, y, "Head maps on the picture", body),
    )


class _Maps(TextProbe):
    """Head maps of each word in one layer: word → head → (image tokens,)."""

    def __init__(self, batch: Batch, layer: int) -> None:
        super().__init__(batch)
        self.layer = layer
        self.maps: dict[int, Mapping[int, Tensor]] = {}

    def take_text(self, layer: int, steps: range, weights: Tensor) -> None:
        rows, tokens, _ = self.batch.words
        for k, (row, token) in enumerate(zip(rows.tolist(), tokens.tolist(), strict=True)):
            if layer == self.layer and token in steps:
                maps = weights[row, :, token - steps.start][:, self.batch.image[row]].cpu()
                self.maps[k] = dict(enumerate(maps))
