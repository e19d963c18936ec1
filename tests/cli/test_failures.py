"""Every way to end badly: one message, one exit code, and the command that goes on."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrmctl.__main__ import _explain
from lrmctl.cli.common import print_resume_command
from lrmctl.errors import BackendError, RecipeError
from lrmctl.hooks import registry

Start = Callable[..., subprocess.Popen[str]]
AGAIN = "to continue: lrmctl train small.yaml --name small --resume --set seed=3"


def test_a_failed_run_ends_with_3_its_reason_and_the_command_that_continues(
    lrmctl: Callable[..., Any], stub_backend: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(stub_backend))
    monkeypatch.setattr(registry._default, "_third_party", None)
    failed = lrmctl("train", "small.yaml", "--set", "seed=3")
    assert failed.code == 3
    assert "error: the trainer ran out of ideas\n  fix: give it one" in failed.err
    assert "small: 1/2, loss 0.5" in failed.err
    assert failed.last_line == AGAIN
    again = lrmctl("train", "small.yaml", "--set", "seed=3")
    assert again.code == 2
    assert "the name 'small' is taken" in again.err


def wait_for(file: Path, process: subprocess.Popen[str]) -> None:
    while not file.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


@pytest.mark.e2e
def test_an_interrupted_run_ends_with_130_and_the_command_that_continues(
    start: Start, stub_backend: Path, tmp_path: Path
) -> None:
    (tmp_path / "wait").touch()
    process = start("train", "small.yaml", "--set", "seed=3", plugins=stub_backend)
    wait_for(tmp_path / "started", process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.strip().splitlines()[-2:] == ["interrupted", AGAIN]


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_both_polite_signals_unwind_the_command(
    start: Start, stub_backend: Path, tmp_path: Path, sent: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LRMCTL_PLUGIN_TIMEOUT", "0")  # a plugin in a thread of its own cannot be unwound
    body = "import pathlib, time\ntry:\n    pathlib.Path('started').touch()\n    time.sleep(60)\n"
    (stub_backend / "acme_stub.py").write_text(body + "finally:\n    pathlib.Path('unwound').touch()\n")
    process = start("plugin", "list", plugins=stub_backend)
    wait_for(tmp_path / "started", process)
    process.send_signal(sent)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.strip() == "interrupted"
    assert (tmp_path / "unwound").exists()


def test_a_broken_plugin_breaks_no_command(start: Start, stub_backend: Path) -> None:
    (stub_backend / "acme_stub.py").write_text("import a_module_that_is_not_there\n")
    process = start("plugin", "list", plugins=stub_backend)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "lab-harmful" in out
    assert "not usable: acme-stub: ModuleNotFoundError" in err


def test_a_full_disk_under_the_output_is_one_line_and_exit_code_2() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "lrmctl", "recipe", "list"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.strip() == "error: No space left on device"


@pytest.mark.parametrize("words", [["recipe", "list"], ["recipe", "list", "--json"]])
def test_a_reader_that_leaves_is_no_error_and_nothing_is_said(start: Start, words: list[str]) -> None:
    process = start(*words)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    err = process.stderr.read()
    assert process.wait(timeout=60) == 0
    assert err == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RecipeError("x"), 2),
        (BackendError("x"), 3),
        (KeyboardInterrupt(), 130),
        (OSError(errno.ENOSPC, "No space left on device"), 2),
        (PermissionError(errno.EACCES, "Permission denied", "/runs"), 2),
        (OSError(errno.EADDRINUSE, "Address already in use"), 2),
        (ValueError("a bug"), 70),
        (SystemExit(5), 5),
    ],
)
def test_each_failure_has_its_exit_code(error: BaseException, code: int) -> None:
    assert _explain(error) == code


def test_an_unexpected_error_is_short_and_its_traceback_is_in_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ValueError("first line\nsecond line")
    except ValueError as error:
        code = _explain(error)
    err = capsys.readouterr().err
    log = Path(err.strip().rpartition(" ")[2])
    assert code == 70
    assert "error: ValueError: first line\n" in err
    assert "Traceback (most recent call last)" in log.read_text()
    log.unlink()


@pytest.mark.parametrize(
    ("error", "started", "told"),
    [(BackendError("x"), True, True), (BackendError("x"), False, False), (RecipeError("x"), True, False)],
)
def test_the_command_that_continues_is_said_only_where_something_was_started(
    error: Any, started: bool, told: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(type(error)) as caught, print_resume_command("lrmctl study demo", lambda: started):
        raise error
    _explain(caught.value)
    assert ("to continue: lrmctl study demo" in capsys.readouterr().err) == told
