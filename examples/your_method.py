"""A method of your own: one frozen dataclass that overrides one verb, checked and used.

A package makes its methods known to every seesay on the machine by an entry point:

    [project.entry-points."seesay.methods"]
    focus = "your_package.focus"
"""

from dataclasses import dataclass, replace

import seesay


@dataclass(frozen=True, repr=False)
class Focus(seesay.Method):
    """Raise those image columns that score above zero, in the upper half of the layers.

    Attributes:
        alpha: the share of such a score that is added; 0 is the plain model.
    """

    name = "focus"
    summary = "raises attention to the image columns that stand out"
    paper = "an example"

    alpha: float = 0.5

    @property
    def active(self):
        return self.alpha != 0

    def at_zero(self):
        return replace(self, alpha=0.0)

    def acts_in(self, view):
        return range(view.n_layers // 2, view.n_layers)

    def score_bias(self, call, scores):
        return self.alpha * scores.clamp(min=0)  # (batch, heads, image columns)


if __name__ == "__main__":
    from seesay.testing import check_method

    for check in check_method(Focus(alpha=1.0)):
        print(f"{check.model:14} {check.name:36} {check.outcome}")
    vlm = seesay.load()
    for method in ("plain", Focus(), "focus(alpha=2.0) + farsight"):
        print(f"{method!s:28}", vlm.describe("toy:broken/12", method=method).text)
