"""A job: the command line to run, how it becomes a script for a cluster, and where it stands."""

from __future__ import annotations

import contextlib
import re
import shlex
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from lrmctl.backends.launch.supervisor import TEMP
from lrmctl.types import Plan

State = Literal["waiting", "running", "done", "failed", "gone"]
Record = Mapping[str, Any]
"""What is needed to find a job again, as JSON: `id`, and what its launcher adds. It is kept in the run's status."""
EXIT_FILE = "exit_file"
"""Key of a record: the file that the job's script writes the exit code to."""
SIGNALS = (137, 143)
"""Exit codes of what was ended from outside; only the cluster knows why."""
_LONGEST_ID = 60


@dataclass(frozen=True)
class LaunchJob:
    """The process to launch.

    Attributes:
        argv, cwd: the command line, and the folder to run it in.
        env: variables added to the environment that the process starts in; `{lrmctl-temp}` in a value stands for
            a folder of temporary files (`script` sees to it).
        log: file that its output is appended to; its folder is the job's own.
        keep: patterns of temporary files that are saved beside the log on failure (this machine only).
        resources: `nodes`, and `gpus` on each of them.
        kind: `sft`, `preference` or `rl`.
        token: makes `id` unique.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    log: Path
    keep: Sequence[str] = ()
    resources: Mapping[str, float] = field(default_factory=dict)
    kind: str = "rl"
    token: str = field(default_factory=lambda: uuid.uuid4().hex[:8], compare=False)

    @classmethod
    def of(cls, plan: Plan, run_dir: Path, log: Path, keep: Sequence[str] = ()) -> LaunchJob:
        """The job of a plan in a run folder."""
        return cls(run_dir.name, plan.argv, plan.env, run_dir, log, keep, plan.resources, plan.kind)

    @property
    def id(self) -> str:
        """A name for the cluster, unique, of at most 60 lower-case letters, digits and dashes."""
        words = re.sub(r"[^a-z0-9]+", "-", f"lrmctl-{self.name}".lower()).strip("-")
        return f"{words[: _LONGEST_ID - len(self.token) - 1]}-{self.token}"

    @property
    def nodes(self) -> int:
        """Nodes, 1 if nothing is said."""
        return int(self.resources.get("nodes", 1))

    @property
    def gpus(self) -> int:
        """GPUs on each node."""
        return int(self.resources.get("gpus", 0))

    @property
    def exit_file(self) -> Path:
        """Where `script` writes the exit code, beside the log."""
        return self.log.with_name(f"exit-code-{self.id}")

    def script(self) -> str:
        """The job on one node as a bash script: sets the variables, makes a folder for temporary files and removes it,
        appends the output to `log`, and writes the exit code to `exit_file`. The run folder, the model and the Python
        environment must be at the same paths there."""
        exit_file = shlex.quote(str(self.exit_file))
        return _SCRIPT.format(
            log=shlex.quote(str(self.log)),
            cwd=shlex.quote(str(self.cwd)),
            exports="".join(f"export {key}={quoted(value)}\n" for key, value in self.env.items()),
            exit_file=exit_file,
            command=shlex.join(self.argv),
        )


_SCRIPT = """#!/bin/bash
exec >> {log} 2>&1
set -uo pipefail
LRMCTL_TEMP=$(mktemp -d /tmp/lrXXXXXXXX) || exit 1
finish() {{
    code=$?
    trap - EXIT TERM INT
    jobs -p | xargs -r kill 2> /dev/null
    rm -rf "$LRMCTL_TEMP"
    echo "$code" > {exit_file}.part && mv {exit_file}.part {exit_file}
    exit "$code"
}}
trap finish EXIT
trap 'exit 143' TERM INT
export TMPDIR=$LRMCTL_TEMP
{exports}cd {cwd} || exit 1
{command} &
wait $!
"""


def quoted(value: str) -> str:
    """A variable's value for bash, with the job's folder of temporary files, `$LRMCTL_TEMP`, in place of `TEMP`."""
    return shlex.quote(value).replace(TEMP, "'\"$LRMCTL_TEMP\"'")


@dataclass(frozen=True)
class JobState:
    """Where a job stands.

    Attributes:
        state: `gone` if the cluster knows no such job any more.
        reason: why it waits, or what the cluster says about a job that failed; shown to the user, and for a failed one
            appended to the log. Empty if the output says it all.
        exit_code: of a job that ended, 128 + n for signal n; None looks for the one that the job's script wrote.
    """

    state: State
    reason: str = ""
    exit_code: int | None = None

    @property
    def active(self) -> bool:
        """Whether it waits or runs."""
        return self.state in ("waiting", "running")


def exit_code(file: Path | str | None) -> int | None:
    """The code that a job's script wrote when it ended; None if there is none (yet)."""
    if not file:
        return None
    with contextlib.suppress(OSError, ValueError):
        return int(Path(file).read_text(encoding="utf-8"))
    return None
