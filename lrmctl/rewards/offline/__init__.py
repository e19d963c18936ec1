"""Rewards outside a run: weights fitted on labelled completions, past rollouts rescored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrmctl._util.lazy import lazy_names

if TYPE_CHECKING:
    from lrmctl.rewards.offline.fit import Accuracy, FitSettings, FittedWeights
    from lrmctl.rewards.offline.labelled import CLASSES, label_names, read_labelled
    from lrmctl.rewards.offline.rescore import RewardDifference, differences
    from lrmctl.rewards.offline.rollouts import read_rollouts
    from lrmctl.rewards.offline.variance import VarianceShares, shares, shares_of_file

__all__ = [
    "CLASSES",
    "Accuracy",
    "FitSettings",
    "FittedWeights",
    "RewardDifference",
    "VarianceShares",
    "differences",
    "label_names",
    "read_labelled",
    "read_rollouts",
    "shares",
    "shares_of_file",
]

__getattr__ = lazy_names(
    __name__,
    {
        "fit": (
            "Accuracy",
            "FitSettings",
            "FittedWeights",
        ),
        "labelled": (
            "CLASSES",
            "label_names",
            "read_labelled",
        ),
        "rescore": (
            "RewardDifference",
            "differences",
        ),
        "rollouts": ("read_rollouts",),
        "variance": (
            "VarianceShares",
            "shares",
            "shares_of_file",
        ),
    },
)
