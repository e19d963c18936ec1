"""Running the command line, in this process or in one of its own, and a backend plugin to train with."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from stub_backend import stub_backend as stub_backend


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """The command line in a process of its own; `plugins` is a folder of installed distributions."""

    def popen(*words: str, plugins: Path | None = None) -> subprocess.Popen[str]:
        env = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(plugins or "")}
        argv = [sys.executable, "-m", "lrmctl", *words]
        pipe = subprocess.PIPE
        return subprocess.Popen(argv, stdout=pipe, stderr=pipe, text=True, cwd=tmp_path, env=env)

    return popen
