"""One engine spread over workers, each with a GPU of its own: processes of this machine, or actors of a Ray cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrmctl._util.lazy import lazy_names

if TYPE_CHECKING:
    from lrmctl.engines.spread.choice import crew_of
    from lrmctl.engines.spread.crew import Crew
    from lrmctl.engines.spread.engine import SpreadEngine
    from lrmctl.engines.spread.processes import ProcessCrew
    from lrmctl.engines.spread.ray_actors import RayCrew

__all__ = [
    "Crew",
    "ProcessCrew",
    "RayCrew",
    "SpreadEngine",
    "crew_of",
]

__getattr__ = lazy_names(
    __name__,
    {
        "choice": ("crew_of",),
        "crew": ("Crew",),
        "engine": ("SpreadEngine",),
        "processes": ("ProcessCrew",),
        "ray_actors": ("RayCrew",),
    },
)
