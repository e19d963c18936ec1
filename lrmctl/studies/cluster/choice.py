"""The cluster that a study's `launch:` section asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrmctl.studies.cluster.jobs import StageJobs

if TYPE_CHECKING:
    from lrmctl.recipe.schema.recipes import StudyRecipe
    from lrmctl.recipe.schema.sections import Launch


def stage_jobs(launch: Launch) -> StageJobs:
    """The jobs of the cluster; `launch.via` is not `local`."""
    if launch.via == "ray":
        from lrmctl.studies.cluster.ray import RayStageJobs

        return RayStageJobs(launch)
    if launch.via == "slurm":
        from lrmctl.studies.cluster.slurm import SlurmStageJobs

        return SlurmStageJobs(launch)
    from lrmctl.studies.cluster.launched import LauncherStageJobs

    return LauncherStageJobs(launch)


def check_cluster(recipe: StudyRecipe) -> None:
    """See that the study's cluster answers, before models are fetched.

    Raises:
        LrmctlError: no job can be started there now.
    """
    if recipe.launch.via != "local":
        stage_jobs(recipe.launch).check()
