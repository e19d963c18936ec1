"""Launching: real processes, real signals, and nobody left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from lrmctl.backends.launch import local, supervisor

TRAINER = """
    import os, signal, sys, tempfile, time
    here = sys.argv[1]
    if os.fork() == 0:                                   # a daemon as Ray has them: own session, parent gone
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            open(here + "/daemon", "w").write(str(os.getpid()))
            time.sleep(300)
        os._exit(0)
    os.wait()
    open(os.path.join(tempfile.gettempdir(), "left"), "w").write("x")
    open(here + "/temp", "w").write(tempfile.gettempdir())
    while not os.path.exists(here + "/daemon"):
        time.sleep(0.01)
    print("ready", flush=True)
    time.sleep(float(sys.argv[2]))
    sys.exit(int(sys.argv[3]))
"""


@pytest.fixture
def trainer(tmp_path: Path) -> Callable[..., list[str]]:
    """Command line of a trainer that starts a daemon, sleeps and ends with a code."""
    script = tmp_path / "trainer.py"
    script.write_text(textwrap.dedent(TRAINER))
    return lambda seconds=300.0, code=0: [sys.executable, str(script), str(tmp_path), str(seconds), str(code)]


def daemon_of(folder: Path) -> int:
    return int((folder / "daemon").read_text())


def gone(pid: int, seconds: float = 15.0) -> bool:
    """Whether a process ends within some seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_output_exit_code_and_log_arrive(tmp_path: Path) -> None:
    seen: list[str] = []
    code = local.run(
        [sys.executable, "-c", "import os; print('one'); print('two\\rthree', end=''); print(); os._exit(7)"],
        {"PYTHONUNBUFFERED": "1"},
        cwd=tmp_path,
        log=tmp_path / "logs" / "output.log",
        on_lines=seen.extend,
    )
    assert (code, seen) == (7, ["one", "two", "three"])
    assert (tmp_path / "logs" / "output.log").read_bytes() == b"one\ntwo\rthree\n"


def test_environment_reaches_the_trainer_with_its_own_temp_folder(tmp_path: Path) -> None:
    seen: list[str] = []
    show = "import os; print(os.environ['A'], os.environ['B'], os.environ['TMPDIR'])"
    local.run(
        [sys.executable, "-c", show],
        {"A": "1", "B": f"{supervisor.TEMP}/x"},
        cwd=tmp_path,
        log=tmp_path / "log",
        on_lines=seen.extend,
    )
    a, b, temp = seen[0].split()
    assert (a, b) == ("1", f"{temp}/x")
    assert len(temp) <= 42
    assert not Path(temp).exists()


def test_a_trainer_that_cannot_start_says_so(tmp_path: Path) -> None:
    seen: list[str] = []
    code = local.run([str(tmp_path / "none")], {}, cwd=tmp_path, log=tmp_path / "log", on_lines=seen.extend)
    assert code == 127
    assert "FileNotFoundError" in seen[0]


@pytest.mark.e2e
def test_nothing_is_left_when_the_trainer_ends(tmp_path: Path, trainer: Callable[..., list[str]]) -> None:
    code = local.run(trainer(0.1, 3), {}, cwd=tmp_path, log=tmp_path / "log", on_lines=lambda _: None)
    assert code == 3
    assert gone(daemon_of(tmp_path), 0.5)
    assert not Path((tmp_path / "temp").read_text()).exists()


@pytest.mark.parametrize(("code", "kept"), [(0, False), (1, True)])
def test_temporary_files_that_explain_a_failure_are_kept(tmp_path: Path, code: int, kept: bool) -> None:
    write = f"import os, tempfile; open(tempfile.gettempdir() + '/why.err', 'w').write('this'); os._exit({code})"
    log = tmp_path / "logs" / "log"
    local.run(
        [sys.executable, "-c", write], {}, cwd=tmp_path, log=log, on_lines=lambda _: None, keep=["*.err", "none/*"]
    )
    assert [p.name for p in log.parent.iterdir() if p != log] == (["why.err"] if kept else [])


def test_a_killed_trainer_has_its_signal_in_the_code(tmp_path: Path) -> None:
    kill = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    code = local.run([sys.executable, "-c", kill], {}, cwd=tmp_path, log=tmp_path / "log", on_lines=lambda _: None)
    assert code == 128 + signal.SIGKILL


def test_abort_ends_the_tree_and_is_raised(tmp_path: Path, trainer: Callable[..., list[str]]) -> None:
    reason = ValueError("the reward's own error")
    lines: list[str] = []
    with pytest.raises(ValueError, match="the reward's own error"):
        local.run(
            trainer(),
            {},
            cwd=tmp_path,
            log=tmp_path / "log",
            on_lines=lines.extend,
            abort=lambda: reason if "ready" in lines else None,
        )
    assert gone(daemon_of(tmp_path), 0.5)


PARENT = """
    import sys
    from pathlib import Path
    from lrmctl.backends.launch import local
    here = Path(sys.argv[1])
    local.run(sys.argv[2:], {}, cwd=here, log=here / "log", on_lines=lambda _: None)
"""


@pytest.mark.e2e
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_a_parent_that_a_signal_ends(
    tmp_path: Path, trainer: Callable[..., list[str]], number: signal.Signals
) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT), str(tmp_path), *trainer()], stderr=subprocess.DEVNULL
    )
    while not (tmp_path / "log").exists() or b"ready" not in (tmp_path / "log").read_bytes():
        assert parent.poll() is None
        time.sleep(0.05)
    below = [p.pid for p in psutil.Process(parent.pid).children(recursive=True)]
    os.kill(parent.pid, number)
    assert parent.wait(timeout=20) != 0
    assert all(gone(pid) for pid in [*below, daemon_of(tmp_path)])
    end = time.monotonic() + 120
    while Path((tmp_path / "temp").read_text()).exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert not Path((tmp_path / "temp").read_text()).exists()
