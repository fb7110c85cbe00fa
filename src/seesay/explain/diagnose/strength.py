"""Does looking harder at the picture help here? A signed sweep of Attention Lens.

Recent work finds models where more attention on the picture hurts, so the sweep goes below zero
too: if attention on the picture prevents inventions, looking away must bring more of them.
"""

from __future__ import annotations

from collections.abc import Mapping

from seesay.engine import AnyMethod
from seesay.explain.diagnose.described import Captions, line_weights
from seesay.explain.diagnose.figures import too_few_pictures
from seesay.explain.diagnose.types import Claim, Diagnosis, Evidence, Finding, FindingPart, Numbers
from seesay.explain.diagnose.wording import columns
from seesay.methods import AttentionLens
from seesay.models.view import ModelView
from seesay.render import charts

ALPHAS = (-0.3, -0.15, 0.0, 0.15, 0.3, 0.6, 1.0)


class Strength(Diagnosis):
    name = "strength"
    title = "Does more attention on the picture help?"
    question = "If the model is made to look harder at the picture, does it invent less?"
    paper = "Devils in Middle Layers (Attention Lens), CVPR 2025, arXiv 2411.16724"

    def methods(self, view: ModelView) -> Mapping[str, AnyMethod]:
        return {_label(alpha): AttentionLens(alpha=alpha) for alpha in ALPHAS}

    def conclude(self, evidence: Evidence) -> Finding:
        texts = Captions(evidence, self.name)
        if not texts.pictures:
            return self.skipped("it counts inventions, and nobody said what is in the pictures")
        acted = list(AttentionLens().resolved_for(evidence.view).acts_in(evidence.view))
        few = too_few_pictures(texts.pictures)
        weights = dict(zip(texts.labels, line_weights(ALPHAS), strict=True))
        claims = (
            Claim(
                "the harder it looks at the picture, the less it invents",
                "slope of CHAIR_I (points for each 1 of α)",
                texts.combined(weights),
                above=False,
                unable=few,
            ),
            Claim(
                "and names no less of what is there",
                "slope of recall (points for each 1 of α)",
                texts.combined(weights, recall=True),
                bound=-_LOST,
                unable=few,
            ),
        )
        chair = [texts.chair(label) for label in texts.labels]
        recall = [texts.recall(label) for label in texts.labels]
        spoken = [texts.words(label) for label in texts.labels]
        lines = [
            charts.ChartLine("CHAIR_I: invented in 100 named", chair, charts.COLOURS[1]),
            charts.ChartLine("recall: named of 100 there", recall, charts.COLOURS[0]),
        ]
        part = FindingPart(
            "Looking harder, and looking away",
            "Attention Lens raises the model's attention on the picture by a strength α, in layers "
            f"{acted[0]} to {acted[-1]}; below 0 it looks away, and 0 is the "
            f"plain model. {texts.pictures} pictures are described anew at every strength. "
            "CHAIR_I is the share of named objects that are not there, recall the share of objects "
            "there that are named. A fall of both only says that less is said. Recall counts as "
            f"kept while it falls by less than {_LOST:g} points over the whole range from 0 to 1.",
            Numbers(
                ("α", "CHAIR_I", "recall", "words a text"),
                columns([f"{a:g}" for a in ALPHAS], chair, recall, spoken),
            ),
            charts.curves(
                "CHAIR_I and recall by strength", lines, x=list(ALPHAS), x_name="strength α",
                y_name="%",
            ),
            claims,
        )  # fmt: skip
        return self.finding([part])


_LOST = 2.0  # points of recall for each 1 of α that count as none lost


def _label(alpha: float) -> str:
    return f"α = {alpha:g}"
