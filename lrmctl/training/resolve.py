"""Resolves what a recipe names: the validated recipe itself, its model, critic, tokenizer and backend."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrmctl.backends.base import Backend, make_backend
from lrmctl.errors import LrmctlError, RecipeError
from lrmctl.preflight.trainable import trainable
from lrmctl.recipe.problems import located
from lrmctl.recipe.schema.recipes import RlRecipe
from lrmctl.training import availability
from lrmctl.training.inputs import Recipe

if TYPE_CHECKING:
    from lrmctl.recipe.load import LoadedRecipe


@dataclass(frozen=True)
class ResolvedRecipe:
    """A training recipe, and what it names.

    Attributes:
        loaded, recipe: with the final model and lengths.
        backend: the trainer.
        model: folder of the model; None if it is not on this machine.
        critic: folder of PPO's value model, if it is a different model and on this machine.
        tokenizer: the model's; None if it is not on this machine.
        here: the run starts on this machine.
        missing: what is not on this machine, one sentence each; empty if downloads were allowed.
        has_data: all data sets are on this machine, or may be downloaded.
    """

    loaded: LoadedRecipe
    recipe: Recipe
    backend: Backend
    model: Path | None
    critic: Path | None
    tokenizer: Any | None
    here: bool
    missing: tuple[str, ...] = ()
    has_data: bool = True


def resolve(loaded: LoadedRecipe, runs_dir: Path, model: str | None, *, allow_missing: bool) -> ResolvedRecipe:
    """Resolve everything that a recipe names.

    Args:
        model: replaces the recipe's.
        allow_missing: list what is not on this machine; otherwise download it, and anything unavailable is an error.

    Raises:
        LrmctlError: something in the recipe is invalid or cannot be found.
    """
    from lrmctl.models import load_tokenizer, resolve_model

    loaded, recipe = trainable(loaded, model, runs_dir)
    with located(loaded):
        _check_launch(recipe)
    if allow_missing:
        return _with_what_is_here(loaded, recipe, runs_dir)
    path = resolve_model(recipe.model, runs_dir, trust_remote_code=recipe.trust_remote_code)
    critic = _critic(recipe, download=True)
    backend, tokenizer = make_backend(recipe.backend.name), load_tokenizer(path)
    with located(loaded):
        _check_nodes(recipe)
    return ResolvedRecipe(loaded, recipe, backend, path, critic, tokenizer, recipe.launch.via == "local")


def _with_what_is_here(loaded: LoadedRecipe, recipe: Recipe, runs_dir: Path) -> ResolvedRecipe:
    from lrmctl.models import load_tokenizer

    path = availability.local_model(recipe.model, runs_dir, recipe.trust_remote_code)
    critic = _critic(recipe, download=False)
    backend = make_backend(recipe.backend.name)
    no_model, no_data = availability.missing_model(recipe.model, path), availability.missing_data(recipe)
    tokenizer = load_tokenizer(path) if path and availability.has_tokenizer(path) else None
    here, missing = availability.fits_this_machine(recipe), (*no_model, *no_data)
    return ResolvedRecipe(loaded, recipe, backend, path, critic, tokenizer, here, missing, not no_data)


def _check_launch(recipe: Recipe) -> None:
    """Refuse a launcher that is not there, or that does not take its options or the nodes."""
    from lrmctl.backends.launch.launchers import check_launch

    try:
        check_launch(recipe.launch.model_dump(mode="json"), recipe.layout.nodes)
    except LrmctlError as error:
        raise RecipeError(error.what, error.where or "launch.via", error.fix) from error


def _check_nodes(recipe: Recipe) -> None:
    """Refuse several nodes on one machine; checked first, before e.g. a missing GPU is reported."""
    if recipe.launch.via == "local" and recipe.layout.nodes > 1:
        raise RecipeError(
            f"{recipe.layout.nodes} nodes are not one machine", "layout.nodes", "--launch slurm, or --launch ray"
        )


def _critic(recipe: Recipe, *, download: bool) -> Path | None:
    """The folder of the critic's model; refused if it contains untrusted Python code, which the trainer would run."""
    from lrmctl.models import resolve_model
    from lrmctl.models.code import SWITCH, files_with_code
    from lrmctl.runs.names import runs_folder

    ref = recipe.algorithm.critic.model if isinstance(recipe, RlRecipe) else None
    if ref is None:
        return None
    trusted, runs_dir = recipe.trust_remote_code, runs_folder()  # a cell of a study trains in a folder of its own
    if download:
        path: Path | None = resolve_model(ref, runs_dir, head="scalar", trust_remote_code=trusted)
    else:
        path = availability.local_model(ref, runs_dir, trusted)
    if path is not None and not trusted and files_with_code(path):
        raise RecipeError(f"the critic {ref!r} names Python code of its own", "algorithm.critic.model", SWITCH)
    return path
