"""What is changed in OpenRLHF 0.11.2 for weights in the loss of SFT. Everything else of it runs unchanged.

The data set puts the row's values into its loss mask, the trainer counts tokens instead of adding up weights, and
the loss turns values into weights. Rows of evaluation have no values: their loss is the plain one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from typing import Any

from lrmctl.backends.openrlhf.import_hooks import after
from lrmctl.backends.openrlhf.weights import VARIABLE
from lrmctl.backends.openrlhf.weights.importance import ImportanceSettings, importance_weights
from lrmctl.backends.weight_runs import COUNTS, VALUES, decoded, logprobs_of


def _settings() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(os.environ[VARIABLE])
    return found


@after("openrlhf.datasets.sft_dataset")
def weighted_masks(module: Any) -> None:
    """Loss masks with the values of the data."""
    data_set = module.SFTDataset
    inner, plain_mask = data_set.__init__, data_set.get_loss_mask

    def init(self: Any, dataset: Any, *args: Any, **options: Any) -> None:
        columns = dataset.column_names
        both = list(zip(dataset[COUNTS], dataset[VALUES], strict=True)) if COUNTS in columns else None
        inner(self, dataset, *args, **options)
        self.weight_runs = both
        if both is not None and len(both) != len(self.prompts):
            raise RuntimeError("OpenRLHF dropped rows, so that weights no longer fit: see data.max_len")

    def get_loss_mask(self: Any, input_ids: Any, idx: int) -> Any:
        import torch

        mask = plain_mask(self, input_ids, idx)
        if self.weight_runs is None:
            return mask
        values = decoded(*self.weight_runs[idx])
        start = self.prompt_ids_lens[idx] - 1
        trained = mask.shape[-1] - 1 - start
        if len(values) != trained:
            raise RuntimeError(f"row {idx} has {len(values)} weights, and its response {trained} tokens")
        mask[0, start:-1] = torch.tensor(values, dtype=mask.dtype)
        return mask

    data_set.__init__, data_set.get_loss_mask = init, get_loss_mask


@after("openrlhf.trainer.sft_trainer")
def weighted_loss(module: Any) -> None:
    """The loss with weights, over the number of trained tokens; or over the sum of the weights, if they say so."""
    settings = _settings()
    by_tokens = settings.get("normalise", "tokens") == "tokens"
    importance = settings.get("importance")
    how = ImportanceSettings(**importance) if importance else None
    module.iter_grad_accum_global_norm = _counting(module.iter_grad_accum_global_norm, by_tokens=by_tokens)

    class WeightedLoss(module.SFTLoss):  # type: ignore[misc]  # openrlhf is untyped
        def forward(self, per_token_logps: Any, loss_mask: Any, **info: Any) -> Any:
            if how is not None and bool((loss_mask < 0).any()):
                behaviour, active = logprobs_of(loss_mask), loss_mask < 0
                loss_mask = importance_weights(per_token_logps, behaviour, active, how).to(loss_mask.dtype)
            return super().forward(per_token_logps, loss_mask, **info)

    module.SFTLoss = WeightedLoss


def _counting(inner: Callable[..., Iterator[Any]], *, by_tokens: bool) -> Callable[..., Iterator[Any]]:
    def iterate(data: Any, strategy: Any, accumulated: Any, mask_fn: Callable[[Any], Any]) -> Iterator[Any]:
        def counted(item: Any) -> Any:
            mask = mask_fn(item)
            return (mask != 0).to(mask.dtype) if by_tokens else mask

        return inner(data, strategy, accumulated, counted)

    return iterate
