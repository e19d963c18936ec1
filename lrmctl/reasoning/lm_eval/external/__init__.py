"""lm-eval tasks, run on a reasoning model and scored by their own code."""

from __future__ import annotations

from lrmctl.reasoning.lm_eval.external.run import ExternalRun
from lrmctl.reasoning.lm_eval.external.task import ExternalTask

__all__ = ["ExternalRun", "ExternalTask"]
