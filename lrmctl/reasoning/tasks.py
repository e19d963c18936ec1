"""Reasoning tasks by name: our own, and those of lm-evaluation-harness as `lmeval:NAME`.

Making one of our own tasks checks its options and loads nothing; an lm-eval task is built with its data, because its
properties are only known then. Knows no model.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lrmctl._util.suggest import did_you_mean
from lrmctl.data.catalog import CATALOG
from lrmctl.data.fetch import local_file
from lrmctl.errors import NotFoundError, RecipeError
from lrmctl.models.availability import hub_snapshot
from lrmctl.reasoning import builtin
from lrmctl.reasoning.base import GradedTrace, ReasoningTask
from lrmctl.reasoning.grading import grade_mathematics

__all__ = ["LMEVAL", "GradedTrace", "ReasoningTask", "TaskFacts", "grade_mathematics", "reasoning_task", "task_names"]

LMEVAL = "lmeval:"


@dataclass(frozen=True)
class _Known:
    make: Callable[..., ReasoningTask]
    summary: str
    data: str = ""


_TASKS = {
    **{task.name: _Known(task, task.summary, task.data) for task in builtin.PUBLIC_TASKS},
    "ifeval": _Known(builtin.ifeval, "instructions that a program can check", "ifeval"),
    "lab_arithmetic": _Known(builtin.lab_arithmetic, "the lab's two-step word problems, generated"),
}


@dataclass(frozen=True)
class TaskFacts:
    """One task, as shown in a list.

    Attributes:
        prompts: of the whole published set; None for a generated task.
        hub: id on the Hugging Face hub; empty for a generated task.
        options: names that a recipe may give, with their defaults.
        here: no download is needed.
    """

    name: str
    summary: str
    prompts: int | None
    license: str
    url: str
    hub: str
    gated: bool
    file: str
    options: Mapping[str, Any]
    here: bool


def task_names() -> list[TaskFacts]:
    """Our own tasks; loads nothing. lm-eval has far too many to list: see its documentation."""
    return [_facts(name, known) for name, known in _TASKS.items()]


def _facts(name: str, known: _Known) -> TaskFacts:
    options = {p.name: p.default for p in inspect.signature(known.make).parameters.values()}
    if not known.data:
        return TaskFacts(name, known.summary, None, "Apache-2.0", "", "", False, "", options, here=True)
    d = CATALOG[known.data]
    here = bool(local_file(d) or (d.hub and hub_snapshot(d.hub, "datasets")))
    return TaskFacts(name, known.summary, d.rows, d.license, d.url, d.hub, d.gated, d.file, options, here)


def reasoning_task(name: str, options: Mapping[str, Any] | None = None) -> ReasoningTask:
    """The task of that name.

    Args:
        name: one of `task_names()`, or `lmeval:` and an lm-eval task, group, tag or YAML file. A group is one task here
            whose `parts` are run.

    Raises:
        NotFoundError: there is no such task, or its data or packages are missing.
        RecipeError: an option that it does not take.
    """
    given = dict(options or {})
    if name == LMEVAL:
        raise RecipeError("`lmeval:` names no task", fix="put a task of lm-eval after it, e.g. lmeval:arc_challenge")
    if name.startswith(LMEVAL):
        from lrmctl.reasoning.lm_eval.external.task import lmeval_task

        return lmeval_task(name.removeprefix(LMEVAL), **checked(name, lmeval_task, given, skip=1))
    if name not in _TASKS:
        hint = did_you_mean(name, _TASKS)
        raise NotFoundError(
            f"there is no reasoning task called {name!r}", fix=f"{hint}; those of lm-eval are called {LMEVAL}NAME"
        )
    make = _TASKS[name].make
    return make(**checked(name, make, given))


def checked(name: str, make: Callable[..., Any], options: dict[str, Any], skip: int = 0) -> dict[str, Any]:
    """The options, if the function accepts all of them.

    Raises:
        RecipeError: it does not accept one, or one has the wrong type.
    """
    known = list(inspect.signature(make).parameters.values())[skip:]
    takes = {p.name: p.default for p in known}
    for key, value in options.items():
        if key not in takes:
            hint = did_you_mean(key, takes)
            raise RecipeError(f"the task {name!r} has no option {key!r}", fix=f"{hint}; it takes {', '.join(takes)}")
        default = takes[key]
        wanted = _TYPES.get(key) or (str if default is None else type(default))
        if not _fits(value, wanted, default):
            word = "a list" if wanted is tuple else wanted.__name__
            raise RecipeError(f"the option {key!r} of the task {name!r} is {value!r}", fix=f"it takes {word}")
    return options


_TYPES = {"n": int, "num_fewshot": int, "metadata": dict}
"""Types of options that are None by default; the others are texts."""


def _fits(value: Any, wanted: type, default: Any) -> bool:
    if value is None:
        return default is None
    if wanted is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if wanted is tuple:
        return isinstance(value, (list, tuple, str))
    return isinstance(value, wanted)
