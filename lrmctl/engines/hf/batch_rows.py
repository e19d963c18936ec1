"""The rows of one batch that is sampled to its end: the limits of each row, and the tokens sampled so far.

Knows tensors and sampling parameters; no model.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lrmctl.engines.base import SampledTokens, Sampling
from lrmctl.engines.hf.padding import left_pad
from lrmctl.engines.hf.token_sampling import BROKEN, BatchSamplingParams, held_back, sample_tokens, uniforms

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_RUNNING = ("index", "tokens", "mask", "positions", "least", "limit", "drawn", "ended", "uniforms")


@dataclass
class BatchRows:
    """The rows still running (first block, `[R, ...]`), and the tokens sampled so far for all rows (`[B, N]`)."""

    index: Tensor  # [R] row of the batch
    tokens: Tensor  # [R, P] at first, then [R, 1]: the model's next input
    mask: Tensor  # [R, P + step] attention mask
    positions: Tensor  # [R, as tokens]
    params: BatchSamplingParams
    least: Tensor  # [R] minimum of new tokens
    limit: Tensor  # [R] maximum of new tokens
    drawn: Tensor  # [R] new tokens so far
    ended: Tensor  # [R] the last token was an end-of-text token
    uniforms: Tensor  # [R, N]
    eos: Tensor  # [E]
    ids: Tensor  # [B, N], -1 where nothing was sampled
    logprobs: Tensor  # [B, N]
    holding: bool

    @classmethod
    def start(
        cls,
        prompts: Sequence[Sequence[int]],
        params: Sequence[Sampling],
        seeds: Sequence[int],
        *,
        eos: Collection[int],
        pad: int,
        max_len: int,
        device: torch.device,
    ) -> BatchRows:
        import torch

        tokens, mask = left_pad(prompts, pad)
        limits = [max(0, min(s.max_new_tokens, max_len - len(p))) for s, p in zip(params, prompts, strict=True)]
        count, longest = len(prompts), max(limits)

        def column(values: list[int]) -> Tensor:
            return torch.tensor(values, dtype=torch.int64, device=device)

        return cls(
            index=torch.arange(count, device=device),
            tokens=tokens.to(device),
            mask=mask.to(device),
            positions=(mask.cumsum(1) - 1).clamp(min=0).to(device),
            params=BatchSamplingParams.of(params, device),
            least=column([s.min_new_tokens for s in params]),
            limit=column(limits),
            drawn=torch.zeros(count, dtype=torch.int64, device=device),
            ended=torch.zeros(count, dtype=torch.bool, device=device),
            uniforms=uniforms(seeds, limits, longest).to(device),
            eos=torch.tensor(sorted(eos), dtype=torch.int64, device=device),
            ids=torch.full((count, longest), -1, device=device),
            logprobs=torch.zeros(count, longest, device=device),
            holding=any(s.min_new_tokens for s in params),
        )

    def go_on_after(self, known: int) -> None:
        """The rows continue after this many tokens of shared prefix, which are in the model's cache."""
        import torch

        self.mask = torch.nn.functional.pad(self.mask, (known, 0), value=1)
        self.positions = self.positions + known

    def record(self, step: int, logits: Tensor) -> None:
        """Sample one token per running row from its logits `[R, V]` and make it the next input."""
        import torch

        if self.holding:
            logits = held_back(logits, self.drawn < self.least, self.eos)
        token, logp = sample_tokens(logits, self.params, self.uniforms[:, step : step + 1])
        self.ids[self.index, step] = token[:, 0]
        self.logprobs[self.index, step] = logp.gather(1, token)[:, 0]
        self.ended, self.drawn = torch.isin(token[:, 0], self.eos), self.drawn + 1
        self.tokens, self.positions = token, self.positions[:, -1:] + 1
        self.mask = torch.nn.functional.pad(self.mask, (0, 1), value=1)

    def drop_finished(self) -> Tensor | None:
        """Remove finished rows; returns the positions `[R']` of the remaining ones, None if all remain."""
        stays = ~self.ended & (self.drawn < self.limit)
        if bool(stays.all()):
            return None
        kept = stays.nonzero()[:, 0]
        for name in _RUNNING:
            setattr(self, name, getattr(self, name)[kept])
        self.params = self.params.rows(kept)
        return kept

    def results(self, eos: Collection[int]) -> list[SampledTokens]:
        if bool(self.logprobs.isnan().any()):
            raise ArithmeticError(BROKEN)
        pairs = zip(self.ids.tolist(), self.logprobs.tolist(), strict=True)
        return [_sampled(ids, logprobs, eos) for ids, logprobs in pairs]


def _sampled(ids: list[int], logprobs: list[float], eos: Collection[int]) -> SampledTokens:
    count = ids.index(-1) if -1 in ids else len(ids)
    stopped = count > 0 and ids[count - 1] in eos
    return SampledTokens(tuple(ids[:count]), tuple(logprobs[:count]), "stop" if stopped else "length")
