"""Validates a recipe before it runs: plugins and their options, the recipes of a study's arms, the backend's checks.

Runs nothing, loads no model and downloads nothing; reads only the user's own data files. The backend itself checks what
it supports.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from lrmctl.backends.base import make_backend
from lrmctl.backends.launch.launchers import check_launch
from lrmctl.errors import LrmctlError, NotFoundError, RecipeError
from lrmctl.hooks import registry
from lrmctl.hooks.manager import PluginEntry
from lrmctl.preflight.arms import ArmRecipes, replaced_models, study_on
from lrmctl.preflight.group_rewards import check_inner_rewards, group_problems
from lrmctl.recipe.function_ref import check_function
from lrmctl.recipe.load import LoadedRecipe
from lrmctl.recipe.named_plugins import named_plugins
from lrmctl.recipe.problems import LocatedProblem, Problem, ProblemsError, place
from lrmctl.recipe.requires import check_requirements
from lrmctl.recipe.schema.engines import check_plugin_engine
from lrmctl.recipe.schema.recipes import (
    Component,
    DataRecipe,
    EvalRecipe,
    OfflineRecipe,
    RewardSection,
    RlRecipe,
    SftRecipe,
    StudyRecipe,
)
from lrmctl.recipe.yaml import KeyPath, dotted


def _functions(loaded: LoadedRecipe) -> Iterator[tuple[KeyPath, Component]]:
    """Reward components that are functions in files."""
    for path, section in _rewards(loaded):
        for index, component in enumerate(section.components):
            if component.fn is not None:
                yield (*path, "components", index, "fn"), component


def _rewards(loaded: LoadedRecipe) -> Iterator[tuple[KeyPath, RewardSection]]:
    recipe = loaded.recipe
    if isinstance(recipe, RlRecipe):
        yield ("reward",), recipe.reward
    elif isinstance(recipe, SftRecipe) and recipe.data.rejection is not None:
        yield ("data", "rejection", "reward"), recipe.data.rejection.reward
    elif isinstance(recipe, DataRecipe) and recipe.keep.reward is not None:
        yield ("keep", "reward"), recipe.keep.reward


def check_plugins(loaded: LoadedRecipe) -> list[PluginEntry]:
    """Registry entries of all plugins that a recipe names; functions in files are checked too.

    Raises:
        RecipeError: a distribution that the recipe requires is missing, or unknown names or invalid options, all in one
            error.
    """
    check_requirements(loaded)
    entries: list[PluginEntry] = []
    problems: list[str] = []
    for named in named_plugins(loaded):
        try:
            if not isinstance(named.options, Mapping):
                raise RecipeError(f"the options of {named.group} {named.name!r} are not a mapping of names to values")
            if named.group == "engine":
                check_plugin_engine(named.name, named.options)
                entries.append(registry.find(named.group, named.name))
                continue
            if named.group == "launcher":
                entries.append(
                    check_launch(loaded.resolved["launch"], loaded.resolved.get("layout", {}).get("nodes", 1))
                )
                continue
            entries.append(registry.check(named.group, named.name, named.options))
            _check_engine(entries[-1], named.options)
            check_inner_rewards(entries[-1], named.options)
            _check_values(entries[-1], named.options)
        except LrmctlError as error:
            problems.append(_message(loaded, named.path, error))
    for path, component in _functions(loaded):
        try:
            check_function(str(component.fn), component.options, part=component.part)
        except LrmctlError as error:
            problems.append(_message(loaded, path, error))
    if problems:
        raise RecipeError("\n  ".join(["the recipe names plugins or functions that cannot be used:", *problems]))
    return entries


def _check_engine(entry: PluginEntry, options: Mapping[str, Any]) -> None:
    """Check the engine options of a built-in judge; a plugin checks its own."""
    if entry.builtin and entry.group == "judge" and isinstance(engine := options.get("engine"), (str, Mapping)):
        from lrmctl.recipe.schema.engines import judge_engine_options

        judge_engine_options(engine)


def _check_values(entry: PluginEntry, options: Mapping[str, Any]) -> None:
    """Make a built-in judge or reward, which loads nothing yet; what it needs may be made before the run starts."""
    if entry.builtin and entry.group in ("judge", "reward"):
        with suppress(NotFoundError):
            registry.make(entry.group, entry.name, **options)


def _message(loaded: LoadedRecipe, path: KeyPath, error: LrmctlError) -> str:
    what = f"{error.where}: {error.what}" if error.where else error.what
    return f"{loaded.where(*path)}: {dotted(path)}: {what}" + (f"; {error.fix}" if error.fix else "")


def find_problems(loaded: LoadedRecipe, runs_dir: Path | None = None) -> list[LocatedProblem]:
    """Problems and notes of a recipe and, for a study, of each arm.

    Raises:
        RecipeError: unknown names or invalid options; an arm that does not load.
    """
    found = [*_of_one(loaded, "", runs_dir), *_unseen_refusals(loaded)]
    if isinstance(loaded.recipe, StudyRecipe):
        recipes, seed = ArmRecipes(loaded), loaded.recipe.training_seeds[0]
        for base in loaded.recipe.every_base:
            study_on(loaded, base)
            for name, arm in recipes.of(base, seed).items():
                _check_arm_nodes(loaded.recipe, name, arm)
                found += _of_one(arm, f"arm {name}: ", runs_dir)
        found += replaced_models(loaded)
    return list({str(problem): problem for problem in found}.values())  # bases have most of them in common


def _check_arm_nodes(study: StudyRecipe, name: str, arm: LoadedRecipe) -> None:
    """Stages of a study that a plugin launches run on one node each."""
    nodes, via = arm.resolved.get("layout", {}).get("nodes", 1), study.launch.via
    if nodes > 1 and via != "local" and not registry.find("launcher", via).builtin:
        what = f"arm {name}: a training on {nodes} nodes cannot be a stage of a study that {via!r} launches"
        raise RecipeError(what, "layout.nodes", "say `layout.nodes: 1`, or `launch: {via: slurm}` or `{via: ray}`")


def _of_one(loaded: LoadedRecipe, prefix: str, runs_dir: Path | None) -> list[LocatedProblem]:
    from lrmctl.preflight.local import local_problems
    from lrmctl.preflight.positions import fit_lengths

    loaded = fit_lengths(loaded, runs_dir)
    check_plugins(loaded)
    seen = (
        LocatedProblem(place(loaded, p.key), replace(p, key=prefix + p.key)) for p in local_problems(loaded, runs_dir)
    )
    compared = (replace(p, problem=replace(p.problem, key=prefix + p.problem.key)) for p in group_problems(loaded))
    return [*_by_backend(loaded, prefix), *compared, *_reward_notes(loaded, prefix), *seen]


def _reward_notes(loaded: LoadedRecipe, prefix: str) -> Iterator[LocatedProblem]:
    """A note on prompt kinds that no component covers. Whether such prompts occur is only known from the data."""
    for path, section in _rewards(loaded):
        if section.uncovered:
            kinds, key = " and ".join(section.uncovered), dotted(path)
            what = f"no component covers {kinds} prompts: the reward of such a prompt is always 0"
            yield LocatedProblem(
                loaded.where(*path, "components"), Problem(f"{prefix}{key}.components", what, note=True)
            )


def _unseen_refusals(loaded: LoadedRecipe) -> Iterator[LocatedProblem]:
    """Notes on benign prompts that are evaluated without a judge of refusals."""
    from lrmctl.preflight.unseen_refusals import OUTSIDE_SAFETY_SETS, unseen_refusals

    if isinstance(loaded.recipe, (EvalRecipe, StudyRecipe)):
        for i, what in unseen_refusals(loaded.recipe.evaluation):
            path: KeyPath = ("evaluation", "safety", *(() if i == OUTSIDE_SAFETY_SETS else (i,)))
            yield LocatedProblem(loaded.where(*path), Problem(dotted(path), what, note=True))


def _by_backend(loaded: LoadedRecipe, prefix: str) -> list[LocatedProblem]:
    recipe = loaded.recipe
    if not isinstance(recipe, (OfflineRecipe, RlRecipe)):
        return []
    problems: Sequence[Problem] = make_backend(recipe.backend.name).check(recipe)
    return [LocatedProblem(place(loaded, p.key), replace(p, key=prefix + p.key)) for p in problems]


def validate(loaded: LoadedRecipe, runs_dir: Path | None = None) -> list[LocatedProblem]:
    """Check everything possible without running: plugins, options, flags and their combinations, also of each arm.

    Returns:
        Notes.

    Raises:
        RecipeError: all problems, each with its line.
    """
    found = find_problems(loaded, runs_dir)
    if wrong := [f for f in found if not f.problem.note]:
        raise ProblemsError([f.problem for f in wrong], [f.where for f in wrong])
    return found
