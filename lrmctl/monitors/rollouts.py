"""Rollouts as the alarms see them, and reading a growing JSONL file from where the last reading ended."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lrmctl._util.text import is_blank


@dataclass(frozen=True, slots=True)
class Rollout:
    """One row of rollouts.jsonl; what a row lacks is empty or None.

    Attributes:
        row: number of its line in the file, from 1.
        reward: what was optimised: the composed reward before it was normalised, where the row has it;
            None where it failed.
        components: each component's value; None where it did not apply or failed.
        logs: what the components logged besides, such as `refused`.
        attempt: number of the launch; a run that was gone on with repeats the steps after its last checkpoint.
    """

    row: int
    prompt_id: str = ""
    kind: str = ""
    prompt: str = ""
    thinking: str = ""
    answer: str = ""
    state: str = ""
    finish: str = ""
    reward: float | None = None
    error: str = ""
    group: str = ""
    components: Mapping[str, float | None] = field(default_factory=dict)
    logs: Mapping[str, float] = field(default_factory=dict)
    attempt: int = 1

    @property
    def unit(self) -> str:
        """Samples of one prompt resemble each other: the unit that is counted is the group."""
        return self.group or self.prompt or self.prompt_id or str(self.row)

    @property
    def in_form(self) -> bool:
        """Whether there is an answer that the model ended itself; rows that do not say count as such."""
        return self.finish in ("stop", "") and self.state != "unclosed" and not is_blank(self.answer)

    @property
    def order(self) -> int:
        """A number without meaning that sampling goes by: the same whatever the order of the rows."""
        return zlib.crc32(f"{self.unit}\0{self.thinking}\0{self.answer}".encode("utf-8", "replace"))


def rollout_of(row: Mapping[str, Any], number: int) -> Rollout | None:
    """A row of the file; None for rollouts of an evaluation while training."""
    if row.get("phase", "train") != "train":
        return None
    parts = {str(k): v for k, v in _mapping(row, "components").items() if isinstance(v, Mapping)}
    total, error = row.get("total"), _text(row, "error")
    return Rollout(
        row=number,
        prompt_id=_text(row, "prompt_id"),
        kind=_text(row, "kind"),
        prompt=_text(row, "prompt"),
        thinking=_text(row, "thinking"),
        answer=_text(row, "answer"),
        state=_text(row, "thinking_state"),
        finish=_text(row, "finish_reason"),
        reward=None if error else _number(row.get("reward") if total is None else total),
        error=error,
        group=_text(row, "group"),
        components={name: _number(part.get("value")) for name, part in parts.items()},
        logs={
            k: float(v) for part in parts.values() for k, v in _mapping(part, "logs").items() if _number(v) is not None
        },
        attempt=int(_number(row.get("attempt")) or 1),
    )


def _mapping(row: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = row.get(key)
    return value if isinstance(value, Mapping) else {}


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    return "" if value is None else str(value)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and value == value and abs(value) != float("inf") else None
