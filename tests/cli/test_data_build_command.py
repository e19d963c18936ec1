"""`lrmctl data build` on the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from data_recipes import LAB

Lrmctl = Callable[..., Any]
RECIPE = {**LAB, "build": {"use": "refuse"}, "keep": {"judges": [{"judge": "lab", "when": "harmful"}]}}


def written(folder: Path, **sections: Any) -> str:
    (folder / "recipe.yaml").write_text(yaml.safe_dump({**RECIPE, **sections}))
    return "recipe.yaml"


def test_the_dry_run_counts_completions_and_judge_calls_and_starts_nothing(lrmctl: Lrmctl, tmp_path: Path) -> None:
    done = lrmctl("data", "build", written(tmp_path), "--dry-run", "--json")
    plan = json.loads(done.out)["data"]
    assert done.code == 0
    assert (plan["completions"], plan["judge_calls"]) == (32, {"lab": 4 * 4 * 2})
    assert not (tmp_path / "runs").exists()


def test_a_recipe_of_another_kind_is_one_error_with_the_right_command(lrmctl: Lrmctl, tmp_path: Path) -> None:
    done = lrmctl("data", "build", "lab/rl")
    assert done.code == 2
    assert "lrmctl train lab/rl" in done.err
    done = lrmctl("train", written(tmp_path))
    assert done.code == 2
    assert "lrmctl data build recipe.yaml" in done.err


def test_a_build_that_keeps_nothing_ends_with_2_and_is_not_offered_again(lrmctl: Lrmctl, tmp_path: Path) -> None:
    reward = {"components": [{"use": "format"}]}
    few = [{"use": "lab-prompts", "options": {"n": 2}}]
    recipe = written(tmp_path, prompts=few, build={"use": "select"}, keep={"reward": reward, "at_least": 9})
    done = lrmctl("data", "build", recipe)
    assert done.code == 2
    assert "nothing is kept (reward below 9" in done.err
    assert "to continue" not in done.err


def test_ctrl_c_says_how_to_continue_and_the_command_does(tmp_path: Path) -> None:
    many = [{"use": "lab-prompts", "options": {"n": 400}}]
    words = [sys.executable, "-m", "lrmctl", "data", "build", written(tmp_path, prompts=many, batch_size=4)]
    env = {**os.environ, "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(words, cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True)
    store = tmp_path / "runs" / "lab-built" / "data" / "completions.sqlite"
    while not store.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert said.strip().splitlines()[-1] == "to continue: lrmctl data build recipe.yaml"
