"""Batch jobs of a Slurm cluster: a script is rendered, submitted, polled and cancelled together with lrmctl.

An RL job on several nodes starts its own Ray cluster inside the allocation; an SFT job uses torchrun on every node. The
run folder, the model and the Python environment must be at the same paths on every node. A job outlives an lrmctl that
was killed; its id is in the run's status.
"""

from __future__ import annotations

import contextlib
import math
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lrmctl.backends.launch import job as jobs
from lrmctl.backends.launch.base import POLL_INTERVAL_S, Launcher
from lrmctl.backends.launch.job import EXIT_FILE, JobState, LaunchJob, Record, quoted
from lrmctl.errors import BackendError, LrmctlError

ACTIVE_STATES = (
    "PENDING",
    "CONFIGURING",
    "RUNNING",
    "COMPLETING",
    "SUSPENDED",
    "REQUEUED",
    "REQUEUE_HOLD",
    "RESIZING",
)
NEVER = "DEPENDENCY_NEVER_SATISFIED"
"""State of a job that waits for one that has failed; Slurm itself calls it PENDING."""
_WAITING = ("PENDING", "REQUEUED", "REQUEUE_HOLD")
GPU_OPTIONS = ("gpus", "gpus-per-node", "gpus-per-task", "gres")


class Slurm(Launcher):
    """Jobs through sbatch.

    Args:
        setup: shell lines to run before the job.
        options: for sbatch, without dashes (None for a bare switch).
    """

    several_nodes = True
    patience = math.inf  # a job goes on without its scheduler

    def __init__(self, *, setup: Sequence[str] = (), **options: Any) -> None:
        self._options, self._setup = options, tuple(setup)

    def check(self) -> None:
        if shutil.which("sbatch") is None:
            raise LrmctlError("sbatch is not here", "launch.via", "start lrmctl on a login node, or `--launch local`")

    def submit(self, job: LaunchJob) -> Record:
        """Write the batch script beside the log and submit it."""
        self.check()
        job.log.touch()
        script = job.log.with_name("job.sh")
        script.touch(mode=0o700)
        script.write_text(self.preview(job), encoding="utf-8")
        number = _slurm("sbatch", "--parsable", str(script)).split(";")[0]
        return {"id": number, EXIT_FILE: str(_exit_file(job.log, number))}

    def state(self, record: Record) -> JobState:
        number = str(record["id"])
        return job_state(number, jobs.exit_code(record.get(EXIT_FILE)), states_of([number])[number])

    def cancel(self, record: Record) -> None:
        cancel(str(record["id"]))

    def stop_command(self, record: Record) -> str:
        return f"scancel {record['id']}"

    def preview(self, job: LaunchJob) -> str:
        """The batch script."""
        from jinja2 import Environment, FileSystemLoader, StrictUndefined

        templates = Environment(
            loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, keep_trailing_newline=True
        )
        cluster = job.nodes > 1 and job.kind == "rl"
        return templates.get_template("slurm.sh.j2").render(
            options=self._sbatch(job),
            setup=self._setup,
            env={key: quoted(value) for key, value in job.env.items()},
            cwd=shlex.quote(str(job.cwd)),
            exit_file=f'{shlex.quote(str(_exit_file(job.log, "")))}"$SLURM_JOB_ID"',
            cluster=cluster,
            nodes=job.nodes,
            ray=shlex.join([sys.executable, "-m", "ray.scripts.scripts"]),
            python=shlex.quote(sys.executable),
            command=_command(job),
        )

    def _sbatch(self, job: LaunchJob) -> dict[str, Any]:
        gpus = {"gpus-per-node": job.gpus} if job.gpus and not any(o in self._options for o in GPU_OPTIONS) else {}
        own = {"job-name": f"lrmctl-{job.name}", "nodes": job.nodes, "ntasks-per-node": 1, **gpus}
        where = {"output": job.log, "error": job.log, "open-mode": "append", "no-requeue": None}
        return {key: _directive(value) for key, value in {**own, **self._options, **where}.items()}


def _command(job: LaunchJob) -> str:
    """The command line; torchrun finds the other nodes through the first one's address."""
    words = shlex.join(job.argv)
    meet = f'--nnodes {job.nodes} --rdzv_id "$SLURM_JOB_ID" --rdzv_backend c10d --rdzv_endpoint "$head_ip:$port"'
    return words.replace(" --standalone ", f" {meet} ", 1) if job.nodes > 1 else words


def _directive(value: Any) -> str | None:
    """A value quoted for an #SBATCH directive, where an unquoted space ends it."""
    if value is None:
        return None
    text = str(value)
    return f'"{text}"' if any(c.isspace() for c in text) else text


def _exit_file(log: Path, number: str) -> Path:
    return log.with_name(f"exit-code-{number}")


def exit_code(log: Path, number: str) -> int | None:
    """The code that a job's script wrote beside its log when it ended; None if there is none (yet)."""
    return jobs.exit_code(_exit_file(log, number))


def _settled(*numbers: str, patience: float = 60.0) -> str:
    """The final state of jobs that are about to end; of several the last one's."""
    end, states = time.monotonic() + patience, dict.fromkeys(numbers, Known())
    while time.monotonic() < end:
        with contextlib.suppress(BackendError):
            states = states_of(numbers)
            if not any(states[number].state in ACTIVE_STATES for number in numbers):
                break
        time.sleep(POLL_INTERVAL_S)
    return states[numbers[-1]].state


class Known(NamedTuple):
    """What the scheduler knows of a job.

    Attributes:
        state: empty if it knows no such job; `NEVER` if it can never start, because one that it depends on has failed.
        reason: why a job waits, e.g. `Resources`, or has ended; empty if it tells none.
    """

    state: str = ""
    reason: str = ""


def job_state(number: str, code: int | None, known: Known) -> JobState:
    """Where a job stands, by the code that its script wrote, and by what Slurm says of one without a clear code."""
    state, reason = known
    if state in _WAITING:
        return JobState("waiting", f"Slurm job {number} waits" + (f": {reason}" if reason else ""))
    if state in ACTIVE_STATES:
        return JobState("running", f"Slurm job {number} runs")
    if code == 0 or (code is None and state == "COMPLETED"):
        return JobState("done", exit_code=0)
    if state == NEVER:
        return JobState("failed", f"Slurm job {number} waits for a job that failed", 1)
    if state in ("", "COMPLETED", "FAILED") and code is not None:
        return JobState("failed", f"Slurm job {number} ended with code {code}", code)
    ended = f"Slurm job {number} ended as {state or 'UNKNOWN'}"
    if state in ("", "FAILED"):  # the code may come late, on a slow disk
        return JobState("failed" if state else "gone", ended)
    return JobState("failed", ended, 143 if state.startswith("CANCELLED") else code or 1)


def states_of(numbers: Sequence[str]) -> dict[str, Known]:
    """What the scheduler knows of these jobs, in one question for all.

    Raises:
        BackendError: Slurm does not answer.
    """
    # all jobs of this user: squeue takes a list of ids too, but fails if it has forgotten the only one
    found = dict[str, Known]()
    for line in _slurm("squeue", "-h", "-u", str(os.getuid()), "-t", "all", "-o", "%i|%T|%r").splitlines():
        number, state, reason = line.strip().split("|", 2)
        state = NEVER if reason == "DependencyNeverSatisfied" and state == "PENDING" else state
        found[number] = Known(state, "" if reason == "None" else reason)
    if forgotten := [number for number in numbers if number not in found]:
        with contextlib.suppress(BackendError):  # needs accounting, which not every cluster has
            for line in _slurm("sacct", "-n", "-X", "-P", "-j", ",".join(forgotten), "-o", "JobID,State").splitlines():
                number, _, state = line.strip().partition("|")
                found[number] = Known(state.split()[0] if state else "")
    return {number: found.get(number, Known()) for number in numbers}


def cancel(*numbers: str) -> None:
    """Cancel jobs that are still there, all at once so that none starts in another's place, and wait for their end."""
    try:
        states = states_of(numbers)
    except BackendError:
        states = dict.fromkeys(numbers, Known("RUNNING"))
    if active := [number for number in numbers if states[number].state in (*ACTIVE_STATES, NEVER)]:
        with contextlib.suppress(BackendError):
            _slurm("scancel", *active)
            _settled(*active)


def _slurm(*words: str) -> str:
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BackendError(f"{words[0]}: {error}", fix="see that Slurm answers: sinfo") from None
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no error output"])[-1]
        raise BackendError(f"{words[0]} failed: {reason}", fix="see `launch.options`, and that Slurm answers: sinfo")
    return done.stdout.strip()


def number_of(name: str) -> str:
    """The number of a job of this name that waits or runs; empty if there is none.

    Raises:
        BackendError: Slurm does not answer.
    """
    numbers = _slurm("squeue", "-h", "--name", name, "-o", "%i").split()
    return numbers[0] if numbers else ""
