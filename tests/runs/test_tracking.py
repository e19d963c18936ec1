"""Run events: told to the trackers that a recipe names, in order, and never in the way of a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from lrmctl.hooks.specs import Tracker
from lrmctl.runs.folder import RunFolder
from lrmctl.runs.tracking import RunEvents, StepEvents, TrackerUse, events, run_events, tell

LOG = """
import json
from lrmctl import hookimpl

class Notes:
    def __init__(self, file, fail_at=""):
        self.file, self.fail_at = file, fail_at

    def __getattr__(self, event):
        if event.startswith("_") or event not in EVENTS:
            raise AttributeError(event)
        def note(*facts):
            if event == self.fail_at:
                raise RuntimeError("no connection\\nand more")
            plain = (int, str, list)
            told = [getattr(fact, "name", None) or (fact if isinstance(fact, plain) else "...") for fact in facts]
            with open(self.file, "a") as file:
                file.write(json.dumps([event, *told]) + "\\n")
        return note

EVENTS = {"run_started", "run_resumed", "step", "rollouts", "evaluated", "analysed", "finished", "failed", "left"}

@hookimpl
def lrmctl_trackers(register):
    register("notes", Notes, summary="writes events to a file")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    made = RunFolder(tmp_path / "run")
    made.path.mkdir()
    made.lock.write_text("{}")
    return made


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[list[Any]]]:
    """An installed tracker of another distribution, and what it noted."""
    from lrmctl.hooks import registry

    info = tmp_path / "site" / "notes-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: notes\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[lrmctl]\nnotes = notes_of_runs\n")
    (tmp_path / "site" / "notes_of_runs.py").write_text(LOG)
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.delitem(sys.modules, "notes_of_runs", raising=False)
    monkeypatch.setattr(registry._default, "_third_party", None)
    file = tmp_path / "events.jsonl"
    return lambda: [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def use(tmp_path: Path, **options: str) -> TrackerUse:
    return TrackerUse("notes", {"file": str(tmp_path / "events.jsonl"), **options})


def report(step: int, **metrics: float) -> Any:
    return SimpleNamespace(step=step, metrics=metrics)


def test_a_training_is_told_from_its_start_to_its_end(
    folder: RunFolder, tmp_path: Path, notes: Callable[[], list[list[Any]]]
) -> None:
    said: list[str] = []
    shown: list[Any] = []
    with run_events(folder, [use(tmp_path)], {}, said.append) as told:
        step = StepEvents(told, folder.rollouts, shown.append)
        step(report(1, reward=0.5))
        folder.rollouts.write_text('{"reward": 1.0}\n{"reward": 0.0}\n')
        step(report(2, reward=0.6))
        step(report(2))  # nothing new
    assert [one[0] for one in notes()] == ["run_started", "step", "step", "rollouts", "finished"]
    assert notes()[0][1] == "run"
    assert notes()[3] == ["rollouts", 2, [{"reward": 1.0}, {"reward": 0.0}]]
    assert len(shown) == 3
    assert said == []


def test_a_training_that_fails_is_told_as_such(
    folder: RunFolder, tmp_path: Path, notes: Callable[[], list[list[Any]]]
) -> None:
    with pytest.raises(RuntimeError), run_events(folder, [use(tmp_path)], {}, lambda _: None):
        raise RuntimeError("the GPU is gone")
    assert notes()[-1] == ["failed", "the GPU is gone"]


def test_a_tracker_that_raises_is_told_once_and_the_others_go_on(
    folder: RunFolder, tmp_path: Path, notes: Callable[[], list[list[Any]]]
) -> None:
    said: list[str] = []
    uses = [use(tmp_path, fail_at="step"), use(tmp_path), TrackerUse("nowhere", {})]
    with run_events(folder, uses, {}, said.append) as told:
        told.tell("step", 1, {})
        told.tell("step", 2, {})
    assert sorted(said)[0] == "tracker notes: RuntimeError: no connection; the run continues without it"
    assert any("no tracker called 'nowhere'" in one for one in said)
    assert len(said) == 2
    assert [one[0] for one in notes()].count("step") == 2


def test_a_tracker_that_hangs_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    never, said = Event(), list[str]()

    class Hanging(Tracker):
        def step(self, step: int, metrics: Any) -> None:  # noqa: ARG002
            never.wait()

    monkeypatch.setattr(events, "AT_THE_END", 0.2)
    monkeypatch.setattr(events, "WAITING", 4)
    told = RunEvents([("hanging", Hanging())], said.append)
    for step in range(10):
        told.tell("step", step, {})
    told.close()
    never.set()
    assert len(said) == 1
    assert said[0].startswith("tracker hanging: ")


def test_an_evaluation_is_told_to_the_trackers_of_its_run(
    folder: RunFolder, tmp_path: Path, notes: Callable[[], list[list[Any]]]
) -> None:
    one = use(tmp_path)
    folder.lock.write_text(json.dumps({"recipe": {"trackers": [{"use": one.name, "options": dict(one.options)}]}}))
    tell(folder.path, "evaluated", {"sets": []}, "", say=lambda _: None)
    assert [one[0] for one in notes()] == ["run_resumed", "evaluated", "left"]


def test_real_commands_tell_and_trackers_are_no_part_of_what_a_run_is(
    tmp_path: Path, notes: Callable[[], list[list[Any]]], lrmctl: Any
) -> None:
    from lrmctl.recipe.load import load_recipe
    from lrmctl.recipe.lock import recipe_hash

    recipe = tmp_path / "mine.yaml"
    text = "kind: eval\nname: mine\nmodel: lab:tiny\nevaluation:\n  safety: [{use: lab-harmful, judge: lab}]\n"
    recipe.write_text(text + "  limit: 2\n  samples: 1\n  max_new_tokens: 16\n")
    plain = recipe_hash(load_recipe(recipe))
    named = f"trackers: [{{use: notes, options: {{file: {tmp_path / 'events.jsonl'}}}}}]\n"
    recipe.write_text(recipe.read_text() + named)
    assert recipe_hash(load_recipe(recipe)) == plain
    assert lrmctl("eval", "lab:tiny", "--recipe", recipe, "--name", "told").code == 0
    assert [one[0] for one in notes()] == ["run_resumed", "evaluated", "left"]
    recipe.write_text(recipe.read_text().replace("use: notes", "use: nots"))
    wrong = lrmctl("recipe", "validate", recipe)
    assert (wrong.code, "did you mean 'notes'" in wrong.err) == (2, True)


def test_nothing_happens_unless_the_environment_asks_for_it(folder: RunFolder) -> None:
    said: list[str] = []
    with run_events(folder, [], {}, said.append) as told:
        told.tell("step", 1, {"reward": 0.5})
    assert said == []
    assert list(folder.path.iterdir()) == [folder.lock]


@pytest.mark.skipif(find_spec("wandb") is not None, reason="wandb is installed")
def test_without_wandb_it_is_said_and_the_run_goes_on(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "not-a-real-key")
    said: list[str] = []
    with run_events(folder, [], {}, said.append) as told:
        told.tell("step", 1, {"reward": 0.5})
    assert "not installed" in said[0]
    assert "not-a-real-key" not in said[0]


SCRIPT = """
import sys
from pathlib import Path
from lrmctl.runs.folder import RunFolder
from lrmctl.runs.tracking import run_events
with run_events(RunFolder(Path(sys.argv[1])), [], {"kind": "rl"}, print) as told:
    told.tell("step", int(sys.argv[2]), {"reward": 0.5})
"""


@pytest.mark.skipif(find_spec("wandb") is None, reason="wandb is not installed")
def test_both_attempts_of_a_run_are_one_run_at_wandb(folder: RunFolder) -> None:
    env = {**os.environ, "WANDB_MODE": "offline"}
    for step in ("1", "2"):
        subprocess.run([sys.executable, "-c", SCRIPT, str(folder.path), step], env=env, check=True)
    runs = [path.stem for path in (folder.logs / "wandb").glob("offline-run-*/*.wandb")]
    assert len(runs) == 2
    assert len(set(runs)) == 1
