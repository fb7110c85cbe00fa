"""Which cache entries stay and what stands for the others: parts (a) and (b) of VASparse.

The equations stand in `vasparse`. Functions of plain tensors come first, then what reads and
changes the cache of a run.

Clustering by the density peaks of the k nearest neighbours: part (b) of VASparse.

Rodriguez and Laio, Science 2014, with the densities of Du et al., Knowledge-Based Systems 2016; as
Zhuang et al., arXiv 2501.06553, take it, k is the number of clusters too.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from seesay.errors import EngineError
from seesay.methods.vasparse.scores import LOOKED, raw_of

if TYPE_CHECKING:
    from torch import Tensor

    from seesay.engine.kv_cache import KeptEntries
    from seesay.engine.state import GenerationState
    from seesay.methods.vasparse import VASparse


def selection_score(
    products: Tensor,
    looked: Tensor,
    lam: float,
    candidate: Tensor | None = None,
    normalise: str | None = None,
) -> Tensor:
    """δ_i = (q·K_i)² + λP_i with P = softmax_i(looked).

    P is within a factor e of uniform while (q·K)² spans orders of magnitude; `normalise` puts both
    on one scale among the candidates.

    Args:
        products: (..., entries) q·K_i, not divided by √d.
        looked: (..., entries) Σ_{k ∈ I} a[i, k], the attention that token i itself paid to the
            picture, 0 to 1.
        candidate: (..., entries) bool; the softmax is over these. None: all.
        normalise: None for the literal sum, "rank" (0 to 1) or "zscore".

    Returns (..., entries); what stands at entries that are no candidates means nothing.
    """
    if candidate is None:
        candidate = products == products
    share = looked.masked_fill(~candidate, -math.inf).softmax(-1).nan_to_num(0.0)
    squares = products**2
    if normalise == "rank":
        squares, share = _rank(squares, candidate), _rank(share, candidate)
    elif normalise == "zscore":
        squares, share = _zscore(squares, candidate), _zscore(share, candidate)
    return squares + lam * share


def chosen_entries(
    score: Tensor, candidate: Tensor, valid: Tensor, count: Tensor
) -> tuple[Tensor, Tensor]:
    """The entries that stay: all that are no candidates, and the `count` best candidates.

    Args:
        score: (rows, heads, entries).
        candidate: (rows, heads, entries) bool, equally many in all heads of a row.
        valid: (rows, heads, entries) False on padding.
        count: (rows,) candidates to keep.

    Returns (entries, dropped): (rows, heads, kept) long, ascending, the same number everywhere:
    rows that keep fewer are filled up with padding; and (rows, heads, entries) bool, the valid
    entries that go.
    """
    order = score.masked_fill(~candidate, -math.inf).argsort(dim=-1, descending=True, stable=True)
    rank = order.argsort(-1)
    stays = valid & (~candidate | (rank < count[:, None, None]))
    number = int(stays.sum(-1).max())
    # Padding goes before the best of the rest, should a row be short of padding.
    rest = (~valid).to(score) + valid / (2.0 + rank)
    first = rest.masked_fill(stays, 2.0).topk(number, dim=-1).indices
    entries = first.sort(-1).values
    kept = stays.new_zeros(stays.shape).scatter(-1, entries, value=True)
    return entries, valid & ~kept


def best_entries(method: VASparse, layer: int, run: GenerationState) -> KeptEntries | None:
    """The selection of a layer: what stays, and the entries that stand for the rest."""
    from seesay.engine.attention import scores_of
    from seesay.engine.kv_cache import KeptEntries, entries_of, noted

    cache, last = run.cache.layers[layer], run.last_rows[layer]
    origin, valid = entries_of(cache, run.padding)  # (rows, kv_heads, entries)
    first = 0 if method.candidates == "all" else run.length
    candidate = valid & (origin >= first)
    if last.query.shape[-1] != cache.keys.shape[-1]:
        raise EngineError(
            f"the cache holds keys of {cache.keys.shape[-1]} numbers where {last.query.shape[-1]} "
            "are attended to (a latent cache), so its entries cannot be weighed; use "
            "vasparse(select=False)"
        )
    groups = last.weights.shape[1] // origin.shape[1]
    products = scores_of(last.query[:, :, None], cache.keys, 1.0)[:, :, 0]  # (rows, heads, entries)
    looked = noted(run, layer, LOOKED, last.weights)
    by_head = candidate.repeat_interleave(groups, dim=1)
    score = selection_score(products, looked, method.lam, by_head, method.normalise)
    score = score.view(len(score), -1, groups, score.shape[-1]).mean(2)
    entries, dropped = chosen_entries(score, candidate, valid, _count(method, run, origin))
    if not bool(dropped.any()):
        return None
    if not method.aggregate:
        return KeptEntries(entries)
    notes = run.notes.get(layer, {})
    parts: dict[str, list[Tensor]] = {}
    for row, gone in enumerate(dropped):
        index = gone.nonzero()[:, 1].view(len(gone), -1)  # (kv_heads, tokens)
        tokens = index.shape[1]
        number = min(tokens, max(1, int(method.clusters * tokens)))
        of = density_peaks(_at(cache.keys[row], index), number)[1] if number else index
        summed = method.merge == "sum"
        for name, part in (("keys", cache.keys), ("values", cache.values)):
            stands = merged(_at(part[row], index), of, number, summed=summed)
            parts.setdefault(name, []).append(stands)
        parts.setdefault("valid", []).append(stands.new_ones(stands.shape[:2]))
        wide, of = index.repeat_interleave(groups, 0), of.repeat_interleave(groups, 0)
        for name in notes:
            note = noted(run, layer, name, last.weights)[row][..., None]
            parts.setdefault(name, []).append(merged(_at(note, wide), of, number)[..., 0])
    keys, values, real = (_stacked(parts.pop(name)) for name in ("keys", "values", "valid"))
    return KeptEntries(
        entries, keys, values, real.bool(), {n: _stacked(v) for n, v in parts.items()}
    )


def oldest_as_one(method: VASparse, layer: int, run: GenerationState) -> KeptEntries | None:
    """The published rule: the oldest generated entries of one layer become their mean.

    It is the first layer to hold `every` of them for each event so far, and `every` more.
    """
    from seesay.engine.kv_cache import KeptEntries, entries_of

    cache, raw = run.cache.layers[layer], raw_of(method, run)
    number = cache.keys.shape[2] - run.length
    if number < method.every * (raw.events + 1):
        return None
    raw.events += 1
    keep = method.keep
    gone = max(number - keep, 0) if isinstance(keep, int) else int((1 - keep) * number)
    origin, _ = entries_of(cache, run.padding)
    generated = (origin >= run.length) | (origin < 0)  # a merged entry is older than all others
    order = origin.masked_fill(~generated, 2**62).argsort(dim=-1, stable=True)
    rest = order[..., gone:].sort(-1).values
    if not gone or not method.aggregate:
        return KeptEntries(rest)
    wide = order[..., :gone, None].expand(-1, -1, -1, cache.keys.shape[-1])
    means = [part.gather(2, wide).mean(2, keepdim=True) for part in (cache.keys, cache.values)]
    return KeptEntries(rest, *means)


def _count(method: VASparse, run: GenerationState, like: Tensor) -> Tensor:
    """How many candidates stay, (rows,), counted from the text and not from what is left of it.

    Prompt and answer are rounded apart, so that rows of a batch drop the same number at each step.
    """
    answer = like.new_tensor([run.seen - run.length])
    if run.padding is None:
        prompt = like.new_tensor([run.length])
    else:
        prompt = run.padding[:, : run.length].sum(1)
    prompt = prompt.expand(len(like)) * (method.candidates == "all")
    if isinstance(method.keep, int):
        return (prompt + answer).clamp(max=method.keep)
    gone = [((1 - method.keep) * part + 1e-6).long() for part in (prompt, answer)]
    return prompt + answer - sum(gone)


def _at(x: Tensor, index: Tensor) -> Tensor:
    """(heads, entries, dim) at `index` (heads, tokens)."""
    return x.gather(1, index[..., None].expand(-1, -1, x.shape[-1]))


def _stacked(rows: list[Tensor]) -> Tensor:
    """(heads, merged, ...) of each row as one tensor, filled up with zeros to the longest."""
    import torch

    most = max(row.shape[1] for row in rows)
    fill = [row.new_zeros(row.shape[0], most - row.shape[1], *row.shape[2:]) for row in rows]
    return torch.stack([torch.cat(pair, dim=1) for pair in zip(rows, fill, strict=True)])


def _rank(values: Tensor, candidate: Tensor) -> Tensor:
    """Rank among the candidates from 0 (lowest) to 1; equal values share the mean of theirs."""
    import torch

    given = values.masked_fill(~candidate, -math.inf).contiguous()
    ordered = given.sort(-1).values
    below, upto = (torch.searchsorted(ordered, given, right=right) for right in (False, True))
    others = (~candidate).sum(-1, keepdim=True)
    number = candidate.sum(-1, keepdim=True)
    rank: Tensor = ((below + upto - 1) / 2 - others) / (number - 1).clamp(min=1)
    return rank


def _zscore(values: Tensor, candidate: Tensor) -> Tensor:
    number = candidate.sum(-1, keepdim=True).clamp(min=1)
    mean = values.masked_fill(~candidate, 0.0).sum(-1, keepdim=True) / number
    away = (values - mean).masked_fill(~candidate, 0.0)
    spread = ((away**2).sum(-1, keepdim=True) / number).sqrt()
    return away / spread.clamp(min=1e-12)


# Pairwise distances are made for as many heads at once as stay under this many numbers.
_PAIRS = 2**24


def density_peaks(x: Tensor, clusters: int) -> tuple[Tensor, Tensor]:
    """Cluster tokens by the density peaks of their k nearest neighbours, k = `clusters`.

    ρ_i = exp(−mean d²) over the k nearest (the token itself among them), d = ‖x_i − x_j‖ / √dim;
    δ_i = distance to the nearest denser token (of the densest one: to the farthest); centres are
    the `clusters` tokens with the highest ρδ, and every other token goes to its nearest centre.

    Args:
        x: (heads, tokens, dim).
        clusters: from 1 to tokens.

    Returns (centres, cluster_of): (heads, clusters) long, highest ρδ first, and (heads, tokens)
    long, which of the centres.
    """
    import torch

    heads, tokens, _ = x.shape
    step = max(1, _PAIRS // max(1, tokens * tokens))
    parts = [_peaks(x[a : a + step].float(), clusters) for a in range(0, heads, step)]
    centres, cluster_of = zip(*parts, strict=True)
    return torch.cat(centres), torch.cat(cluster_of)


def peak_score(distance: Tensor, clusters: int) -> Tensor:
    """log(ρδ) of each token, as in `density_peaks`; logarithms, since ρ underflows far from others.

    Args:
        distance: (heads, tokens, tokens).

    Returns (heads, tokens).
    """
    near = distance.topk(clusters, dim=-1, largest=False).values
    density = -(near**2).mean(-1)  # log ρ
    at = density.argsort(dim=-1, descending=True, stable=True).argsort(-1)
    denser = at[:, None, :] < at[:, :, None]  # of equal ones the first counts as denser
    nearest = distance.masked_fill(~denser, math.inf).amin(-1)
    farthest = distance.flatten(1).amax(-1)
    return density + nearest.where(at > 0, farthest[:, None]).log()


def merged(x: Tensor, cluster_of: Tensor, clusters: int, *, summed: bool = False) -> Tensor:
    """One entry for each cluster: the mean of its tokens, or their sum.

    Args:
        x: (heads, tokens, dim).
        cluster_of: (heads, tokens) long.

    Returns (heads, clusters, dim).
    """
    from seesay.engine.attention import precise

    wide = precise(x)
    member = wide.new_zeros(*cluster_of.shape, clusters).scatter(-1, cluster_of[..., None], 1.0)
    if not summed:
        member = member / member.sum(1, keepdim=True).clamp(min=1)
    return (member.transpose(1, 2) @ wide).to(x.dtype)


def _peaks(x: Tensor, clusters: int) -> tuple[Tensor, Tensor]:
    import torch

    distance = torch.cdist(x, x) / math.sqrt(x.shape[-1])
    centres = peak_score(distance, clusters).topk(clusters, dim=-1).indices
    to_centre = distance.gather(1, centres[..., None].expand(-1, -1, x.shape[1]))
    cluster_of = to_centre.argmin(1)
    own = torch.arange(clusters, device=x.device).expand_as(centres)
    return centres, cluster_of.scatter(1, centres, own)  # a centre is its own, whatever is near
