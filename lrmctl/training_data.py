"""What a run starts from: model, tokenizer, and the rows that a recipe's sources become with that tokenizer.

Shared by real runs and dry runs, so that both see the same rows. Starts nothing and writes nothing, except that
rejection sampling keeps its samples in the run folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrmctl.errors import RecipeError
from lrmctl.recipe.schema import RlRecipe, SftRecipe

if TYPE_CHECKING:
    from lrmctl.backends.base import Backend
    from lrmctl.backends.rows import Rows
    from lrmctl.data.sources import Demonstration
    from lrmctl.recipe.load import LoadedRecipe
    from lrmctl.recipe.sections import Use
    from lrmctl.runs.folder import RunFolder
    from lrmctl.types import Prompt


@dataclass(frozen=True)
class Start:
    """What a run starts from, resolved."""

    loaded: LoadedRecipe
    recipe: SftRecipe | RlRecipe
    backend: Backend
    model: Path
    tokenizer: Any


def trainable(loaded: LoadedRecipe, model: str | None) -> tuple[LoadedRecipe, SftRecipe | RlRecipe]:
    """A recipe that trains, checked whole, with `model` in place of its own if one is given.

    Raises:
        RecipeError: it is of another kind, or something in it cannot be.
    """
    from lrmctl.recipe.check import validate

    if model is not None:
        loaded = loaded.override({"model": model}, "--model")
    recipe = loaded.recipe
    if not isinstance(recipe, (SftRecipe, RlRecipe)):
        raise RecipeError(f"a recipe of kind {recipe.kind} does not train", str(loaded.path), "give an sft or rl one")
    validate(loaded)
    return loaded, recipe


def tokenizer_of(path: Path) -> Any:
    from lrmctl.models import load_tokenizer

    return load_tokenizer(path)


def samples_first(recipe: SftRecipe | RlRecipe) -> bool:
    """Whether the training rows are sampled from the model before training."""
    return isinstance(recipe, SftRecipe) and recipe.data.rejection is not None


def rows_of(start: Start, folder: RunFolder | None = None) -> Rows:
    recipe = start.recipe
    return _rl_rows(start, recipe) if isinstance(recipe, RlRecipe) else _sft_rows(start, recipe, folder)


def _rl_rows(start: Start, recipe: RlRecipe) -> Rows:
    from lrmctl.backends.rows import eval_rows, rl_rows
    from lrmctl.data.sources import load_prompts

    room = recipe.max_len - recipe.rollout.max_new_tokens
    rows = rl_rows(start.tokenizer, load_prompts(recipe.prompts, seed=recipe.seed), room)
    if recipe.evaluation is None:
        return rows
    asked = load_prompts(recipe.evaluation.prompts, seed=recipe.seed)
    metric = recipe.evaluation.best or "reward"
    held = eval_rows(
        start.tokenizer, asked, room, metric, recipe.reward.kinds(metric) if recipe.evaluation.best else ()
    )
    return replace(rows, eval_rows=held.rows)


def _sft_rows(start: Start, recipe: SftRecipe, folder: RunFolder | None) -> Rows:
    from lrmctl.backends.rows import sft_rows
    from lrmctl.data.mix import hold_back

    data = recipe.data
    demonstrations = _demonstrations(start, recipe, folder)
    keys = [d.prompt.text for d in demonstrations]
    trained, held = hold_back(demonstrations, keys, data.eval_rows, recipe.seed)
    rows = sft_rows(start.tokenizer, trained, data.max_len)
    return replace(rows, eval_rows=sft_rows(start.tokenizer, held, data.max_len).rows) if held else rows


def _demonstrations(start: Start, recipe: SftRecipe, folder: RunFolder | None) -> list[Demonstration]:
    from lrmctl.data.sources import load_demonstrations

    data = recipe.data
    if data.rejection is None:
        return load_demonstrations(data.sources, total=data.rows, turns=data.turns, seed=recipe.seed)
    from lrmctl.rewards.rejection import rejection_sample

    assert folder is not None  # its samples are kept in the run folder
    return rejection_sample(start.model, data.rejection, seed=recipe.seed, out=folder.path)


def sources_of(recipe: SftRecipe | RlRecipe) -> tuple[Use, ...]:
    """Every source of data that a recipe names."""
    if isinstance(recipe, RlRecipe):
        return (*recipe.prompts, *(recipe.evaluation.prompts if recipe.evaluation else ()))
    return recipe.data.rejection.prompts if recipe.data.rejection else recipe.data.sources


def prompts_of(recipe: SftRecipe | RlRecipe) -> Sequence[Prompt]:
    """The training prompts of a recipe's sources, without a tokenizer: none is left out and none held back."""
    from lrmctl.data.sources import load_demonstrations, load_prompts

    if isinstance(recipe, RlRecipe):
        return load_prompts(recipe.prompts, seed=recipe.seed)
    data = recipe.data
    found = load_demonstrations(data.sources, total=data.rows, turns=data.turns, seed=recipe.seed)
    return [d.prompt for d in found]
