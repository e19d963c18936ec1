"""Sampling tokens from logits: temperature, top-k, top-p, and an independent random stream per row.

Knows tensors only. What a row samples depends on its own logits and its own stream, never on other rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from lrmctl.engines.base import Sampling

if TYPE_CHECKING:
    import torch
    from torch import Tensor

BLOCK = 64
"""Numbers generated at a time. torch fills tensors of 16 numbers or more in another order, so that equal blocks make a
stream independent of its length."""

_CANDIDATES, _SHARE_OF_CANDIDATES = 1024, 8
"""Largest logits among which the limit of top-p and top-k is looked for, if the vocabulary is so many times larger."""

BROKEN = "the model's logits are not numbers (NaN): its weights or its dtype are broken"


def block_of(generator: torch.Generator) -> Tensor:
    """The next block of a row's stream, uniform in [0, 1), `[BLOCK]`."""
    import torch

    return torch.rand(BLOCK, generator=generator)


class BatchSamplingParams(NamedTuple):
    """Sampling parameters of each row, as columns `[R, 1]`."""

    temperature: Tensor
    """1 for greedy rows."""
    greedy: Tensor
    top_p: Tensor
    top_k: Tensor
    """V or more keeps all."""
    filtering: bool
    """Some row uses top-k or top-p."""
    picking: bool
    """Some row is greedy."""
    drawing: bool
    """Some row is not."""

    @classmethod
    def of(cls, params: Sequence[Sampling], device: torch.device) -> BatchSamplingParams:
        import torch

        def column(values: list[Any], dtype: torch.dtype) -> Tensor:
            return torch.tensor(values, dtype=dtype, device=device)[:, None]

        everything = torch.iinfo(torch.int64).max
        return cls(
            temperature=column([1.0 if s.greedy else s.temperature for s in params], torch.float32),
            greedy=column([s.greedy for s in params], torch.bool),
            top_p=column([s.top_p for s in params], torch.float32),
            top_k=column([s.top_k or everything for s in params], torch.int64),
            filtering=any(s.top_k or s.top_p < 1 for s in params),
            picking=any(s.greedy for s in params),
            drawing=not all(s.greedy for s in params),
        )

    def rows(self, kept: Tensor) -> BatchSamplingParams:
        """The parameters of these rows."""
        columns = (self.temperature[kept], self.greedy[kept], self.top_p[kept], self.top_k[kept])
        return BatchSamplingParams(*columns, self.filtering, self.picking, self.drawing)


def sample_tokens(logits: Tensor, params: BatchSamplingParams, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """Tokens `[R, 1]` sampled from logits `[R, V]`, and the log-probabilities `[R, V]` that they were sampled with.

    Args:
        uniform: one number in [0, 1) per row, `[R, 1]`.
    """
    import torch

    scaled = logits / params.temperature
    if params.filtering:
        scaled = filtered(scaled, params.top_k, params.top_p)
    logp = torch.log_softmax(scaled, -1)
    if not params.drawing:
        return logits.argmax(-1, keepdim=True), logp
    drawn = by_inverse_cdf(logp, uniform)
    return torch.where(params.greedy, logits.argmax(-1, keepdim=True), drawn) if params.picking else drawn, logp


def held_back(logits: Tensor, held: Tensor, eos: Tensor) -> Tensor:
    """Logits `[R, V]` with end-of-text tokens at -inf in rows that are below their minimum length (`held`, `[R]`)."""
    import torch

    ends = torch.isin(torch.arange(logits.shape[-1], device=logits.device), eos)
    return logits.masked_fill(held[:, None] & ends, float("-inf"))


def uniforms(seeds: Sequence[int], limits: Sequence[int], width: int) -> Tensor:
    """Uniform numbers in [0, 1) `[B, width]`; row i is the stream of seeds[i], independent of the other rows."""
    import torch

    out = torch.zeros(len(seeds), width)
    generator = torch.Generator()
    for row, seed, limit in zip(out, seeds, limits, strict=True):
        generator.manual_seed(seed)
        for start in range(0, limit, BLOCK):
            block = block_of(generator)
            row[start : start + BLOCK] = block[: max(0, width - start)]
    return out


def filtered(scaled: Tensor, top_k: Tensor, top_p: Tensor) -> Tensor:
    """Logits `[R, V]` with tokens removed by top-k, then top-p, at -inf; rows without filters are unchanged."""

    rows = ((top_p < 1) | (top_k < scaled.shape[-1])).squeeze(1).nonzero()[:, 0]
    chosen, top_k, top_p = scaled[rows], top_k[rows], top_p[rows]
    if scaled.shape[-1] < _SHARE_OF_CANDIDATES * _CANDIDATES:
        return scaled.index_copy(0, rows, _by_sorting(chosen, top_k, top_p))
    least, settled = _least_kept(chosen, top_k, top_p)
    kept = chosen.masked_fill(chosen < least, float("-inf"))
    rest = (~settled).nonzero()[:, 0]
    if len(rest):
        kept = kept.index_copy(0, rest, _by_sorting(chosen[rest], top_k[rest], top_p[rest]))
    return scaled.index_copy(0, rows, kept)


def _by_sorting(logits: Tensor, top_k: Tensor, top_p: Tensor) -> Tensor:
    """Logits `[R, V]`, filtered; of equal ones at the limit, those with the lowest token ids are kept."""
    import torch

    values, order = logits.sort(dim=-1, descending=True, stable=True)
    rank = torch.arange(logits.shape[-1], device=logits.device)
    values = values.masked_fill(rank >= top_k, float("-inf"))
    probs = values.softmax(-1)
    dropped = (rank >= top_k) | (probs.cumsum(-1) - probs >= top_p)
    return logits.masked_fill(dropped.scatter(1, order, dropped), float("-inf"))


def _least_kept(logits: Tensor, top_k: Tensor, top_p: Tensor) -> tuple[Tensor, Tensor]:
    """The least logit that each row keeps `[R, 1]`, from its largest ones alone, and whether they are enough `[R]`.

    They are not if the limit lies beyond them or between equal logits. Sorting a vocabulary of 50,000 takes as long as
    a small model's pass.
    """
    import torch

    vocabulary = logits.shape[-1]
    values = logits.topk(_CANDIDATES, dim=-1).values
    rank = torch.arange(_CANDIDATES, device=logits.device)
    beyond = rank >= top_k
    among = values.masked_fill(beyond, float("-inf")).logsumexp(-1, keepdim=True)
    total = torch.where(top_k < vocabulary, among, logits.logsumexp(-1, keepdim=True))
    probs = (values - total).exp().masked_fill(beyond, 0.0)
    dropped = beyond | (probs.cumsum(-1) - probs >= top_p)
    last = (~dropped).sum(-1, keepdim=True).clamp(1, _CANDIDATES - 1) - 1
    least = values.gather(1, last)
    known = ((top_k <= _CANDIDATES) | (top_k >= vocabulary))[:, 0]
    settled = known & dropped[:, -1] & (values.gather(1, last + 1) < least)[:, 0]
    return least, settled


def by_inverse_cdf(logp: Tensor, uniform: Tensor) -> Tensor:
    """Tokens `[R, 1]` by inverse CDF: one uniform number each, far cheaper on a CPU than `torch.multinomial`."""
    import torch

    cdf = logp.exp().cumsum(-1)
    total = cdf[:, -1:].contiguous()
    # below the total, so that rounding never picks a token of probability zero at the end of the vocabulary
    target = torch.minimum(uniform * total, torch.nextafter(total, torch.zeros_like(total)))
    return torch.searchsorted(cdf, target, right=True).clamp(max=logp.shape[-1] - 1)
