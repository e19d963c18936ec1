"""An SFT recipe as a plan for `openrlhf.cli.train_sft`.

Prompt and response arrive rendered: OpenRLHF's chat-template path loses the thinking with templates that strip it. So
the input template is `{}` (its default would add `User: ` and `Assistant: `) and no chat template is applied.
"""

from __future__ import annotations

from typing import Any

from lrmctl.backends.base import TrainJob
from lrmctl.backends.openrlhf import common
from lrmctl.backends.openrlhf.flags.sft import recipe_flags
from lrmctl.backends.openrlhf.plans.offline import offline_plan
from lrmctl.backends.openrlhf.weights import weights_env
from lrmctl.backends.weight_runs import VALUES
from lrmctl.recipe.schema.recipes import SftRecipe
from lrmctl.types import Plan


def plan(job: TrainJob) -> Plan:
    """The plan of an SFT job.

    Raises:
        RecipeError: if the recipe asks for something that OpenRLHF cannot do.
    """
    recipe = job.recipe
    assert isinstance(recipe, SftRecipe)
    target = common.compute_target(recipe.backend, recipe.layout, job.here)
    return offline_plan(job, "train_sft", target, recipe_flags(recipe, target), _weights(job, recipe))


def _weights(job: TrainJob, recipe: SftRecipe) -> dict[str, str]:
    """What turns weights in the loss on, if there are any."""
    section = recipe.data.loss_weights
    if section.importance is None and not any(VALUES in row for row in job.rows):
        return {}
    settings: dict[str, Any] = {"normalise": section.normalise}
    if how := section.importance:
        settings["importance"] = {
            **how.model_dump(include={"level", "gamma", "block"}),
            **dict(zip(("low", "high"), how.clip, strict=True)),
            **dict(zip(("log_low", "log_high"), how.log_clip, strict=True)),
        }
    return weights_env(settings)
