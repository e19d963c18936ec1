"""A study: one base model, several recipes, the same evaluation of each, one report."""

from __future__ import annotations

from lrmctl.studies.run import run_study
from lrmctl.studies.stages import StudyEvent, StudyTask

__all__ = [
    "StudyEvent",
    "StudyTask",
    "run_study",
]
