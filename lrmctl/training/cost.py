"""Hours and money of a training, from a run with the same settings or a stated rate. Reads runs and starts nothing."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lrmctl.errors import LrmctlError
from lrmctl.planning.cost import CostEstimate, JudgeTokens, hours_at_rate, server_tokens, total
from lrmctl.planning.prices import Prices
from lrmctl.recipe.schema.recipes import Component, RlRecipe, SftRecipe
from lrmctl.runs.damage import read_object
from lrmctl.runs.folder import RunFolder
from lrmctl.runs.jsonl import read_jsonl
from lrmctl.runs.listing import all_runs
from lrmctl.training.plan import TrainingPlan

NO_HOURS = (
    "finish a few steps of it (another number of steps, name or seed does not matter) and ask again, or state"
    " --price train_tokens_per_second=N; a smoke run says nothing of it, as its model is tiny"
)
_SAME_SPEED = ("name", "description", "seed", "launch", "trackers", "save_every")
"""Keys that leave the time of a step as it is."""


class MeasuredRun(NamedTuple):
    """A run with the same settings.

    Attributes:
        start: seconds before its first step ended, without that step.
        step: seconds of a step.
    """

    name: str
    start: float
    step: float


def training_cost(plan: TrainingPlan, prices: Prices, runs_dir: Path) -> CostEstimate:
    """What a training takes.

    Args:
        runs_dir: where a run with the same settings may have measured how long a step takes.
    """
    numbers, gpus = plan.summary.derived, plan.summary.placement.gpus
    measured = _measured(plan.resolved.loaded.resolved, runs_dir)
    if measured and numbers.steps:
        seconds = measured.start + measured.step * numbers.steps
        said = f"{numbers.steps} steps of {measured.step:.1f} s and {measured.start:.0f} s before them, as in the run"
        return CostEstimate(seconds / 3600, gpus, f"{said} {measured.name!r}", server_judges(plan), prices)
    rate = prices.train_tokens_per_second
    hours = hours_at_rate(numbers.tokens_at_most, rate, gpus)
    said = NO_HOURS if rate is None else "its rows are not known yet, so that their tokens are not"
    if hours is not None:
        said = f"{numbers.tokens_at_most:,} tokens at {rate:g} per second per GPU as stated"
    return CostEstimate(hours, gpus, said, server_judges(plan), prices, at_most=hours is not None)


def server_judges(plan: TrainingPlan) -> JudgeTokens | None:
    """Calls and tokens of the reward's judges on servers, at most; None if rows are sampled first and unknown."""
    recipe = plan.resolved.recipe
    if isinstance(recipe, RlRecipe):
        calls = plan.summary.derived.judge_calls
        return total(_of(one, calls.get(one.label, 0), recipe.max_len) for one in recipe.reward.components)
    if isinstance(recipe, SftRecipe) and (rejection := recipe.data.rejection) is not None:
        prompts = plan.inputs.sampled_from
        each = {
            one.label: sum(prompt.kind in one.kinds for prompt in prompts)
            * rejection.samples_per_prompt
            * (2 if one.part in ("whole", "both") else 1)
            for one in rejection.reward.components
        }
        found = total(_of(one, each[one.label], recipe.data.max_len) for one in rejection.reward.components)
        return found if prompts else None
    return JudgeTokens()


def _of(component: Component, calls: int, text: int) -> JudgeTokens:
    """Of one component; `calls` counts each member of a panel."""
    from lrmctl.hooks.members import members_in

    judge, options = component.options.get("judge"), component.options.get("judge_options")
    if not component.use or not judge:
        return JudgeTokens()
    return server_tokens(str(judge), options, calls // (len(members_in(str(judge), options)) or 1), text)


def _measured(settings: Mapping[str, Any], runs_dir: Path) -> MeasuredRun | None:
    """The run with the same settings that has measured the most steps."""
    wanted, best, most = _of_speed(settings), None, 1
    for folder in all_runs(runs_dir):
        run = RunFolder(folder)
        try:
            if not run.lock.exists() or _of_speed(read_object(run.lock).get("recipe") or {}) != wanted:
                continue
            rows = [(int(row["step"]), float(row["seconds"])) for row in read_jsonl(run.metrics)]
        except (LrmctlError, OSError, KeyError, TypeError, ValueError):  # an estimate needs no run that cannot be read
            continue
        if len(rows) > most:
            (first, began), (last, ended) = rows[0], rows[-1]
            if last <= first:  # a file that was put together from others
                continue
            step, most = (ended - began) / (last - first), len(rows)
            best = MeasuredRun(folder.relative_to(runs_dir).as_posix(), max(0.0, began - first * step), step)
    return best


def _of_speed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings without those that do not change how long a step takes."""
    kept = copy.deepcopy({key: value for key, value in settings.items() if key not in _SAME_SPEED})
    for section, key in (("algorithm", "steps"), ("train", "epochs")):
        if isinstance(kept.get(section), dict):
            kept[section].pop(key, None)
    return kept
