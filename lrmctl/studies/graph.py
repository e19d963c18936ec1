"""Runs a study's stages in dependency order, as many at a time as their executor takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from graphlib import TopologicalSorter

from lrmctl.studies.executors import StageExecutor
from lrmctl.studies.stages import STAGES, OnEvent, StudyEvent, StudyTask, is_finished


def run_graph(
    tasks: Mapping[str, StudyTask],
    executor: StageExecutor,
    on_event: OnEvent,
    on_failure: Callable[[Mapping[str, str]], None] = lambda _: None,
) -> dict[str, str]:
    """Run all tasks in dependency order; returns failed cells -> reason.

    Args:
        on_failure: called with the failures so far whenever there is one more.
    """
    with executor:
        return _Graph(tasks, executor, on_event, on_failure).run()


class _Graph:
    def __init__(
        self,
        tasks: Mapping[str, StudyTask],
        executor: StageExecutor,
        on_event: OnEvent,
        on_failure: Callable[[Mapping[str, str]], None],
    ) -> None:
        self._tasks, self._executor = tasks, executor
        self._on_event, self._on_failure = on_event, on_failure
        needs = {name: [n for n in (*task.needs, *task.after) if n in tasks] for name, task in tasks.items()}
        self._order: TopologicalSorter[str] = TopologicalSorter(needs)
        self._needed = {need for task in tasks.values() if task.stage in ("train", "build") for need in task.needs}
        self._failed: dict[str, str] = {}
        self._holes: dict[str, str] = {}
        self._started: dict[str, float] = {}

    def run(self) -> dict[str, str]:
        self._order.prepare()
        waiting: list[StudyTask] = []
        while self._order.is_active():
            waiting += [self._tasks[name] for name in self._order.get_ready()]
            waiting.sort(key=self._priority)
            waiting = [task for task in waiting if not self._settled(task)]
            for task in self._startable(waiting):
                waiting.remove(task)
                self._start(task)
            for event in self._executor.events(0.2 if self._executor.busy else 0.0):
                self._on_event(event)
            for name, error in self._executor.finished():
                self._end(self._tasks[name], error)
        return self._holes

    def _startable(self, waiting: Sequence[StudyTask]) -> Iterator[StudyTask]:
        """Tasks that can start now. Only what needs no GPU overtakes a task that waits for GPUs."""
        blocked = False
        for task in list(waiting):
            if not self._executor.free:
                return
            if task.gpus and blocked:
                continue
            if not self._executor.fits(task):
                blocked = blocked or (task.gpus > 0 and self._executor.shares_gpus)
                continue
            yield task

    def _priority(self, task: StudyTask) -> tuple[int, int]:
        """What others start from and RL training, which takes longest, first; then the base, which analyses need."""
        long = task.loaded is not None and task.loaded.recipe.kind == "rl"
        first = long or task.name in self._needed
        return (0 if first else 1 if task.is_base else 2, STAGES.index(task.stage))

    def _settled(self, task: StudyTask) -> bool:
        """Whether nothing has to run for a task: it is finished, or what it needs has failed."""
        if is_finished(task):
            self._on_event(StudyEvent(task.arm, task.stage, "kept"))
        elif broken := next((need for need in task.needs if need in self._failed), None):
            self._skip(task, broken)
        else:
            return False
        self._order.done(task.name)
        return True

    def _skip(self, task: StudyTask, broken: str) -> None:
        start = broken.partition(":")[2]
        if task.stage == "remove":  # the weights are kept for the next try
            return
        if start == task.arm:
            self._failed[task.name] = self._failed[broken]
            self._on_event(StudyEvent(task.arm, task.stage, "skipped"))
            return
        done = "built" if task.stage == "build" else "trained"
        needed = f"{'its start' if broken.startswith('train:') else 'what it needs'}, {start},"
        self._fail(task, f"not {done}: {needed} failed: {_first_line(self._holes.get(start, ''))}")
        self._on_event(StudyEvent(task.arm, task.stage, "skipped", f"{needed} failed"))

    def _start(self, task: StudyTask) -> None:
        self._started[task.name] = time.monotonic()
        self._on_event(StudyEvent(task.arm, task.stage, "start"))
        self._executor.start(task)

    def _end(self, task: StudyTask, error: Exception | None) -> None:
        if error is not None:
            self._fail(task, str(error))
        state, seconds = "done" if error is None else "failed", time.monotonic() - self._started[task.name]
        self._on_event(StudyEvent(task.arm, task.stage, state, str(error or ""), seconds=seconds))
        self._order.done(task.name)

    def _fail(self, task: StudyTask, reason: str) -> None:
        self._failed[task.name] = reason
        self._holes.setdefault(task.arm, reason)
        self._on_failure(self._holes)


def _first_line(text: str) -> str:
    return text.splitlines()[0] if text else "see above"
