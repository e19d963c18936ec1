"""Where a study's stages run: worker processes of this machine, each on GPUs of its own, or jobs of a cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol

from lrmctl._util.accelerators import visible_gpus
from lrmctl._util.workers import Workers
from lrmctl.studies.host_memory import HostMemory
from lrmctl.studies.resources import GpuPool, environment
from lrmctl.studies.stages import OnEvent, StudyEvent, StudyTask, is_finished

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false"}


class StageExecutor(Protocol):
    """Runs stages that are ready, several at a time. A context manager: leaving it by an error ends what runs."""

    @property
    def free(self) -> bool:
        """Whether one more stage may run, whatever it needs."""
        ...

    @property
    def busy(self) -> bool:
        """Whether a stage is running."""
        ...

    @property
    def shares_gpus(self) -> bool:
        """Whether there are GPUs that stages may have to wait for."""
        ...

    def fits(self, task: StudyTask) -> bool:
        """Whether the GPUs and the memory that a task needs are free."""
        ...

    def start(self, task: StudyTask) -> None:
        """Start a task; returns at once."""
        ...

    def events(self, wait: float) -> Iterator[StudyEvent]:
        """Events so far; waits at most `wait` seconds for the first."""
        ...

    def finished(self) -> Iterator[tuple[str, Exception | None]]:
        """Tasks that have ended since the last call, each with its error or None."""
        ...

    def __enter__(self) -> StageExecutor: ...

    def __exit__(self, kind: type[BaseException] | None, *_: TracebackType | BaseException | None) -> None: ...


class LocalExecutor:
    """Stages in worker processes of this machine.

    Args:
        run_stage: runs one task, in a worker process.
        jobs: most stages at a time.
        gpus: names of the GPUs to share out; those that this process sees if None.
        memory: of this machine.
    """

    def __init__(
        self,
        run_stage: Callable[[StudyTask, OnEvent], None],
        jobs: int,
        gpus: Sequence[str] | None = None,
        memory: HostMemory | None = None,
    ) -> None:
        for name, value in ONE_THREAD.items():  # inherited by the workers, which share the machine
            os.environ.setdefault(name, value)
        self._run_stage = run_stage
        self._pool = GpuPool(visible_gpus() if gpus is None else gpus)
        self._workers = Workers(jobs, fresh=bool(self._pool))  # a process keeps the GPUs that it first saw
        self._memory = memory or HostMemory()
        self._waits: dict[str, StudyEvent] = {}
        self._told: set[str] = set()

    def __enter__(self) -> LocalExecutor:
        self._workers.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: TracebackType | BaseException | None) -> None:
        self._workers.__exit__(kind, *rest)

    @property
    def free(self) -> bool:
        return self._workers.free

    @property
    def busy(self) -> bool:
        return self._workers.busy

    @property
    def shares_gpus(self) -> bool:
        return bool(self._pool)

    def fits(self, task: StudyTask) -> bool:
        if not self._pool.fits(task.gpus):
            return False
        if not self._on_cpu(task) or self._memory.fits(task):
            return True
        if task.name not in self._told:
            self._told.add(task.name)
            self._waits[task.name] = StudyEvent(task.arm, task.stage, "progress", self._memory.why(task))
        return False

    def _on_cpu(self, task: StudyTask) -> bool:
        return task.on_cpu or not self._pool

    def start(self, task: StudyTask) -> None:
        env: Mapping[str, str] = {}
        if self._pool:
            env = environment(self._pool.take(task.name, task.gpus), on_cpu=task.on_cpu)
        if self._on_cpu(task):
            self._memory.take(task)
        self._workers.start(task.name, self._run_stage, task, env)

    def events(self, wait: float) -> Iterator[Any]:
        while self._waits:
            yield self._waits.popitem()[1]
        yield from self._workers.events(wait)

    def finished(self) -> Iterator[tuple[str, Exception | None]]:
        for name, error in self._workers.finished():
            self._pool.give_back(name)
            self._memory.give_back(name)
            yield name, error


def local_executor(
    tasks: Mapping[str, StudyTask], run_stage: Callable[[StudyTask, OnEvent], None], jobs: int
) -> LocalExecutor:
    """This machine's; the GPUs are only looked for if something is left to run."""
    unfinished = any(not is_finished(task) for task in tasks.values())
    return LocalExecutor(run_stage, jobs, None if unfinished else ())
