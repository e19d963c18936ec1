"""Names of runs, study arms and variants: one word that is a valid folder name."""

from __future__ import annotations

import os
import re
from pathlib import Path

from lrmctl.errors import NotFoundError, RecipeError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
NAME_RULE = "at most 64 letters, digits and ._-, the first one a letter or digit"


RUNS_DIR_VARIABLE = "LRMCTL_RUNS_HERE"
"""Environment variable that passes a command's runs folder to its child processes."""


def runs_folder() -> Path:
    """The default folder of all runs: the running command's, else LRMCTL_RUNS, else `runs`."""
    return Path(os.environ.get(RUNS_DIR_VARIABLE) or os.environ.get("LRMCTL_RUNS") or "runs")


def is_name(text: str) -> bool:
    """Whether a text is a valid run name; same rule as the recipe's `name:`."""
    return _NAME.fullmatch(text) is not None


def check_name(text: str, where: str) -> str:
    """Validate a name and return it.

    Args:
        where: its origin, for the error, e.g. `--name`.

    Raises:
        RecipeError: it is not a valid name, e.g. `../x`, `/x`, empty, or with spaces.
    """
    if not is_name(text):
        raise RecipeError(f"{quoted(text)} cannot be the name of a folder of its own", where, f"say {NAME_RULE}")
    return text


def named_run(ref: str) -> str:
    """The name in `run:NAME`, `run:STUDY/ARM` or `run:STUDY/BASE/seed-N/ARM`; never outside the runs folder.

    Raises:
        NotFoundError: it is not a valid run name.
    """
    name = ref.removeprefix("run:")
    if not is_run_name(name):
        fix = f"say run:NAME, run:STUDY/ARM or run:STUDY/BASE/seed-N/ARM; a name is {NAME_RULE}"
        raise NotFoundError(f"there cannot be a run {quoted(name)}", fix=fix)
    return name


def is_run_name(text: str) -> bool:
    """Whether a text is a valid name of a run or of a study's cell (`STUDY/ARM`, `STUDY/BASE/seed-N/ARM`)."""
    parts = text.split("/")
    return len(parts) <= 4 and all(is_name(part) for part in parts)


def quoted(text: str) -> str:
    """Quote external text for an error message: control characters escaped, long text shortened."""
    return repr(text) if len(text) <= 80 else f"{text[:60]!r} and {len(text) - 60} characters more"
