"""How many workers an engine has and where they run. Starts none."""

from __future__ import annotations

import os
from typing import Literal

from lrmctl._util.accelerators import IN_RAY_JOB, visible_gpus
from lrmctl.engines.spread.crew import Crew
from lrmctl.engines.spread.processes import ProcessCrew


def crew_of(workers: int | Literal["auto"], device: str) -> Crew | None:
    """The workers of an engine; None if there is only one, which needs no process of its own.

    Args:
        workers: `auto` is one for each GPU that this process sees; more than it sees share them, or in a job of a Ray
            cluster are actors on any of its nodes.
        device: `auto`, `cpu`, `cuda` or one GPU, which is for one worker.
    """
    if workers == 1 or (workers == "auto" and (device == "cpu" or ":" in device)):
        return None
    gpus = () if device == "cpu" else visible_gpus()
    count = workers if isinstance(workers, int) else len(gpus)
    if count <= 1:
        return None
    if count > len(gpus) and os.environ.get(IN_RAY_JOB):
        from lrmctl.engines.spread.ray_actors import RayCrew

        return RayCrew(count, device)
    return ProcessCrew(count, gpus, device)
