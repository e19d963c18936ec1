"""Windows of consecutive rollouts: as many whole steps as needed to have enough of them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lrmctl.monitors.rollouts import Rollout

ROLLOUTS = 512
"""Least number of rollouts in a window: 64 groups of 8, so that a share of groups is known to about 6 points."""


@dataclass(frozen=True)
class Window:
    """Rollouts of consecutive steps.

    Attributes:
        index: from 0; the first is what the others are compared with.
        steps: first and last step, from 1; None if the number of rollouts per step is unknown, and after a run was
            resumed, which repeats steps.
    """

    index: int
    rollouts: Sequence[Rollout]
    steps: tuple[int, int] | None = None

    @property
    def rows(self) -> tuple[int, int]:
        """First and last line of the file."""
        numbers = [r.row for r in self.rollouts]
        return min(numbers), max(numbers)

    @property
    def label(self) -> str:
        rows = "rows {}-{}".format(*self.rows)
        return f"steps {self.steps[0]}-{self.steps[1]} ({rows})" if self.steps else rows


class Windows:
    """Splits a stream of rollouts into windows.

    Args:
        per_step: rollouts of one training step, 0 if unknown.
        rollouts: least number per window.
    """

    def __init__(self, per_step: int = 0, rollouts: int = ROLLOUTS) -> None:
        self.per_step = per_step
        self.size = per_step * math.ceil(rollouts / per_step) if per_step else rollouts
        self.made = 0
        self._waiting: list[Rollout] = []

    def add(self, rollout: Rollout) -> Window | None:
        """The window completed by this rollout, if any."""
        self._waiting.append(rollout)
        return self._take() if len(self._waiting) >= self.size else None

    def rest(self) -> Window | None:
        """The remainder at the end, if it is at least half a window."""
        return self._take() if 2 * len(self._waiting) >= self.size else None

    def _take(self) -> Window:
        first, waiting = self.made * self.size, self._waiting
        steps = None
        if self.per_step and all(r.attempt == 1 for r in waiting):
            steps = (first // self.per_step + 1, math.ceil((first + len(waiting)) / self.per_step))
        self._waiting = []
        self.made += 1
        return Window(self.made - 1, tuple(waiting), steps)


def by_unit(rollouts: Sequence[Rollout], value: Callable[[Rollout], float | None]) -> list[float]:
    """Mean of `value` in each group; rollouts without a value are left out."""
    values: dict[str, list[float]] = defaultdict(list)
    for r in rollouts:
        if (one := value(r)) is not None:
            values[r.unit].append(one)
    return [math.fsum(v) / len(v) for v in values.values()]


def groups(rollouts: Sequence[Rollout]) -> Iterator[list[Rollout]]:
    """Groups of two or more rollouts of the same prompt."""
    found: dict[str, list[Rollout]] = defaultdict(list)
    for r in rollouts:
        if r.group or r.prompt_id or r.prompt:
            found[r.unit].append(r)
    yield from (group for group in found.values() if len(group) > 1)
