"""Training backends: a recipe becomes a plan, and a plan becomes a process.

What a backend of a plugin needs is here: the base class and what goes in and out of it, and what it shares with the
built-in one (the run's process, its metrics, the rows of its data files, the cause of a failure).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrmctl._util.lazy import lazy_names
from lrmctl.backends.base import REWARD_URL, Backend, Checkpoint, Progress, TrainJob, make_backend, with_reward_url

if TYPE_CHECKING:
    from lrmctl.backends.job_data import check_positions, end_tokens, json_lines, prompts_in_order
    from lrmctl.backends.process import EndedProcess, run_plan
    from lrmctl.backends.steps import StepLog
    from lrmctl.backends.triage import diagnose
    from lrmctl.recipe.problems import Problem, raise_for
    from lrmctl.recipe.schema.preference import PreferenceRecipe
    from lrmctl.recipe.schema.recipes import RlRecipe, SftRecipe

__all__ = [
    "REWARD_URL",
    "Backend",
    "Checkpoint",
    "EndedProcess",
    "PreferenceRecipe",
    "Problem",
    "Progress",
    "RlRecipe",
    "SftRecipe",
    "StepLog",
    "TrainJob",
    "check_positions",
    "diagnose",
    "end_tokens",
    "json_lines",
    "make_backend",
    "prompts_in_order",
    "raise_for",
    "run_plan",
    "with_reward_url",
]

_OWN = lazy_names(
    __name__,
    {
        "job_data": ("check_positions", "end_tokens", "json_lines", "prompts_in_order"),
        "process": ("EndedProcess", "run_plan"),
        "steps": ("StepLog",),
        "triage": ("diagnose",),
    },
)
_OF_RECIPES = lazy_names(
    "lrmctl.recipe",
    {
        "problems": ("Problem", "raise_for"),
        "schema.preference": ("PreferenceRecipe",),
        "schema.recipes": ("RlRecipe", "SftRecipe"),
    },
)


def __getattr__(name: str) -> object:
    try:
        return _OWN(name)
    except AttributeError:
        if name not in __all__:
            raise
        return _OF_RECIPES(name)
