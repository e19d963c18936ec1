"""What a run starts from: model, tokenizer, and the rows that a recipe's sources become with that tokenizer.

Shared by real runs and dry runs, so that both see the same rows. Starts nothing and writes nothing, except that
rejection sampling keeps its samples in the run folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrmctl.data.of_recipe import demonstrations_of, renderer
from lrmctl.errors import RecipeError
from lrmctl.recipe.schema.recipes import RewardSection, RlRecipe, SftRecipe
from lrmctl.rows.prompts import opening_of

if TYPE_CHECKING:
    from lrmctl.backends.base import Backend
    from lrmctl.backends.rows import TrainingRows
    from lrmctl.data.renderer import Renderer
    from lrmctl.data.sources import Demonstration
    from lrmctl.recipe.load import LoadedRecipe
    from lrmctl.runs.folder import RunFolder
    from lrmctl.types import Prompt


GRADED_BY_REFERENCE = ("correct", "multiple-choice")
"""Rewards that fail on a reasoning prompt without a gold answer."""


@dataclass(frozen=True)
class ResolvedJob:
    """What a run starts from, resolved."""

    loaded: LoadedRecipe
    recipe: SftRecipe | RlRecipe
    backend: Backend
    model: Path
    tokenizer: Any
    prepared: Path | None = None
    """The folder that the trainer gets in place of the model's own (see `lrmctl.models.prepare`)."""

    @property
    def trained(self) -> Path:
        """The folder that the trainer starts from."""
        return self.prepared or self.model


def tokenizer_of(path: Path) -> Any:
    from lrmctl.models import load_tokenizer

    return load_tokenizer(path)


def samples_first(recipe: SftRecipe | RlRecipe) -> bool:
    """Whether the training rows are sampled from the model before training."""
    return isinstance(recipe, SftRecipe) and recipe.data.rejection is not None


def rows_of(start: ResolvedJob, folder: RunFolder | None = None) -> TrainingRows:
    from lrmctl.models import what_is_changed

    recipe = start.recipe
    rows = _rl_rows(start, recipe) if isinstance(recipe, RlRecipe) else _sft_rows(start, recipe, folder)
    return replace(rows, told=(*what_is_changed(start.model, start.tokenizer), *rows.told))


def _rl_rows(start: ResolvedJob, recipe: RlRecipe) -> TrainingRows:
    from lrmctl.backends.rows import eval_rows, rl_rows
    from lrmctl.data.sources import load_prompts

    room = recipe.max_len - recipe.rollout.max_new_tokens
    prompts = load_prompts(recipe.prompts, seed=recipe.seed)
    told = check_references(recipe.reward, prompts)
    how = renderer_of(start)
    rows = rl_rows(start.tokenizer, prompts, room, how)
    rows = replace(rows, told=(*told, *how.notes()))
    if recipe.evaluation is None:
        return rows
    asked = load_prompts(recipe.evaluation.prompts, seed=recipe.seed)
    metric = recipe.evaluation.best or "reward"
    kinds = recipe.reward.kinds(metric) if recipe.evaluation.best else ()
    held = eval_rows(start.tokenizer, asked, room, metric, kinds, how)
    return replace(rows, eval_rows=held.rows)


def _sft_rows(start: ResolvedJob, recipe: SftRecipe, folder: RunFolder | None) -> TrainingRows:
    from lrmctl.backends.rows import sft_rows
    from lrmctl.data.mix import hold_back

    data = recipe.data
    how = renderer_of(start)
    demonstrations, told = _demonstrations(start, recipe, folder)
    keys = [opening_of(d.prompt) for d in demonstrations]
    trained, held = hold_back(demonstrations, keys, data.eval_rows, recipe.seed)
    rows = sft_rows(start.tokenizer, trained, data.max_len, how)
    rows = replace(rows, told=(*told, *how.notes()))
    return replace(rows, eval_rows=sft_rows(start.tokenizer, held, data.max_len, how).rows) if held else rows


def renderer_of(start: ResolvedJob) -> Renderer:
    """How the rows of the run are rendered."""
    return renderer(start.tokenizer, start.recipe)


def _demonstrations(
    start: ResolvedJob, recipe: SftRecipe, folder: RunFolder | None
) -> tuple[Sequence[Demonstration], Sequence[str]]:
    """Demonstrations, and what was left out of their sources."""
    from lrmctl.data.sources import load_prompts

    data = recipe.data
    if data.rejection is None:
        return demonstrations_of(recipe, start.tokenizer)
    told = check_references(data.rejection.reward, load_prompts(data.rejection.prompts))
    from lrmctl.engines.requests import Rendering
    from lrmctl.recipe.schema.thinking import override_of
    from lrmctl.training.rejection import rejection_sample

    assert folder is not None  # its samples are kept in the run folder
    how = Rendering("", recipe.template_args, override_of(recipe.thinking))
    kept = rejection_sample(start.model, data.rejection, seed=recipe.seed, out=folder.path, rendering=how)
    return kept, told


def check_references(reward: RewardSection, prompts: Sequence[Prompt]) -> list[str]:
    """What is to be said of reasoning prompts without a gold answer, if a reward grades by it.

    Raises:
        RecipeError: there are some, and such a reward fails on them, which ends the run.
    """
    graded = [c.label for c in reward.components if c.use in GRADED_BY_REFERENCE and "reasoning" in c.kinds]
    asked = [p for p in prompts if p.kind == "reasoning"]
    lacking = [p for p in asked if not (p.reference or "").strip()]
    if not graded or not lacking:
        return []
    names, first = ", ".join(graded), lacking[0]
    what = f"{len(lacking)} of {len(asked)} reasoning prompts have no `reference`, and the reward {names} fails on them"
    what += f"; the first is {first.id!r}: {first.text[:60]!r}"
    if reward.on_failure == "abort":
        fix = "give each reasoning row a `reference`, or leave the reward or these rows out"
        raise RecipeError(what, first.source, fix)
    return [what]
