"""The entropy of a model's next token at each position, exact: a forward pass with the model's own logits at T=1.

H_t = -sum_v p_t(v) ln p_t(v) in nats over the full vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lrmctl.engines.base import OnProgress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    Entropies = NDArray[np.float32]

Pair = tuple[Sequence[int], Sequence[int]]
"""Token ids of a context and of its continuation."""
_LOGITS_BUDGET = 1 << 24
"""Logits held at once, in elements: 64 MiB in float32, a few times that with the intermediate results."""


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

    Args:
        model: a transformers causal LM.
        pairs: context and continuation; batched by length.
        pad: any token id, put behind shorter sequences of a batch.
        logits_budget: positions x vocabulary x batch computed at once; long sequences go through in chunks.
        on_progress: called with (done, total) pairs.

    Returns:
        One array per pair, in the order given: [tokens of the continuation].
    """
    import numpy as np

    order = sorted(range(len(pairs)), key=lambda i: len(pairs[i][0]) + len(pairs[i][1]))
    found: list[Entropies] = [np.empty(0, dtype=np.float32)] * len(pairs)
    for start in range(0, len(order), batch_size):
        members = order[start : start + batch_size]
        rows = _batch(model, [[*pairs[i][0], *pairs[i][1]] for i in members], pad, logits_budget)
        for i, row in zip(members, rows, strict=True):
            begin = len(pairs[i][0]) - 1  # the logits at a position are about the next token
            found[i] = row[begin : begin + len(pairs[i][1])]
        if on_progress:
            on_progress(start + len(members), len(order))
    return found


def _batch(model: Any, sequences: Sequence[list[int]], pad: int, logits_budget: int) -> Entropies:
    """Entropy after every position of right-padded sequences: [batch, positions].

    Positions go through the model in chunks with its key-value cache, which is one forward pass in all, so the
    logits of the whole batch are never held at once.
    """
    import torch

    width = max(map(len, sequences))
    ids = torch.tensor([s + [pad] * (width - len(s)) for s in sequences], device=model.device)
    real = torch.tensor([[1] * len(s) + [0] * (width - len(s)) for s in sequences], device=model.device)
    chunk = max(1, logits_budget // (len(sequences) * model.config.get_text_config().vocab_size))
    parts: list[Tensor] = []
    cache = None
    with torch.inference_mode():
        for start in range(0, width, chunk):
            end = min(start + chunk, width)
            seen = {"attention_mask": real[:, :end], "past_key_values": cache, "use_cache": chunk < width}
            out = model(input_ids=ids[:, start:end], **seen)
            cache = out.past_key_values
            parts.append(entropy_of_logits(out.logits).cpu())
    whole: Entropies = torch.cat(parts, dim=1).numpy()
    return whole


def entropy_of_logits(logits: Tensor) -> Tensor:
    """-sum p ln p over the last dimension, in float32 nats. `logits`: [..., V]; -inf counts as p = 0."""
    import torch

    log_p = torch.log_softmax(logits.float(), dim=-1)
    return -(log_p.exp() * log_p.clamp(min=torch.finfo(torch.float32).min)).sum(dim=-1)
