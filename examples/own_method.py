"""A method of your own: one frozen dataclass that overrides one verb. This one is PAI's boost.

Liu et al., "Paying More Attention to Image", ECCV 2024: image scores grow by a share of their own
magnitude, S += α·|S|, from layer 2 on.
"""

from dataclasses import dataclass, replace

import seesay


@dataclass(frozen=True, repr=False)
class ImageBoost(seesay.Method):
    name = "image-boost"
    summary = "adds a share of their own magnitude to the scores of image columns"
    paper = "Paying More Attention to Image, ECCV 2024, arXiv 2407.21771"

    alpha: float = 0.2

    @property
    def active(self):
        return self.alpha != 0

    def at_zero(self):
        return replace(self, alpha=0.0)

    def acts_in(self, view):
        return range(min(2, view.n_layers - 1), view.n_layers)

    def score_bias(self, call, scores):
        return self.alpha * scores.abs()


vlm = seesay.load()
for method in ("plain", "image-boost", "image-boost(alpha=0.5) + farsight"):
    print(f"{method:36}", vlm.describe("toy:broken/7", method=method).text)
