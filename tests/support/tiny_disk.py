"""A disk of a few kilobytes, as a file system in memory that this process alone sees; for root, where it may mount.

    unshare -m python tiny_disk.py FOLDER SIZE SIZE_LATER -- LINE [-- LINE ...]

Runs the lines of lrmctl while the disk in FOLDER has the first size, makes it larger, runs them again, and prints a
JSON list of [code, stderr, {file: whole lines}] of each. A line that begins with `python` is a script.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any


def can_mount() -> bool:
    """Whether there can be such a disk here."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    probe = ["unshare", "-m", "mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", "/mnt"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


def on_tiny_disk(folder: Path, sizes: tuple[str, str], *lines: list[str]) -> list[list[Any]]:
    """What the lines left on the full disk, then on the larger one."""
    words = [word for line in lines for word in ("--", *line)]
    command = ["unshare", "-m", sys.executable, __file__, str(folder), *sizes, *words]
    done = subprocess.run(command, cwd=folder.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: list[list[Any]] = json.loads(done.stdout)
    return found


def _mount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)


def _rows(folder: Path) -> dict[str, int]:
    """Lines of each file of rows that are whole, and -1 where one of them is no JSON."""
    found = {}
    for file in folder.rglob("*.jsonl"):
        *whole, _rest = file.read_bytes().split(b"\n")
        try:
            found[file.name] = len([json.loads(line) for line in whole])
        except ValueError:
            found[file.name] = -1
    return found


def _run(line: list[str], folder: Path) -> list[Any]:
    from lrmctl.__main__ import run

    said = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        if line[0] == "python":
            code = 0
            sys.argv = line[1:]
            runpy.run_path(line[1], run_name="__main__")
        else:
            sys.argv = ["lrmctl", *line]
            code = run()
    return [code, said.getvalue(), _rows(folder)]


def _main() -> None:
    folder, small, large = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    lines: list[list[str]] = []
    for word in sys.argv[4:]:
        if word == "--":
            lines.append([])
        else:
            lines[-1].append(word)
    _mount(folder, f"size={small}")
    told = [_run(line, folder) for line in lines]
    _mount(folder, f"remount,size={large}")
    told += [_run(line, folder) for line in lines]
    print(json.dumps(told))


if __name__ == "__main__":
    _main()
