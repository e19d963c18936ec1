"""Stages of a study as jobs of a cluster. What runs goes on when this process is killed, and is found again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrmctl._util.lazy import lazy_names

if TYPE_CHECKING:
    from lrmctl.studies.cluster.choice import check_cluster, stage_jobs
    from lrmctl.studies.cluster.executor import ClusterExecutor
    from lrmctl.studies.cluster.jobs import JobState, StageJob, StageJobs

__all__ = [
    "ClusterExecutor",
    "JobState",
    "StageJob",
    "StageJobs",
    "check_cluster",
    "stage_jobs",
]

__getattr__ = lazy_names(
    __name__,
    {
        "choice": ("check_cluster", "stage_jobs"),
        "executor": ("ClusterExecutor",),
        "jobs": ("JobState", "StageJob", "StageJobs"),
    },
)
