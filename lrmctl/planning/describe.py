"""Describes a run in advance, from the recipe and what is known of its model and data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lrmctl.errors import LrmctlError
from lrmctl.planning.colocated import ColocatedModel
from lrmctl.planning.derived import DataFacts, DerivedNumbers, derive
from lrmctl.planning.gpus import gpu_memory
from lrmctl.planning.layout import Placement, placement
from lrmctl.planning.memory import GpuTarget, MemoryEstimate, estimate
from lrmctl.planning.model_shape import ModelShape
from lrmctl.planning.suggestions import RecipeChange, first_change
from lrmctl.recipe.schema.recipes import OfflineRecipe, RlRecipe


@dataclass(frozen=True)
class PlanSummary:
    """The sections of a plan that are cheap to compute.

    Attributes:
        shape: of the model; None if unknown, with the reason in `why_no_memory`.
        change: the first change to make if the run does not fit well.
    """

    placement: Placement
    derived: DerivedNumbers
    shape: ModelShape | None
    memory: MemoryEstimate | None
    change: RecipeChange | None
    why_no_memory: str = ""

    def to_json(self) -> dict[str, Any]:
        memory = self.memory.to_json() if self.memory else {"not_estimated": self.why_no_memory}
        return {
            "layout": self.placement.to_json(),
            "derived": self.derived.to_json(),
            "model": self.shape.to_json() if self.shape else None,
            "memory": {**memory, "change_first": self.change.to_json() if self.change else None},
        }


def describe(
    recipe: OfflineRecipe | RlRecipe,
    shape: ModelShape | LrmctlError,
    *,
    device: str,
    dtype: str,
    data: DataFacts = DataFacts(),
    host_memory: int | None = None,
    critic: ModelShape | None = None,
    colocated: Sequence[ColocatedModel] = (),
) -> PlanSummary:
    """Placement, derived numbers and memory of a recipe.

    Args:
        shape: of the model, or the error that says why it is unknown.
        device, dtype: resolved, not `auto`.
        host_memory: bytes of this machine's memory, the capacity for a run on CPU.
        critic: shape of PPO's value model, if different.
        colocated: models of the reward service on the run's GPUs.

    Raises:
        RecipeError: an unknown `layout.gpu_type`.
    """
    placed = placement(recipe, device)
    target = _target(recipe, device, dtype, host_memory)
    known = None if isinstance(shape, LrmctlError) else shape
    derived = derive(recipe, data, known, 4 if dtype == "fp32" else 2)
    if isinstance(shape, LrmctlError):
        return PlanSummary(placed, derived, None, None, None, shape.what)

    def again(changed: OfflineRecipe | RlRecipe) -> MemoryEstimate:
        return estimate(changed, shape, placement(changed, device), target, data.lengths, critic, colocated)

    memory = again(recipe)
    change = first_change(recipe, memory, again) if device == "cuda" else None
    return PlanSummary(placed, derived, shape, memory, change)


def _target(recipe: OfflineRecipe | RlRecipe, device: str, dtype: str, host_memory: int | None) -> GpuTarget:
    name = recipe.layout.gpu_type
    if device == "cpu":
        return GpuTarget(device, dtype, host_memory, "this host" if host_memory else "")
    return GpuTarget(device, dtype, gpu_memory(name) if name else None, name or "")
