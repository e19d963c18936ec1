"""Past rollouts as traces with their rewards.

Rows of `rollouts.jsonl`, of rejection sampling, of an evaluation, or plain ones, as `lrmctl.rows.traces` reads them.
Missing fields (token counts, irregular tags in older rows) are not guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrmctl.rows.located import LocatedRow
from lrmctl.rows.traces import read_traces
from lrmctl.rows.values import missing, number_of, quoted_value
from lrmctl.types import Trace


@dataclass(frozen=True)
class RewardedRollout:
    """One row: the trace, and its past reward.

    Attributes:
        row: as it was read.
        components: past raw value by component; None if it failed or did not say.
        total: past reward before normalisation, if there was one.
    """

    row: Mapping[str, Any]
    trace: Trace
    components: Mapping[str, float | None]
    total: float | None


def read_rollouts(path: Path) -> list[RewardedRollout]:
    """All rollouts of a file; a truncated last line and rows without a prompt are left out.

    Each row must state its kind, since rewards depend on it.

    Raises:
        NotFoundError: no such file.
        RecipeError: a row in none of the known formats, with its line and column; no row at all.
    """
    return [_rollout(one.row, one.trace) for one in read_traces(path, kind=None)]


def _rollout(row: LocatedRow, trace: Trace) -> RewardedRollout:
    components = row.get("components")
    if missing(components):
        components = {}
    if not isinstance(components, Mapping):
        raise row.wrong(f"is {quoted_value(components)}, not an object", "components")
    values = {str(name): _value(row, str(name), one) for name, one in components.items()}
    total = number_of(row, "reward" if missing(row.get("total")) else "total", row)
    return RewardedRollout(row, trace, values, None if row.get("error") else total)


def _value(row: LocatedRow, name: str, component: Any) -> float | None:
    if missing(component):
        return None
    if not isinstance(component, Mapping):
        raise row.wrong(
            f"the component {name!r} is {quoted_value(component)}, not an object with a value", "components"
        )
    return number_of(component, "value", row)
