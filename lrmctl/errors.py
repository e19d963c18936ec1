"""The errors that users see: what happened, where, and how to fix it.

Nothing here knows about terminals; `lrmctl.console` prints errors and maps them to exit codes.
Every error survives pickling, because rewards and workers raise them across process boundaries.
"""

from __future__ import annotations


class LrmctlError(Exception):
    """Base of every expected failure.

    Args:
        what: what went wrong, in one sentence that names the thing.
        where: a file:line, key or path; may be empty.
        fix: what the user can do next; may be empty.
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
    """A plugin that was requested by name cannot be loaded, or two plugins claim the same name."""


class RunExistsError(LrmctlError, FileExistsError):
    """A run folder of this name already exists and must not be overwritten."""


class DiskFullError(LrmctlError):
    """The disk is full. What was already written is kept, and the same command resumes."""


class JudgeError(LrmctlError, RuntimeError):
    """A judge that could not be used at all (one failed verdict is data, not this error)."""


class RewardError(LrmctlError, RuntimeError):
    """A reward that raised, or returned something that is not a finite number."""

    exit_code = 3


class BackendError(LrmctlError, RuntimeError):
    """A training run that started and failed; `what` is the first root cause."""

    exit_code = 3
