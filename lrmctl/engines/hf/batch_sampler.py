"""Samples one batch to its end with a KV cache, from any transformers causal LM, through plain forward calls.

Used by the CPU rollout engine, which needs the log-probabilities of a batch, and by judges; evaluations use continuous
batching (`scheduler`). It knows token ids only: no tokenizer, no templates, no files. Rows of a batch are independent:
each has its own sampling parameters and random numbers, so what a row samples does not depend on the other rows (up to
the rounding of the model's own matrix products).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from lrmctl.engines.base import SampledTokens, Sampling
from lrmctl.engines.hf.batch_rows import BatchRows
from lrmctl.engines.hf.forward import Forward, next_token_probabilities, shared_prefix
from lrmctl.engines.hf.padding import left_pad

__all__ = ["left_pad", "next_token_probabilities", "sample", "shared_prefix"]


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
) -> list[SampledTokens]:
    """Sample one completion per prompt, all in one batch.

    Args:
        model: a transformers causal LM in eval mode, on any device.
        prompts: token ids, one list per row; none may be empty.
        params: sampling parameters, one per row.
        eos: token ids that end a completion.
        pad: token id for left padding of shorter prompts.
        max_len: limit of prompt plus completion in tokens; a prompt that fills it gets an empty completion.
        seeds: one seed per row for its random numbers.
        share_prefix: compute the common prefix of all prompts once; changes results by rounding only.

    Raises:
        ValueError: for an empty prompt, or arguments of different lengths.
        ArithmeticError: if the model's logits are NaN.
    """
    import torch

    _check(prompts, params, seeds)
    if not prompts:
        return []
    with torch.inference_mode():
        known, cache = shared_prefix(model, prompts) if share_prefix else (0, None)
        rest = [prompt[known:] for prompt in prompts]
        rows = BatchRows.start(rest, params, seeds, eos=eos, pad=pad, max_len=max_len - known, device=model.device)
        rows.go_on_after(known)
        _decode(Forward(model, cache), rows)
    return rows.results(eos)


def _check(prompts: Sequence[Sequence[int]], params: Sequence[Sampling], seeds: Sequence[int]) -> None:
    if not len(prompts) == len(params) == len(seeds):
        raise ValueError(f"{len(prompts)} prompts, {len(params)} sampling parameters and {len(seeds)} seeds")
    empty = [i for i, prompt in enumerate(prompts) if not len(prompt)]
    if empty:
        raise ValueError(f"prompt {empty[0]} has no tokens: there is nothing to condition on")


def _decode(forward: Forward, rows: BatchRows) -> None:
    rows.drop_finished()  # rows whose limit is zero
    step = 0
    while len(rows.index):
        rows.record(step, forward(rows))
        leaving = rows.drop_finished()
        if leaving is not None:
            forward.keep(leaving)
        step += 1
