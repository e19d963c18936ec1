"""The memory of this machine that trainings on CPU share: two that do not fit side by side run one after the other."""

from __future__ import annotations

from lrmctl.errors import LrmctlError
from lrmctl.studies.stages import StudyTask

SHARE = 0.9
"""Share of the machine's memory that trainings may take together."""
SMALL = 256 * 1024**2
"""Bytes of a model's weights below which its training is not planned: it fits beside anything."""


class HostMemory:
    """What is planned for the trainings that run.

    Args:
        total: bytes of this machine; its own if None.
    """

    def __init__(self, total: int | None = None) -> None:
        self._total = total
        self._taken: dict[str, int] = {}
        self._needed: dict[str, int] = {}

    def fits(self, task: StudyTask) -> bool:
        """Whether a task fits beside those that run; the only training always does."""
        needed = self._need(task)
        return not needed or not self._taken or sum(self._taken.values()) + needed <= SHARE * self.total

    @property
    def total(self) -> int:
        if self._total is None:
            import psutil

            self._total = int(psutil.virtual_memory().total)
        return self._total

    def why(self, task: StudyTask) -> str:
        """Why a task waits."""
        gib = 1024**3
        others = " and ".join(name.partition(":")[2] for name in self._taken)
        needed, taken = self._need(task) / gib, sum(self._taken.values()) / gib
        return f"waits: it needs {needed:.1f} GiB, {others} {taken:.1f}, and this machine has {self.total / gib:.1f}"

    def take(self, task: StudyTask) -> None:
        if needed := self._need(task):
            self._taken[task.name] = needed

    def give_back(self, name: str) -> None:
        self._taken.pop(name, None)

    def _need(self, task: StudyTask) -> int:
        if task.name not in self._needed:
            self._needed[task.name] = planned_bytes(task)
        return self._needed[task.name]


def planned_bytes(task: StudyTask) -> int:
    """Memory of this machine that a training on CPU takes at its peak, by its plan.

    0 for a small model, for other stages, which take what is free, and where there is no plan.
    """
    if task.stage != "train" or task.loaded is None or _weights(task) < SMALL:
        return 0
    from lrmctl.training.plan import plan_training

    try:
        plan = plan_training(
            task.loaded,
            runs_dir=task.folder.parent,
            name=task.folder.name,
            model=str(task.model),
            resume=(task.folder / "lock.json").exists(),
            restart="allow",
            allow_missing=True,
            render=False,
        )
    except LrmctlError:  # told when the training starts
        return 0
    return plan.summary.memory.peak if plan.summary.memory else 0


def _weights(task: StudyTask) -> int:
    return sum(file.stat().st_size for file in task.model.glob("*.safetensors"))
