"""The errors a user can meet: what happened, where, and what to do about it.

Nothing here knows about terminals; `lrmctl.console` prints errors and maps them to exit codes.
Every error survives pickling, because rewards and workers raise them across process boundaries.
"""

from __future__ import annotations


class LrmctlError(Exception):
    """Base of every expected failure.

    Args:
        what: one sentence, what went wrong, naming the thing.
        where: a file:line, a key or a path; empty if there is none.
        fix: what the user can do next; empty if nothing is known.
    """

    exit_code = 2

    def __init__(self, what: str, where: str = "", fix: str = "") -> None:
        super().__init__(what, where, fix)
        self.what = what
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}\n  fix: {self.fix}" if self.fix else text


class RecipeError(LrmctlError, ValueError):
    """A recipe that cannot be read or does not fit the schema."""


class NotFoundError(LrmctlError, LookupError):
    """A name, file, run or model that does not exist."""


class PluginError(LrmctlError, ImportError):
    """A plugin that was asked for by name and cannot be loaded, or two that claim one name."""


class RunExistsError(LrmctlError, FileExistsError):
    """A run folder of this name is already there and must not be overwritten."""


class DiskFullError(LrmctlError):
    """There is no space for what is to be written. What was written before stays, and the same command goes on."""


class JudgeError(LrmctlError, RuntimeError):
    """A judge that could not be used at all (one failed verdict is data, not this error)."""


class RewardError(LrmctlError, RuntimeError):
    """A reward that raised, or returned something that is not a finite number."""

    exit_code = 3


class BackendError(LrmctlError, RuntimeError):
    """A training run that started and failed; `what` is the first root cause."""

    exit_code = 3
