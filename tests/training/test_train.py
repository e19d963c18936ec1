"""Training up to the launch: what is wrong is said before anything is made, and what is made is complete."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from training_recipes import RL, SFT, merged

from lrmctl.backends.openrlhf.flags import parser
from lrmctl.backends.rows import rl_rows, sft_rows
from lrmctl.data.sources import Demonstration
from lrmctl.errors import DiskFullError, LrmctlError, NotFoundError, RecipeError, RunExistsError
from lrmctl.lab import base_path
from lrmctl.models import load_tokenizer
from lrmctl.recipe.load import LoadedRecipe, load_recipe
from lrmctl.runs.folder import RunFolder
from lrmctl.runs.marks import mark
from lrmctl.training.inputs import sampled_rows
from lrmctl.training.plan import plan_training
from lrmctl.training.run import train
from lrmctl.types import Prompt


def recipe(folder: Path, base: dict[str, Any], **changes: Any) -> LoadedRecipe:
    folder.mkdir(exist_ok=True)
    file = folder / f"{base['kind']}.yaml"
    file.write_text(yaml.safe_dump(merged(base, {k.replace("__", "."): v for k, v in changes.items()})))
    return load_recipe(file)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"model": "/no/such/model"}, NotFoundError, "/no/such/model"),
        ({"model": "run:never"}, NotFoundError, "run:never"),
        ({"backend__flags": {"train.numepisodes": 2}}, RecipeError, "no flag"),
        ({"reward": {"components": [{"use": "formatt"}]}}, RecipeError, "formatt"),
        ({"backend__name": "trl"}, LrmctlError, "trl"),
        ({"max_len": 70}, RecipeError, "no prompt to train on"),
        ({"optimizer__micro_batch_size": 5}, RecipeError, "micro-batches of 5"),
    ],
)
def test_what_is_wrong_is_said_before_a_folder_is_made(
    tmp_path: Path, runs: Path, changes: dict[str, Any], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        train(recipe(tmp_path, RL, **changes), runs_dir=runs)
    assert not runs.exists()


def test_a_broken_tokenizer_is_named(tmp_path: Path, runs: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    for file in base_path().iterdir():
        (model / file.name).write_bytes(b"{" if file.name == "tokenizer.json" else file.read_bytes())
    with pytest.raises(NotFoundError, match="tokenizer cannot be loaded") as caught:
        train(recipe(tmp_path, SFT), runs_dir=runs, model=str(model))
    assert caught.value.where == str(model)


def test_a_taken_name_is_refused(tmp_path: Path, runs: Path) -> None:
    RunFolder.create(runs, "tiny-sft").set_status("failed")
    with pytest.raises(RunExistsError, match="taken") as caught:
        train(recipe(tmp_path, SFT), runs_dir=runs)
    assert "--resume" in caught.value.fix


def test_a_run_of_another_recipe_or_model_is_not_gone_on_with(tmp_path: Path, runs: Path) -> None:
    full_disk(runs / "tiny-sft")
    with pytest.raises(DiskFullError):
        train(recipe(tmp_path, SFT), runs_dir=runs)
    with pytest.raises(RunExistsError, match="another recipe"):
        train(recipe(tmp_path, SFT, seed=1), runs_dir=runs, name="tiny-sft", resume=True)


def full_disk(run: Path) -> None:
    """A run folder whose training data lies on a device that is always full."""
    mark(run)
    (run / "data").mkdir(parents=True)
    (run / "data" / "train.jsonl").symlink_to("/dev/full")


def test_a_full_disk_is_one_clear_error(tmp_path: Path, runs: Path) -> None:
    full_disk(runs / "tiny-sft")
    with pytest.raises(DiskFullError, match="the disk is full") as caught:
        train(recipe(tmp_path, SFT), runs_dir=runs)
    assert caught.value.exit_code == 2
    status = RunFolder(runs / "tiny-sft").status()
    assert (status["state"], status["error"]) == ("failed", "the disk is full")


def test_a_plan_is_whole_and_leaves_no_run(tmp_path: Path, runs: Path) -> None:
    plan = plan_training(recipe(tmp_path, RL), runs_dir=runs).backend_plan
    start = plan.argv.index("openrlhf.cli.train_ppo_ray") + 1
    assert parser.parse("train_ppo_ray", plan.argv[start:])["rollout.batch_size"] == 4
    assert plan.estimates["steps"] == 3
    assert not runs.exists()


def test_a_rejection_recipe_is_planned_before_it_has_samples(tmp_path: Path, runs: Path) -> None:
    rejection = {"prompts": RL["prompts"], "reward": RL["reward"]}
    loaded = recipe(tmp_path, SFT, data={"rejection": rejection, "max_len": 256})
    assert any("sampled" in note for note in plan_training(loaded, runs_dir=runs).backend_plan.notes)
    with pytest.raises(RecipeError, match="no flag"):
        plan_training(loaded.override({"backend.flags": {"nope": 1}}), runs_dir=runs)


def test_rejection_sampling_tells_how_far_it_is(tmp_path: Path) -> None:
    rejection = {
        "prompts": RL["prompts"],
        "reward": {"components": [{"use": "format"}]},
        "samples_per_prompt": 1,
        "rollout": {"max_new_tokens": 32},
        "keep_at_least": -1.0,
    }
    loaded = recipe(tmp_path, SFT, data={"rejection": rejection, "max_len": 256})
    seen: list[tuple[int, int]] = []
    rows = sampled_rows(
        loaded.recipe, base_path(), load_tokenizer(base_path()), tmp_path, lambda *report: seen.append(report)
    )
    assert rows.rows
    assert seen[-1][0] == seen[-1][1] > 1


def test_sft_rows_are_rendered_whole_and_end_with_the_end_of_text() -> None:
    tokenizer = load_tokenizer(base_path())
    prompt = Prompt.user("1", "What is 2+3?", "reasoning")
    rows = sft_rows(tokenizer, [Demonstration(prompt, "2+3=5.", "The answer is 5.")], max_len=128)
    (row,) = rows.rows
    assert row["prompt"].endswith("<think>\n")
    assert row["response"] == f"2+3=5.\n</think>\n\nThe answer is 5.{tokenizer.eos_token}"
    assert (rows.too_long, rows.merged) == (0, 0)
    assert rows.longest == len(tokenizer(row["prompt"] + row["response"], add_special_tokens=False)["input_ids"])


def test_rows_that_do_not_fit_are_dropped_and_counted() -> None:
    tokenizer = load_tokenizer(base_path())
    prompts = [Prompt.user(str(n), "What is " + "+".join(["1"] * n) + "?", "reasoning") for n in (1, 100, 2)]
    told = sft_rows(tokenizer, [Demonstration(p, "x", "y") for p in prompts], max_len=64)
    assert (len(told.rows), told.too_long) == (2, 1)
    assert told.longest <= 64
    asked = rl_rows(tokenizer, prompts, room=told.longest)
    assert (len(asked.rows), asked.too_long) == (2, 1)
    assert "1 of 3 rows are too long" in asked.notes[0]


def test_an_rl_row_carries_its_prompt_in_the_label() -> None:
    from lrmctl.rewards.service.protocol import decode_label

    prompt = Prompt.user("7", "What is 2+3?", "reasoning", reference="5")
    (row,) = rl_rows(load_tokenizer(base_path()), [prompt], room=100).rows
    assert decode_label(row["label"]) == (prompt, True)
