"""The recipes of a study's trainings, on each base and with each training seed. Runs nothing and loads no model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lrmctl.errors import LrmctlError, RecipeError
from lrmctl.recipe.load import LoadedRecipe, load_recipe
from lrmctl.recipe.problems import LocatedProblem, Problem
from lrmctl.recipe.schema.build import Intervene
from lrmctl.recipe.schema.recipes import StudyRecipe
from lrmctl.recipe.schema.study import BASE, StudyArm
from lrmctl.recipe.schema.study_base import StudyBase
from lrmctl.runs.study_cells import cell_path


class ArmRecipes:
    """The recipes of a study's arms, stages and data; each recipe file is read once.

    Args:
        folder: the study's, relative to the folder of runs; by default its name.

    Raises:
        RecipeError: a recipe does not load or does not train; names its line.
    """

    def __init__(self, loaded: LoadedRecipe, folder: str | None = None) -> None:
        assert isinstance(loaded.recipe, StudyRecipe)
        self._loaded, self._study = loaded, loaded.recipe
        self._folder = folder or loaded.recipe.name
        self._files: dict[str, LoadedRecipe] = {}

    def of(self, base: StudyBase, seed: int | None = None) -> dict[str, LoadedRecipe]:
        """The recipe of every training and build by its name, with all overrides applied.

        One that starts from another one names the base as its model here; the study replaces it.

        Args:
            seed: the training seed; None leaves it to the recipe and the study's `seed:`.
        """
        return {arm.name: self._one(arm, base, seed) for arm in (*self._study.trainings, *self._study.builds)}

    def file(self, arm: StudyArm) -> LoadedRecipe:
        """An arm's recipe as its file says, without overrides."""
        if arm.recipe not in self._files:
            self._files[arm.recipe] = load_recipe(arm.recipe, beside=self._loaded.path)
        found = self._files[arm.recipe]
        kind, builds = found.recipe.kind, arm.at[:1] == ("data",)
        if builds and kind != "data":
            raise RecipeError(f"is a recipe of kind {kind}; what is in `data:` builds data", fix="put it into `arms:`")
        if not builds and kind not in ("sft", "preference", "rl"):
            fix = "put it into `data:`" if kind == "data" else ""
            raise RecipeError(f"is a recipe of kind {kind}; an arm trains, with sft, preference or rl", fix=fix)
        return found

    def _one(self, arm: StudyArm, base: StudyBase, seed: int | None) -> LoadedRecipe:
        line = self._loaded.where(*arm.at, "recipe")
        try:
            return self._overridden(arm, base, seed, line)
        except LrmctlError as error:
            raise RecipeError(f"arm {arm.name!r}: {error}", where=line) from None

    def _overridden(self, arm: StudyArm, base: StudyBase, seed: int | None, line: str) -> LoadedRecipe:
        found = self.file(arm)
        if "model" in arm.set:
            raise RecipeError(
                f"`set: {{model: {arm.set['model']}}}` has no effect: an arm starts from the study's base, or from "
                "the arm that its `from:` names",
                fix="say `base:` of the study, or make a study of its own for the other model",
            )
        made = found.override({**arm.set, "model": base.model}, f"{line}: set")
        if base.set and made.recipe.kind != "data":
            made = made.override(base.set, f"{line}: set of the base {base.folder}:")
        if arm.runs:
            self._check_rows(arm, made)
            made = made.with_runs({old: self._run(base, seed, name) for old, name in arm.runs.items()})
        return self._seeded(arm, found, made, seed, line)

    def _check_rows(self, arm: StudyArm, made: LoadedRecipe) -> None:
        """Refuse pairs for what trains on or builds from other rows, and other rows for what trains on pairs."""
        builds = {one.name: one for one in self._study.builds}
        for name in arm.runs.values():
            build = getattr(self.file(builds[name]).recipe, "build", None) if name in builds else None
            if build is None:
                continue
            pairs, kind = isinstance(build, Intervene), made.recipe.kind
            if pairs and kind != "preference":
                what = f"the rows of {name!r} are preference pairs, and its recipe is of kind {kind}"
                raise RecipeError(what, fix="take a recipe of kind preference, or other rows")
            if kind == "preference" and not pairs:
                what = f"the rows of {name!r} are no preference pairs, and its recipe trains on pairs"
                raise RecipeError(what, fix="take the rows of a build with `use: intervene`, or a recipe of kind sft")

    def _run(self, base: StudyBase, seed: int | None, name: str) -> str:
        """The run of a training or build of this study, as `run:NAME` names it."""
        return f"{self._folder}/{cell_path(base.folder, seed, name, matrix=self._study.is_matrix)}"

    def _seeded(
        self, arm: StudyArm, found: LoadedRecipe, made: LoadedRecipe, seed: int | None, line: str
    ) -> LoadedRecipe:
        if seed is not None:
            if "seed" in arm.set:
                raise RecipeError(
                    f"`set: {{seed: {arm.set['seed']}}}` has no effect: the training seeds are the study's",
                    fix="leave it out; the study's `seeds:` lists them",
                )
            return made.override({"seed": seed}, f"{line}: seed")
        if "seed" in arm.set or not self._loaded.is_set("seed"):
            return made
        if found.is_set("seed") and made.recipe.seed != self._study.seed:
            raise RecipeError(
                f"its recipe says seed {made.recipe.seed} and the study says {self._study.seed}",
                fix="say in the arm's `set: {seed: N}` which one it is, or leave one of the two out",
            )
        return made.override({"seed": self._study.seed}, f"{line}: seed")


def load_arms(loaded: LoadedRecipe) -> dict[str, LoadedRecipe]:
    """The recipes of a study's arms and stages by name, on its first base and with its first seed.

    Raises:
        RecipeError: an arm's recipe does not load or does not train; names the arm's line.
    """
    study = loaded.recipe
    if not isinstance(study, StudyRecipe):
        return {}
    return ArmRecipes(loaded).of(study.every_base[0], study.training_seeds[0])


def study_on(loaded: LoadedRecipe, base: StudyBase) -> StudyRecipe:
    """The study with the overrides that a base makes to its evaluation.

    Raises:
        RecipeError: the evaluation does not take them.
    """
    recipe = loaded.recipe
    if base.evaluation:
        overrides = {f"evaluation.{key}": value for key, value in base.evaluation.items()}
        recipe = loaded.override(overrides, f"the base {base.folder}:").recipe
    assert isinstance(recipe, StudyRecipe)
    return recipe


def replaced_models(loaded: LoadedRecipe) -> Iterator[LocatedProblem]:
    """Notes on arms whose recipes name a model other than the one that they start from in this study."""
    study = loaded.recipe
    assert isinstance(study, StudyRecipe)
    recipes, models = ArmRecipes(loaded), [base.model for base in study.every_base]
    bases = f"the base, {models[0]}" if len(models) == 1 else "each of the bases"
    for arm in (*study.trainings, *study.builds):
        own: Any = recipes.file(arm).recipe
        if own.model not in models:
            start = bases if arm.start == BASE else f"the arm {arm.start}"
            what = f"its recipe is of {own.model}; in this study it starts from {start}"
            yield LocatedProblem(loaded.where(*arm.at, "recipe"), Problem(f"arm {arm.name}: model", what, note=True))
