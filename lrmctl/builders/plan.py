"""What a data build will draw and ask, before anything starts. Loads no model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrmctl.builders.base import Builder
from lrmctl.builders.kinds import make_builder
from lrmctl.builders.tasks import Task, completions_file
from lrmctl.data.availability import unavailable_reason
from lrmctl.engines.base import Sampling
from lrmctl.engines.store import distinct_samples
from lrmctl.errors import NotFoundError, RecipeError
from lrmctl.preflight.validate import validate
from lrmctl.recipe.schema.build import Intervene
from lrmctl.recipe.schema.recipes import DataRecipe
from lrmctl.runs.names import check_name

if TYPE_CHECKING:
    from lrmctl.recipe.load import LoadedRecipe

_CALLS = {"both": 2}
"""Calls of a judge for one sample; one for other parts, at least one for segments."""


@dataclass(frozen=True)
class BuildPlan:
    """What a build will do.

    Attributes:
        folder: the run folder.
        prompts: prompts to draw for, by kind; empty if the data are not on this machine.
        samples: per prompt.
        completions: in all.
        judge_calls: at most, by judge or reward component; `segments` counts as one call.
        left_out: prompts and completions that nothing is drawn for, by reason.
        missing: what is not on this machine, one sentence each.
    """

    name: str
    folder: Path
    builder: str
    model: str
    engine: str
    prompts: Mapping[str, int] = field(default_factory=dict)
    samples: int = 1
    completions: int = 0
    judge_calls: Mapping[str, int] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    missing: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "folder": str(self.folder)}


@dataclass(frozen=True)
class PlannedBuild:
    """A validated recipe with everything that is to be drawn.

    Attributes:
        tasks: empty if data are missing.
    """

    loaded: LoadedRecipe
    recipe: DataRecipe
    builder: Builder
    tasks: Sequence[Task]
    plan: BuildPlan


def plan_build(
    loaded: LoadedRecipe, *, runs_dir: Path, name: str | None = None, allow_missing: bool = False
) -> PlannedBuild:
    """Validate a recipe of kind data, and load what it draws for.

    Args:
        name: of the run; the recipe's by default.
        allow_missing: list data that are not on this machine; otherwise they are downloaded.

    Raises:
        LrmctlError: a problem with the recipe, its data or the name.
    """
    recipe = loaded.recipe
    if not isinstance(recipe, DataRecipe):
        raise RecipeError(f"a recipe of kind {recipe.kind} builds no data", str(loaded.path), "give one of kind data")
    validate(loaded, runs_dir)
    called = check_name(recipe.name if name is None else name, "--name")
    builder = make_builder(recipe)
    missing = tuple(_missing(recipe)) if allow_missing else ()
    tasks = [] if missing else builder.tasks()
    if not tasks and not missing:
        why = "; ".join(f"{reason}: {n}" for reason, n in builder.left_out.items())
        raise RecipeError(f"there is nothing to draw for{f' ({why})' if why else ''}", str(loaded.path))
    samples = distinct_samples(sampling_of(recipe), recipe.sampling.samples)
    plan = BuildPlan(
        called,
        Path(runs_dir) / called,
        recipe.build.use,
        recipe.model,
        recipe.engine.use,
        dict(Counter(task.prompt.kind for task in tasks)),
        samples,
        len(tasks) * samples,
        judge_calls(recipe, tasks, samples),
        dict(builder.left_out),
        missing,
    )
    return PlannedBuild(loaded, recipe, builder, tasks, plan)


def _missing(recipe: DataRecipe) -> Iterator[str]:
    """What is not on this machine: sources of prompts, and runs that the builder takes completions of."""
    yield from filter(None, map(unavailable_reason, recipe.prompts))
    for key in ("of", "thoughts"):
        named = getattr(recipe.build, key, "")
        if named.startswith("run:"):
            try:
                completions_file(named, f"build.{key}")
            except NotFoundError as error:
                yield error.what


def sampling_of(recipe: DataRecipe) -> Sampling:
    """The recipe's sampling."""
    how = recipe.sampling
    return Sampling(how.temperature, how.top_p, how.top_k, max_new_tokens=how.max_new_tokens)


def judge_calls(recipe: DataRecipe, tasks: Sequence[Task], samples: int) -> dict[str, int]:
    """Calls of each judge and of each reward component with a judge, at most."""
    kinds = Counter((task.subject.prompt if task.subject else task.prompt).kind for task in tasks)
    each = 1 if any(task.subject for task in tasks) else samples  # a critique's answer is judged once
    rejected = isinstance(recipe.build, Intervene)  # the reward scores that side of a pair once
    told = Counter[str]()
    for judge in recipe.keep.judges:
        told[judge.judge] += sum(kinds[kind] for kind in judge.kinds) * each * _CALLS.get(judge.part, 1)
    for component in recipe.keep.reward.components if recipe.keep.reward else ():
        if component.use and component.options.get("judge"):
            calls = _CALLS.get("both" if component.part in ("both", "whole") else "", 1)
            told[component.label] += sum(kinds[kind] for kind in component.kinds) * (samples + rejected) * calls
    return dict(told)
