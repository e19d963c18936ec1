"""Summarizes a plan: layout, derived numbers, memory estimate, and warnings."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from lrmctl.errors import LrmctlError, NotFoundError, RecipeError
from lrmctl.planning import PlanSummary, describe
from lrmctl.planning.derived import DataFacts
from lrmctl.planning.model_shape import ModelShape, shape_of
from lrmctl.planning.workload import Lengths
from lrmctl.recipe.schema.recipes import OfflineRecipe, RlRecipe
from lrmctl.training.colocated import colocated_models
from lrmctl.training.inputs import TrainingInputs, samples_first
from lrmctl.training.resolve import ResolvedRecipe
from lrmctl.types import Plan


def summarize(resolved: ResolvedRecipe, inputs: TrainingInputs, plan: Plan) -> tuple[PlanSummary, list[str]]:
    """Layout, derived numbers and memory of a run, and notes for the user.

    Args:
        plan: the backend's, which gives the device and the precision.

    Raises:
        RecipeError: an unknown `layout.gpu_type`.
    """
    recipe = resolved.recipe
    shape = _shape(recipe.model, resolved.model)
    colocated, uncounted = colocated_models(recipe)
    summary = describe(
        recipe,
        shape,
        device=str(plan.estimates.get("device", "cuda")),
        dtype=str(plan.estimates.get("dtype", "bf16")),
        data=_data_facts(inputs),
        host_memory=_host_memory() if resolved.here else None,
        critic=_critic_shape(resolved),
        colocated=colocated,
    )
    return summary, [*_notes(resolved, inputs, shape), *uncounted]


def _shape(ref: str, path: Path | None) -> ModelShape | LrmctlError:
    try:
        return shape_of(ref, path)
    except (RecipeError, NotFoundError) as error:
        return error


def _critic_shape(resolved: ResolvedRecipe) -> ModelShape | None:
    recipe = resolved.recipe
    ref = recipe.algorithm.critic.model if isinstance(recipe, RlRecipe) else None
    shape = _shape(ref, resolved.critic) if ref else None
    return shape if isinstance(shape, ModelShape) else None


def _data_facts(inputs: TrainingInputs) -> DataFacts:
    prompts, rows = inputs.prompts, inputs.rows
    kinds = Counter[str](p.kind for p in prompts) if prompts is not None else None
    if rows is None:
        return DataFacts(rows=len(prompts) if prompts is not None else None, kinds=kinds)
    kept = [a for a in rows.asked if a.kept]
    tokens = sum(a.tokens for a in kept)
    lengths = Lengths(rows.longest or None)
    return DataFacts(len(rows.rows), kinds, len(rows.eval_rows), tokens if kept else None, lengths)


def _host_memory() -> int:
    import psutil

    return int(psutil.virtual_memory().total)


def _notes(resolved: ResolvedRecipe, inputs: TrainingInputs, shape: ModelShape | LrmctlError) -> list[str]:
    recipe = resolved.recipe
    elsewhere = "planned for another machine: its devices, versions and paths are not checked here"
    notes = [] if resolved.here else [elsewhere]
    longest = recipe.data.max_len if isinstance(recipe, OfflineRecipe) else recipe.max_len
    if isinstance(shape, ModelShape) and shape.max_positions and longest > shape.max_positions:
        notes.append(f"max_len {longest} is more than the model's {shape.max_positions} positions: the run is refused")
    if inputs.rows is None and isinstance(recipe, OfflineRecipe):
        what = "the model has been sampled" if samples_first(recipe) else "the rows are"
        notes.append(f"steps are known when {what}")
    return [*notes, *_unrewarded(recipe, inputs)]


def _unrewarded(recipe: OfflineRecipe | RlRecipe, inputs: TrainingInputs) -> list[str]:
    """Counts of prompts that no reward component covers; `recipe validate` only knows the kinds, not the data."""
    if not isinstance(recipe, RlRecipe) or not inputs.prompts:
        return []
    kinds = Counter(p.kind for p in inputs.prompts if p.kind in recipe.reward.uncovered)
    return [f"{n} {kind} prompts always get a reward of 0: no component covers them" for kind, n in kinds.items()]
