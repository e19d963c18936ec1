"""Turns OpenRLHF's output into rows of metrics.jsonl while it runs.

RL prints one line per step, `Global step N: {dict}`, with all metrics. SFT and DPO print only a progress bar (three
digits) and write exact values to TensorBoard, which is flushed every two minutes; so rows come from the bar during the
run and get their exact values at the end. Rows whose line was lost are taken from TensorBoard too.
"""

from __future__ import annotations

import ast
import math
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from lrmctl.backends.base import Progress
from lrmctl.backends.launch.base import STATE_LINE
from lrmctl.backends.openrlhf.run.checkpoints import named_step
from lrmctl.backends.steps import StepLog, numbers
from lrmctl.runs.jsonl import read_jsonl, write_jsonl
from lrmctl.types import Kind, Plan

KINDS: tuple[str, ...] = get_args(Kind)

NAMES: Mapping[str, str] = {
    "reward": "reward",
    "kl": "kl",
    "entropy_loss": "entropy",
    "response_length": "response_length",
    "truncated": "truncated",
    "policy_loss": "loss",
    "gpt_loss": "loss",
    "loss": "loss",
    "loss_mean": "loss",
    "acc": "accuracy",
    "acc_mean": "accuracy",
    "chosen_reward": "chosen_reward",
    "reject_reward": "rejected_reward",
    "nll_loss": "nll_loss",
    "eval/eval_loss": "eval_loss",
    "eval/acc_mean": "eval_accuracy",
    "eval/eval gpt_loss": "eval_loss",
    "critic_loss": "critic_loss",
    "critic_lr": "critic_learning_rate",
    "actor_lr": "learning_rate",
    "lr": "learning_rate",
    "actor_grad_norm": "grad_norm",
    "grad_norm": "grad_norm",
    "vllm_kl": "vllm_kl",
    "ppo_kl": "ppo_kl",
    "ppo_clip_ratio": "clip_ratio",
    "group_reward_std": "group_reward_std",
    "failed_rollout": "reward_failed",
    "rollout/reward_std": "reward_std",
    "timing/generation": "time/generate",
    "timing/make_experience": "time/experience",
    "timing/ppo_train": "time/update",
    "timing/broadcast": "time/broadcast",
    "timing/step_total": "time/step",
}
"""OpenRLHF's metric names -> ours. Times are seconds, entropy and kl are nats per token, truncated is a share of
samples. Rewards of
preference training are beta times the log-ratio to the reference, summed over the response, of the step's last
micro-batch; accuracy is the share of pairs whose chosen side has the higher one."""

_RL_LINE = re.compile(r"Global step (\d+): (\{.*\})")
_BAR_LINE = re.compile(r"Train step of epoch (\d+):.*?\| (\d+)/(\d+) \[[^\]]*?, ((?:gpt_)?loss=[^\]]*)\]")
_NOT_FINITE = re.compile(r"(?<![\w'])-?(?:nan|inf)(?![\w'])")


def translate(status: Mapping[str, Any]) -> dict[str, float]:
    """OpenRLHF's metrics of one step under our names; non-finite numbers are left out.

    The reward service logs sums over samples that all have the same keys: `reward_<kind>` with `is_<kind>`, and
    `<component>` with `applies_<component>`. The ratio of two means over the same samples is the exact mean of the
    kind.
    """
    numbers = {k: float(v) for k, v in status.items() if isinstance(v, (int, float)) and math.isfinite(v)}
    row = {ours: numbers[theirs] for theirs, ours in NAMES.items() if theirs in numbers}
    pairs = {kind: (f"reward_{kind}", f"is_{kind}") for kind in KINDS}
    components = (k.removeprefix("applies_") for k in numbers if k.startswith("applies_"))
    pairs |= {name: (name, f"applies_{name}") for name in components}
    if {"chosen_reward", "rejected_reward"} <= row.keys():
        row["reward_margin"] = row["chosen_reward"] - row["rejected_reward"]
    for name, (total, share) in pairs.items():
        if numbers.get(share, 0.0) > 0 and total in numbers:
            row[f"reward/{name}"] = numbers[total] / numbers[share]
    return row


@dataclass
class _Bar:
    """The progress bar of SFT and DPO: backward passes over epochs; after a resume the first may be partial."""

    passes: int
    start: int
    epoch: int = -1
    before: int = 0
    length: int = 0
    last: tuple[int, dict[str, float]] | None = None

    def read(self, line: str) -> tuple[int, dict[str, float]] | None:
        """The step that has just ended, with its numbers; known once the bar shows a later one."""
        found = _BAR_LINE.search(line)
        if found is None:
            return None
        epoch, done, length = (int(g) for g in found.groups()[:3])
        if epoch != self.epoch:
            self.before, self.epoch, self.length = self.before + self.length, epoch, length
        step, rest = divmod(self.before + done, self.passes)
        ended = self.last if self.last and self.last[0] < step + self.start else None
        if not rest:
            self.last = (step + self.start, translate(_postfix(found.group(4))))
        elif ended:
            self.last = None
        return ended


def _postfix(text: str) -> dict[str, float]:
    pairs = (p.split("=", 1) for p in text.split(", "))
    return {k.strip(): float(v) for k, v in pairs}


@dataclass
class Recorder:
    """Writes metrics.jsonl from OpenRLHF's output and reports progress.

    Attributes:
        path: metrics.jsonl; rows after `start` are dropped first, because a resumed run writes them again.
        start: step of the checkpoint that the run continues from, 0 for none.
    """

    path: Path
    plan: Plan
    start: int = 0
    tensorboard: Path | None = None

    def __post_init__(self) -> None:
        self._log = StepLog(self.path, int(self.plan.estimates["steps"]), self.start)
        self._began, self._wall = time.monotonic(), time.time()
        self._phase = ""
        self._bar = _Bar(int(self.plan.estimates.get("backward_passes_per_step", 1)), self.start)

    @property
    def total(self) -> int:
        return self._log.total

    @property
    def last(self) -> int:
        """The last step recorded."""
        return self._log.last

    def read(self, lines: Iterable[str]) -> Iterator[Progress]:
        """Progress of the steps that ended in these lines of output, each written to the file first."""
        for line in lines:
            ended = self._bar.read(line) if self.plan.kind != "rl" else _rl_step(line)
            if ended and ended[0] > self.last:
                yield self._record(*ended)
            elif self.last == self.start and (phase := startup_phase(line, self._phase)):
                self._phase = phase
                yield Progress(self.last, self.total, phase=phase)

    def finish(self) -> Iterator[Progress]:
        """After a successful run, add exact values and missing rows from TensorBoard."""
        rows = {row["step"]: row for row in read_jsonl(self.path)}
        for step, (wall, status) in sorted(read_tensorboard(self.tensorboard).items()):
            # the trainer's event has the wall-clock time, which may have been changed since
            known = rows.get(step, {"step": step, "total": self.total, "seconds": self._seconds_of(wall)})
            if step <= self.total and (step not in rows or self.plan.kind != "rl"):
                rows[step] = {**known, **self._measured(translate(status))}
        write_jsonl(self.path, [rows[step] for step in sorted(rows)])
        for step in sorted(s for s in rows if s > self.last):
            self._log.last = step
            yield Progress(step, self.total, numbers(rows[step]))

    def _measured(self, numbers: Mapping[str, float]) -> dict[str, float]:
        """The metrics without the 0 that OpenRLHF logs as the KL to a reference model that the run does not have."""
        nothing = {"kl"} if self.plan.estimates.get("reference_model") is False else set()
        return {k: v for k, v in numbers.items() if k not in nothing}

    def _seconds_of(self, wall: float) -> float:
        """Seconds since a wall-clock time, limited to between 0 and the time that has passed."""
        return self._log.seconds(self._began + min(max(0.0, wall - self._wall), time.monotonic() - self._began))

    def _record(self, step: int, status: Mapping[str, float]) -> Progress:
        return self._log.record(step, self._measured(status), named_step(self.path.parent))


_PHASES = (
    (re.compile(rf"^{STATE_LINE}(.+)"), "{0}"),
    (re.compile(r"Started a local Ray instance|Connected to Ray cluster"), "Ray is up, starting its workers"),
    (re.compile(r"Loading (?:weights|checkpoint shards)"), "loading the model"),
    (re.compile(r"Generating train split|Preprocessing data"), "reading the data"),
    (re.compile(r"Capturing CUDA graph"), "the rollout engine captures CUDA graphs"),
    (re.compile(r"Loading the checkpoint: |Loaded the checkpoint: "), "loading the checkpoint"),
    (re.compile(r"Generate samples:"), "first step: sampling"),
    (re.compile(r"Starting experience making"), "first step: rewards and advantages"),
    (re.compile(r"Experience making completed"), "first step: updating the model"),
    (re.compile(r"Train step of epoch"), "first step: updating the model"),
)
"""Output lines that show what happens before the first step has ended."""


def startup_phase(line: str, now: str = "") -> str:
    """The phase that a line of output starts; empty if it starts none, or the current one again."""
    for pattern, label in _PHASES:
        if match := pattern.search(line):
            phase = label.format(*match.groups())
            return "" if phase == now else phase
    return ""


def _rl_step(line: str) -> tuple[int, dict[str, float]] | None:
    found = _RL_LINE.search(line)
    if found is None:
        return None
    try:
        status = ast.literal_eval(_NOT_FINITE.sub("None", found.group(2)))
    except (ValueError, SyntaxError):  # mixed with another process's output; TensorBoard has the step too
        return None
    return int(found.group(1)), translate(status)


def read_tensorboard(folder: Path | None) -> dict[int, tuple[float, dict[str, float]]]:
    """Step -> (wall time, metrics without `train/`) of all event files below a folder; later files win."""
    files = sorted(folder.rglob("events.out.tfevents.*"), key=lambda f: f.stat().st_mtime) if folder else []
    if not files:
        return {}
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    steps: dict[int, tuple[float, dict[str, float]]] = {}
    for file in files:
        fresh: dict[int, tuple[float, dict[str, float]]] = {}
        for event in LegacyEventFileLoader(str(file)).Load():
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    numbers = fresh.setdefault(event.step, (event.wall_time, {}))[1]
                    numbers[value.tag.removeprefix("train/")] = value.simple_value
        steps |= fresh
    return steps
