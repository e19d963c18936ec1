"""A Slurm made of one script: sbatch, squeue, scancel and sacct keep its jobs in a folder; asking squeue runs them.

Files of the folder change what it does: `hold` (nothing starts, for the reason in it), `refuse` (sbatch answers with
its text if the job's name contains its first word), `kill` (sbatch takes the job and then kills who asked), `forget`
(squeue knows no job that has ended), `silent` (nothing answers).
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PROGRAMS = ("sbatch", "squeue", "scancel", "sacct")
Job = dict[str, Any]


class FakeSlurm:
    """The folder of a fake Slurm, as tests see it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir(parents=True)
        for name in PROGRAMS:
            (self.bin / name).write_text(
                f'#!/bin/sh\nexec "{sys.executable}" -SE "{__file__}" {name} "{folder}" "$@"\n'
            )
            (self.bin / name).chmod(0o755)

    def set(self, name: str, text: str = "") -> None:
        (self.folder / name).write_text(text)

    def clear(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)

    @property
    def jobs(self) -> list[Job]:
        """Every job in the order of submission: `id`, `name`, `state`, `options`, `script`."""
        return list(_load(self.folder).values())

    def job(self, part: str) -> Job:
        """The last job whose name contains this."""
        return [job for job in self.jobs if part in job["name"]][-1]

    def calls(self, program: str) -> list[list[str]]:
        """The arguments of every call of a program."""
        lines = (self.folder / "calls").read_text().splitlines()
        return [words[1:] for words in map(json.loads, lines) if words[0] == program]


def _load(folder: Path) -> dict[str, Job]:
    file = folder / "jobs.json"
    return dict(json.loads(file.read_text())) if file.exists() else {}


def _save(folder: Path, jobs: dict[str, Job]) -> None:
    partial = folder / "jobs.part"
    partial.write_text(json.dumps(jobs))
    partial.replace(folder / "jobs.json")


def _sbatch(folder: Path, jobs: dict[str, Job], words: Sequence[str]) -> int:
    script = Path(words[-1]).read_text()
    found = re.findall(r"^#SBATCH --([a-z-]+)(?:=(.*))?$", script, re.MULTILINE)
    options = {key: value.strip('"') for key, value in found}
    refused = folder / "refuse"
    if refused.exists() and (text := refused.read_text()).split()[0] in options["job-name"]:
        print(f"sbatch: error: {text}", file=sys.stderr)
        return 1
    number = str(len(jobs) + 1)
    jobs[number] = {
        "id": number,
        "name": options["job-name"],
        "state": "PENDING",
        "reason": "None",
        "options": options,
        "script": script,
    }
    _save(folder, jobs)
    if (folder / "kill").exists():
        os.kill(os.getppid(), signal.SIGKILL)
    print(number)
    return 0


def _blocked(job: Job, jobs: dict[str, Job]) -> str:
    """Why a job cannot start; empty if it can."""
    for part in filter(None, job["options"].get("dependency", "").split(",")):
        kind, *numbers = part.split(":")
        states = [jobs[number]["state"] for number in numbers if number in jobs]
        if any(state in ("PENDING", "RUNNING") for state in states):
            return "Dependency"
        if kind == "afterok" and any(state != "COMPLETED" for state in states):
            return "DependencyNeverSatisfied"
    return ""


def _run_jobs(folder: Path, jobs: dict[str, Job]) -> None:
    """Run the first job that can start, to its end."""
    for job in jobs.values():
        if job["state"] != "PENDING":
            continue
        job["reason"] = _blocked(job, jobs) or "None"
        if job["reason"] == "DependencyNeverSatisfied" and job["options"].get("kill-on-invalid-dep") == "yes":
            job["state"] = "CANCELLED"
        elif job["reason"] == "None":
            env = {**os.environ, "SLURM_JOB_ID": job["id"], "SLURM_JOB_NAME": job["name"]}
            with Path(job["options"]["output"]).open("a") as log:
                code = subprocess.run(["bash", "-c", job["script"]], env=env, stdout=log, stderr=log).returncode
            job["state"] = "FAILED" if code else "COMPLETED"
            break
    _save(folder, jobs)


def _squeue(folder: Path, jobs: dict[str, Job], words: Sequence[str]) -> int:
    held = folder / "hold"
    if not held.exists():
        _run_jobs(folder, jobs)
    elif reason := held.read_text():
        for job in jobs.values():
            job["reason"] = reason
    name = words[words.index("--name") + 1] if "--name" in words else ""
    everything = "all" in words and not (folder / "forget").exists()
    form = words[words.index("-o") + 1]
    for job in jobs.values():
        if (everything or job["state"] in ("PENDING", "RUNNING")) and name in ("", job["name"]):
            print(form.replace("%i", job["id"]).replace("%T", job["state"]).replace("%r", job["reason"]))
    return 0


def _scancel(folder: Path, jobs: dict[str, Job], words: Sequence[str]) -> int:
    for number in words:
        if jobs[number]["state"] == "PENDING":
            jobs[number]["state"] = "CANCELLED"
    _save(folder, jobs)
    return 0


def _main(program: str, folder: Path, words: Sequence[str]) -> int:
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with (folder / "calls").open("a") as calls:
            calls.write(json.dumps([program, *words]) + "\n")
        if (folder / "silent").exists() or program == "sacct":
            print(f"{program}: error: Unable to contact slurm controller (connect failure)", file=sys.stderr)
            return 1
        answers = {"sbatch": _sbatch, "squeue": _squeue, "scancel": _scancel}
        return answers[program](folder, _load(folder), words)


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:]))
