"""The data of a training recipe: sources, prompts, demonstrations, pairs, and the renderer of its rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lrmctl.data.pairs.load import LoadedPairs, load_pairs
from lrmctl.data.renderer import Renderer
from lrmctl.data.sources import LoadedRows, load_prompts, load_with_notes
from lrmctl.recipe.schema.preference import PreferenceRecipe
from lrmctl.recipe.schema.recipes import DataRecipe, OfflineRecipe, RlRecipe, SftRecipe
from lrmctl.recipe.schema.sections import Use
from lrmctl.recipe.schema.thinking import override_of
from lrmctl.types import Prompt


def sources_of(recipe: OfflineRecipe | RlRecipe | DataRecipe) -> tuple[Use, ...]:
    """Every data source that a recipe names."""
    if isinstance(recipe, DataRecipe):
        return recipe.prompts
    if isinstance(recipe, RlRecipe):
        return (*recipe.prompts, *(recipe.evaluation.prompts if recipe.evaluation else ()))
    if isinstance(recipe, PreferenceRecipe):
        return recipe.data.sources
    assert isinstance(recipe, SftRecipe)
    return recipe.data.rejection.prompts if recipe.data.rejection else recipe.data.sources


def prompts_of(recipe: OfflineRecipe | RlRecipe) -> Sequence[Prompt]:
    """The training prompts of a recipe's sources, without a tokenizer: none dropped or held out."""
    if isinstance(recipe, RlRecipe):
        return load_prompts(recipe.prompts, seed=recipe.seed)
    if isinstance(recipe, PreferenceRecipe):
        return [pair.prompt for pair in pairs_of(recipe).rows]
    assert isinstance(recipe, SftRecipe)
    if recipe.data.rejection is not None:
        return load_prompts(recipe.data.rejection.prompts)
    return [d.prompt for d in demonstrations_of(recipe).rows]


def demonstrations_of(recipe: SftRecipe, tokenizer: Any = None) -> LoadedRows:
    """The demonstrations of a recipe's sources, and notes on rows left out.

    Responses without thinking are valid where thinking is off, by the recipe or by the tokenizer's template.
    """
    data = recipe.data
    how = renderer(tokenizer, recipe)
    return load_with_notes(data.sources, total=data.rows, turns=data.turns, seed=recipe.seed, off=how.is_off)


def pairs_of(recipe: PreferenceRecipe, tokenizer: Any = None) -> LoadedPairs:
    """The preference pairs of a recipe's sources, and notes on pairs left out."""
    how = renderer(tokenizer, recipe)
    return load_pairs(recipe.data.sources, total=recipe.data.rows, seed=recipe.seed, off=how.is_off)


def renderer(tokenizer: Any, recipe: OfflineRecipe | RlRecipe) -> Renderer:
    """The renderer of a recipe's rows; without a tokenizer it only knows which arguments turn thinking off."""
    return Renderer(tokenizer, recipe.template_args, override_of(recipe.thinking), recipe.system)
