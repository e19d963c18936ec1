"""A preference recipe as a plan for `openrlhf.cli.train_dpo`.

Prompt, chosen and rejected response arrive rendered, as in SFT. What both responses begin with, if the pair says so, is
part of the prompt, on which OpenRLHF takes no loss. The reference model is the model that the run starts from: it is
named explicitly, so that a resumed run keeps it.
"""

from __future__ import annotations

from lrmctl.backends.base import TrainJob
from lrmctl.backends.openrlhf import common
from lrmctl.backends.openrlhf.flags.preference import recipe_flags
from lrmctl.backends.openrlhf.plans.offline import offline_plan
from lrmctl.errors import RecipeError
from lrmctl.recipe.schema.preference import PreferenceRecipe
from lrmctl.types import Plan


def plan(job: TrainJob) -> Plan:
    """The plan of a preference job.

    Raises:
        RecipeError: if the recipe asks for something that OpenRLHF cannot do.
    """
    recipe, pairs = job.recipe, len(job.rows)
    assert isinstance(recipe, PreferenceRecipe)
    target = common.compute_target(recipe.backend, recipe.layout, job.here)
    if pairs < recipe.train.batch_size:  # OpenRLHF divides by whole steps of an epoch
        what = f"{pairs} pairs are less than one step of {recipe.train.batch_size}"
        raise RecipeError(what, "train.batch_size", "use more pairs or a smaller batch")
    flags = {"ref.model_name_or_path": str(job.model_path), **recipe_flags(recipe, target)}
    return offline_plan(job, "train_dpo", target, flags)
