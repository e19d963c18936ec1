"""Checks whether a recipe can run, as far as possible without running it. Loads no model and downloads nothing."""

from __future__ import annotations

from lrmctl.preflight.arms import ArmRecipes, load_arms, study_on
from lrmctl.preflight.positions import fit_lengths
from lrmctl.preflight.trainable import trainable
from lrmctl.preflight.unseen_refusals import unseen_refusals
from lrmctl.preflight.validate import find_problems, validate
from lrmctl.recipe.problems import LocatedProblem

__all__ = [
    "ArmRecipes",
    "LocatedProblem",
    "find_problems",
    "fit_lengths",
    "load_arms",
    "study_on",
    "trainable",
    "unseen_refusals",
    "validate",
]
