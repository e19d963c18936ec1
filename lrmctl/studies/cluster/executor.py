"""A study's stages as jobs of a cluster: submitted, followed, and found again after this process was killed."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from lrmctl._util.tail import FileTail
from lrmctl.errors import BackendError, LrmctlError
from lrmctl.runs.writing import write_json
from lrmctl.studies.cluster.job import JobFiles, RunStage
from lrmctl.studies.cluster.jobs import JobState, Record, StageJob, StageJobs
from lrmctl.studies.executors import ONE_THREAD
from lrmctl.studies.resources import VISIBLE, GpuPool
from lrmctl.studies.stages import StudyEvent, StudyTask, is_finished

SILENCE_TIMEOUT_S = 300.0
"""Seconds without an answer from the cluster after which the study is given up; its jobs go on."""
STAMP_TIMEOUT_S = 30.0
"""Seconds to wait for the results of a job that ended well: a network file system may show them late."""
_FORWARDED = re.compile(r"LRMCTL_|HF_|TRANSFORMERS_|PYTHONPATH$|OMP_NUM_THREADS$|TOKENIZERS_PARALLELISM$")
_SECRET = re.compile(r"TOKEN|KEY|SECRET|PASSWORD")


@dataclass
class _Running:
    task: StudyTask
    record: Record
    tail: FileTail
    ended: JobState | None = None
    since: float = 0.0


class ClusterExecutor:
    """Runs stages through `jobs`, several at a time.

    Args:
        folder: the study's, at the same path on every node.
        run_stage: runs one task, in the job.
        tasks: all of the study's; a cluster that keeps an order gets them at once.
        most: stages at a time; None leaves it to the cluster.
    """

    def __init__(
        self,
        jobs: StageJobs,
        folder: Path,
        run_stage: RunStage,
        tasks: Mapping[str, StudyTask],
        most: int | None,
    ) -> None:
        self._jobs, self._folder, self._run_stage, self._tasks, self._most = jobs, folder, run_stage, tasks, most
        gpus = jobs.gpus()
        self._pool = None if gpus is None else GpuPool(map(str, range(gpus)))
        self._running: dict[str, _Running] = {}
        self._queued: dict[str, Record] = {}
        self._pending: list[StudyEvent] = []
        self._asked = self._heard = time.monotonic()

    def __enter__(self) -> ClusterExecutor:
        if self._jobs.keeps_order:
            self._queue()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: TracebackType | BaseException | None) -> None:
        if kind is None:
            return
        for record in {**self._queued, **{name: one.record for name, one in self._running.items()}}.values():
            with contextlib.suppress(LrmctlError, OSError):
                self._jobs.stop(record)

    @property
    def free(self) -> bool:
        return self._most is None or len(self._running) < self._most

    @property
    def busy(self) -> bool:
        return bool(self._running)

    def fits(self, task: StudyTask) -> bool:
        return self._pool is None or self._pool.fits(task.gpus)

    def start(self, task: StudyTask) -> None:
        if self._pool is not None:
            self._pool.take(task.name, task.gpus)
        files = JobFiles.of(self._folder, task)
        tail = FileTail(files.events, from_end=True)
        record = self._queued.get(task.name) or self._attached(task, files) or self._submit(task, files)
        self._running[task.name] = _Running(task, record, tail)

    def events(self, wait: float) -> Iterator[StudyEvent]:
        if not self._pending:
            time.sleep(wait)
        found, self._pending = self._pending, []
        yield from found
        for one in self._running.values():
            yield from JobFiles.of(self._folder, one.task).new_events(one.tail)

    def finished(self) -> Iterator[tuple[str, Exception | None]]:
        self._ask()
        for name, one in list(self._running.items()):
            if one.ended is None:
                continue
            done = is_finished(one.task)
            if not done and one.ended.state == "done" and time.monotonic() - one.since < STAMP_TIMEOUT_S:
                continue
            self._pending += JobFiles.of(self._folder, one.task).new_events(one.tail)
            del self._running[name]
            if self._pool is not None:
                self._pool.give_back(name)
            yield name, None if done else self._error(one)

    def _ask(self) -> None:
        """Ask where the jobs stand, not too often."""
        waiting = [one for one in self._running.values() if one.ended is None]
        now = time.monotonic()
        if not waiting or now - self._asked < self._jobs.poll_interval:
            return
        self._asked = now
        try:
            states = self._jobs.states([one.record for one in waiting])
        except (OSError, RuntimeError, LrmctlError) as error:
            if now - self._heard > SILENCE_TIMEOUT_S:
                raise BackendError(
                    f"the cluster does not answer any more: {error}",
                    str(self._folder),
                    "its jobs go on; the same command finds them again",
                ) from None
            return
        self._heard = now
        for one, state in zip(waiting, states, strict=True):
            if not state.active:
                one.ended, one.since = state, now

    def _error(self, one: _Running) -> Exception:
        files = JobFiles.of(self._folder, one.task)
        assert one.ended is not None
        said = files.read_error() or one.ended.reason or "it ended without a result"
        return BackendError(said, str(files.log))

    def _attached(self, task: StudyTask, files: JobFiles) -> Record | None:
        """The record of a job for the same task that an earlier process started and that still runs."""
        record: Record = files.read_record()
        if record.get("key") != task.key or not (record := self._jobs.found(record)).get("id"):
            return None
        (state,) = self._jobs.states([record])
        if not state.active:
            return None
        self._pending.append(StudyEvent(task.arm, task.stage, "progress", f"goes on as job {record['id']}"))
        return record

    def _submit(self, task: StudyTask, files: JobFiles, queued: bool = False) -> Record:
        files.write(self._jobs.placed(task), self._run_stage)
        job = self._job(task, files, queued)
        record = {**self._jobs.new_record(job), "key": task.key}
        write_json(files.record, record)
        record = {**self._jobs.submit(job, record), "key": task.key}
        write_json(files.record, record)
        return record

    def _job(self, task: StudyTask, files: JobFiles, queued: bool) -> StageJob:
        per_node = -(-task.gpus // task.nodes)
        return StageJob(
            name=re.sub(r"[^A-Za-z0-9.-]+", "-", f"{self._folder.name}-{task.stage}-{task.arm}"),
            argv=[sys.executable, "-m", "lrmctl.studies.cluster.job", str(files.task)],
            env=_environment(task),
            cwd=self._folder,
            log=files.log,
            nodes=task.nodes,
            gpus=per_node,
            cluster=task.starts_cluster,
            after=self._records(task.needs) if queued else (),
            afterwards=self._records(task.after) if queued else (),
        )

    def _records(self, names: Sequence[str]) -> list[Record]:
        return [self._queued[name] for name in names if name in self._queued]

    def _queue(self) -> None:
        """Submit every unfinished stage at once; the cluster starts each when what it needs has ended."""
        from graphlib import TopologicalSorter

        needs = {
            name: [n for n in (*task.needs, *task.after) if n in self._tasks] for name, task in self._tasks.items()
        }
        for name in TopologicalSorter(needs).static_order():
            task = self._tasks[name]
            if not is_finished(task):
                files = JobFiles.of(self._folder, task)
                self._queued[name] = self._attached(task, files) or self._submit(task, files, queued=True)


def _environment(task: StudyTask) -> dict[str, str]:
    """Variables of this process that a stage may depend on, but no keys: a cluster shows them to its users."""
    found = {k: v for k, v in os.environ.items() if _FORWARDED.match(k) and not _SECRET.search(k)}
    if not task.gpus:
        found = {**ONE_THREAD, **found}
    return {**found, VISIBLE: ""} if task.on_cpu else found
