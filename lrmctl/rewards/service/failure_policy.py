"""The effect of a failed reward on a run: end it at once, or count it as neutral until there are too many."""

from __future__ import annotations

from lrmctl.errors import LrmctlError, RewardError
from lrmctl.recipe.schema.recipes import RewardSection

RATE_COUNTS_FROM = 20
"""Rollouts before the failure rate is checked, so that one early failure is not a rate of 100 %."""


class FailurePolicy:
    """Counts the rollouts of one attempt and keeps the error that must end the run, if any.

    Attributes:
        rollouts, failed: rollouts seen, and those whose reward failed.
        failure: the first error that ends the run; None while it may go on.
    """

    def __init__(self, section: RewardSection) -> None:
        self._section = section
        self.rollouts = 0
        self.failed = 0
        self.failure: Exception | None = None

    def seen(self, failed: str = "", where: str = "") -> None:
        """Count one more rollout; `failed` says whose reward failed on which prompt and how, `where` is its row."""
        self.rollouts += 1
        if failed:
            self.failed += 1
            self._weigh(failed, where)

    def end(self, error: Exception) -> None:
        """Record an error that always ends the run."""
        self.failure = self.failure or error

    def _weigh(self, failed: str, where: str) -> None:
        if self._section.on_failure == "abort":
            fix = "correct the reward or its options; `on_failure: neutral` lets a small share of rollouts fail"
            self.end(RewardError(failed, where, fix))
        elif self._too_many():
            self.end(self._rate_error(failed, where))

    def _too_many(self) -> bool:
        return self.rollouts >= RATE_COUNTS_FROM and self.failed > self._section.max_failure_rate * self.rollouts

    def _rate_error(self, failed: str, where: str) -> LrmctlError:
        limit = self._section.max_failure_rate
        what = f"rewards failed on {self.failed} of {self.rollouts} rollouts, more than {limit:.1%}; last: {failed}"
        return RewardError(what, where, "correct the reward or its options, or raise `max_failure_rate`")
