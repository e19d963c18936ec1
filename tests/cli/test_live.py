"""The live panel: what it shows of a run, before and after its first step, on a terminal and without one."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest
from rich.console import Console

from lrmctl.backends.base import Progress
from lrmctl.backends.openrlhf.run.metrics import startup_phase
from lrmctl.cli.views.live import View

STEP = {
    "reward": 0.7,
    "reward/safe": 0.625,
    "reward/format": -0.1,
    "kl": 0.01,
    "entropy": 0.3,
    "response_length": 57.0,
    "truncated": 0.125,
    "time/step": 2.0,
    "time/generate": 0.9,
    "time/experience": 0.3,
    "time/update": 0.7,
}


def shown(view: View) -> str:
    out = io.StringIO()
    Console(file=out, width=120).print(view)
    return out.getvalue()


def test_before_the_first_step_the_phase_of_the_start_up_is_shown() -> None:
    view = View("run")
    view.update(Progress(0, 80))
    view.update(Progress(0, 80, phase="loading the model"))
    assert "0/80  loading the model" in shown(view)


def test_a_step_shows_reward_components_safety_lengths_times_and_the_checkpoint() -> None:
    view = View("run")
    view.update(Progress(0, 80, phase="first step: sampling"))
    view.update(Progress(1, 80, STEP))
    view.update(Progress(20, 80, STEP, checkpoint=20))
    text = shown(view)
    for words in ("20/80", "0.700   safe 0.625  format -0.100", "62.5%", "57 tokens", "12.5% of samples", "left"):
        assert words in text
    assert "2.0 a step   generate 0.9  experience 0.3  update 0.7" in text
    assert "step 20" in text
    assert "sampling" not in text


def test_what_is_not_measured_has_no_row() -> None:
    view = View("run")
    view.update(Progress(1, 8, {"loss": 2.0}))
    text = shown(view)
    assert "2.0000" in text
    assert "reward" not in text
    assert "KL" not in text
    assert "none yet" in text


@pytest.mark.parametrize(
    ("line", "phase"),
    [
        ("2026-11-21 INFO worker.py:2012 -- Started a local Ray instance.", "Ray is up, starting its workers"),
        ("Loading weights: 100%|####| 38/38 [00:00<00:00]", "loading the model"),
        ("(PPOTrainer pid=3495) Generate samples:   0%|  | 0/16", "first step: sampling"),
        ("lrmctl job: Slurm job 12 waits: Resources", "Slurm job 12 waits: Resources"),
        ("anything else", ""),
    ],
)
def test_phases_are_read_from_the_trainers_output(line: str, phase: str) -> None:
    assert startup_phase(line) == phase
    assert startup_phase(line, phase) == ""


SCRIPT = """
from lrmctl.backends.base import Progress
from lrmctl.cli.views.live import training
with training("run", "writing to runs/run") as report:
    report.sampling(0, 8)
    report.sampling(8, 8)
    report(Progress(0, 2, phase="loading the model"))
    report(Progress(1, 2, {"reward": 0.5}))
    report(Progress(2, 2, {"reward": 0.75}))
"""


def test_a_terminal_gets_the_panel_and_a_pipe_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    words = [sys.executable, "-c", f"import pty, sys; sys.exit(pty.spawn([sys.executable, '-c', {SCRIPT!r}]))"]
    terminal = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout
    assert "writing to runs/run" in terminal
    assert "2/2" in terminal
    assert "0.750" in terminal
    piped = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True).stderr
    assert piped.splitlines()[0] == "writing to runs/run"
    assert "sample run: 8/8" in piped
    assert "train run: 2/2, reward 0.75" in piped
    assert "loading" not in piped
