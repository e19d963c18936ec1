"""All that can be said of a run beforehand, from the recipe and what is known of its model and data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lrmctl.errors import LrmctlError
from lrmctl.planning.colocated import Guest
from lrmctl.planning.derived import Data, Derived, derive
from lrmctl.planning.gpus import gpu_memory
from lrmctl.planning.layout import Placement, placement
from lrmctl.planning.memory import Memory, Target, estimate
from lrmctl.planning.model_shape import ModelShape
from lrmctl.planning.suggestions import Change, first_change
from lrmctl.recipe.schema.recipes import RlRecipe, SftRecipe


@dataclass(frozen=True)
class Planning:
    """The sections of a plan that cost nothing.

    Attributes:
        shape: of the model; None if it is not known, and then `why_no_memory` says why.
        change: what to change first, if the run does not fit well.
    """

    placement: Placement
    derived: Derived
    shape: ModelShape | None
    memory: Memory | None
    change: Change | None
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
    recipe: SftRecipe | RlRecipe,
    shape: ModelShape | LrmctlError,
    *,
    device: str,
    dtype: str,
    data: Data = Data(),
    host_memory: int | None = None,
    critic: ModelShape | None = None,
    guests: Sequence[Guest] = (),
) -> Planning:
    """Placement, derived numbers and memory of a recipe.

    Args:
        shape: of the model, or why it is not known.
        device, dtype: the effective ones.
        host_memory: bytes of this machine, which a run on CPU is held against.
        critic: shape of PPO's value model, if it is another model.
        guests: models of the reward service on the run's GPUs.

    Raises:
        RecipeError: an unknown `layout.gpu_type`.
    """
    placed = placement(recipe, device)
    target = _target(recipe, device, dtype, host_memory)
    known = None if isinstance(shape, LrmctlError) else shape
    derived = derive(recipe, data, known, 4 if dtype == "fp32" else 2)
    if isinstance(shape, LrmctlError):
        return Planning(placed, derived, None, None, None, shape.what)

    def again(changed: SftRecipe | RlRecipe) -> Memory:
        return estimate(changed, shape, placement(changed, device), target, data.lengths, critic, guests)

    memory = again(recipe)
    change = first_change(recipe, memory, again) if device == "cuda" else None
    return Planning(placed, derived, shape, memory, change)


def _target(recipe: SftRecipe | RlRecipe, device: str, dtype: str, host_memory: int | None) -> Target:
    name = recipe.layout.gpu_type
    if device == "cpu":
        return Target(device, dtype, host_memory, "this host" if host_memory else "")
    return Target(device, dtype, gpu_memory(name) if name else None, name or "")


def sections(planned: Planning) -> Mapping[str, Any]:
    """What plan.json holds of it."""
    return planned.to_json()
