"""A study's stages as jobs of a cluster: submitted, followed, and found again after this process was killed."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from types import TracebackType

from lrmctl._util.accelerators import VISIBLE
from lrmctl._util.tail import FileTail
from lrmctl.errors import BackendError, LrmctlError
from lrmctl.runs.writing import write_json
from lrmctl.studies.cluster.job import STAMP_TIMEOUT_S, TOKEN, JobFiles, RunStage
from lrmctl.studies.cluster.jobs import JobState, Record, StageJob, StageJobs
from lrmctl.studies.executors import ONE_THREAD
from lrmctl.studies.resources import GpuPool
from lrmctl.studies.stages import StudyEvent, StudyTask, is_finished

SILENCE_TIMEOUT_S = 300.0
"""Seconds without an answer from the cluster after which the study is given up; its jobs go on."""
_FORWARDED = re.compile(r"LRMCTL_|HF_|TRANSFORMERS_|PYTHONPATH$|OMP_NUM_THREADS$|TOKENIZERS_PARALLELISM$")
_SECRET = re.compile(r"TOKEN|KEY|SECRET|PASSWORD")


@dataclass
class _Running:
    """A stage that was started; its record is None while the cluster does not take its job."""

    task: StudyTask
    record: Record | None
    tail: FileTail
    ended: JobState | None = None
    since: float = 0.0
    told: str = ""


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
        self._records: dict[str, Record] = {}  # of every job that may be there
        self._pending: list[StudyEvent] = []
        self._asked = self._heard = time.monotonic()
        self._silent = False

    def __enter__(self) -> ClusterExecutor:
        if self._jobs.keeps_order:
            try:
                self._queue()
            except BaseException as error:
                self.__exit__(type(error))
                raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: TracebackType | BaseException | None) -> None:
        if kind is not None and not self._silent:
            with contextlib.suppress(LrmctlError, OSError):
                self._jobs.stop_all(list(self._records.values()))

    @property
    def free(self) -> bool:
        return self._most is None or len(self._running) < self._most

    @property
    def busy(self) -> bool:
        return bool(self._running)

    @property
    def shares_gpus(self) -> bool:
        return bool(self._pool)

    def fits(self, task: StudyTask) -> bool:
        return self._pool is None or self._pool.fits(task.gpus)

    def start(self, task: StudyTask) -> None:
        if self._pool is not None:
            self._pool.take(task.name, task.gpus)
        files = JobFiles.of(self._folder, task)
        tail = FileTail(files.events, from_end=True)
        one = _Running(task, self._records.get(task.name) or self._attached(task), tail)
        self._running[task.name] = one
        if one.record is None:
            self._try_to_submit(one)

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
            done, seconds = is_finished(one.task), time.monotonic() - one.since
            if not done and one.ended.state in ("done", "gone") and seconds < STAMP_TIMEOUT_S:
                continue
            self._pending += JobFiles.of(self._folder, one.task).new_events(one.tail)
            del self._running[name]
            self._records.pop(name, None)
            if self._pool is not None:
                self._pool.give_back(name)
            if done and one.ended.state != "done":
                self._take_back_followers(name)
            yield name, None if done else self._error(one)

    def _ask(self) -> None:
        """Ask where the jobs stand, not too often."""
        now = time.monotonic()
        waiting = [one for one in self._running.values() if one.ended is None]
        if not waiting or now - self._asked < self._jobs.poll_interval:
            return
        self._asked = now
        for one in waiting:
            if one.record is None:
                self._try_to_submit(one)
        known = {name: one.record for name, one in self._running.items() if one.record and one.ended is None}
        try:
            states = self._jobs.states(list(known.values()))
        except (OSError, RuntimeError, LrmctlError) as error:
            if now - self._heard > SILENCE_TIMEOUT_S:
                self._silent = True
                raise BackendError(
                    f"the cluster does not answer any more: {error}",
                    str(self._folder),
                    "its jobs go on; the same command finds them again",
                ) from None
            return
        self._heard = now
        for name, state in zip(known, states, strict=True):
            one = self._running[name]
            if not state.active:
                one.ended, one.since = state, now
            elif state.reason != one.told:
                one.told = state.reason
                self._pending.append(StudyEvent(one.task.arm, one.task.stage, "progress", state.reason))

    def _try_to_submit(self, one: _Running) -> None:
        """Submit; what the cluster does not take now is tried again while other jobs are there, or for a while."""
        now = time.monotonic()
        one.since = one.since or now
        try:
            one.record = self._submit(one.task, JobFiles.of(self._folder, one.task))
        except BackendError as error:
            others = any(other.record and other.ended is None for other in self._running.values())
            if not (self._jobs.may_take_later(error) and (others or now - one.since < SILENCE_TIMEOUT_S)):
                one.ended = JobState("failed", str(error))

    def _error(self, one: _Running) -> Exception:
        files = JobFiles.of(self._folder, one.task)
        assert one.ended is not None
        said = files.read_error() or one.ended.reason or "it ended without a result"
        return BackendError(said, str(files.log))

    def _attached(self, task: StudyTask) -> Record | None:
        """The record of a job for the same task that an earlier process started and that still runs."""
        record, state = self._earlier([task]).get(task.name, ({}, JobState("gone")))
        if record.get("key") != task.key or not state.active:
            return None
        return self._keep(task, record)

    def _earlier(self, tasks: Sequence[StudyTask]) -> dict[str, tuple[Record, JobState]]:
        """Jobs that an earlier process submitted for these tasks, and where they stand."""
        records: dict[str, Record] = {}
        for task in tasks:
            record: Record = JobFiles.of(self._folder, task).read_record()
            if record and record.get("via", self._jobs.launch.via) == self._jobs.launch.via:
                record = self._jobs.found(record)
            if record.get("id"):
                records[task.name] = record
        states = self._jobs.states(list(records.values())) if records else []
        return {name: (records[name], state) for name, state in zip(records, states, strict=True)}

    def _keep(self, task: StudyTask, record: Record) -> Record:
        self._records[task.name] = record
        write_json(JobFiles.of(self._folder, task).record, record)
        self._pending.append(StudyEvent(task.arm, task.stage, "progress", f"goes on as job {record['id']}"))
        return record

    def _submit(self, task: StudyTask, files: JobFiles, queued: bool = False) -> Record:
        needs = [self._tasks[name] for name in task.needs if name in self._tasks]
        files.write(self._jobs.placed(task), needs, self._run_stage)
        job = self._job(task, files, queued)
        more = {
            "key": task.key,
            "token": job.env[TOKEN],
            "after": [str(one["id"]) for one in (*job.after, *job.afterwards)],
        }
        self._records[task.name] = record = {**self._jobs.new_record(job), **more}
        write_json(files.record, record)
        try:
            self._records[task.name] = record = {**self._jobs.submit(job, record), **more}
        except LrmctlError:
            del self._records[task.name]
            raise
        write_json(files.record, record)
        return record

    def _job(self, task: StudyTask, files: JobFiles, queued: bool) -> StageJob:
        per_node = -(-task.gpus // task.nodes)
        return StageJob(
            name=re.sub(r"[^A-Za-z0-9.-]+", "-", f"{self._folder.name}-{task.stage}-{task.arm}"),
            argv=[sys.executable, "-m", "lrmctl.studies.cluster.job", str(files.task)],
            env={**_environment(task), TOKEN: uuid.uuid4().hex},
            cwd=self._folder,
            log=files.log,
            nodes=task.nodes,
            gpus=per_node,
            cluster=task.starts_cluster,
            after=self._records_of(task.needs) if queued else (),
            afterwards=self._records_of(task.after) if queued else (),
        )

    def _records_of(self, names: Sequence[str]) -> list[Record]:
        return [self._records[name] for name in names if name in self._records]

    def _queue(self) -> None:
        """Submit every unfinished stage at once; the cluster starts each when what it needs has ended."""
        order = TopologicalSorter({name: self._before(task) for name, task in self._tasks.items()}).static_order()
        left = [self._tasks[name] for name in order if not is_finished(self._tasks[name])]
        for task in left:
            self._jobs.placed(task)  # what no job can run is refused before anything is submitted
        self._jobs.stop_all(self._keep_earlier(left))
        refused: set[str] = set()
        for task in left:
            if task.name in self._records or is_finished(task):
                continue
            if not refused.isdisjoint(self._before(task)):
                refused.add(task.name)  # submitted when what it needs has finished
                continue
            try:
                self._submit(task, JobFiles.of(self._folder, task), queued=True)
            except BackendError as error:
                refused.add(task.name)
                self._pending.append(StudyEvent(task.arm, task.stage, "progress", f"not taken yet: {error.what}"))

    def _keep_earlier(self, tasks: Sequence[StudyTask]) -> list[Record]:
        """Keep jobs of an earlier process; returns those to stop, which are out of date or wait for the wrong jobs."""
        earlier, outdated = self._earlier(tasks), list[Record]()
        for task in tasks:
            record, state = earlier.get(task.name, ({}, JobState("gone")))
            if not state.active:
                continue
            before = [name for name in self._before(task) if not is_finished(self._tasks[name])]
            ids = {str(self._records.get(name, {}).get("id")) for name in before}
            right = state.state == "running" or ids <= set(record.get("after", ()))
            if right and record.get("key") == task.key:
                self._keep(task, record)
            else:
                outdated.append(record)
        return outdated

    def _take_back_followers(self, finished: str) -> None:
        """Forget waiting jobs of what follows a stage that finished though its job failed: they would never start."""
        names = {name for name, task in self._tasks.items() if finished in task.needs}
        while more := {name for name, task in self._tasks.items() if not names.isdisjoint(self._before(task))} - names:
            names |= more
        queued = {name: self._records[name] for name in names if name in self._records and name not in self._running}
        if not queued:
            return
        with contextlib.suppress(LrmctlError, OSError):
            states = self._jobs.states(list(queued.values()))
            ended = [name for name, state in zip(queued, states, strict=True) if state.state not in ("running", "done")]
            self._jobs.stop_all([self._records.pop(name) for name in ended])

    def _before(self, task: StudyTask) -> list[str]:
        return [name for name in (*task.needs, *task.after) if name in self._tasks]


def _environment(task: StudyTask) -> dict[str, str]:
    """Variables of this process that a stage may depend on, but no keys: a cluster shows them to its users."""
    found = {k: v for k, v in os.environ.items() if _FORWARDED.match(k) and not _SECRET.search(k)}
    if not task.gpus:
        found = {**ONE_THREAD, **found}
    # the actors of a training inherit the variables, and Ray tells them which GPUs are theirs
    return {**found, VISIBLE: ""} if task.on_cpu and not task.starts_cluster else found
