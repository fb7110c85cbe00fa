"""VASparse: a sparse cache that keeps what saw the picture, and a contrast that costs nothing.

The idea: most of the cache is idle, and what stays should be what the newest token asks for and
what looked at the picture; and what the picture's tokens say before anything has read them is a
prior that can be subtracted for free. Four parts, each with a switch:

    (a) δ_i = (q·K_i)² + λP_i,  P = softmax_i(Σ_{k∈I} a[i, k]):  the tokens with the highest δ stay
    (b) the others are clustered by density peaks; a cluster's keys and values become one entry
    (c) (1 + α)·logit − α·head(mean of the picture's embeddings, a random share of them masked)
    (d) (1 + β)·q·K_j − β·w_j·q·K_j,  w = softmax_j(Σ_{i≥j} a[i, j]):  sinks weigh less

Zhuang et al., "VASparse: Towards Efficient Visual Hallucination Mitigation via Visual-Aware Token
Sparsification", CVPR 2025, arXiv 2501.06553. Where the paper is silent: δ is each query head's, and
heads that share their keys take its mean; merged entries stay for good; a masked embedding is left
out of the mean; later tokens keep their true positions, while in the released code a token stands
right behind what each layer still holds; (d) acts on decoded rows, and its sums run over
the rows that are computed anyway, the prompt's last one and all behind it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from seesay.engine import Method
from seesay.errors import MethodError, nearest
from seesay.methods.vasparse import scores, selection
from seesay.methods.vasparse.scores import kept_tokens, penalty_weights  # noqa: F401

# The pure functions, to be found where the method is.
from seesay.methods.vasparse.selection import chosen_entries, density_peaks, merged, selection_score  # noqa: F401  # noqa: F401

if TYPE_CHECKING:
    from torch import Tensor

    from seesay.engine.attention import Call
    from seesay.engine.kv_cache import KeptEntries
    from seesay.engine.state import GenerationState
    from seesay.models.view import ModelView

_CHOICES = {
    "preset": ("paper", "published"),
    "saliency_head": ("last", "own"),
    "positions": (None, "true", "cache"),
    "candidates": ("generated", "all"),
    "normalise": (None, "rank", "zscore"),
    "merge": ("mean", "sum"),
}


@dataclass(frozen=True, repr=False)
class VASparse(Method):
    """Keep the tokens that matter, merge the rest, contrast with the raw picture, dampen sinks.

    Attributes:
        preset: "paper", or "published" for what the released code computes: (c) subtracts
            log_softmax(c) + α·c with c = head(embedding of the newest token); (a, b) whenever a
            layer holds `every` generated tokens more than at the last such event in any layer, its
            oldest ⌊(1 − keep)·n⌋ generated entries become their mean; no (d).
        select, aggregate, contrast, penalise: the parts (a) to (d). Without `aggregate` the tokens
            that do not stay are dropped; without `select` there is nothing to aggregate.
        keep: share of the candidates that stays, in (0, 1], 0.9; or a whole number of them.
        every: generated tokens between two selections, from 1, 32.
        lam: weight λ ≥ 0 of the attention a token itself paid to the picture, 0.1.
        saliency_head: whose attention to the picture that is: "last", the last head's as printed,
            or each head's "own".
        candidates: "generated" tokens, or "all": prompt text and image tokens too, of which a
            selection takes place as soon as the prompt is read. That is what saves memory.
        normalise: None for the literal δ, in which λP is inert; "rank" or "zscore" put both terms
            on one scale.
        merge: "mean" of a cluster, or the literal "sum", which blows up the norm.
        clusters: clusters as a share of the tokens that do not stay, in (0, 1], at least one, 0.1.
        alpha: strength α ≥ 0 of the contrast, 0.1.
        beta: plausibility of the contrast in [0, 1], 0.1; 0 cuts nothing.
        masked: share of the picture's tokens that the contrast leaves out, in [0, 1], 0.5.
        seed: which ones; the same in every row and generation.
        penalty: strength β ≥ 0 of the sink penalty, 0.1.
        layers: (first, last) layers of the penalty, 0-based, both inclusive; None is all.
        positions: of tokens behind a selection: "true", or "cache", each layer counting on from the
            tokens it still holds; None is "true" for the paper and "cache" for "published".
    """

    name: ClassVar[str] = "vasparse"
    summary: ClassVar[str] = "merges idle cache entries and subtracts the picture's raw tokens"
    paper: ClassVar[str] = "VASparse, CVPR 2025, arXiv 2501.06553"

    preset: str = "paper"
    select: bool = True
    aggregate: bool = True
    contrast: bool = True
    penalise: bool = True
    keep: float = 0.9
    every: int = 32
    lam: float = 0.1
    saliency_head: str = "last"
    candidates: str = "generated"
    normalise: str | None = None
    merge: str = "mean"
    clusters: float = 0.1
    alpha: float = 0.1
    beta: float = 0.1
    masked: float = 0.5
    seed: int = 0
    penalty: float = 0.1
    layers: tuple[int, int] | None = None
    positions: str | None = None

    def __post_init__(self) -> None:
        for name, known in _CHOICES.items():
            value = getattr(self, name)
            reason = f"is unknown; {nearest(str(value), map(str, known))}"
            self._require(value in known, name, reason)
        for name in ("select", "aggregate", "contrast", "penalise"):
            self._require(isinstance(getattr(self, name), bool), name, "must be True or False")
        for name, low in (("every", 1), ("seed", 0)):
            self._require(type(getattr(self, name)) is int, name, "must be a whole number")
            self._require_number(name, low)
        for name in ("lam", "alpha", "penalty"):
            self._require_number(name, 0)
        self._require_number("keep", 0, above=True)
        whole = isinstance(self.keep, int)
        self._require(whole or self.keep <= 1, "keep", "must be a share up to 1, or whole")
        self._require_number("clusters", 0, 1, above=True)
        self._require_number("beta", 0, 1)
        self._require_number("masked", 0, 1)
        self._require_layers(self.layers)

    @property
    def selects(self) -> bool:
        return self.select and (isinstance(self.keep, int) or self.keep < 1)

    @property
    def contrasts(self) -> bool:
        return self.contrast and (self.preset == "published" or self.alpha > 0)

    @property
    def penalises(self) -> bool:
        return self.penalise and self.penalty > 0 and self.preset == "paper"

    @property
    def active(self) -> bool:
        return self.selects or self.contrasts or self.penalises

    def at_zero(self) -> VASparse:
        return replace(self, select=False, contrast=False, penalise=False)

    @property
    def refuses(self) -> Mapping[str, str]:
        return super().refuses if self.selects else {}

    @property
    def plausibility(self) -> float:
        return self.beta

    @property
    def reindexes_positions(self) -> bool:
        usual = "cache" if self.preset == "published" else "true"
        return self.selects and (self.positions or usual) == "cache"

    def acts_in(self, view: ModelView) -> Collection[int]:
        if self.selects:
            return view.attending
        first, last = self.layers or (0, view.n_layers - 1)
        recurrent = set(range(view.n_layers)) - set(view.attending)
        inside = [layer for layer in range(first, last + 1) if layer not in recurrent]
        return inside if self.penalises else ()

    def resolved_for(self, view: ModelView) -> Method:
        from seesay.models.compat import cache_kinds

        kinds = cache_kinds(view.decoder.config) if self.selects else set()
        if others := sorted(kinds - {"DynamicLayer"}):
            raise MethodError(
                f"{self} drops cache entries, and layers of this model keep theirs otherwise "
                f"({', '.join(others)}: a window, or a recurrent state); use "
                "vasparse(select=False), its contrast and penalty"
            )
        return self

    def prune_cache(self, layer: int, run: GenerationState) -> KeptEntries | None:
        from seesay.engine.kv_cache import refuse_other_caches

        if self.selects:
            refuse_other_caches(run.cache.layers[layer])
        if run.seen < run.length:
            return None  # the prompt is not all there yet
        if self.preset == "published":
            return selection.oldest_as_one(self, layer, run) if self.selects else None
        first, last = self.layers or (layer, layer)
        received = self.penalises and first <= layer <= last
        looked = self.selects and self.lam > 0
        last = self.saliency_head == "last"
        scores.note_row(run, layer, received=received, looked=looked, last_head=last)
        answered = run.seen - run.length
        due = answered % self.every == 0 and (answered > 0 or self.candidates == "all")
        return selection.best_entries(self, layer, run) if self.selects and due else None

    def key_scale(self, call: Call) -> Tensor | None:
        if not call.is_prefill:
            return scores.penalty_factor(call, self.penalty)
        if self.selects and self.candidates == "all" and self.lam > 0:
            scores.note_prompt(call, last_head=self.saliency_head == "last")
        return None

    def read_embeddings(self, embeddings: Tensor, run: GenerationState) -> None:
        raw, own = scores.raw_of(self, run), embeddings[: run.rows]
        if self.contrasts and self.preset == "published":
            raw.newest = own
        elif self.contrasts:
            scores.read_picture(raw, own, run, self.masked, self.seed)

    def logits_term(self, plain: Tensor, own: Tensor | None, run: GenerationState) -> Tensor | None:
        raw = scores.raw_of(self, run)
        if raw.newest is None:
            return scores.raw_contrast(plain, raw, self.alpha)
        base = scores.head_logits(run, raw.newest[:, -plain.shape[1] :])
        return scores.published_contrast(base, base, self.alpha)
