"""Weights in the trainer's data, and in its loss masks.

In the data they are run lengths: `weight_counts` and `weight_values`, over the tokens of the response. In a loss mask a
token's value is its weight; or, where the trainer computes the weight from log-probabilities of the policy that wrote
the response, that log-probability minus one, which is negative. 0 is a token that is not trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

COUNTS, VALUES = "weight_counts", "weight_values"
"""Columns of the trainer's data."""


def encoded(values: Sequence[float]) -> dict[str, Any]:
    """The columns of one row.

    Args:
        values: one per token of the response.
    """
    runs = [(value, sum(1 for _ in run)) for value, run in groupby(values)]
    return {COUNTS: [count for _, count in runs], VALUES: [float(value) for value, _ in runs]}


def decoded(counts: Sequence[int], values: Sequence[float]) -> list[float]:
    """One value per token of the response."""
    return [value for count, value in zip(counts, values, strict=True) for _ in range(count)]


def of_logprob(logprob: float) -> float:
    """A log-probability as the mask has it."""
    return min(float(logprob), 0.0) - 1.0


def logprobs_of(mask: Tensor) -> Tensor:
    """The log-probabilities in a mask of such values."""
    return mask + 1.0
