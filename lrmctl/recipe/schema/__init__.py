"""The recipe schema as pydantic models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrmctl._util.lazy import lazy_names

if TYPE_CHECKING:
    from lrmctl.recipe.schema.analysis import AnalysisSection
    from lrmctl.recipe.schema.evaluation import EvalSection, JudgeAccuracySection
    from lrmctl.recipe.schema.recipes import (
        AnyRecipe,
        DataRecipe,
        EvalRecipe,
        OfflineRecipe,
        PreferenceRecipe,
        Recipe,
        Rejection,
        RewardSection,
        RlRecipe,
        SftRecipe,
        StudyRecipe,
    )
    from lrmctl.recipe.schema.sections import BackendSection, Launch, Layout, Optimizer, Use

__all__ = [
    "AnalysisSection",
    "AnyRecipe",
    "BackendSection",
    "DataRecipe",
    "EvalRecipe",
    "EvalSection",
    "JudgeAccuracySection",
    "Launch",
    "Layout",
    "OfflineRecipe",
    "Optimizer",
    "PreferenceRecipe",
    "Recipe",
    "Rejection",
    "RewardSection",
    "RlRecipe",
    "SftRecipe",
    "StudyRecipe",
    "Use",
]

__getattr__ = lazy_names(
    __name__,
    {
        "analysis": ["AnalysisSection"],
        "recipes": [
            "AnyRecipe",
            "DataRecipe",
            "EvalRecipe",
            "OfflineRecipe",
            "PreferenceRecipe",
            "Recipe",
            "Rejection",
            "RewardSection",
            "RlRecipe",
            "SftRecipe",
            "StudyRecipe",
        ],
        "evaluation": ["EvalSection", "JudgeAccuracySection"],
        "sections": ["BackendSection", "Launch", "Layout", "Optimizer", "Use"],
    },
)
