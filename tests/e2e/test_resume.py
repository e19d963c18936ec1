"""Going on with a run: from the last checkpoint that can be loaded, and never from the beginning without a word."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from killing import train_and_kill
from safetensors.torch import load_file
from training_recipes import PREFERENCE, RL, SFT, merged

from lrmctl.backends.openrlhf.run.checkpoints import last_checkpoint, restore
from lrmctl.errors import DiskFullError, LrmctlError, RunExistsError
from lrmctl.recipe.load import LoadedRecipe, load_recipe
from lrmctl.runs.folder import RunFolder
from lrmctl.runs.jsonl import read_jsonl, write_jsonl
from lrmctl.runs.marks import mark
from lrmctl.training import resume
from lrmctl.training.run import train


def recipe(folder: Path, base: dict[str, Any], **changes: Any) -> LoadedRecipe:
    file = folder / f"{base['kind']}.yaml"
    file.write_text(yaml.safe_dump(merged(base, {k.replace("__", "."): v for k, v in changes.items()})))
    return load_recipe(file)


def save(run: Path, step: int, role: str = "") -> Path:
    """A checkpoint as DeepSpeed leaves it."""
    folder = run / "checkpoints" / role / f"global_step{step}"
    folder.mkdir(parents=True)
    for name in ("mp_rank_00_model_states.pt", "zero_pp_rank_0_mp_rank_00_optim_states.pt"):
        torch.save({"weights": torch.arange(20_000)}, folder / name)
    (folder.parent / "latest").write_text(folder.name)
    return folder


def truncate(folder: Path) -> None:
    file = next(folder.glob("*optim_states.pt"))
    os.truncate(file, file.stat().st_size // 2)


def flip(folder: Path) -> None:
    file = next(folder.glob("*model_states.pt"))
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 255
    file.write_bytes(data)


def empty(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


@pytest.mark.parametrize(
    ("spoil", "why"), [(truncate, "is cut off"), (flip, "is damaged"), (empty, "no weights")], ids=lambda v: str(v)[:20]
)
def test_a_broken_last_checkpoint_falls_back_to_the_one_before(tmp_path: Path, spoil: Any, why: str) -> None:
    save(tmp_path, 10)
    spoil(save(tmp_path, 20))
    last = restore(tmp_path)
    assert last is not None
    assert last.step == 10
    assert last.passed_over[0].startswith("global_step20: ")
    assert why in last.passed_over[0]
    assert (tmp_path / "checkpoints" / "latest").read_text() == "global_step10"
    assert (tmp_path / "checkpoints.old" / "global_step20.1").is_dir()
    assert not (tmp_path / "checkpoints" / "global_step20").exists()


def test_a_checkpoint_that_was_being_written_is_not_the_last_one(tmp_path: Path) -> None:
    save(tmp_path, 10)
    save(tmp_path, 20)
    (tmp_path / "checkpoints" / "latest").write_text("global_step10")
    last = last_checkpoint(tmp_path)
    assert last is not None
    assert (last.step, last.passed_over) == (10, ())


def test_actor_and_critic_go_on_from_the_same_step(tmp_path: Path) -> None:
    for step in (10, 20):
        save(tmp_path, step, "_actor")
    save(tmp_path, 10, "_critic")  # killed between the two
    last = restore(tmp_path)
    assert last is not None
    assert last.step == 10
    assert (tmp_path / "checkpoints" / "_actor" / "latest").read_text() == "global_step10"


def test_without_any_whole_checkpoint_there_is_none(tmp_path: Path) -> None:
    assert last_checkpoint(tmp_path) is None
    truncate(save(tmp_path, 10))
    assert last_checkpoint(tmp_path) is None


def failed_run(tmp_path: Path, loaded: LoadedRecipe, steps: int) -> RunFolder:
    """A run that was begun for real and could not write its data; as if it had done some steps before."""
    folder = RunFolder(tmp_path / "runs" / loaded.recipe.name)
    mark(folder.path)
    folder.data.mkdir(parents=True)
    name = "train.jsonl" if loaded.recipe.kind == "sft" else "prompts.jsonl"
    (folder.data / name).symlink_to("/dev/full")
    with pytest.raises(DiskFullError, match="disk"):
        train(loaded, runs_dir=tmp_path / "runs")
    folder.new_attempt()
    write_jsonl(folder.metrics, [{"step": n + 1, "total": 8, "seconds": 1.0} for n in range(steps)])
    return folder


@pytest.mark.parametrize(("save_every", "reason"), [(None, "save_every is not set"), (50, "save_every is 50")])
def test_a_run_whose_steps_would_be_lost_is_not_started_again_without_being_told(
    tmp_path: Path, save_every: int | None, reason: str
) -> None:
    loaded = recipe(tmp_path, SFT, save_every=save_every)
    folder = failed_run(tmp_path, loaded, steps=3)
    with pytest.raises(LrmctlError, match="its 3 steps are lost") as caught:
        train(loaded, runs_dir=tmp_path / "runs", resume=True)
    assert reason in caught.value.what
    assert caught.value.exit_code == 2
    assert "--resume --from-start" in caught.value.fix
    assert len(list(read_jsonl(folder.metrics))) == 3
    assert resume.must_start_again(folder.path, loaded.recipe)


def test_a_run_whose_data_has_changed_is_not_gone_on_with(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    rows = [{"prompt": f"p{i}", "kind": "benign", "thinking": "t", "answer": f"a{i}"} for i in range(64)]
    write_jsonl(file, rows)
    source = {"use": "jsonl", "options": {"path": str(file)}}
    loaded = recipe(tmp_path, SFT, data__sources=[source], save_every=2)
    folder = failed_run(tmp_path, loaded, steps=4)
    save(folder.path, 4)
    write_jsonl(file, [{**rows[0], "answer": "another"}, *rows[1:]])
    with pytest.raises(RunExistsError, match="data of the run"):
        train(loaded, runs_dir=tmp_path / "runs", resume=True)
    write_jsonl(file, rows)
    with pytest.raises(DiskFullError, match="disk"):  # it gets as far as the full disk
        train(loaded, runs_dir=tmp_path / "runs", resume=True)


def test_a_run_whose_reward_function_has_changed_is_not_gone_on_with(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def score(trace): return 1.0\n")
    loaded = recipe(tmp_path, RL, reward={"components": [{"fn": f"{file}:score"}]}, save_every=2)
    folder = failed_run(tmp_path, loaded, steps=4)
    save(folder.path, 4, "_actor")
    file.write_text("def score(trace): return 0.0\n")
    with pytest.raises(RunExistsError, match=r"the function file .*mine\.py of the run"):
        train(loaded, runs_dir=tmp_path / "runs", resume=True)
    file.write_text("def score(trace): return 1.0\n")
    with pytest.raises(DiskFullError, match="disk"):
        train(loaded, runs_dir=tmp_path / "runs", resume=True)


def test_told_to_or_without_steps_it_does_start_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loaded = recipe(tmp_path, SFT)
    folder = failed_run(tmp_path, loaded, steps=0)
    for steps, restart in ((0, "refuse"), (2, "always"), (2, "allow")):
        write_jsonl(folder.metrics, [{"step": n + 1, "total": 8, "seconds": 1.0} for n in range(steps)])
        with pytest.raises(DiskFullError, match="disk"):  # it gets as far as the full disk
            train(loaded, runs_dir=tmp_path / "runs", resume=True, restart=restart)
        assert "starting from the beginning" in capsys.readouterr().err


def test_starting_again_on_purpose_puts_the_checkpoints_aside(tmp_path: Path) -> None:
    loaded = recipe(tmp_path, SFT, save_every=2)
    folder = failed_run(tmp_path, loaded, steps=4)
    save(folder.path, 4)
    with pytest.raises(DiskFullError, match="disk"):
        train(loaded, runs_dir=tmp_path / "runs", resume=True, restart="always")
    assert last_checkpoint(folder.path) is None
    assert (folder.path / "checkpoints.old" / "all.1" / "global_step4").is_dir()


def test_what_is_restored_is_said(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    write_jsonl(folder.metrics, [{"step": n + 1} for n in range(25)])
    write_jsonl(folder.rollouts, [{"n": n} for n in range(7)])
    truncate(save(folder.path, 10)), save(folder.path, 20)  # the older one's state does not matter
    os.utime(folder.checkpoints / "global_step20", (time.time() - 300,) * 2)
    said = "\n".join(resume.describe_resume(folder, last_checkpoint(folder.path)))
    assert "going on from step 20" in said
    assert "saved 5 min 00 s ago" in said
    assert "20 rows kept, 5 dropped" in said
    assert "all 7 kept" in said


def numbers(row: dict[str, Any]) -> dict[str, Any]:
    """A row without what depends on the clock."""
    return {k: v for k, v in row.items() if k != "seconds" and not k.startswith("time/")}


@pytest.mark.slow
@pytest.mark.e2e
@pytest.mark.parametrize("base", [SFT, PREFERENCE], ids=["sft", "preference"])
def test_a_run_that_was_killed_goes_on_at_the_saved_step_and_ends_with_the_same_numbers(
    tmp_path: Path, base: dict[str, Any]
) -> None:
    """In preference training the log-ratios are the same too, so the reference is still the model it started from."""
    loaded = recipe(tmp_path, base, train__epochs=10, save_every=5, backend__device="cpu")
    whole = train(loaded, runs_dir=tmp_path / "runs", name="whole")
    killed = train_and_kill(loaded.path, tmp_path / "runs", "killed", lambda f: bool(last_checkpoint(f.path)))
    assert killed.status()["state"] == "interrupted"
    at = last_checkpoint(killed.path)
    assert at is not None
    assert 0 < at.step < 40
    train(loaded, runs_dir=tmp_path / "runs", name="killed", resume=True)
    assert killed.status()["resumed_from"] == at.step
    rows = list(read_jsonl(killed.metrics))
    assert [row["step"] for row in rows] == list(range(1, 41))
    for row, same in zip(rows, read_jsonl(whole.metrics), strict=True):
        assert numbers(row) == pytest.approx(numbers(same), rel=1e-3, abs=1e-5)
    assert killed.status()["state"] == "done"
    ends = [load_file(folder.model / "model.safetensors") for folder in (killed, whole)]
    assert all(torch.allclose(weight, ends[1][name], atol=1e-4) for name, weight in ends[0].items())


@pytest.mark.slow
@pytest.mark.e2e
def test_a_killed_rl_run_that_was_moved_and_lost_its_last_checkpoint_goes_on_from_the_one_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = recipe(tmp_path, RL, algorithm__steps=6, save_every=1, backend__device="cpu")

    def two_saved(folder: RunFolder) -> bool:
        last = last_checkpoint(folder.path)
        return last is not None and last.step >= 2

    killed = train_and_kill(loaded.path, tmp_path / "runs", "killed", two_saved)
    moved = RunFolder(tmp_path / "elsewhere" / "moved")
    moved.path.parent.mkdir()
    killed.path.rename(moved.path)
    last = last_checkpoint(moved.path)
    assert last is not None
    truncate(last.path)
    train(loaded, runs_dir=tmp_path / "elsewhere", name="moved", resume=True)
    said = capsys.readouterr().err
    assert f"passed over a checkpoint that cannot be loaded (global_step{last.step}: " in said
    assert f"going on from step {last.step - 1}" in said
    assert moved.status()["resumed_from"] == last.step - 1
    assert [row["step"] for row in read_jsonl(moved.metrics)] == [1, 2, 3, 4, 5, 6]
    assert moved.status()["state"] == "done"
