"""Bounds of the entropy from the largest log-probabilities, which is all that servers give of a distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lrmctl.analysis.cells import group, ratio
from lrmctl.engines.probabilities import TopLogprobs
from lrmctl.runs.eval_rows import EvalRow

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]


def entropy_bounds(top: NDArray[np.float32], vocabulary: int) -> tuple[Vector, Vector]:
    """The least and the largest entropy that a distribution with these largest probabilities can have: nats, `[T]`.

    With m the probability of the k tokens, r = 1 - m that of all others and H_k = -sum p ln p over the k: the most is
    r spread evenly over the V - k others, H_k - r ln(r / (V - k)), but none of them above the smallest of the k. The
    least is r in as few tokens as that allows, each at most the smallest of the k: H_k - r ln(min(r, p_k)).

    Args:
        top: natural-log probabilities `[T, k]`, -inf where fewer are known.
        vocabulary: V, the size of the vocabulary.
    """
    import numpy as np

    logs = np.asarray(top, dtype=np.float64)
    given = np.isfinite(logs)
    logs = np.where(given, logs, 0.0)
    p = np.where(given, np.exp(logs), 0.0)
    known = -(p * logs).sum(axis=1)
    rest = (1 - p.sum(axis=1)).clip(0, 1)
    complete = given.all(axis=1)  # where the server left one out, the others may be larger than the smallest
    smallest = np.where(complete, p.min(axis=1, initial=1.0), 1.0)
    others = np.maximum(vocabulary - given.sum(axis=1), 1)
    most = np.where(rest > 0, -rest * np.log(np.where(rest > 0, rest, 1) / others), 0.0)
    held = np.minimum(np.where(rest > 0, rest, 1), np.where(smallest > 0, smallest, 1))
    least = -rest * np.log(held)
    return known + least, known + np.maximum(most, least)


def bound_cells(rows: Sequence[EvalRow], found: Sequence[TopLogprobs], vocabulary: int) -> list[dict[str, Any]]:
    """By set, temperature and outcome: the mean over tokens of both bounds, of `top_mass` and of `logprob`, each with
    an interval over prompts."""
    cells = []
    for cell, members in group((row, _sums(one, vocabulary)) for row, one in zip(rows, found, strict=True)):
        prompts = [row.trace.prompt.id for row, _ in members]
        tokens = [sums["tokens"] for _, sums in members]
        means = {
            name: ratio(prompts, [sums[name] for _, sums in members], tokens).to_json()
            for name in ("mean_low", "mean_high", "top_mass", "logprob")
        }
        counted = {"traces": len(members), "prompts": len(set(prompts)), "tokens": int(sum(tokens))}
        cells.append({**cell._asdict(), **counted, **means})
    return cells


def _sums(found: TopLogprobs, vocabulary: int) -> dict[str, float]:
    import numpy as np

    low, high = entropy_bounds(found.top, vocabulary)
    return {
        "tokens": low.size,
        "mean_low": float(low.sum()),
        "mean_high": float(high.sum()),
        "top_mass": float(np.exp(found.top.astype(np.float64)).sum()),
        "logprob": float(found.logprob.sum(dtype=np.float64)),
    }
