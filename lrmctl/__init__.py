"""lrmctl: train large reasoning models to be safer in their thinking and answers, and measure the result.

The core types (`Prompt`, `Trace`, `Verdict`, ...) and `hookimpl` are for plugins. `train`, `evaluate`, `analyze`,
`compare`, `study`, `report`, `publish`, `load_run`, `make_judge` and `make_reward` are the commands as functions
(docs/python.md), imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lrmctl._util.version import __version__
from lrmctl.hooks.specs import hookimpl
from lrmctl.types import Kind, Part, Plan, Prompt, Score, Trace, Verdict

if TYPE_CHECKING:
    from lrmctl.api import (
        Evaluation,
        Published,
        Run,
        analyze,
        compare,
        evaluate,
        evaluate_checkpoints,
        load_run,
        make_judge,
        make_reward,
        publish,
        report,
        study,
        train,
    )


__all__ = [
    "Evaluation",
    "Kind",
    "Part",
    "Plan",
    "Prompt",
    "Published",
    "Run",
    "Score",
    "Trace",
    "Verdict",
    "__version__",
    "analyze",
    "compare",
    "evaluate",
    "evaluate_checkpoints",
    "hookimpl",
    "load_run",
    "make_judge",
    "make_reward",
    "publish",
    "report",
    "study",
    "train",
]


def __getattr__(name: str) -> Any:
    """Import the functions of `lrmctl.api` on first use (PEP 562)."""
    if name in __all__:
        from lrmctl import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
