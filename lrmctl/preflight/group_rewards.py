"""Rewards that compare the samples of a prompt: the recipe must give them several samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lrmctl.errors import RecipeError
from lrmctl.hooks import registry
from lrmctl.hooks.manager import PluginEntry
from lrmctl.recipe.function_ref import compares_samples
from lrmctl.recipe.load import LoadedRecipe
from lrmctl.recipe.problems import LocatedProblem, Problem
from lrmctl.recipe.schema.recipes import Component, RlRecipe, SftRecipe
from lrmctl.recipe.yaml import KeyPath, dotted


def is_of_group(component: Component) -> bool:
    """Whether a component compares the samples of a prompt, as far as its class or source shows."""
    if component.fn is not None:
        return compares_samples(component.fn)
    return bool(getattr(registry.find("reward", str(component.use)).factory, "of_group", False))


def check_inner_rewards(entry: PluginEntry, options: Mapping[str, Any]) -> None:
    """Check the rewards that a built-in reward uses (`reward:`, `helpful:`); a plugin checks its own.

    Raises:
        LrmctlError: unknown name or options; a reward that compares the samples of a prompt.
    """
    for key in ("reward", "helpful") if entry.builtin and entry.group == "reward" else ():
        if isinstance(name := options.get(key), str):
            own = options.get(f"{key}_options") or {}
            if not isinstance(own, Mapping):
                raise RecipeError(f"`{key}_options` is {own!r}, not a mapping of names to values")
            inner = registry.check("reward", name, own)
            if getattr(inner.factory, "of_group", False):
                what = f"`{key}: {name}` compares the samples of a prompt and cannot be used inside of another reward"
                raise RecipeError(what, fix="make it a component of its own")


def group_problems(loaded: LoadedRecipe) -> Iterator[LocatedProblem]:
    """Problems of components that compare samples: one sample per prompt, parts that cannot be compared, the choice of
    the best checkpoint. Names and files must have been checked."""
    recipe = loaded.recipe
    path: KeyPath = ()
    if isinstance(recipe, RlRecipe):
        section, samples, evaluation = recipe.reward, recipe.algorithm.samples_per_prompt, recipe.evaluation
        holder: KeyPath = ("algorithm",)
    elif isinstance(recipe, SftRecipe) and recipe.data.rejection is not None:
        section, samples, evaluation = recipe.data.rejection.reward, recipe.data.rejection.samples_per_prompt, None
        path = holder = ("data", "rejection")
    else:
        return
    for i, component in enumerate(section.components):
        if not is_of_group(component):
            continue
        name = component.label
        if samples < 2:
            what = f"the reward {name!r} compares the samples of a prompt, and there is one"
            yield _problem(loaded, (*holder, "samples_per_prompt"), what, "say at least 2, or leave the reward out")
        if component.part == "segments":
            what = f"the reward {name!r} compares samples, which have different numbers of segments"
            fix = "say thinking, answer, whole or both"
            yield _problem(loaded, (*path, "reward", "components", i, "part"), what, fix)
        if evaluation is not None and evaluation.best == name and evaluation.samples_per_prompt < 2:
            what = (
                f"the reward {name!r} compares the samples of a prompt, and evaluation has one: it has no value there"
            )
            fix = "say `evaluation.samples_per_prompt: 2` or more, or another reward"
            yield _problem(loaded, ("evaluation", "best"), what, fix)


def _problem(loaded: LoadedRecipe, path: KeyPath, what: str, fix: str) -> LocatedProblem:
    return LocatedProblem(loaded.where(*path), Problem(dotted(path), what, fix))
