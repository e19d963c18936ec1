"""What `lrmctl train --dry-run` shows is what a run launches: one plan, executed as it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from training_recipes import RL, SFT, merged

from lrmctl.backends.base import REWARD_URL
from lrmctl.backends.launch.job import LaunchJob
from lrmctl.backends.launch.local import Local
from lrmctl.backends.openrlhf.backend import OpenRlhf
from lrmctl.errors import BackendError, NotFoundError
from lrmctl.recipe.load import LoadedRecipe, load_recipe
from lrmctl.runs.folder import RunFolder
from lrmctl.training import plan as planning
from lrmctl.training.plan import TrainingPlan, plan_training
from lrmctl.training.run import execute, train

REJECTION = {
    "data.sources": [],
    "data.rejection": {
        "prompts": [{"use": "lab-prompts", "options": {"n": 8}}],
        "reward": {"components": [{"use": "format"}]},
        "samples_per_prompt": 2,
        "keep_at_least": -2,
        "rollout": {"max_new_tokens": 8},
    },
    "train.batch_size": 2,
    "optimizer.micro_batch_size": 2,
    "train.epochs": 1,
}


def recipe(folder: Path, base: dict[str, Any], changes: dict[str, Any] | None = None) -> LoadedRecipe:
    content = merged(base, changes or {})
    if "rejection" in content.get("data", {}):
        del content["data"]["sources"]
    file = folder / "recipe.yaml"
    file.write_text(yaml.safe_dump(content))
    return load_recipe(file)


@dataclass
class Launched:
    """What reached the launcher: the job, and what lay in its run folder then."""

    jobs: list[LaunchJob] = field(default_factory=list)
    files: list[dict[str, str]] = field(default_factory=list)


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> Launched:
    """A launcher that starts nothing and says that the trainer failed."""
    seen = Launched()

    def run(_: Local, job: LaunchJob, *__: object) -> int:
        seen.jobs.append(job)
        paths = [job.cwd / "start.py", job.cwd / "reward-url", *(job.cwd / "data").glob("*.jsonl")]
        seen.files.append({str(p.relative_to(job.cwd)): p.read_text() for p in paths if p.exists()})
        Path(job.log).write_text("the trainer failed\n")
        return 1

    monkeypatch.setattr(Local, "run", run)
    return seen


def failing(run: Callable[[], object]) -> None:
    with pytest.raises(BackendError):
        run()


def save_checkpoint(run_dir: Path, step: int) -> None:
    """A checkpoint of an SFT run as DeepSpeed leaves it."""
    folder = run_dir / "checkpoints" / f"global_step{step}"
    folder.mkdir(parents=True)
    for name in ("mp_rank_00_model_states.pt", "zero_pp_rank_0_mp_rank_00_optim_states.pt"):
        torch.save({}, folder / name)
    (folder.parent / "latest").write_text(folder.name)


def assert_launched(shown: TrainingPlan, job: LaunchJob) -> None:
    plan = shown.backend_plan
    assert (list(plan.argv), dict(plan.env)) == (list(job.argv), dict(job.env))
    assert (plan.kind, dict(plan.resources), shown.run_dir) == (job.kind, dict(job.resources), job.cwd)


@pytest.mark.parametrize(
    ("base", "changes"),
    [
        (SFT, {}),
        (SFT, {"data.eval_rows": 0.1, "save_every": 2}),
        (RL, {}),
        (RL, {"evaluation": {"prompts": [{"use": "lab-prompts", "options": {"n": 4}}], "every": 1}}),
    ],
    ids=["sft", "sft with held-out rows", "rl", "rl with evaluation"],
)
def test_the_launched_job_is_the_one_that_a_dry_run_shows(
    tmp_path: Path, launched: Launched, base: dict[str, Any], changes: dict[str, Any]
) -> None:
    loaded, runs = recipe(tmp_path, base, changes), tmp_path / "runs"
    shown = plan_training(loaded, runs_dir=runs, allow_missing=True)
    failing(lambda: train(loaded, runs_dir=runs))
    assert_launched(shown, launched.jobs[0])
    written = {name: text for name, text in launched.files[0].items() if name != "reward-url"}
    assert written == dict(shown.backend_plan.files)


def test_rows_that_are_sampled_first_change_neither_the_command_nor_the_environment(
    tmp_path: Path, launched: Launched
) -> None:
    loaded, runs = recipe(tmp_path, SFT, REJECTION), tmp_path / "runs"
    shown = plan_training(loaded, runs_dir=runs, allow_missing=True)
    assert any("sampled" in sentence for sentence in shown.missing)
    failing(lambda: train(loaded, runs_dir=runs))
    assert_launched(shown, launched.jobs[0])
    assert "data/train.jsonl" in launched.files[0]
    lock = json.loads(RunFolder(shown.run_dir).lock.read_text())
    assert list(lock["plan"]["files"]) == ["data/train.jsonl"]
    assert lock["data"]["rows"] == len(launched.files[0]["data/train.jsonl"].splitlines())


def test_a_resumed_run_is_planned_with_its_checkpoint(tmp_path: Path, launched: Launched) -> None:
    loaded, runs = recipe(tmp_path, SFT, {"save_every": 2}), tmp_path / "runs"
    failing(lambda: train(loaded, runs_dir=runs))
    save_checkpoint(runs / "tiny-sft", 2)
    shown = plan_training(loaded, runs_dir=runs, resume=True, allow_missing=True)
    assert "--ckpt.load_enable" in shown.backend_plan.argv
    assert shown.to_json()["resumed_from"].endswith("global_step2")
    assert shown.continuation.attempt == 2
    failing(lambda: train(loaded, runs_dir=runs, resume=True))
    assert_launched(shown, launched.jobs[1])
    assert json.loads((runs / "tiny-sft" / "lock.json").read_text())["plan"]["resumed_from"].endswith("global_step2")


def test_a_run_that_starts_again_is_planned_without_its_checkpoint(tmp_path: Path, launched: Launched) -> None:
    loaded, runs = recipe(tmp_path, SFT, {"save_every": 2}), tmp_path / "runs"
    failing(lambda: train(loaded, runs_dir=runs))
    save_checkpoint(runs / "tiny-sft", 2)
    shown = plan_training(loaded, runs_dir=runs, resume=True, restart="always", allow_missing=True)
    assert "--ckpt.load_enable" not in shown.backend_plan.argv
    failing(lambda: execute(shown))
    assert_launched(shown, launched.jobs[1])
    assert (runs / "tiny-sft" / "checkpoints.old" / "all.1").is_dir()


@pytest.mark.parametrize("base", [SFT, RL], ids=["sft", "rl"])
def test_executing_a_plan_decides_nothing_again(
    tmp_path: Path, launched: Launched, monkeypatch: pytest.MonkeyPatch, base: dict[str, Any]
) -> None:
    plan = plan_training(recipe(tmp_path, base), runs_dir=tmp_path / "runs")

    def again(*_: object, **__: object) -> None:
        raise AssertionError("it was planned again")

    monkeypatch.setattr(OpenRlhf, "plan", again)
    for name in ("plan_training", "resolve", "inputs_of", "summarize"):
        monkeypatch.setattr(planning, name, again)
    failing(lambda: execute(plan))
    assert_launched(plan, launched.jobs[0])


def test_the_address_of_the_reward_service_is_put_in_at_the_launch_and_recorded_nowhere(
    tmp_path: Path, launched: Launched
) -> None:
    plan = plan_training(recipe(tmp_path, RL), runs_dir=tmp_path / "runs")
    assert plan.backend_plan.secrets == {"reward-url": REWARD_URL}
    failing(lambda: execute(plan))
    url = launched.files[0]["reward-url"]
    assert url.startswith("http://127.0.0.1:")
    folder = RunFolder(plan.run_dir)
    assert url not in folder.plan.read_text() + folder.lock.read_text()


def test_the_run_folder_records_the_plan(tmp_path: Path, launched: Launched) -> None:
    plan = plan_training(recipe(tmp_path, SFT), runs_dir=tmp_path / "runs")
    failing(lambda: execute(plan))
    folder = RunFolder(plan.run_dir)
    assert json.loads(folder.plan.read_text()) == json.loads(json.dumps(plan.to_json()))
    lock = json.loads(folder.lock.read_text())
    assert lock["plan"]["argv"] == list(launched.jobs[0].argv)
    assert set(lock["plan"]["files"]) == {"data/train.jsonl"}


def test_a_plan_with_something_missing_is_not_executed(
    tmp_path: Path, launched: Launched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    loaded = recipe(tmp_path, RL, {"model": "Qwen/Qwen3-4B"})
    plan = plan_training(loaded, runs_dir=tmp_path / "runs", allow_missing=True)
    with pytest.raises(NotFoundError, match="not on this machine"):
        execute(plan)
    assert not launched.jobs
    assert not (tmp_path / "runs").exists()


def test_a_run_that_is_done_is_planned_as_done_and_left_alone(tmp_path: Path, launched: Launched) -> None:
    loaded, runs = recipe(tmp_path, SFT), tmp_path / "runs"
    failing(lambda: train(loaded, runs_dir=runs))
    (runs / "tiny-sft" / "model").mkdir()
    plan = plan_training(loaded, runs_dir=runs, resume=True)
    assert plan.continuation.done
    assert execute(plan).status()["state"] == "done"
    assert len(launched.jobs) == 1
