"""A run of OpenRLHF, during and after training: metrics, checkpoints, evaluations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrmctl._util.lazy import lazy_names

if TYPE_CHECKING:
    from lrmctl.backends.openrlhf.run.adapters import is_adapter, merge_adapter
    from lrmctl.backends.openrlhf.run.evaluations import Evaluations, keep_best
    from lrmctl.backends.openrlhf.run.metrics import Recorder

__all__ = [
    "Evaluations",
    "Recorder",
    "is_adapter",
    "keep_best",
    "merge_adapter",
]

__getattr__ = lazy_names(
    __name__,
    {
        "adapters": (
            "is_adapter",
            "merge_adapter",
        ),
        "evaluations": (
            "Evaluations",
            "keep_best",
        ),
        "metrics": ("Recorder",),
    },
)
