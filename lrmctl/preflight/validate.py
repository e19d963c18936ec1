"""Validates a recipe before it runs: plugins and their options, the recipes of a study's arms, the backend's checks.

Runs nothing, loads no model and downloads nothing; reads only the user's own data files. The backend itself checks what
it supports.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lrmctl.backends.base import make_backend
from lrmctl.errors import LrmctlError, RecipeError
from lrmctl.hooks import registry
from lrmctl.hooks.manager import PluginEntry
from lrmctl.recipe.function_ref import check_function
from lrmctl.recipe.load import LoadedRecipe, load_recipe
from lrmctl.recipe.named_plugins import named_plugins
from lrmctl.recipe.problems import Problem, ProblemsError, place
from lrmctl.recipe.schema.recipes import Arm, Component, EvalRecipe, RewardSection, RlRecipe, SftRecipe, StudyRecipe
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


def check_plugins(loaded: LoadedRecipe) -> list[PluginEntry]:
    """Registry entries of all plugins that a recipe names; functions in files are checked too.

    Raises:
        RecipeError: unknown names or invalid options, all in one error.
    """
    entries: list[PluginEntry] = []
    problems: list[str] = []
    for named in named_plugins(loaded):
        try:
            if not isinstance(named.options, Mapping):
                raise RecipeError(f"the options of {named.group} {named.name!r} are not a mapping of names to values")
            entries.append(registry.check(named.group, named.name, named.options))
            _check_engine(entries[-1], named.options)
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


def _message(loaded: LoadedRecipe, path: KeyPath, error: LrmctlError) -> str:
    what = f"{error.where}: {error.what}" if error.where else error.what
    return f"{loaded.where(*path)}: {dotted(path)}: {what}" + (f"; {error.fix}" if error.fix else "")


def load_arms(loaded: LoadedRecipe) -> dict[str, LoadedRecipe]:
    """The recipes of a study's arms by arm name, with the study's base and the arm's overrides applied.

    Raises:
        RecipeError: an arm's recipe does not load or does not train; names the arm's line.
    """
    study = loaded.recipe
    if not isinstance(study, StudyRecipe):
        return {}
    arms: dict[str, LoadedRecipe] = {}
    for index, arm in enumerate(study.arms):
        line = loaded.where("arms", index, "recipe")
        try:
            found = load_recipe(arm.recipe, beside=loaded.path)
            if found.recipe.kind not in ("sft", "rl"):
                raise RecipeError(f"is a recipe of kind {found.recipe.kind}; an arm trains, with sft or rl")
            arms[arm.name] = _arm(loaded, study, arm, found, line)
        except LrmctlError as error:
            raise RecipeError(f"arm {arm.name!r}: {error}", where=line) from None
    return arms


def _arm(loaded: LoadedRecipe, study: StudyRecipe, arm: Arm, found: LoadedRecipe, line: str) -> LoadedRecipe:
    """An arm's recipe with the study's base and seed and the arm's overrides applied."""
    if "model" in arm.set:
        raise RecipeError(
            f"`set: {{model: {arm.set['model']}}}` has no effect: every arm of a study starts from its base",
            fix="say `base:` of the study, or make a study of its own for the other model",
        )
    made = found.override({**arm.set, "model": study.base}, f"{line}: set")
    if "seed" in arm.set or not loaded.is_set("seed"):
        return made
    if found.is_set("seed") and made.recipe.seed != study.seed:
        raise RecipeError(
            f"its recipe says seed {made.recipe.seed} and the study says {study.seed}",
            fix="say in the arm's `set: {seed: N}` which one it is, or leave one of the two out",
        )
    return made.override({"seed": study.seed}, f"{line}: seed")


@dataclass(frozen=True)
class LocatedProblem:
    """A problem or a note, and where its key was written."""

    where: str
    problem: Problem

    def __str__(self) -> str:
        return f"{self.where}: {self.problem.key}: {self.problem}"


def find_problems(loaded: LoadedRecipe, runs_dir: Path | None = None) -> list[LocatedProblem]:
    """Problems and notes of a recipe and, for a study, of each arm.

    Raises:
        RecipeError: unknown names or invalid options; an arm that does not load.
    """
    found = [*_of_one(loaded, "", runs_dir), *_unseen_refusals(loaded)]
    for name, arm in load_arms(loaded).items():
        found += [*_replaced(loaded, name), *_of_one(arm, f"arm {name}: ", runs_dir)]
    return found


def _of_one(loaded: LoadedRecipe, prefix: str, runs_dir: Path | None) -> list[LocatedProblem]:
    from lrmctl.preflight.local import local_problems
    from lrmctl.preflight.positions import fit_lengths

    loaded = fit_lengths(loaded, runs_dir)
    check_plugins(loaded)
    seen = (
        LocatedProblem(place(loaded, p.key), replace(p, key=prefix + p.key)) for p in local_problems(loaded, runs_dir)
    )
    return [*_by_backend(loaded, prefix), *_reward_notes(loaded, prefix), *seen]


def _replaced(loaded: LoadedRecipe, name: str) -> Iterator[LocatedProblem]:
    """A note if an arm's recipe names a model other than the study's base."""
    study: Any = loaded.recipe
    index = [arm.name for arm in study.arms].index(name)
    own: Any = load_recipe(study.arms[index].recipe, beside=loaded.path).recipe
    if own.model != study.base:
        what = f"its recipe is of {own.model}; in this study it starts from the base, {study.base}"
        yield LocatedProblem(loaded.where("arms", index, "recipe"), Problem(f"arm {name}: model", what, note=True))


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
    if not isinstance(recipe, (SftRecipe, RlRecipe)):
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
