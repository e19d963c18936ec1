"""What all plans for OpenRLHF share: how a job is checked, and how it becomes a plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lrmctl.backends.base import TrainJob
from lrmctl.backends.job_data import json_lines
from lrmctl.backends.openrlhf import common, rules
from lrmctl.backends.openrlhf.common import ComputeTarget
from lrmctl.backends.openrlhf.rules.model import model_problems
from lrmctl.recipe.problems import raise_for
from lrmctl.types import Plan

EVAL_DATA = "data/eval.jsonl"


@dataclass(frozen=True)
class CheckedJob:
    """A job that OpenRLHF can run.

    Attributes:
        flags: of the command line, including the recipe's `backend.flags`.
        parsed: every flag as OpenRLHF parses it, defaults included.
        notes: allowed, but worth knowing.
    """

    job: TrainJob
    target: ComputeTarget
    flags: Mapping[str, Any]
    parsed: Mapping[str, Any]
    notes: tuple[str, ...]

    def plan(
        self,
        argv: tuple[str, ...],
        env: Mapping[str, str],
        files: Mapping[str, str],
        estimates: Mapping[str, Any],
        secrets: Mapping[str, str] | None = None,
    ) -> Plan:
        """The plan of the job; `estimates` are added to device and precision."""
        return Plan(
            backend="openrlhf",
            kind=self.job.recipe.kind,
            argv=argv,
            env=env,
            files=files,
            secrets=secrets or {},
            resources=common.resources(self.job.recipe, self.target),
            estimates={"device": self.target.device, "dtype": self.target.dtype, **estimates},
            notes=(*self.notes, *common.notes(self.job, self.target)),
        )


def check_job(job: TrainJob, target: ComputeTarget, flags: Mapping[str, Any]) -> CheckedJob:
    """Check a job's flags and its model against each other.

    Args:
        flags: those that follow from the job; the recipe's `backend.flags` are applied on top.

    Raises:
        RecipeError: the recipe asks for something that OpenRLHF cannot do.
    """
    recipe = job.recipe
    merged, problems = rules.check_flags(recipe, target, flags)
    parsed = rules.parsed_flags(recipe, merged)
    raise_for([*problems, *model_problems(recipe, job.described_by, parsed)])
    return CheckedJob(job, target, merged, parsed, tuple(note.what for note in problems))


def data_files(job: TrainJob, train_data: str, rows: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The JSONL files of rows to train on and, if there are any, to evaluate on."""
    files = {train_data: json_lines(rows)}
    return files | {EVAL_DATA: json_lines(job.eval_rows)} if job.eval_rows else files
