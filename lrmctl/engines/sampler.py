"""The one token loop: batched, KV-cached sampling from any transformers causal LM through plain forward calls.

Used by the evaluation engine and by the CPU rollout engine. It knows token ids only: no tokenizer, no templates, no
files. Rows of a batch are independent: each has its own sampling parameters and its own stream of uniform numbers, so
what a row draws does not depend on the rows beside it (up to the rounding of the model's own matrix products).
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lrmctl.engines.base import Sampled, Sampling

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def sample(
    model: Any,
    prompts: Sequence[Sequence[int]],
    params: Sequence[Sampling],
    *,
    eos: Collection[int],
    pad: int,
    max_len: int,
    seeds: Sequence[int],
    share_prefix: bool = False,
) -> list[Sampled]:
    """Draw one completion per prompt, all in one batch.

    Args:
        model: a transformers causal LM in eval mode, on any device.
        prompts: token ids, one list per row; none may be empty.
        params: sampling parameters, one per row.
        eos: token ids that end a completion.
        pad: token id to fill the left of shorter prompts with.
        max_len: limit of prompt plus completion in tokens; a prompt that fills it gets an empty completion.
        seeds: one seed per row for its uniform stream.
        share_prefix: compute the tokens that all prompts begin with once; changes results by rounding only.

    Raises:
        ValueError: for an empty prompt, or numbers of rows that differ.
        ArithmeticError: if the model's logits were not numbers.
    """
    import torch

    _check(prompts, params, seeds)
    if not prompts:
        return []
    with torch.inference_mode():
        known, cache = shared_prefix(model, prompts) if share_prefix else (0, None)
        rest = [prompt[known:] for prompt in prompts]
        rows = _Rows.start(rest, params, seeds, eos=eos, pad=pad, max_len=max_len - known, device=model.device)
        rows.go_on_after(known)
        _decode(_Forward(model, cache), rows)
    return rows.results(eos)


_WORTH = 16
"""Tokens; a shorter common beginning is not worth a forward pass of its own."""


def shared_prefix(model: Any, prompts: Sequence[Sequence[int]]) -> tuple[int, Any]:
    """How many tokens all prompts begin with, and the model's cache after them, once for each row.

    Questions to a guard begin with the same policy. 0 and None where that is short, or where the model's cache is not
    one of plain full attention: behind a shared prefix rows are padded in the middle, which windows would count.
    """
    import torch

    rows = [tuple(prompt) for prompt in prompts]
    first, last = min(rows), max(rows)  # of sorted sequences, what these two share all share
    most = min(map(len, rows)) - 1  # every row has at least one token of its own to read
    known = next((i for i in range(min(len(first), len(last))) if first[i] != last[i]), min(len(first), len(last)))
    known = min(known, most)
    if len(rows) < 2 or known < _WORTH:
        return 0, None
    out = model(input_ids=torch.tensor([list(first[:known])], device=model.device), use_cache=True, **_last_only(model))
    cache = out.past_key_values
    if any(type(layer).__name__ != "DynamicLayer" for layer in getattr(cache, "layers", [None])):
        return 0, None
    cache.batch_repeat_interleave(len(rows))
    return known, cache


def _last_only(model: Any) -> dict[str, Any]:
    return {"logits_to_keep": 1} if "logits_to_keep" in _accepted(model) else {}


def _accepted(model: Any) -> Collection[str]:
    """Names of the arguments of the model's forward call."""
    owner = model.get_base_model() if hasattr(model, "get_base_model") else model  # PEFT hides the signature
    return inspect.signature(owner.forward).parameters.keys()


def next_token_probabilities(model: Any, prompts: Sequence[Sequence[int]], *, pad: int) -> Tensor:
    """Probability of every token to come next, float32 `[B, V]` on the CPU, by one forward pass over the whole batch.

    Tokens that all prompts begin with are computed once (see `shared_prefix`).

    Args:
        model, prompts, pad: as in `sample`.

    Raises:
        ArithmeticError: if the model's logits were not numbers.
    """
    import torch

    if not prompts:
        return torch.empty(0, 0)
    with torch.inference_mode():
        known, cache = shared_prefix(model, prompts)
        tokens, mask = left_pad([prompt[known:] for prompt in prompts], pad)
        extra = _last_only(model)
        if "position_ids" in _accepted(model):
            extra["position_ids"] = ((mask.cumsum(1) - 1).clamp(min=0) + known).to(model.device)
        if cache is not None:
            extra["past_key_values"] = cache
            mask = torch.nn.functional.pad(mask, (known, 0), value=1)
        out = model(
            input_ids=tokens.to(model.device),
            attention_mask=mask.to(model.device),
            use_cache=cache is not None,
            **extra,
        )
        found: Tensor = out.logits[:, -1].float().softmax(-1).cpu()
    if bool(found.isnan().any()):
        raise ArithmeticError(_BROKEN)
    return found


def _check(prompts: Sequence[Sequence[int]], params: Sequence[Sampling], seeds: Sequence[int]) -> None:
    if not len(prompts) == len(params) == len(seeds):
        raise ValueError(f"{len(prompts)} prompts, {len(params)} sampling parameters and {len(seeds)} seeds")
    empty = [i for i, prompt in enumerate(prompts) if not len(prompt)]
    if empty:
        raise ValueError(f"prompt {empty[0]} has no tokens: there is nothing to condition on")


def _decode(forward: _Forward, rows: _Rows) -> None:
    rows.drop_finished()  # rows whose limit is zero
    step = 0
    while len(rows.index):
        rows.record(step, forward(rows))
        leaving = rows.drop_finished()
        if leaving is not None:
            forward.keep(leaving)
        step += 1


class _Forward:
    """The model's forward call with its cache; passes only what the model's signature has."""

    def __init__(self, model: Any, cache: Any = None) -> None:
        self._model, self._cache = model, cache
        self._positions = "position_ids" in _accepted(model)
        self._extra = _last_only(model)

    def __call__(self, rows: _Rows) -> Tensor:
        """Logits of the next token, float32 `[rows, V]`."""
        positions = {"position_ids": rows.positions} if self._positions else {}
        out = self._model(
            input_ids=rows.tokens,
            attention_mask=rows.mask,
            past_key_values=self._cache,
            use_cache=True,
            **positions,
            **self._extra,
        )
        self._cache = out.past_key_values
        return out.logits[:, -1].float()  # type: ignore[no-any-return]

    def keep(self, index: Tensor) -> None:
        self._cache.batch_select_indices(index)


# torch fills a tensor in another order from 16 numbers on: equal blocks make a stream independent of its length
_BLOCK = 64
_BROKEN = "the model's logits are not numbers (NaN): its weights or its dtype are broken"

_RUNNING = (
    *("index", "tokens", "mask", "positions", "temperature", "greedy", "top_p", "top_k"),
    *("least", "limit", "drawn", "ended", "uniforms"),
)


@dataclass
class _Rows:
    """The rows still running (first block, `[R, ...]`), and what all rows have drawn so far (`[B, N]`)."""

    index: Tensor  # [R] row of the batch
    tokens: Tensor  # [R, P] at first, then [R, 1]: what the model reads next
    mask: Tensor  # [R, P + step] attention mask
    positions: Tensor  # [R, as tokens]
    temperature: Tensor  # [R, 1], 1 for greedy rows
    greedy: Tensor  # [R, 1]
    top_p: Tensor  # [R, 1]
    top_k: Tensor  # [R, 1], V or more keeps all
    least: Tensor  # [R] minimum of new tokens
    limit: Tensor  # [R] maximum of new tokens
    drawn: Tensor  # [R] new tokens so far
    ended: Tensor  # [R] the last token was an end-of-text token
    uniforms: Tensor  # [R, N]
    eos: Tensor  # [E]
    ids: Tensor  # [B, N], -1 where nothing was drawn
    logprobs: Tensor  # [B, N]
    filtering: bool
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
    ) -> _Rows:
        import torch

        tokens, mask = left_pad(prompts, pad)
        limits = [max(0, min(s.max_new_tokens, max_len - len(p))) for s, p in zip(params, prompts, strict=True)]
        count, longest = len(prompts), max(limits)

        def column(values: list[Any], dtype: torch.dtype) -> Tensor:
            return torch.tensor(values, dtype=dtype, device=device)[:, None]

        everything = torch.iinfo(torch.int64).max
        return cls(
            index=torch.arange(count, device=device),
            tokens=tokens.to(device),
            mask=mask.to(device),
            positions=(mask.cumsum(1) - 1).clamp(min=0).to(device),
            temperature=column([1.0 if s.greedy else s.temperature for s in params], torch.float32),
            greedy=column([s.greedy for s in params], torch.bool),
            top_p=column([s.top_p for s in params], torch.float32),
            top_k=column([s.top_k or everything for s in params], torch.int64),
            least=column([s.min_new_tokens for s in params], torch.int64)[:, 0],
            limit=column(limits, torch.int64)[:, 0],
            drawn=torch.zeros(count, dtype=torch.int64, device=device),
            ended=torch.zeros(count, dtype=torch.bool, device=device),
            uniforms=_uniforms(seeds, limits, longest).to(device),
            eos=torch.tensor(sorted(eos), dtype=torch.int64, device=device),
            ids=torch.full((count, longest), -1, device=device),
            logprobs=torch.zeros(count, longest, device=device),
            filtering=any(s.top_k or s.top_p < 1 for s in params),
            holding=any(s.min_new_tokens for s in params),
        )

    def go_on_after(self, known: int) -> None:
        """The rows come after this many tokens that are in the model's cache."""
        import torch

        self.mask = torch.nn.functional.pad(self.mask, (known, 0), value=1)
        self.positions = self.positions + known

    def record(self, step: int, logits: Tensor) -> None:
        """Draw one token per running row from its logits `[R, V]` and make it the next input."""
        import torch

        if self.holding:
            held = (self.drawn < self.least)[:, None] & torch.isin(
                torch.arange(logits.shape[-1], device=logits.device), self.eos
            )
            logits = logits.masked_fill(held, float("-inf"))
        scaled = logits / self.temperature
        if self.filtering:
            scaled = _filtered(scaled, self.top_k, self.top_p)
        logp = torch.log_softmax(scaled, -1)
        drawn = _draw(logp, self.uniforms[:, step : step + 1])
        token = torch.where(self.greedy, logits.argmax(-1, keepdim=True), drawn)
        self.ids[self.index, step] = token[:, 0]
        self.logprobs[self.index, step] = logp.gather(1, token)[:, 0]
        self.ended, self.drawn = torch.isin(token[:, 0], self.eos), self.drawn + 1
        self.tokens, self.positions = token, self.positions[:, -1:] + 1
        self.mask = torch.nn.functional.pad(self.mask, (0, 1), value=1)

    def drop_finished(self) -> Tensor | None:
        """Take finished rows out; returns the positions `[R']` of those that stay, None if all do."""
        stays = ~self.ended & (self.drawn < self.limit)
        if bool(stays.all()):
            return None
        kept = stays.nonzero()[:, 0]
        for name in _RUNNING:
            setattr(self, name, getattr(self, name)[kept])
        return kept

    def results(self, eos: Collection[int]) -> list[Sampled]:
        if bool(self.logprobs.isnan().any()):
            raise ArithmeticError(_BROKEN)
        pairs = zip(self.ids.tolist(), self.logprobs.tolist(), strict=True)
        return [_sampled(ids, logprobs, eos) for ids, logprobs in pairs]


def _sampled(ids: list[int], logprobs: list[float], eos: Collection[int]) -> Sampled:
    count = ids.index(-1) if -1 in ids else len(ids)
    stopped = count > 0 and ids[count - 1] in eos
    return Sampled(tuple(ids[:count]), tuple(logprobs[:count]), "stop" if stopped else "length")


def left_pad(prompts: Sequence[Sequence[int]], pad: int) -> tuple[Tensor, Tensor]:
    """Token ids `[B, P]`, padded on the left, and their attention mask `[B, P]`."""
    import torch

    width = max(map(len, prompts))
    tokens = torch.tensor([[pad] * (width - len(p)) + list(p) for p in prompts])
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
    return tokens, mask


def _uniforms(seeds: Sequence[int], limits: Sequence[int], width: int) -> Tensor:
    """Uniform numbers in [0, 1) `[B, width]`; row i is the stream of seeds[i], whatever the other rows are."""
    import torch

    out = torch.zeros(len(seeds), width)
    generator = torch.Generator()
    for row, seed, limit in zip(out, seeds, limits, strict=True):
        generator.manual_seed(seed)
        for start in range(0, limit, _BLOCK):
            block = torch.rand(_BLOCK, generator=generator)
            row[start : start + _BLOCK] = block[: max(0, width - start)]
    return out


def _filtered(scaled: Tensor, top_k: Tensor, top_p: Tensor) -> Tensor:
    """Logits `[R, V]` with what top-k, then top-p, leave out at -inf; rows that filter nothing are not touched."""
    import torch

    rows = ((top_p < 1) | (top_k < scaled.shape[-1])).squeeze(1).nonzero()[:, 0]
    values, order = scaled[rows].sort(dim=-1, descending=True, stable=True)
    rank = torch.arange(scaled.shape[-1], device=scaled.device)
    values = values.masked_fill(rank >= top_k[rows], float("-inf"))
    probs = values.softmax(-1)
    dropped = (rank >= top_k[rows]) | (probs.cumsum(-1) - probs >= top_p[rows])
    kept = scaled[rows].masked_fill(dropped.scatter(1, order, dropped), float("-inf"))
    return scaled.index_copy(0, rows, kept)


def _draw(logp: Tensor, uniform: Tensor) -> Tensor:
    """Tokens `[R, 1]` by inverse CDF: one uniform number each, far cheaper on a CPU than `torch.multinomial`."""
    import torch

    cdf = logp.exp().cumsum(-1)
    total = cdf[:, -1:].contiguous()
    # below the total, so that rounding can never pick a token of probability zero at the end of the vocabulary
    target = torch.minimum(uniform * total, torch.nextafter(total, torch.zeros_like(total)))
    return torch.searchsorted(cdf, target, right=True).clamp(max=logp.shape[-1] - 1)
