"""The GPUs of this machine: how many a stage needs, and which ones it gets, so that no two stages share one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lrmctl._util.accelerators import VISIBLE
from lrmctl.planning.layout import placement
from lrmctl.recipe.schema.engines import HfOptions
from lrmctl.recipe.schema.recipes import OfflineRecipe, RlRecipe

if TYPE_CHECKING:
    from lrmctl.recipe.schema.evaluation import EvalSection
    from lrmctl.recipe.schema.recipes import AnyRecipe, DataRecipe


@dataclass(frozen=True)
class TrainingUse:
    """What a training occupies.

    Attributes:
        gpus: on all nodes together.
        on_cpu: it must not see a GPU.
        starts_cluster: it starts processes on several GPUs or nodes by itself, through Ray.
    """

    gpus: int
    on_cpu: bool = False
    nodes: int = 1
    starts_cluster: bool = False


def use_of_training(recipe: AnyRecipe, *, on_cluster: bool = False) -> TrainingUse:
    """What a training occupies: of this machine, or of the cluster that the whole study runs on.

    On this machine a training that is launched elsewhere (Slurm, Ray) uses none of it.
    """
    assert isinstance(recipe, (OfflineRecipe, RlRecipe))
    own = isinstance(recipe, RlRecipe)
    if not on_cluster and recipe.launch.via != "local":
        return TrainingUse(0)
    if recipe.backend.device == "cpu":
        return TrainingUse(0, on_cpu=True, starts_cluster=own)
    placed = placement(recipe, "cuda")
    return TrainingUse(placed.gpus, nodes=placed.nodes, starts_cluster=own)


def gpus_of_evaluation(section: EvalSection | DataRecipe) -> int:
    """GPUs of an evaluation or a build: the engine's; one where only judges may need it, and where `workers: auto`
    takes what it is given."""
    engine = section.engine
    if isinstance(engine, HfOptions):
        return engine.workers if isinstance(engine.workers, int) and engine.device != "cpu" else 1
    return int(getattr(engine, "tensor_parallel", None) or 1)


class GpuPool:
    """The free GPUs of this machine. A stage gets its own until it ends."""

    def __init__(self, gpus: Iterable[str]) -> None:
        self._all = tuple(gpus)
        self._free = list(self._all)
        self._taken: dict[str, list[str]] = {}

    def __bool__(self) -> bool:
        return bool(self._all)

    def fits(self, gpus: int) -> bool:
        """Whether so many are free; a stage that asks for more than there are waits for all of them."""
        return min(gpus, len(self._all)) <= len(self._free)

    def take(self, task: str, gpus: int) -> tuple[str, ...]:
        """Take GPUs for a task; fewer than asked for if the machine has fewer."""
        count = min(gpus, len(self._all))
        taken, self._free = self._free[:count], self._free[count:]
        self._taken[task] = taken
        return tuple(taken)

    def give_back(self, task: str) -> None:
        self._free = sorted([*self._free, *self._taken.pop(task, [])], key=self._all.index)


def environment(gpus: tuple[str, ...], *, on_cpu: bool) -> Mapping[str, str]:
    """The environment of a stage's process that lets it see these GPUs only."""
    return {VISIBLE: ",".join(gpus)} if gpus or on_cpu else {}
