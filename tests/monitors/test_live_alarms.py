"""Alarms while a run trains: said once, written down, in the panel; and nothing that breaks them reaches the run."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from made_rollouts import PER_STEP, rollouts, run_folder
from rich.console import Console
from test_alarms import refuse_all

from lrmctl.backends.base import Progress
from lrmctl.cli.views.live import View
from lrmctl.monitors.live import watched


def train(folder: Path, rows: list[dict[str, object]], said: list[str]) -> list[Progress]:
    """A run that writes its rows step by step, as the reward service does."""
    shown: list[Progress] = []
    with (folder / "rollouts.jsonl").open("a") as file, watched(folder, shown.append, said.append) as on_progress:
        on_progress(Progress(0, 48, phase="loading the model"))
        for step in range(len(rows) // PER_STEP):
            file.writelines(json.dumps(row) + "\n" for row in rows[step * PER_STEP : (step + 1) * PER_STEP])
            file.flush()
            on_progress(Progress(step + 1, 48, {"reward": 1.0}))
    return shown


def test_an_alarm_is_said_once_with_the_command_to_look_closer_and_stands_in_the_file(tmp_path: Path) -> None:
    said: list[str] = []
    folder = run_folder(tmp_path / "run", [])
    shown = train(folder, rollouts(1, refuse_all), said)
    assert len(said) == 1
    assert "refusal-collapse (steps 25-32" in said[0]
    assert f"lrmctl monitor {folder}" in said[0]
    (row,) = [json.loads(line) for line in (folder / "alarms.jsonl").read_text().splitlines()]
    assert (row["alarm"], row["step"], row["state"]) == ("refusal-collapse", 32, "alarm")
    assert row["rows"]
    assert [p.alarms for p in shown] == [()] * 32 + [("refusal-collapse",)] * 17


def test_a_run_that_goes_on_does_not_say_it_again(tmp_path: Path) -> None:
    rows, folder = rollouts(1, refuse_all), run_folder(tmp_path / "run", [])
    train(folder, rows[: 40 * PER_STEP], [])
    said: list[str] = []
    shown = train(folder, rows[40 * PER_STEP :], said)
    assert said == []
    assert len((folder / "alarms.jsonl").read_text().splitlines()) == 1
    assert shown[-1].alarms == ("refusal-collapse",)


def test_a_clean_run_says_nothing_and_writes_no_file(tmp_path: Path) -> None:
    said: list[str] = []
    folder = run_folder(tmp_path / "run", [])
    train(folder, rollouts(1), said)
    assert said == []
    assert not (folder / "alarms.jsonl").exists()


def test_alarms_that_break_become_one_note_and_the_run_goes_on(tmp_path: Path) -> None:
    said: list[str] = []
    folder = run_folder(tmp_path / "run", [])
    (folder / "alarms.jsonl").mkdir()  # cannot be written to
    shown = train(folder, rollouts(1, refuse_all), said)
    assert len(shown) == 49
    assert len(said) == 1
    assert said[0].startswith("note: the alarms broke")


def test_an_error_of_the_run_is_not_hidden(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", [])
    with pytest.raises(ValueError, match="the trainer's own"), watched(folder, print, print):
        raise ValueError("the trainer's own")


def test_the_panel_shows_alarms() -> None:
    view, out = View("run"), io.StringIO()
    view.update(Progress(3, 80, {"reward": 0.5}, alarms=("refusal-collapse", "kl")))
    view.update(Progress(4, 80, {"reward": 0.5}))
    Console(file=out, width=120).print(view)
    assert "refusal-collapse, kl" in out.getvalue()
