"""Training in a process of its own that is killed in the middle."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from lrmctl.runs.folder import RunFolder


def train_and_kill(recipe: Path, runs: Path, name: str, when: Callable[[RunFolder], bool]) -> RunFolder:
    """Start `lrmctl train`, kill it with SIGKILL as soon as `when` is true, and wait until nothing of it is left."""
    words = [sys.executable, "-m", "lrmctl", "train", str(recipe), "--runs-dir", str(runs), "--name", name]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    folder = RunFolder(runs / name)
    while not when(folder):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    tree = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert psutil.wait_procs(tree, timeout=30)[1] == []
    return folder
