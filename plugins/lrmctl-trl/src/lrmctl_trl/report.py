"""Steps of a trainer as lines of its output, which the backend reads: `lrmctl-step {json}`."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

MARK = "lrmctl-step "

NAMES: Mapping[str, str] = {
    "loss": "loss",
    "grad_norm": "grad_norm",
    "learning_rate": "learning_rate",
    "entropy": "entropy",
    "kl": "kl",
    "completions/mean_length": "response_length",
    "completions/clipped_ratio": "truncated",
    "clip_ratio/region_mean": "clip_ratio",
    "reward_std": "reward_std",
    "step_time": "time/step",
    "mean_token_accuracy": "token_accuracy",
    "rewards/chosen": "chosen_reward",
    "rewards/rejected": "rejected_reward",
    "rewards/margins": "reward_margin",
    "rewards/accuracies": "accuracy",
    "eval_loss": "eval_loss",
    "eval_rewards/accuracies": "eval_accuracy",
}
"""TRL's names -> those of metrics.jsonl."""


def translated(logs: Mapping[str, Any]) -> dict[str, float]:
    """TRL's numbers under lrmctl's names; others, and those that are not finite, are left out."""
    found = {ours: logs[theirs] for theirs, ours in NAMES.items() if isinstance(logs.get(theirs), (int, float))}
    return {name: float(value) for name, value in found.items() if math.isfinite(value)}


def steps_in(lines: list[str]) -> list[tuple[int, dict[str, float]]]:
    """The steps in lines of output, with their metrics."""
    found = []
    for line in lines:
        if MARK in line:
            row = json.loads(line.partition(MARK)[2])
            found.append((int(row.pop("step")), row))
    return found


def reporter(updates: int, further: Callable[[], Mapping[str, float]]) -> Any:
    """A callback of transformers that prints each step.

    Args:
        updates: optimizer steps in one step of lrmctl.
        further: metrics that TRL does not log.
    """
    from transformers import TrainerCallback

    class Reporter(TrainerCallback):  # type: ignore[misc]
        row: dict[str, float] | None = None

        def on_log(self, _args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if "loss" in logs:
                self.row = {"step": state.global_step // updates, **translated(logs), **further()}
                if not control.should_evaluate:  # otherwise the row waits for the loss on the rows held back
                    self.tell()
            elif self.row is not None:
                self.row |= translated(logs)

        def on_evaluate(self, *_: Any, **__: Any) -> None:
            self.tell()

        def on_train_end(self, *_: Any, **__: Any) -> None:
            self.tell()

        def tell(self) -> None:
            if self.row is not None:
                print(MARK + json.dumps(self.row), flush=True)
            self.row = None

    return Reporter()
