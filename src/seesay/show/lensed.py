"""What a lens shows of one word, in a form that needs no model: plain numbers and pictures.

`seesay.lensing.lens` measures it, `seesay.show.lens_page.render` draws it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image

    from seesay.grounding import Mention
    from seesay.models.image_geometry import Sight
    from seesay.show.traced import Numbers

SCHEMA = "seesay.lens/1"
_DIGITS = 6


@dataclass(frozen=True, eq=False)
class Crop:
    """One crop that the model saw of a picture, with what went on at each of its cells.

    Attributes:
        sight: where its cells lie on the picture, and what they show.
        whole: whether the crop shows the whole picture.
        attention: (layers, heads, rows, columns) shares of attention, 0 to 1, from the row that
            predicts the word.
        reads: (layers, rows, columns) the vocabulary entry that each cell's hidden state reads as.
        sure: (layers, rows, columns) the probability of that reading.
        says: (layers, rows, columns) the probability of the word's token there.
    """

    sight: Sight
    whole: bool
    attention: Numbers
    reads: Sequence[Sequence[Sequence[str]]]
    sure: Numbers
    says: Numbers


@dataclass(frozen=True, eq=False)
class Viewed:
    """A picture of the prompt, with the crops that the model saw of it."""

    name: str
    picture: Image
    crops: Sequence[Crop]


@dataclass(frozen=True, eq=False)
class Lens:
    """Where a model looked, and what it made of it, just before it wrote one token.

    Attributes:
        text: the whole text; `span` are the characters of the word that was looked for.
        index: of the token looked at among the generated ones, from 0; `token` is it as text.
        probability: of that token, 0 to 1.
        mention: the word's scores and risk, where it names an object.
        pictures: of the prompt, in order.
        layers: the range that heat maps are the mean of, both ends included.
        head: the one head that heat maps are of; None is the mean of all heads.
        var: (layers, heads) share of attention on all image tokens, 0 to 1.
        contribution: (layers,) what the attention of each layer adds to the token's logit when the
            head reads it alone: lm_head(o_proj output)[token], without the final norm. The norm
            would need the whole hidden state, so values compare layers and are no shares of the
            final logit.
        norm: whether the logit lens applies the final norm.
        protocol: how all this was made.
    """

    text: str
    span: tuple[int, int]
    index: int
    token: str
    probability: float
    mention: Mention | None
    pictures: Sequence[Viewed]
    layers: tuple[int, int]
    head: int | None
    var: Numbers
    contribution: Numbers
    norm: bool
    protocol: Mapping[str, Any]

    @property
    def word(self) -> str:
        """The word looked for, as written."""
        return self.text[slice(*self.span)]

    @property
    def where(self) -> str:
        """Which layers and heads heat maps are of, in words."""
        first, last = self.layers
        heads = "mean of all heads" if self.head is None else f"head {self.head}"
        return f"layer {first}, {heads}" if first == last else f"layers {first} to {last}, {heads}"

    def heatmap(self, crop: Crop) -> Numbers:
        """(rows, columns) of `crop`: attention, mean over the chosen layers and heads."""
        first, last = self.layers
        chosen = crop.attention[first : last + 1]
        mean: Numbers = (chosen if self.head is None else chosen[:, [self.head]]).mean((0, 1))
        return mean

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; numbers are rounded to six digits behind the point."""
        return {
            "schema": SCHEMA,
            "text": self.text,
            "word": self.word,
            "span": list(self.span),
            "index": self.index,
            "token": self.token,
            "probability": round(self.probability, _DIGITS),
            "mention": None if self.mention is None else self.mention.to_dict(),
            "layers": list(self.layers),
            "head": self.head,
            "var": _listed(self.var),
            "contribution": _listed(self.contribution),
            "norm": self.norm,
            "pictures": [self._viewed(viewed) for viewed in self.pictures],
            "protocol": dict(self.protocol),
        }

    def _viewed(self, viewed: Viewed) -> dict[str, Any]:
        return {
            "name": viewed.name,
            "crops": [
                {
                    "place": None if crop.sight.place is None else list(crop.sight.place),
                    "whole": crop.whole,
                    "heatmap": _listed(self.heatmap(crop)),
                    "attention": _listed(crop.attention.mean(1)),
                    "reads": [[list(row) for row in layer] for layer in crop.reads],
                    "sure": _listed(crop.sure),
                    "says": _listed(crop.says),
                }
                for crop in viewed.crops
            ],
        }


def _listed(values: Numbers) -> Any:
    return values.astype(float).round(_DIGITS).tolist()
