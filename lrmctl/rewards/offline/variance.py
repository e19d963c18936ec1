"""Each component's share of the variance of the total reward, from rows of rollouts.

The total before the section's clip is the sum of the components' contributions, so Var(total) is the sum of
Cov(contribution, total), and Cov(contribution, total) / Var(total) are shares that add up to 1. A share may be negative
(the component works against the others) or above 1. The contribution of a gate is the change it made. If the whole
reward is clipped, the shares add up to less or more than 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrmctl._util.jsonl import parse_row

ALL = "all"


@dataclass(frozen=True)
class VarianceShares:
    """The shares within one prompt kind, or over all rollouts.

    Attributes:
        kind: prompt kind, or `all`. Over all kinds a share includes the differences between kinds.
        n: rollouts with a reward.
        variance: of the total.
        shares: by component, in the order of the rows; empty if the total is constant.
    """

    kind: str
    n: int
    variance: float
    shares: Mapping[str, float]

    @property
    def rest(self) -> float:
        """What the components do not explain: the effect of the section's clip."""
        return 1.0 - sum(self.shares.values()) if self.shares else 0.0


def shares(rows: Iterable[Mapping[str, Any]]) -> list[VarianceShares]:
    """Shares over all rollouts, then by prompt kind if there are several.

    Args:
        rows: of `rollouts.jsonl`; failed rollouts are skipped, and one without `total` (an older run) uses its
            `reward`. Rows of evaluation are left out.
    """
    used = [row for row in rows if _counts(row)]
    kinds = list(dict.fromkeys(str(row.get("kind", "")) for row in used))
    found = [_of(ALL, used)] if used else []
    if len(kinds) > 1:
        found += [_of(kind, [row for row in used if row.get("kind", "") == kind]) for kind in kinds]
    return found


def shares_of_file(path: Path, limit: int = 32 * 2**20) -> list[VarianceShares]:
    """Shares over the last `limit` bytes of a rollouts file; none if it is missing. A truncated line is skipped."""
    if not path.exists():
        return []
    with path.open("rb") as file:
        start = max(0, path.stat().st_size - limit)
        file.seek(start)
        lines = file.read().split(b"\n")
    return shares(row for line in lines[1 if start else 0 :] if (row := parse_row(line)) is not None)


def _counts(row: Mapping[str, Any]) -> bool:
    return row.get("phase", "train") == "train" and not row.get("error") and _total(row) is not None


def _total(row: Mapping[str, Any]) -> float | None:
    value = row.get("total", row.get("reward"))
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _of(kind: str, rows: Sequence[Mapping[str, Any]]) -> VarianceShares:
    import numpy as np

    total = np.array([_total(row) for row in rows], dtype=np.float64)
    total -= total.mean()
    variance = float(np.mean(total**2))
    if variance <= 1e-18:  # rounding errors of equal rewards are not variance
        return VarianceShares(kind, len(rows), 0.0, {})
    names = list(dict.fromkeys(name for row in rows for name in row.get("components") or {}))
    added = {name: np.array([_added(row, name) for row in rows], dtype=np.float64) for name in names}
    return VarianceShares(
        kind, len(rows), variance, {n: float(np.mean(total * a)) / variance for n, a in added.items()}
    )


def _added(row: Mapping[str, Any], name: str) -> float:
    """A component's contribution to this rollout's total; one that does not apply contributes nothing."""
    return float((row.get("components") or {}).get(name, {}).get("weighted") or 0.0)
