"""Worker processes: events and errors come through, and nothing outlives the parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from lrmctl._util.workers import Workers
from lrmctl.errors import RewardError


def count_to(n, emit):
    for i in range(n):
        emit(i)


def fail(_, emit):
    emit("before")
    raise RewardError("the reward said no", "component safe", "mend it")


def vanish(_, emit):
    emit("before")
    time.sleep(0.3)
    os._exit(9)


def drain(workers, names):
    events, ended = [], {}
    while set(ended) != names:
        events += list(workers.events())
        ended |= dict(workers.finished())
    events += list(workers.events(0.3))
    return events, ended


@pytest.fixture
def workers():
    with Workers(2) as pool:
        yield pool


def test_events_arrive_and_a_call_ends_without_error(workers):
    workers.start("count", count_to, 3)
    events, ended = drain(workers, {"count"})
    assert events == [0, 1, 2]
    assert ended == {"count": None}
    assert workers.free


def test_an_error_comes_back_with_its_advice_and_others_go_on(workers):
    workers.start("bad", fail, None)
    workers.start("good", count_to, 1)
    _, ended = drain(workers, {"bad", "good"})
    assert str(ended["bad"]) == "component safe: the reward said no\n  fix: mend it"
    assert ended["good"] is None


def test_a_worker_that_dies_is_an_error_that_names_the_call(workers):
    workers.start("victim", vanish, None)
    _, ended = drain(workers, {"victim"})
    assert "victim died" in str(ended["victim"])


@pytest.mark.e2e
def test_a_killed_parent_leaves_no_worker(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(
        "import sys, time\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import test_workers as t\n"
        "from lrmctl._util.workers import Workers\n"
        "if __name__ == '__main__':\n"
        "    with Workers(1) as w:\n"
        "        w.start('long', t.sleep_long, None)\n"
        "        while True:\n"
        "            for e in w.events(): print(e, flush=True)\n"
    )
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    worker = int(parent.stdout.readline())
    assert psutil.pid_exists(worker)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and psutil.pid_exists(worker):
        time.sleep(0.1)
    assert not psutil.pid_exists(worker)


def sleep_long(_, emit):
    emit(os.getpid())
    time.sleep(600)
