"""Training one model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lrmctl.api.recipes import AnyRecipeRef, Overrides, chosen_recipe, runs_in
from lrmctl.api.results import Run

if TYPE_CHECKING:
    from lrmctl.backends.base import Progress
    from lrmctl.recipe.load import LoadedRecipe


def train(
    recipe: AnyRecipeRef,
    *,
    on: str | None = None,
    overrides: Overrides | None = None,
    model: str | None = None,
    name: str | None = None,
    runs_dir: str | Path | None = None,
    resume: bool = False,
    from_start: bool = False,
    launch: str | None = None,
    address: str | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_sampling: Callable[[int, int], None] | None = None,
) -> Run:
    """Train a model from a recipe of SFT, preferences or RL, as `lrmctl train` does; returns when it is finished.

    Args:
        recipe: a file, a shipped name (`lrmctl recipe list`), or a loaded recipe.
        on: the model that a method is trained on, e.g. `train("rl-guard", on="qwen3-8b")`.
        overrides: recipe keys to change, e.g. `{"algorithm.steps": 4}`.
        model: start from this model (a folder, a hub id, `run:NAME`) instead of the recipe's.
        name: of the run; the recipe's own by default.
        runs_dir: folder of all runs; `LRMCTL_RUNS`, else `runs`, by default.
        resume: continue the run of this name; a finished one is left as it is.
        from_start: start that run over.
        launch, address: where to run (`local`, `ray`, `slurm` or a plugin's launcher), and the Ray cluster's dashboard,
            instead of the recipe's.
        on_progress: called after each step.
        on_sampling: called as (completions done, total) while rejection sampling draws the rows.

    Raises:
        LrmctlError: an error in recipe, model, data or name, raised before anything starts.
        RewardError: the reward's own error.
        BackendError: the trainer's first root cause; also a full disk.
    """
    from lrmctl.training.run import train

    loaded = launched(chosen_recipe(recipe, "sft", "preference", "rl", overrides=overrides, on=on), launch, address)
    with runs_in(runs_dir) as folder:
        made = train(
            loaded,
            runs_dir=folder,
            name=name,
            model=model,
            resume=resume or from_start,
            restart="always" if from_start else "refuse",
            on_progress=on_progress,
            on_sampling=on_sampling,
        )
    return Run(made.path)


def launched(loaded: LoadedRecipe, via: str | None, address: str | None) -> LoadedRecipe:
    """The recipe with another launch target."""
    given = {"launch.via": via, "launch.address": address}
    overrides = {key: value for key, value in given.items() if value is not None}
    return loaded.override(overrides, "--launch") if overrides else loaded
