"""Checks whether a recipe can run, as far as possible without running it. Loads no model and downloads nothing."""

from __future__ import annotations

from lrmctl.preflight.positions import fit_lengths
from lrmctl.preflight.trainable import trainable
from lrmctl.preflight.unseen_refusals import unseen_refusals
from lrmctl.preflight.validate import LocatedProblem, find_problems, load_arms, validate

__all__ = [
    "LocatedProblem",
    "find_problems",
    "fit_lengths",
    "load_arms",
    "trainable",
    "unseen_refusals",
    "validate",
]
