"""What a recipe names, found: the checked recipe itself, its model, critic, tokenizer and backend."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrmctl.backends.base import Backend, make_backend
from lrmctl.errors import RecipeError
from lrmctl.preflight.trainable import trainable
from lrmctl.recipe.problems import located
from lrmctl.recipe.schema.recipes import RlRecipe
from lrmctl.training import availability
from lrmctl.training.inputs import Recipe

if TYPE_CHECKING:
    from lrmctl.recipe.load import LoadedRecipe


@dataclass(frozen=True)
class ResolvedRecipe:
    """A recipe that trains, and what it names.

    Attributes:
        loaded, recipe: with the model and the lengths that the run trains with.
        backend: the trainer.
        model: folder of the model; None if it is not on this machine.
        critic: folder of PPO's value model, if it is another model and on this machine.
        tokenizer: the model's; None if it is not on this machine.
        here: the run starts on this machine.
        missing: what is not on this machine, one sentence each; empty if it was to be downloaded.
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
    """Find everything that a recipe names.

    Args:
        model: in place of the recipe's.
        allow_missing: list what is not on this machine; otherwise it is downloaded, and what cannot be had is an error.

    Raises:
        LrmctlError: something in the recipe cannot be, or is nowhere.
    """
    from lrmctl.models import load_tokenizer, resolve_model

    loaded, recipe = trainable(loaded, model, runs_dir)
    if allow_missing:
        return _with_what_is_here(loaded, recipe, runs_dir)
    path = resolve_model(recipe.model, runs_dir, trust_remote_code=recipe.trust_remote_code)
    critic = _critic(recipe, runs_dir, download=True)
    backend, tokenizer = make_backend(recipe.backend.name), load_tokenizer(path)
    with located(loaded):
        _check_nodes(recipe)
    return ResolvedRecipe(loaded, recipe, backend, path, critic, tokenizer, recipe.launch.via == "local")


def _with_what_is_here(loaded: LoadedRecipe, recipe: Recipe, runs_dir: Path) -> ResolvedRecipe:
    from lrmctl.models import load_tokenizer

    path = availability.local_model(recipe.model, runs_dir, recipe.trust_remote_code)
    critic = _critic(recipe, runs_dir, download=False)
    backend = make_backend(recipe.backend.name)
    no_model, no_data = availability.missing_model(recipe.model, path), availability.missing_data(recipe)
    tokenizer = load_tokenizer(path) if path and availability.has_tokenizer(path) else None
    here, missing = availability.fits_this_machine(recipe), (*no_model, *no_data)
    return ResolvedRecipe(loaded, recipe, backend, path, critic, tokenizer, here, missing, not no_data)


def _check_nodes(recipe: Recipe) -> None:
    """Reported before anything else of several nodes, such as that this machine has no GPU."""
    if recipe.launch.via == "local" and recipe.layout.nodes > 1:
        raise RecipeError(
            f"{recipe.layout.nodes} nodes are not one machine", "layout.nodes", "--launch slurm, or --launch ray"
        )


def _critic(recipe: Recipe, runs_dir: Path, *, download: bool) -> Path | None:
    """The folder of a critic's own model; refused if it names Python code, which the trainer would run."""
    from lrmctl.models import resolve_model
    from lrmctl.models.code import SWITCH, files_with_code

    ref = recipe.algorithm.critic.model if isinstance(recipe, RlRecipe) else None
    if ref is None:
        return None
    trusted = recipe.trust_remote_code
    if download:
        path: Path | None = resolve_model(ref, runs_dir, head="scalar", trust_remote_code=trusted)
    else:
        path = availability.local_model(ref, runs_dir, trusted)
    if path is not None and not trusted and files_with_code(path):
        raise RecipeError(f"the critic {ref!r} names Python code of its own", "algorithm.critic.model", SWITCH)
    return path
