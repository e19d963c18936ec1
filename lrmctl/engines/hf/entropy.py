"""The entropy of a model's next token at each position, exact: a forward pass with the model's own logits at T=1.

H_t = -sum_v p_t(v) ln p_t(v) in nats over the full vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lrmctl.engines.base import OnProgress
from lrmctl.engines.hf.forward import last_only

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    Entropies = NDArray[np.float32]

Pair = tuple[Sequence[int], Sequence[int]]
"""Token ids of a context and of its continuation."""
_LOGITS_BUDGET = 1 << 24
"""Logits held at once, in elements: 64 MiB in float32, three times that with the intermediate results."""
_LEAST_CHUNK = 64
"""Positions that go through the model together at least; a large vocabulary makes batches smaller, not chunks."""
_PREFILL = 2_048
"""Positions of a context, whose logits nobody needs, that go through together."""


def token_entropies(
    model: Any,
    pairs: Sequence[Pair],
    *,
    pad: int,
    batch_size: int = 32,
    logits_budget: int = _LOGITS_BUDGET,
    on_progress: OnProgress | None = None,
) -> list[Entropies]:
    """Entropy at each token of the continuations, in nats.

    Memory beside the model is its cache and a fixed number of logits: it does not grow with length x vocabulary.

    Args:
        model: a transformers causal LM.
        pairs: context and continuation; batched by length.
        pad: any token id, put behind shorter sequences of a batch.
        batch_size: sequences side by side at most; fewer where the vocabulary is large.
        logits_budget: positions x vocabulary x batch computed at once; long sequences go through in chunks.
        on_progress: called with (done, total) pairs.

    Returns:
        One array per pair, in the order given: [tokens of the continuation].
    """
    import numpy as np

    vocabulary = model.config.get_text_config().vocab_size
    side_by_side = max(1, min(batch_size, logits_budget // (vocabulary * _LEAST_CHUNK)))
    order = sorted(range(len(pairs)), key=lambda i: len(pairs[i][0]) + len(pairs[i][1]))
    found: list[Entropies] = [np.empty(0, dtype=np.float32)] * len(pairs)
    for start in range(0, len(order), side_by_side):
        members = order[start : start + side_by_side]
        skip = max(0, min(len(pairs[i][0]) for i in members) - 1)
        chunk = max(1, logits_budget // (len(members) * vocabulary))
        rows = _batch(model, [[*pairs[i][0], *pairs[i][1]] for i in members], pad, skip, chunk)
        for i, row in zip(members, rows, strict=True):
            begin = len(pairs[i][0]) - 1 - skip  # the logits at a position are about the next token
            found[i] = row[begin : begin + len(pairs[i][1])]
        if on_progress:
            on_progress(start + len(members), len(order))
    return found


def _batch(model: Any, sequences: Sequence[list[int]], pad: int, skip: int, chunk: int) -> Entropies:
    """Entropy after every position from `skip` on of right-padded sequences: [batch, positions - skip].

    Positions go through the model in chunks with its key-value cache, which is one forward pass in all, so the
    logits of the whole batch are never held at once, and those of the first `skip` positions not at all.
    """
    import torch

    width = max(map(len, sequences))
    ids = torch.tensor([s + [pad] * (width - len(s)) for s in sequences], device=model.device)
    real = torch.tensor([[1] * len(s) + [0] * (width - len(s)) for s in sequences], device=model.device)
    without = last_only(model)
    steps = [(a, min(a + _PREFILL, skip), without) for a in range(0, skip, _PREFILL)] if without else []
    first = skip if without else 0
    steps += [(a, min(a + chunk, width), {}) for a in range(first, width, chunk)]
    parts: list[Tensor] = []
    cache = None
    with torch.inference_mode():
        for start, end, options in steps:
            seen = {"attention_mask": real[:, :end], "past_key_values": cache, "use_cache": len(steps) > 1}
            out = model(input_ids=ids[:, start:end], **seen, **options)
            cache = out.past_key_values
            if not options:
                parts.append(entropy_of_logits(out.logits).cpu())
    whole: Entropies = torch.cat(parts, dim=1).numpy()
    return whole[:, skip - first :]


def entropy_of_logits(logits: Tensor) -> Tensor:
    """-sum p ln p over the last dimension, in float32 nats. `logits`: [..., V]; -inf counts as p = 0.

    With z the logits less their largest one: ln(sum e^z) - sum(z e^z) / sum(e^z).
    """
    z = logits.float()
    z = (z - z.amax(dim=-1, keepdim=True)).clamp_(min=-1e4)  # e^-1e4 is 0, and 0 x -1e4 is too
    weights = z.exp()
    total = weights.sum(dim=-1)
    return total.log() - weights.mul_(z).sum(dim=-1) / total
