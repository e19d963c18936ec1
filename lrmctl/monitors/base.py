"""The base class of alarms: it is given windows or steps in order, and can be asked at any time for its result."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from lrmctl.monitors.rollouts import Rollout
from lrmctl.monitors.sequential_tests import level, rise, share_of_alpha
from lrmctl.monitors.windows import Window, by_unit

State = Literal["quiet", "alarm", "cannot tell"]
EXAMPLES = 5
GROUPS = 8
"""Least number of groups on each side of a comparison: with fewer, one odd prompt is more than an eighth of all."""


@dataclass(frozen=True)
class AlarmResult:
    """The result of an alarm.

    Attributes:
        text: one sentence with the numbers.
        n: number of units examined since the first window (`unit` names them).
        began: where it first fired; empty if it did not.
        figures: numbers behind the sentence.
        rows: lines of rollouts.jsonl worth reading.
        threshold, why: the limit, and the reason for it.
    """

    alarm: str
    state: State
    text: str
    n: int = 0
    unit: str = "rollouts"
    began: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)
    rows: Sequence[int] = ()
    threshold: float = 0.0
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "rows": list(self.rows)}


class Alarm:
    """Base of all alarms. An alarm that has fired stays on, with the window where it began.

    Attributes:
        name: as on the command line.
        looks_at: description of what it reads.
        threshold: its limit; `why` gives the reason.
    """

    name: str = ""
    looks_at: str = ""
    threshold: float = 0.0
    why: str = ""
    unit: str = "rollouts"

    def __init__(self, threshold: float | None = None) -> None:
        if threshold is not None:
            self.threshold = threshold
        self.n = 0
        self.fired: AlarmResult | None = None
        self.last = ""
        self._nearest = (-1, 0.0)

    def see(self, window: Window) -> None:
        """Process the next window of rollouts."""

    def step(self, metrics: Mapping[str, float]) -> None:
        """Process the metrics of the next step."""

    def result(self) -> AlarmResult:
        """The current result."""
        if self.fired:
            return self.fired
        if missing := self.missing():
            return self._say("cannot tell", missing)
        return self._say("quiet", self.last)

    def missing(self) -> str:
        """Why there is no result; empty if there is one."""
        return ""

    def note(self, text: str, window: Window, margin: float) -> None:
        """Keep this sentence as the text of a quiet alarm: in the last window, the series closest to firing."""
        if window.index > self._nearest[0] or margin > self._nearest[1]:
            self._nearest, self.last = (window.index, margin), text

    def fire(self, text: str, began: str, figures: Mapping[str, float], rows: Sequence[int] = ()) -> None:
        """Record the first time it fires."""
        self.fired = self.fired or self._say("alarm", text, began, figures, tuple(sorted(rows)[:EXAMPLES]))

    def _say(
        self,
        state: State,
        text: str,
        began: str = "",
        figures: Mapping[str, float] | None = None,
        rows: Sequence[int] = (),
    ) -> AlarmResult:
        shown = {k: round(v, 4) for k, v in (figures or {}).items()}
        return AlarmResult(self.name, state, text, self.n, self.unit, began, shown, rows, self.threshold, self.why)


class GroupShares(Alarm, ABC):
    """Base of alarms on the share of rollouts that have some property, by group.

    Attributes:
        series: names of the monitored series, each with its own first window.
        against_start: compare with the first window, or else with the level `threshold` alone.
    """

    series: Sequence[str] = ("",)
    against_start = True
    waits_for = "groups of two windows"

    def __init__(self, threshold: float | None = None) -> None:
        super().__init__(threshold)
        self.start: dict[str, list[float]] = {name: [] for name in self.series}
        self.looks = dict.fromkeys(self.series, 0)

    @abstractmethod
    def shares(self, window: Window, series: str) -> tuple[list[float], list[Rollout]]:
        """Share of each group, and the rollouts that have the property."""

    def allowed(self, window: Window, series: str) -> bool:  # noqa: ARG002 (for subclasses)
        """Whether the alarm may fire in this window at all."""
        return True

    def see(self, window: Window) -> None:
        for name in self.series:
            shares, examples = self.shares(window, name)
            if self.against_start and len(self.start[name]) < GROUPS:
                self.start[name] += shares
            elif len(shares) >= GROUPS:
                self._look(window, name, shares, examples)

    def _look(self, window: Window, name: str, shares: list[float], examples: list[Rollout]) -> None:
        self.looks[name] += 1
        self.n += len(shares)
        alpha = share_of_alpha(self.looks[name], len(self.series))
        before = self.start[name]
        low = rise(before, shares, alpha) if self.against_start else level(shares, alpha)
        now, then = sum(shares) / len(shares), sum(before) / len(before) if before else 0.0
        text = self.sentence(name, then, now)
        self.note(text, window, low)
        if low > self.threshold and self.allowed(window, name):
            figures = {"before": then, "now": now, "low": low, "groups": len(shares)}
            rows = sorted(examples, key=lambda r: r.order)[:EXAMPLES]
            self.fire(text, window.label, figures, [r.row for r in rows])

    @abstractmethod
    def sentence(self, series: str, then: float, now: float) -> str:
        """The result as a sentence."""

    unit = "groups"

    def missing(self) -> str:
        return "" if any(self.looks.values()) else f"not enough yet: needs {self.waits_for}"


class RolloutShares(GroupShares, ABC):
    """Base of alarms on a property of single rollouts."""

    @abstractmethod
    def having(self, window: Window, series: str) -> list[tuple[Rollout, bool]]:
        """The rollouts that count, each with whether it has the property."""

    def shares(self, window: Window, series: str) -> tuple[list[float], list[Rollout]]:
        found = self.having(window, series)
        has = {id(r): float(h) for r, h in found}
        return by_unit([r for r, _ in found], lambda r: has[id(r)]), [r for r, h in found if h]
