"""Judges fitted on labelled text: `lrmctl judge fit` writes one into a folder, the judge `fitted` reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrmctl._util.lazy import lazy_names

if TYPE_CHECKING:
    from lrmctl.judges.fitted.classifier import ClassifierSettings
    from lrmctl.judges.fitted.fit import FitRequest, fit_judge
    from lrmctl.judges.fitted.folder import read_folder, read_manifest
    from lrmctl.judges.fitted.judge import FittedJudge
    from lrmctl.judges.fitted.manifest import FittedManifest

__all__ = [
    "ClassifierSettings",
    "FitRequest",
    "FittedJudge",
    "FittedManifest",
    "fit_judge",
    "read_folder",
    "read_manifest",
]

__getattr__ = lazy_names(
    __name__,
    {
        "classifier": ("ClassifierSettings",),
        "fit": (
            "FitRequest",
            "fit_judge",
        ),
        "folder": (
            "read_folder",
            "read_manifest",
        ),
        "judge": ("FittedJudge",),
        "manifest": ("FittedManifest",),
    },
)
