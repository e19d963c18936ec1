"""The run folder: never overwritten, and honest about its state."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lrmctl.errors import RunExistsError
from lrmctl.runs.folder import RunFolder

HOLD = """
import sys, time
from pathlib import Path
from lrmctl.runs.folder import RunFolder
folder = RunFolder(Path(sys.argv[1]))
with folder.hold():
    folder.set_status("running", step=3)
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_taken_name_is_refused_and_nothing_is_touched(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "a")
    folder.set_status("done")
    with pytest.raises(RunExistsError, match="'a' is taken by a run that is done"):
        RunFolder.create(tmp_path, "a")
    assert json.loads(folder.status_file.read_text())["state"] == "done"


def test_resume_takes_the_folder_as_it_is(tmp_path: Path) -> None:
    RunFolder.create(tmp_path, "a").set_status("failed", error="x", steps=4)
    folder = RunFolder.create(tmp_path, "a", resume=True)
    assert folder.status()["state"] == "failed"
    folder.set_status("running")
    assert folder.status()["steps"] == 4
    assert "error" not in folder.status()


def test_attempts_are_numbered_on(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "a")
    for _ in range(11):
        folder.new_attempt()
    assert [p.name for p in folder.attempts()][-2:] == ["attempt-10", "attempt-11"]
    assert folder.new_attempt().name == "attempt-12"


def test_a_killed_run_is_interrupted_and_a_living_one_cannot_be_entered(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "a")
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(folder.path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    assert folder.status()["state"] == "running"
    with pytest.raises(RunExistsError, match="another process is training"), folder.hold():
        pass
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert folder.status() | {"updated": ""} == {"state": "interrupted", "updated": "", "step": 3}
    with folder.hold():
        assert folder.status()["state"] == "running"


def test_a_run_without_status_has_no_state(tmp_path: Path) -> None:
    assert RunFolder(tmp_path / "nothing").status() == {}
