"""The rows of a run: a recipe's sources rendered with the model's tokenizer. Starts nothing.

Only rejection sampling (`data.rejection`) writes anything: its samples, in the run folder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrmctl.data.of_recipe import demonstrations_of, pairs_of, prompts_of, renderer
from lrmctl.errors import RecipeError
from lrmctl.recipe.schema.preference import PreferenceRecipe
from lrmctl.recipe.schema.recipes import OfflineRecipe, RewardSection, RlRecipe, SftRecipe
from lrmctl.rows.prompts import opening_of

if TYPE_CHECKING:
    from lrmctl.backends.rows import TrainingRows
    from lrmctl.data.renderer import Renderer
    from lrmctl.data.sources import Demonstration
    from lrmctl.types import Prompt

Recipe = OfflineRecipe | RlRecipe
OnSampling = Callable[[int, int], None]
"""Called as `(completions done, total)` while rows are sampled from the model, before the training."""

GRADED_BY_REFERENCE = ("correct", "multiple-choice")
"""Rewards that fail on a reasoning prompt without a gold answer."""


@dataclass(frozen=True)
class TrainingInputs:
    """A run's training data, as far as they are known before the run.

    Attributes:
        rows: rendered; None if the data or the tokenizer are not on this machine, or the rows are sampled first.
        prompts: of all requested rows; None if not known yet.
        sampled_from: prompts for rejection sampling.
        notes: remarks on the data for the user.
    """

    rows: TrainingRows | None = None
    prompts: Sequence[Prompt] | None = None
    sampled_from: Sequence[Prompt] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, rows: TrainingRows) -> TrainingInputs:
        """Inputs whose rows are known."""
        return cls(rows, [a.prompt for a in rows.asked], notes=tuple(rows.notes))


def samples_first(recipe: Recipe) -> bool:
    """Whether the training rows are first sampled from the model."""
    return isinstance(recipe, SftRecipe) and recipe.data.rejection is not None


def inputs_of(recipe: Recipe, model: Path | None, tokenizer: Any | None) -> TrainingInputs:
    """Load a run's data, downloading them if needed.

    Args:
        model, tokenizer: None if they are not on this machine; then no row is rendered.

    Raises:
        LrmctlError: the data cannot be read or do not fit the recipe.
    """
    if isinstance(recipe, SftRecipe) and recipe.data.rejection is not None:
        prompts = prompts_of(recipe)
        notes = check_references(recipe.data.rejection.reward, prompts)
        return TrainingInputs(sampled_from=prompts, notes=tuple(notes))
    if model is None or tokenizer is None:
        return _unrendered(recipe)
    rows = _rows(recipe, tokenizer)
    return TrainingInputs.of(_with_model_notes(rows, model, tokenizer))


def sampled_rows(
    recipe: SftRecipe, model: Path, tokenizer: Any, out: Path, on_sampling: OnSampling | None = None
) -> TrainingRows:
    """Rows from rejection sampling: the model's own samples that a reward accepts.

    Args:
        out: the run folder, where the samples are stored.
        on_sampling: called with (completions done, total).

    Raises:
        LrmctlError: nothing was accepted.
        RewardError: the reward failed.
    """
    from lrmctl.data.sources import load_prompts
    from lrmctl.engines.base import Rendering
    from lrmctl.recipe.schema.thinking import override_of
    from lrmctl.training.rejection import rejection_sample

    rejection = recipe.data.rejection
    assert rejection is not None
    notes = check_references(rejection.reward, load_prompts(rejection.prompts))
    rendering = Rendering(recipe.system, recipe.template_args, override_of(recipe.thinking))
    kept = rejection_sample(model, rejection, seed=recipe.seed, out=out, on_progress=on_sampling, rendering=rendering)
    return _with_model_notes(_render_demonstrations(recipe, tokenizer, kept, notes), model, tokenizer)


def _unrendered(recipe: Recipe) -> TrainingInputs:
    """The prompts of a recipe whose tokenizer is not on this machine."""
    if isinstance(recipe, RlRecipe):
        prompts = prompts_of(recipe)
        return TrainingInputs(prompts=prompts, notes=tuple(check_references(recipe.reward, prompts)))
    if isinstance(recipe, PreferenceRecipe):
        pairs, notes = pairs_of(recipe)
        return TrainingInputs(prompts=[pair.prompt for pair in pairs], notes=tuple(notes))
    assert isinstance(recipe, SftRecipe)
    demonstrations, notes = demonstrations_of(recipe)
    return TrainingInputs(prompts=[row.prompt for row in demonstrations], notes=tuple(notes))


def _with_model_notes(rows: TrainingRows, model: Path, tokenizer: Any) -> TrainingRows:
    from lrmctl.models import describe_changes

    return replace(rows, source_notes=(*describe_changes(model, tokenizer), *rows.source_notes))


def _rows(recipe: Recipe, tokenizer: Any) -> TrainingRows:
    if isinstance(recipe, RlRecipe):
        return _rl_rows(recipe, tokenizer)
    if isinstance(recipe, PreferenceRecipe):
        return _preference_rows(recipe, tokenizer)
    assert isinstance(recipe, SftRecipe)
    return _sft_rows(recipe, tokenizer)


def _preference_rows(recipe: PreferenceRecipe, tokenizer: Any) -> TrainingRows:
    from lrmctl.backends.rows import preference_rows

    pairs, notes = pairs_of(recipe, tokenizer)
    return _held_out(recipe, tokenizer, pairs, notes, preference_rows)


def _rl_rows(recipe: RlRecipe, tokenizer: Any) -> TrainingRows:
    from lrmctl.backends.rows import eval_rows, rl_rows
    from lrmctl.data.sources import load_asked
    from lrmctl.training.prefill import given_thoughts

    room = recipe.max_len - recipe.rollout.max_new_tokens
    asked = load_asked(recipe.prompts, seed=recipe.seed)
    prompts = [one.prompt for one in asked]
    notes = check_references(recipe.reward, prompts)
    rendering = renderer(tokenizer, recipe)
    given, begun = given_thoughts(recipe, prompts, tokenizer)
    rows = rl_rows(tokenizer, asked, room, rendering, given)
    rows = replace(rows, source_notes=(*notes, *begun, *rendering.notes()))
    if recipe.evaluation is None:
        return rows
    asked = load_asked(recipe.evaluation.prompts, seed=recipe.seed)
    metric = recipe.evaluation.best or "reward"
    kinds = recipe.reward.kinds(metric) if recipe.evaluation.best else ()
    held = eval_rows(tokenizer, asked, room, metric, kinds, rendering)
    return replace(rows, eval_rows=held.rows)


def _sft_rows(recipe: SftRecipe, tokenizer: Any) -> TrainingRows:
    demonstrations, notes = demonstrations_of(recipe, tokenizer)
    return _render_demonstrations(recipe, tokenizer, demonstrations, notes)


def _render_demonstrations(
    recipe: SftRecipe, tokenizer: Any, demonstrations: Sequence[Demonstration], notes: Sequence[str]
) -> TrainingRows:
    from lrmctl.backends.rows import sft_rows

    weighted = partial(sft_rows, weights=recipe.data.loss_weights)
    return _held_out(recipe, tokenizer, demonstrations, notes, weighted, sft_rows)


def _held_out(
    recipe: OfflineRecipe,
    tokenizer: Any,
    asked: Sequence[Any],
    notes: Sequence[str],
    render: Callable[[Any, Sequence[Any], int, Renderer], TrainingRows],
    render_held: Callable[[Any, Sequence[Any], int, Renderer], TrainingRows] | None = None,
) -> TrainingRows:
    """The rendered rows, of which a share of the prompts is held out.

    Args:
        asked: demonstrations or pairs, rendered by `render`.
        render_held: renders the held-out ones; `render` by default.
    """
    from lrmctl.data.mix import hold_out

    data, rendering = recipe.data, renderer(tokenizer, recipe)
    trained, held = hold_out(asked, [opening_of(one.prompt) for one in asked], data.eval_rows, recipe.seed)
    rows = render(tokenizer, trained, data.max_len, rendering)
    rows = replace(rows, source_notes=(*notes, *rendering.notes()))
    other = render_held or render
    return replace(rows, eval_rows=other(tokenizer, held, data.max_len, rendering).rows) if held else rows


def check_references(reward: RewardSection, prompts: Sequence[Prompt]) -> list[str]:
    """A note on reasoning prompts without a gold answer, if a reward needs it.

    Raises:
        RecipeError: there are such prompts and `on_failure` is `abort`, so the run would end.
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
