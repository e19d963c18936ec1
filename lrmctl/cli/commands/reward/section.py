"""The reward that a command scores with, and the rows that it scores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrmctl.cli.common import load
from lrmctl.errors import RecipeError

if TYPE_CHECKING:
    from lrmctl.recipe.schema.recipes import RewardSection


def reward_section(
    recipe: str | None, use: str | None, options: Sequence[str] | None, part: str, sets: Sequence[str] | None
) -> RewardSection:
    """The reward of a recipe, or one reward by its name.

    Raises:
        RecipeError: not exactly one of the two is given, or an option belongs to the other.
    """
    from pydantic import ValidationError

    from lrmctl.recipe.schema.recipes import RewardSection
    from lrmctl.rewards.describe import component

    if (recipe is None) == (use is None):
        raise RecipeError("say exactly one of --recipe and --use", fix="--recipe lab/rl, or --use correct")
    if recipe is not None:
        if options or part != "whole":
            raise RecipeError("--option and --part belong to --use", fix="--set changes a recipe")
        return _of_recipe(recipe, sets)
    if sets:
        raise RecipeError("--set changes a recipe, and there is none", "--set", "--option changes a reward of --use")
    try:
        return RewardSection(components=(component(str(use), options or (), part),))
    except ValidationError as error:
        raise RecipeError(error.errors()[0]["msg"], "--part" if "part" in str(error) else "--use") from None


def _of_recipe(ref: str, sets: Sequence[str] | None) -> RewardSection:
    from lrmctl.preflight.validate import check_plugins

    loaded = load(ref, sets, "rl", "sft")
    check_plugins(loaded)
    trained: Any = loaded.recipe
    if trained.kind == "rl":
        return trained.reward  # type: ignore[no-any-return]
    if trained.data.rejection is None:
        raise RecipeError("has no reward: it imitates what it is given", str(loaded.path))
    return trained.data.rejection.reward  # type: ignore[no-any-return]


def rows_file(source: str, runs_dir: Path) -> Path:
    """The file of rows: the one that is named, or the first that a run has."""
    if not source.startswith("run:"):
        return Path(source)
    from lrmctl.api.targets import run_folder

    folder = run_folder(source, runs_dir)
    files = [folder / name for name in ("rollouts.jsonl", "data/rejection.jsonl", "eval/rows.jsonl")]
    return next((file for file in files if file.exists()), files[0])
