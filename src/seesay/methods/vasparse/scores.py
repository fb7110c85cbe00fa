"""What VASparse subtracts and dampens: parts (c) and (d), and the notes that (a) and (d) live on.

The equations stand in `vasparse`. Notes are kept beside the cache entries of a run and follow beams
and compaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from seesay.engine import Method
    from seesay.engine.attention import Call
    from seesay.engine.state import GenerationState

LOOKED, RECEIVED = "vasparse: attention paid to the image", "vasparse: attention received"


@dataclass
class Raw:
    """What a run knows of the decoder's input.

    Attributes:
        newest: (rows, columns, hidden) the embeddings of the newest forward.
        total, count: (rows, hidden) and (rows, 1), of the picture's embeddings read so far.
        logits: (rows, vocabulary) of their mean, once the prompt is read.
        events: selections so far, for the published rule.
    """

    newest: Tensor | None = None
    total: Tensor | None = None
    count: Tensor | None = None
    logits: Tensor | None = None
    events: int = 0


def raw_of(method: Method, run: GenerationState) -> Raw:
    """The state of `method` in this run."""
    raw: Raw = run.state.setdefault(method, Raw())
    return raw


def kept_tokens(image: Tensor, masked: float, seed: int) -> Tensor:
    """Which of the picture's tokens the contrast looks at: n − ⌊masked · n⌋ of n, one at least.

    Args:
        image: (rows, columns) bool. Rows with equally many tokens keep the same ones of them.

    Returns (rows, columns) bool.
    """
    import torch

    kept = torch.zeros_like(image)
    for row, columns in enumerate(image):
        at = columns.nonzero()[:, 0]
        order = torch.randperm(len(at), generator=torch.Generator().manual_seed(seed))
        gone = max(0, min(int(masked * len(at)), len(at) - 1))
        kept[row, at[order[gone:].to(at.device)]] = True
    return kept


def read_picture(
    raw: Raw, embeddings: Tensor, run: GenerationState, masked: float, seed: int
) -> None:
    """Add the picture's embeddings of this forward; at the prompt's end, their mean's logits.

    The head is linear, so the logits of the mean are the mean of the logits.

    Args:
        embeddings: (rows, columns, hidden).
    """
    if run.image is None or not run.image.stop or run.seen > run.length:
        return
    chosen = kept_tokens(run.image.mask[: run.rows], masked, seed)
    weight = chosen[:, run.seen - embeddings.shape[1] : run.seen, None]  # (rows, columns, 1)
    total, count = (embeddings.float() * weight).sum(1), weight.sum(1)
    raw.total = total if raw.total is None else raw.total + total
    raw.count = count if raw.count is None else raw.count + count
    if run.seen == run.length:
        raw.logits = head_logits(run, raw.total / raw.count.clamp(min=1))


def head_logits(run: GenerationState, embeddings: Tensor) -> Tensor:
    """Embeddings (..., hidden) put straight into the language-model head, float32 or better."""
    from seesay.engine.attention import precise

    weight = next(run.view.head.parameters())
    if not weight.is_meta:  # laid over several devices, it is fetched as it is called
        embeddings = embeddings.to(weight.device)
    return precise(run.view.head(embeddings.to(weight.dtype)))


def raw_contrast(plain: Tensor, raw: Raw, alpha: float) -> Tensor | None:
    """α · (plain − raw), so that the sum is (1 + α)·plain − α·raw; 0 in rows without a picture.

    Args:
        plain: (rows, positions, vocabulary).
    """
    if raw.logits is None or raw.count is None:
        return None
    term = alpha * (plain - raw.logits[:, None])
    return term.masked_fill(raw.count[:, None] == 0, 0.0)


def published_contrast(base: Tensor, raw: Tensor, alpha: float) -> Tensor:
    """−log_softmax(base) − α · raw, what the released code adds to the plain logits."""
    return -base.log_softmax(-1) - alpha * raw


def penalty_weights(received: Tensor, mask: Tensor | None = None) -> Tensor:
    """w = softmax_j(Σ_{i≥j} a[i, j]).

    Args:
        received: (..., columns) the column sums.
        mask: additive or boolean (True = may attend), broadcasts to `received`.
    """
    from seesay.engine.attention import masked

    return (received if mask is None else masked(received, mask)).softmax(-1)


def penalty_factor(call: Call, beta: float) -> Tensor | None:
    """1 + β − β·w, (batch, heads, columns) for the row at hand; None before anything was noted."""
    from torch.nn import functional

    notes = call.run.notes.get(call.layer, {})
    received = notes.get(RECEIVED)
    if received is None:
        return None
    # Kept as grown, so that the note of this row need not grow it again.
    entries = call.key.shape[2]
    if entries < call.run.seen:  # a window's entries move up
        received = functional.pad(received, (0, call.n_queries))[..., -entries:]
    else:
        received = functional.pad(received, (0, entries - received.shape[-1]))
    notes[RECEIVED] = received
    mask = None if call.mask is None else call.mask[:, :, -1]
    return penalty_weights(received, mask).mul_(-beta).add_(1 + beta)


def note_row(
    run: GenerationState, layer: int, *, received: bool, looked: bool, last_head: bool
) -> None:
    """Note what the newest row paid to each entry, and to the picture as a whole.

    Args:
        last_head: the latter is the last head's for all of them, whatever entries they hold.
    """
    from seesay.engine.kv_cache import noted

    last = run.last_rows[layer]
    weights = last.weights.detach()
    if received:
        total = noted(run, layer, RECEIVED, weights) + weights
        run.notes[layer][RECEIVED] = total
    if looked:
        image = last.image
        seen = weights[..., image.start : image.stop]
        note = noted(run, layer, LOOKED, weights).clone()
        paid = (seen if image.weight is None else seen * image.weight).sum(-1)
        note[..., -1] = paid[:, -1:] if last_head else paid
        run.notes[layer][LOOKED] = note


def note_prompt(call: Call, *, last_head: bool) -> None:
    """Note what each of the prompt's rows pays to the picture; see `note_row`."""
    import torch
    from torch.nn import functional

    from seesay.engine.attention import mass_on
    from seesay.engine.kv_cache import noted

    image, entries = call.image, call.key.shape[2]
    inside = image.weight
    if inside is None:
        inside = call.key.new_ones(1, 1, image.stop - image.start)
    inside = inside[:, :: max(1, inside.shape[1] // call.key.shape[1])]  # by key head
    columns = functional.pad(inside, (image.start, entries - image.stop))
    if call.cap is None and call.sink is None:
        looked = mass_on(columns, call.query, call.key, call.mask, call.scaling).detach()
    else:
        wide = columns.repeat_interleave(call.n_heads // columns.shape[1], 1)[:, :, None]
        blocks = [(weights * wide).sum(-1) for _, weights in call.row_blocks()]
        looked = torch.cat(blocks, -1)
    like = looked.new_zeros(*looked.shape[:2], entries)
    note = noted(call.run, call.layer, LOOKED, like).clone()
    note[..., entries - call.n_queries :] = looked[:, -1:] if last_head else looked
    call.run.notes[call.layer][LOOKED] = note
