"""Errors that are sent through a pipe."""

from __future__ import annotations

from lrmctl.errors import LrmctlError, RewardError
from lrmctl.judges.base import describe


def as_lrmctl_error(error: BaseException) -> LrmctlError:
    """The error in a form that can be pickled and shown."""
    if isinstance(error, LrmctlError):
        return error
    return RewardError(f"the reward cannot be used: {describe(error)}", fix="correct the reward or its options")
