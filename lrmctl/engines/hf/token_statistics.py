"""Exact statistics of a model's next-token distribution at each token of a given text: one forward pass, T=1.

With p the model's distribution over its whole vocabulary and q the base's, at each position:
entropy -sum p ln p, varentropy sum p (ln p + H)^2, the mass of the k most likely tokens, the log-probability of the
token that stands there, and the divergence sum p (ln p - ln q). Natural logarithms.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from lrmctl.engines.hf.forward import last_only
from lrmctl.engines.hf.memory import free_bytes
from lrmctl.engines.probabilities import TokenStatistics

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

Pair = tuple[Sequence[int], Sequence[int]]
"""Token ids of a context and of its continuation."""
TOP_K = 20
_LOGITS_BUDGET = 1 << 24
"""Elements of logits held at once: 64 MiB in float32, three times that with intermediate results."""
_GPU_LOGITS_BUDGET = 1 << 27
"""The same on a GPU, which small chunks leave idle: 16 times as many logits took an eighth of the time on an H200."""
_LEAST_CHUNK = 64
"""Least number of positions per chunk; a large vocabulary makes batches smaller, not chunks."""
_CACHED = 1 << 18
"""Logits whose intermediate results fit into a CPU's cache, in elements."""
_PREFILL = 2_048
"""Positions per chunk of a context, whose logits are not needed."""


def token_statistics(
    model: Any,
    pairs: Sequence[Pair],
    *,
    pad: int,
    base: Any = None,
    top_k: int = TOP_K,
    batch_size: int = 32,
    logits_budget: int | None = None,
) -> Iterator[list[tuple[int, TokenStatistics]]]:
    """Statistics at each token of the continuations, in groups of pairs, each with its index.

    Memory beyond the models consists of their caches and a fixed number of logits: it does not grow with length x
    vocabulary.

    Args:
        model: a transformers causal LM.
        pairs: context and continuation; batched by length.
        pad: any token id, for right padding of shorter sequences.
        base: a second model with the same vocabulary that scores the same tokens; None leaves its statistics out.
        top_k: number of tokens in `top_mass`.
        batch_size: most sequences per batch; fewer if the vocabulary is large.
        logits_budget: positions x vocabulary x batch computed at once; long sequences go through in chunks. None
            takes 2^24, and on a GPU up to 2^27 if they fit into half of the free memory.
    """
    logits_budget = logits_budget or default_logits_budget(model)
    vocabulary = model.config.get_text_config().vocab_size
    side_by_side = max(1, min(batch_size, logits_budget // (vocabulary * _LEAST_CHUNK)))
    order = sorted(range(len(pairs)), key=lambda i: len(pairs[i][0]) + len(pairs[i][1]))
    for start in range(0, len(order), side_by_side):
        members = order[start : start + side_by_side]
        skip = max(0, min(len(pairs[i][0]) for i in members) - 1)
        chunk = max(1, logits_budget // (len(members) * vocabulary))
        rows = _batch(model, base, [[*pairs[i][0], *pairs[i][1]] for i in members], pad, skip, chunk, top_k)
        yield [(i, _cut(row, pairs[i], skip)) for i, row in zip(members, rows, strict=True)]


def default_logits_budget(model: Any) -> int:
    """Elements of logits to hold at once on the model's device."""
    if model.device.type == "cpu":
        return _LOGITS_BUDGET
    most = free_bytes(model.device) // (2 * 3 * 4)  # half of it, three copies, float32
    return max(_LOGITS_BUDGET, min(_GPU_LOGITS_BUDGET, most))


def _cut(columns: NDArray[np.float32], pair: Pair, skip: int) -> TokenStatistics:
    """One row `[statistics, positions from skip on]`: the logits at a position are about the next token."""
    begin = len(pair[0]) - 1 - skip
    return TokenStatistics(*(column[begin : begin + len(pair[1])].copy() for column in columns))


def _batch(
    model: Any, base: Any, sequences: Sequence[list[int]], pad: int, skip: int, chunk: int, top_k: int
) -> Iterator[NDArray[np.float32]]:
    """Statistics after every position from `skip` on of right-padded sequences: `[statistics, positions]` each.

    Positions go through the models in chunks with their key-value caches, which is one forward pass in all, so the
    logits of the whole batch are never held at once, and those of the first `skip` positions not at all.
    """
    import torch

    width = max(map(len, sequences))
    ids = torch.tensor([s + [pad] * (width - len(s)) for s in sequences], device=model.device)
    real = torch.tensor([[1] * len(s) + [0] * (width - len(s)) for s in sequences], device=model.device)
    follows = torch.cat([ids[:, 1:], torch.full_like(ids[:, :1], pad)], dim=1)
    passes = [_Pass(one, ids, real) for one in (model, base) if one is not None]
    parts: list[Tensor] = []
    with torch.inference_mode():
        for one in passes:
            one.read(skip)
        for start in range(skip, width, chunk):
            end = min(start + chunk, width)
            logits = [one.logits(start, end, alone=end == width and start == 0) for one in passes]
            parts.append(statistics_of_logits(*logits, follows[:, start:end], top_k=top_k).cpu())
    yield from torch.cat(parts, dim=2).transpose(0, 1).numpy()


class _Pass:
    """One model's pass through a batch, with its cache."""

    def __init__(self, model: Any, ids: Tensor, real: Tensor) -> None:
        self._model, self._cache = model, None
        self._ids, self._real = ids.to(model.device), real.to(model.device)
        self._to = ids.device
        self._without = last_only(model)

    def read(self, end: int) -> None:
        """Process positions whose logits are not needed."""
        for start in range(0, end, _PREFILL):
            self._forward(start, min(start + _PREFILL, end), True, self._without)

    def logits(self, start: int, end: int, *, alone: bool) -> Tensor:
        """`[B, end - start, V]` on the first model's device."""
        found: Tensor = self._forward(start, end, not alone, {})
        return found.to(self._to)

    def _forward(self, start: int, end: int, keep: bool, options: dict[str, Any]) -> Any:
        seen = {"attention_mask": self._real[:, :end], "past_key_values": self._cache, "use_cache": keep}
        out = self._model(input_ids=self._ids[:, start:end], **seen, **options)
        self._cache = out.past_key_values
        return out.logits


def statistics_of_logits(logits: Tensor, *base_and_follows: Tensor, top_k: int = TOP_K) -> Tensor:
    """The fields of `TokenStatistics`, in float32: `[4 or 7, ...]`.

    On a CPU some rows at a time, so that intermediate results stay in its cache, which halves the time.

    Args:
        logits: `[..., V]`; -inf counts as p = 0.
        base_and_follows: the base's logits `[..., V]` if there is one, then the ids of the actual tokens `[...]`.
    """
    import torch

    *base, follows = base_and_follows
    vocabulary = logits.shape[-1]
    flat = [each.reshape(-1, vocabulary) for each in (logits, *base)]
    rows = max(1, _CACHED // vocabulary) if logits.device.type == "cpu" else max(1, len(flat[0]))
    blocks = zip(*(torch.split(each, rows) for each in (*flat, follows.reshape(-1))), strict=True)
    return torch.cat([_statistics(*block, top_k=top_k) for block in blocks], dim=1).reshape(-1, *follows.shape)


def _statistics(logits: Tensor, *base_and_follows: Tensor, top_k: int) -> Tensor:
    """Of `[N, V]`. With z the logits less their maximum and w = e^z, computed from sums over the vocabulary: of w,
    z w, z^2 w."""
    import torch

    *base, follows = base_and_follows
    z, chosen = _below_largest(logits), follows.unsqueeze(-1)
    top = z.topk(min(top_k, z.shape[-1]), sorted=False).values.exp().sum(-1)
    said = z.gather(-1, chosen).squeeze(-1)
    w = z.exp()
    total = w.sum(-1)
    log_total = total.log()
    found = []
    if base:
        other = _below_largest(base[0])
        log_other = other.exp().sum(-1).log()
        said_there = other.gather(-1, chosen).squeeze(-1) - log_other
        cross = log_other - torch.linalg.vecdot(w, other) / total
        found = [_entropy(other, log_other), cross, said - log_total - said_there]
    first = w.mul_(z).sum(-1) / total
    second = w.mul_(z).sum(-1) / total
    entropy = log_total - first
    if found:
        found[1] = (found[1] - entropy).clamp_(min=0)
    return torch.stack([entropy, (second - first * first).clamp_(min=0), top / total, said - log_total, *found])


def _below_largest(logits: Tensor) -> Tensor:
    z = logits.float()
    return (z - z.amax(dim=-1, keepdim=True)).clamp_(min=-1e4)  # e^-1e4 is 0, and 0 x -1e4 is too


def _entropy(z: Tensor, log_total: Tensor) -> Tensor:
    w = z.exp()
    return log_total - w.mul_(z).sum(-1) / log_total.exp()
