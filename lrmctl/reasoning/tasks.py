"""Reasoning tasks by name: our own and plugins', and those of lm-evaluation-harness as `lmeval:NAME`.

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
from lrmctl.errors import NotFoundError, PluginError, RecipeError
from lrmctl.hooks import registry
from lrmctl.hooks.registry import PluginEntry
from lrmctl.models.availability import hub_snapshot
from lrmctl.reasoning.base import GradedTrace, ReasoningTask
from lrmctl.reasoning.builtin import PublicTask
from lrmctl.reasoning.grading import grade_mathematics

__all__ = ["LMEVAL", "GradedTrace", "ReasoningTask", "TaskFacts", "grade_mathematics", "reasoning_task", "task_names"]

LMEVAL = "lmeval:"
GROUP = "reasoning-task"


@dataclass(frozen=True)
class TaskFacts:
    """One task, as shown in a list.

    Attributes:
        prompts: of the whole published set; None for a generated task, and for a plugin's.
        license, url: empty for a plugin's, which says so in its results.
        hub: id on the Hugging Face hub; empty for a generated task.
        options: names that a recipe may give, with their defaults.
        here: no download is needed, as far as that is known.
        distribution: who offers it.
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
    distribution: str = "lrmctl"


def task_names() -> list[TaskFacts]:
    """Our own tasks and those of plugins; loads no data. lm-eval has far too many to list: see its documentation."""
    return [_facts(entry) for entry in registry.names(GROUP)]


def _facts(entry: PluginEntry) -> TaskFacts:
    name, what, whose = entry.name, entry.summary, entry.distribution
    if not entry.builtin:
        return TaskFacts(name, what, None, "", "", "", False, "", {}, here=True, distribution=whose)
    make = entry.factory
    options = {p.name: p.default for p in inspect.signature(make).parameters.values()}
    data = make.data if isinstance(make, PublicTask) else name if name in CATALOG else ""
    if not data:
        return TaskFacts(name, what, None, "Apache-2.0", "", "", False, "", options, here=True)
    d = CATALOG[data]
    here = bool(local_file(d) or (d.hub and hub_snapshot(d.hub, "datasets")))
    return TaskFacts(name, what, d.rows, d.license, d.url, d.hub, d.gated, d.file, options, here)


def reasoning_task(name: str, options: Mapping[str, Any] | None = None) -> ReasoningTask:
    """The task of that name.

    Args:
        name: one of `task_names()`, or `lmeval:` and an lm-eval task, group, tag or YAML file. A group is one task here
            whose `parts` are run.

    Raises:
        NotFoundError: there is no such task, or its data or packages are missing.
        RecipeError: an option that it does not take.
        PluginError: a plugin's factory fails, or makes something else.
    """
    given = dict(options or {})
    if name == LMEVAL:
        raise RecipeError("`lmeval:` names no task", fix="put a task of lm-eval after it, e.g. lmeval:arc_challenge")
    if name.startswith(LMEVAL):
        from lrmctl.reasoning.lm_eval.external.task import lmeval_task

        return lmeval_task(name.removeprefix(LMEVAL), **checked(name, lmeval_task, given, skip=1))
    try:
        entry = registry.find(GROUP, name)
    except NotFoundError as error:
        raise NotFoundError(error.what, fix=f"{error.fix}; those of lm-eval are called {LMEVAL}NAME") from None
    if entry.builtin:
        task: ReasoningTask = entry.factory(**checked(name, entry.factory, given))
        return task
    made = registry.make(GROUP, name, **given)
    if not isinstance(made, ReasoningTask):
        what = f"the reasoning task {name!r} of {entry.distribution} is a {type(made).__name__}"
        raise PluginError(what, fix="its factory has to return a lrmctl.reasoning.ReasoningTask")
    return made


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
