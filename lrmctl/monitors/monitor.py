"""Runs alarms over the files of one run as far as they go; later calls read only what is new."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from lrmctl._util.tail import FileTail
from lrmctl.monitors.base import Alarm, AlarmResult
from lrmctl.monitors.external_rollouts import WholeFile
from lrmctl.monitors.rollouts import rollout_of
from lrmctl.monitors.windows import ROLLOUTS, Window, Windows

if TYPE_CHECKING:
    from lrmctl.types import Prompt

HELPED_REWARDS = {"judged-complied": 0.5, "rubric-pm1": 0.0}
"""Rewards that say whether a benign request was helped with, each with the value below which it was not."""


class Monitor:
    """Feeds alarms from a file of rollouts and, if there is one, a file of metrics.

    Args:
        per_step: rollouts of a training step, 0 if unknown.
        window: least number of rollouts in a window.
        foreign: the rollouts are a complete file that was not written by a run, in any format.
    """

    def __init__(
        self,
        rollouts: Path,
        metrics: Path | None,
        alarms: Sequence[Alarm],
        *,
        per_step: int = 0,
        window: int = ROLLOUTS,
        foreign: bool = False,
    ) -> None:
        self.alarms = alarms
        self.rollouts: FileTail | WholeFile = WholeFile(rollouts) if foreign else FileTail(rollouts)
        self.metrics = FileTail(metrics) if metrics else None
        self.windows = Windows(per_step, window)
        self.seen = 0
        self._told: set[str] = set()

    def poll(self) -> list[AlarmResult]:
        """Process new rows; returns the alarms that have fired since the last call."""
        for number, row in self.rollouts.rows():
            if (rollout := rollout_of(row, number)) is None:
                continue
            self.seen += 1
            if window := self.windows.add(rollout):
                self._show(window)
        for _, row in self.metrics.rows() if self.metrics else ():
            for alarm in self.alarms:
                alarm.step(row)
        return self._new()

    def finish(self) -> list[AlarmResult]:
        """The same, including the last, incomplete window."""
        found = self.poll()
        if window := self.windows.rest():
            self._show(window)
        return [*found, *self._new()]

    def results(self) -> list[AlarmResult]:
        """The result of each alarm; a judge, if there is one, judges now."""
        return [alarm.result() for alarm in self.alarms]

    def _show(self, window: Window) -> None:
        for alarm in self.alarms:
            alarm.see(window)

    def _new(self) -> list[AlarmResult]:
        fired = [alarm.fired for alarm in self.alarms if alarm.fired and alarm.name not in self._told]
        self._told |= {result.alarm for result in fired}
        return fired


def recipe_of(folder: Path) -> Mapping[str, Any]:
    """The resolved recipe of a run folder as plain data; empty if there is none."""
    file = folder / "recipe.yaml"
    found = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else None
    return found if isinstance(found, dict) else {}


def per_step_of(recipe: Mapping[str, Any]) -> int:
    """Rollouts of a training step; 0 if unknown, or if filtering makes the number vary."""
    algorithm = recipe.get("algorithm") or {}
    if algorithm.get("dynamic_filtering"):
        return 0
    return int(algorithm.get("prompts_per_step") or 0) * int(algorithm.get("samples_per_prompt") or 0)


def helped_of(recipe: Mapping[str, Any]) -> dict[str, float]:
    """Components that say whether a benign request was helped with, under their names in the recipe."""
    components = (recipe.get("reward") or {}).get("components") or []
    bars = [(str(c.get("name") or c["use"]), _bar(c["use"], c.get("options") or {})) for c in components if "use" in c]
    return {name: bar for name, bar in bars if bar is not None}


def clip_of(recipe: Mapping[str, Any]) -> float | None:
    """The tighter clip bound of gspo's ratio if that is relative to the rollout engine's probabilities; else None."""
    algorithm = recipe.get("algorithm") or {}
    if algorithm.get("loss") != "gspo" or (algorithm.get("importance") or {}).get("level", "token") == "off":
        return None
    return min(float(algorithm.get("clip_low", 0.2)), float(algorithm.get("clip_high", 0.2)))


def _bar(use: str, options: Mapping[str, Any]) -> float | None:
    if use == "refusal":
        return float(options.get("otherwise", 0.0))
    return HELPED_REWARDS.get(use)


def prompts_of(folder: Path) -> dict[str, Prompt]:
    """Full prompts of a run by id, from its training rows; unreadable ones are left out."""
    from lrmctl.rewards.service.protocol import decode_label

    found: dict[str, Prompt] = {}
    for _, row in FileTail(folder / "data" / "prompts.jsonl").rows():
        try:
            prompt, _ = decode_label(row["label"])
        except Exception:
            continue  # a label of another version: a judge that needs the meta will report it
        found[prompt.id] = prompt
    return found


def read_alarms(file: Path) -> list[dict[str, Any]]:
    """Rows of an alarms.jsonl."""
    return [row for _, row in FileTail(file).rows()]


def line_of(result: AlarmResult, **facts: Any) -> str:
    """A row of alarms.jsonl."""
    return json.dumps({**facts, **result.to_json()}, ensure_ascii=False) + "\n"
