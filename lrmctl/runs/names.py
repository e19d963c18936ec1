"""What may be the name of a run, of a study's arm or of a variant: one word that is one folder."""

from __future__ import annotations

import os
import re
from pathlib import Path

from lrmctl.errors import NotFoundError, RecipeError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
NAME_RULE = "at most 64 letters, digits and ._-, the first one a letter or digit"


RUNS_DIR_VARIABLE = "LRMCTL_RUNS_HERE"
"""Environment variable of a command and its processes: the runs folder that the command was given."""


def runs_folder() -> Path:
    """The folder of all runs, for who was told of none: the command's, else LRMCTL_RUNS, else `runs`."""
    return Path(os.environ.get(RUNS_DIR_VARIABLE) or os.environ.get("LRMCTL_RUNS") or "runs")


def is_name(text: str) -> bool:
    """Whether a text can name a run, as the recipe's `name:` may."""
    return _NAME.fullmatch(text) is not None


def check_name(text: str, where: str) -> str:
    """The name itself.

    Args:
        where: who says it, e.g. `--name`.

    Raises:
        RecipeError: it is none, e.g. `../x`, `/x`, empty, or with blanks.
    """
    if not is_name(text):
        raise RecipeError(f"{quoted(text)} cannot be the name of a folder of its own", where, f"say {NAME_RULE}")
    return text


def named_run(ref: str) -> str:
    """The name in `run:NAME` or `run:STUDY/ARM`, which lies inside the runs folder whatever it says.

    Raises:
        NotFoundError: there cannot be a run of this name.
    """
    name = ref.removeprefix("run:")
    if not is_run_name(name):
        fix = f"say run:NAME or run:STUDY/ARM; a name is {NAME_RULE}"
        raise NotFoundError(f"there cannot be a run {quoted(name)}", fix=fix)
    return name


def is_run_name(text: str) -> bool:
    """Whether a text is a run's name, or that of a study's arm: `STUDY/ARM`."""
    parts = text.split("/")
    return len(parts) <= 2 and all(is_name(part) for part in parts)


def quoted(text: str) -> str:
    """A text from outside in an error: quoted, control characters escaped, not without end."""
    return repr(text) if len(text) <= 80 else f"{text[:60]!r} and {len(text) - 60} characters more"
