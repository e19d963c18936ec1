"""Combines rows of several sources: all of them, or in the recipe's proportions."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def mix(groups: Sequence[Sequence[T]], weights: Sequence[float | None], *, total: int | None, seed: int) -> list[T]:
    """Mix the rows of all groups.

    Args:
        groups: the rows of each source.
        weights: of each source; either all have one or none does. Without weights every row is taken once, in order.
        total: rows of the mixture; by default as many as the groups have together.
        seed: for sampling and shuffling.

    Returns:
        With weights `total` rows, shuffled; each source's count is its share, rounded by largest remainders. A source
        with fewer rows than its share is repeated.
    """
    given = [w for w in weights if w is not None]
    if not given:
        return [row for group in groups for row in group]
    counts = shares(given, total if total is not None else sum(len(g) for g in groups))
    draw = random.Random(seed)
    mixed = [row for group, n in zip(groups, counts, strict=True) for row in repeated_passes(group, n, draw)]
    draw.shuffle(mixed)
    return mixed


def shares(weights: Sequence[float], total: int) -> list[int]:
    """Integers that sum to `total`, in proportion to the weights (largest remainders)."""
    exact = [total * w / sum(weights) for w in weights]
    counts = [int(x) for x in exact]
    by_rest = sorted(range(len(weights)), key=lambda i: counts[i] - exact[i])
    for i in by_rest[: total - sum(counts)]:
        counts[i] += 1
    return counts


def repeated_passes(rows: Sequence[T], n: int, draw: random.Random) -> list[T]:
    """Exactly n rows: shuffled passes over all rows, the last one truncated. Empty if there are no rows."""
    out: list[T] = []
    while rows and len(out) < n:
        out += draw.sample(list(rows), len(rows))
    return out[:n]


def hold_out(rows: Sequence[T], keys: Sequence[str], share: float, seed: int) -> tuple[list[T], list[T]]:
    """Split rows into training rows and held-out rows, so that no key is on both sides.

    Args:
        keys: of each row, e.g. its prompt.
        share: of the distinct keys to hold out; at least one if it is above 0 and there are two.
    """
    distinct = sorted(set(keys))
    n = min(max(round(share * len(distinct)), 1), len(distinct) - 1) if share > 0 else 0
    held = set(random.Random(seed).sample(distinct, max(n, 0)))
    pairs = list(zip(rows, keys, strict=True))
    return [r for r, k in pairs if k not in held], [r for r, k in pairs if k in held]
