"""Clustering by the density peaks of the k nearest neighbours: part (b) of VASparse.

Rodriguez and Laio, Science 2014, with the densities of Du et al., Knowledge-Based Systems 2016; as
Zhuang et al., arXiv 2501.06553, take it, k is the number of clusters too.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

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
