"""Many command lines in one process of its own, which costs one start-up: for other locales, users and disks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

_DRIVER = """
import io, json, os, sys

from lrmctl.__main__ import run

encoding, answer = sys.stdout.encoding, os.dup(1)
for line in json.loads(sys.argv[1]):
    sys.argv = ["lrmctl", *(os.fsdecode(word.encode("utf-8", "surrogatepass")) for word in line)]
    streams = [io.TextIOWrapper(io.BytesIO(), encoding, write_through=True) for _ in range(2)]
    sys.stdout, sys.stderr = streams
    code = run()
    told = [code, *(stream.buffer.getvalue().decode("utf-8", "replace") for stream in streams)]
    os.write(answer, (json.dumps(told) + "\\n").encode())
"""


class Told(NamedTuple):
    """What one command left."""

    code: int
    out: str
    err: str

    @property
    def errors(self) -> int:
        return sum(line.lower().startswith("error:") for line in self.err.splitlines())


def run_all(
    lines: Sequence[Sequence[str]],
    cwd: Path,
    env: Mapping[str, str],
    before: Callable[[], None] | None = None,
) -> list[Told]:
    """Run each line in turn.

    Args:
        env: in place of this process's variables of these names.
        before: called in the new process before Python starts there.
    """
    done = subprocess.run(
        [sys.executable, "-c", _DRIVER, json.dumps(lines)],
        cwd=cwd, env={**os.environ, **env}, preexec_fn=before, capture_output=True, text=True, check=False,
    )  # fmt: skip
    told = [Told(*json.loads(line)) for line in done.stdout.splitlines()]
    assert len(told) == len(lines), done.stderr
    return told
