"""Forward calls of any transformers causal LM: padding, its cache, a prefix that all rows share.

Knows token ids and tensors; no sampling, no tokenizer.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from lrmctl.engines.hf.padding import left_pad
from lrmctl.engines.hf.token_sampling import BROKEN

if TYPE_CHECKING:
    from torch import Tensor

    from lrmctl.engines.hf.batch_rows import BatchRows

_WORTH = 16
"""Tokens; a shorter common prefix is not worth a forward pass of its own."""


def shared_prefix(model: Any, prompts: Sequence[Sequence[int]]) -> tuple[int, Any]:
    """Length of the common prefix of all prompts, and the model's cache after it, expanded to all rows.

    Questions to a guard begin with the same policy. Returns 0 and None if the prefix is short, or if the model's cache
    is not plain full attention: after a shared prefix rows are padded in the middle, which sliding windows would count.
    """
    import torch

    rows = [tuple(prompt) for prompt in prompts]
    first, last = min(rows), max(rows)  # of sorted sequences: the prefix of these two is that of all
    most = min(map(len, rows)) - 1  # each row keeps at least one token of its own
    known = next((i for i in range(min(len(first), len(last))) if first[i] != last[i]), min(len(first), len(last)))
    known = min(known, most)
    if len(rows) < 2 or known < _WORTH:
        return 0, None
    out = model(input_ids=torch.tensor([list(first[:known])], device=model.device), use_cache=True, **last_only(model))
    cache = out.past_key_values
    if any(type(layer).__name__ != "DynamicLayer" for layer in getattr(cache, "layers", [None])):
        return 0, None
    cache.batch_repeat_interleave(len(rows))
    return known, cache


def last_only(model: Any) -> dict[str, Any]:
    return {"logits_to_keep": 1} if "logits_to_keep" in accepted(model) else {}


def accepted(model: Any) -> Collection[str]:
    """Names of the arguments of the model's forward call."""
    owner = model.get_base_model() if hasattr(model, "get_base_model") else model  # PEFT hides the signature
    return inspect.signature(owner.forward).parameters.keys()


def next_token_probabilities(model: Any, prompts: Sequence[Sequence[int]], *, pad: int) -> Tensor:
    """Probability of every possible next token, float32 `[B, V]` on the CPU, by one forward pass over the whole batch.

    The common prefix of all prompts is computed once (see `shared_prefix`).

    Args:
        model, prompts, pad: as in `sample`.

    Raises:
        ArithmeticError: if the model's logits are NaN.
    """
    import torch

    if not prompts:
        return torch.empty(0, 0)
    with torch.inference_mode():
        known, cache = shared_prefix(model, prompts)
        tokens, mask = left_pad([prompt[known:] for prompt in prompts], pad)
        extra = last_only(model)
        if "position_ids" in accepted(model):
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
        raise ArithmeticError(BROKEN)
    return found


class Forward:
    """The model's forward call with its cache; passes only arguments that the model's signature has."""

    def __init__(self, model: Any, cache: Any = None) -> None:
        self._model, self._cache = model, cache
        self._positions = "position_ids" in accepted(model)
        self._extra = last_only(model)

    def __call__(self, rows: BatchRows) -> Tensor:
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
