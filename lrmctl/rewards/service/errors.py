"""Errors on their way through a pipe."""

from __future__ import annotations

from lrmctl.errors import LrmctlError, RewardError
from lrmctl.judges.base import describe


def as_lrmctl_error(error: BaseException) -> LrmctlError:
    """The error as one that survives a pipe and can be shown."""
    if isinstance(error, LrmctlError):
        return error
    return RewardError(f"the reward cannot be used: {describe(error)}", fix="correct the reward or its options")
