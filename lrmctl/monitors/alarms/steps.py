"""Alarms on the steps of metrics.jsonl: distance from the start (KL) and entropy."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from statistics import median

from lrmctl.monitors.base import Alarm
from lrmctl.monitors.sequential_tests import share_of_alpha

BLOCK = 5
"""Steps per median: a single step is noisy, five in a row are not."""


class _Blocks(Alarm, ABC):
    """Base of alarms on the median of one metric over blocks of steps."""

    unit = "steps"
    key = ""

    def __init__(self, threshold: float | None = None) -> None:
        super().__init__(threshold)
        self.points: list[tuple[float, float]] = []
        self.steps = 0

    def step(self, metrics: Mapping[str, float]) -> None:
        self.steps += 1
        value = metrics.get(self.key)
        if isinstance(value, (int, float)) and math.isfinite(value):
            self.points.append((float(metrics.get("step", self.steps)), float(value)))
            self.n = len(self.points)
            if self.n % BLOCK == 0:
                self.block(median(v for _, v in self.points[-BLOCK:]), self._where())

    def _where(self) -> str:
        return f"steps {self.points[-BLOCK][0]:.0f}-{self.points[-1][0]:.0f}"

    @abstractmethod
    def block(self, value: float, where: str) -> None:
        """Process one more block."""


class KlDrift(_Blocks):
    """KL to the reference model above a bound, or growing faster than linearly.

    Growth is the slope of log KL over log step in the last two thirds of the steps, by Theil-Sen; its lower bound (at
    the level of `sequential_tests.share_of_alpha`) must exceed 1.5. It is checked only above a tenth of the bound.
    """

    name = "kl"
    key = "kl"
    looks_at = "kl of metrics.jsonl (nats a token, to the reference model)"
    threshold = 0.5
    why = "0.5 nats a token is a likelihood ratio of e^50 over 100 tokens; clean lab runs with a KL stay below 0.1"
    growth = 1.5

    def block(self, value: float, where: str) -> None:
        self.last = f"KL {value:.3f} nats a token"
        if value > self.threshold:
            self.fire(f"{self.last}, bound {self.threshold:g}", where, {"kl": value})
        elif value > self.threshold / 10 and (slope := self._growth()) > self.growth:
            text = f"{self.last}, growing like step to the power of {slope:.1f} or more"
            self.fire(text, where, {"kl": value, "power": slope})

    def _growth(self) -> float:
        """Lower bound of the exponent of KL as a power of the step; 0 if there are too few steps."""
        from scipy.stats import theilslopes

        late = [(x, y) for x, y in self.points[self.n // 3 :] if x > 0 and y > 0]
        if len(late) < 4 * BLOCK:
            return 0.0
        confidence = 1 - 2 * share_of_alpha(self.n // BLOCK)
        found = theilslopes([math.log(y) for _, y in late], [math.log(x) for x, _ in late], alpha=confidence)
        return float(found[2])

    def missing(self) -> str:
        if self.n >= BLOCK:
            return ""
        return (
            "no kl in metrics.jsonl: the run has no reference model (algorithm.kl.coef)" if self.steps else "no steps"
        )


class EngineMismatch(_Blocks):
    """Difference between rollout engine and trainer, as a multiple of the clip bound of the sequence ratio.

    Only for gspo with importance correction: its ratio is relative to the engine's probabilities, and a difference as
    large as the clip leaves sequences without a gradient whatever the policy did.
    """

    name = "engine-mismatch"
    key = "vllm_kl"
    looks_at = "vllm_kl of metrics.jsonl (nats a token) against the clip of gspo"
    threshold = 0.25
    why = "at 0.8 of the clip 39 % of the sequences with a negative advantage have no gradient, at 3.7 of it 77 %"

    def __init__(self, threshold: float | None = None, clip: float | None = None) -> None:
        super().__init__(threshold)
        self.clip = clip

    def block(self, value: float, where: str) -> None:
        if self.clip is None:
            return
        factor = value / self.clip
        self.last = f"vllm_kl {value:.2g} nats a token, {factor:.2g} of the clip {self.clip:g}"
        if factor > self.threshold:
            text = f"{self.last}: say `algorithm.importance.level: off`, or make engine and trainer agree"
            self.fire(text, where, {"vllm_kl": value, "clip": self.clip, "factor": factor})

    def missing(self) -> str:
        if self.clip is None:
            return "the clip is not of a ratio to the engine's probabilities: only gspo's with importance correction is"
        if self.n >= BLOCK:
            return ""
        return f"needs {BLOCK} steps" if self.n or not self.steps else "no vllm_kl in metrics.jsonl"


class Entropy(_Blocks):
    """Entropy of the policy relative to that of the first steps: collapse below 1 / threshold, explosion above it."""

    name = "entropy"
    key = "entropy"
    looks_at = "entropy of metrics.jsonl (nats a token), median of five steps against the first five"
    threshold = 3.0
    why = "clean lab runs stay within 0.7 to 1.0 times the first steps' entropy; a third of it explores little"

    def __init__(self, threshold: float | None = None) -> None:
        super().__init__(threshold)
        self.start = 0.0

    def block(self, value: float, where: str) -> None:
        self.start = self.start or value
        factor = value / self.start if self.start else 1.0
        self.last = f"entropy {self.start:.3f} nats a token at first, {value:.3f} now"
        if factor > self.threshold or factor < 1 / self.threshold:
            self.fire(self.last, where, {"before": self.start, "now": value, "factor": factor})

    def missing(self) -> str:
        if self.n >= 2 * BLOCK:
            return ""
        return f"needs {2 * BLOCK} steps" if self.n or not self.steps else "no entropy in metrics.jsonl"
