"""Rollouts as the alarms see them, and incremental reading of a growing JSONL file."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lrmctl._util.text import is_blank


@dataclass(frozen=True, slots=True)
class Rollout:
    """One row of rollouts.jsonl; missing fields are empty or None.

    Attributes:
        row: its line number in the file, from 1.
        reward: what was optimised: the composed reward before normalisation, if the row has it; None if it failed.
        components: each component's value; None if it did not apply or failed.
        logs: further values logged by the components, such as `refused`.
        attempt: number of the launch; a resumed run repeats the steps after its last checkpoint.
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
        """The group, which is the unit of counting, since samples of one prompt are not independent."""
        return self.group or self.prompt or self.prompt_id or str(self.row)

    @property
    def in_form(self) -> bool:
        """Whether there is an answer that the model ended itself; rows without this information count as such."""
        return self.finish in ("stop", "") and self.state != "unclosed" and not is_blank(self.answer)

    @property
    def order(self) -> int:
        """A pseudo-random number used for sampling: it does not depend on the order of the rows."""
        return zlib.crc32(f"{self.unit}\0{self.thinking}\0{self.answer}".encode("utf-8", "replace"))


def rollout_of(row: Mapping[str, Any], number: int) -> Rollout | None:
    """A row of the file; None for rollouts of evaluation during training."""
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
