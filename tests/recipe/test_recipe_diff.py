"""What two recipes differ in, by key and place."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lrmctl.errors import NotFoundError
from lrmctl.recipe.diff import diff, side
from lrmctl.recipe.load import load_recipe
from lrmctl.recipe.lock import write_lock


def write(folder: Path, text: str, name: str) -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def lrmctl(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "lrmctl", *words], cwd=cwd, capture_output=True, text=True)


def a_run(folder: Path, *sets: str) -> Path:
    """The recipe and lock of a run, as training leaves them."""
    loaded = load_recipe("lab/rl", sets)
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(loaded.resolved, sort_keys=False))
    write_lock(folder / "lock.json", loaded)
    return folder


def test_a_difference_has_both_values_and_both_places(tmp_path: Path) -> None:
    a = write(tmp_path, "extends: lab/rl\nalgorithm:\n  gamma: 1.0\n  dual_clip: 3\n", "a.yaml")
    b = write(tmp_path, "extends: lab/rl\nname: other\nalgorithm: {preset: dapo}\nmax_len: 512\n", "b.yaml")
    found = {d.key: d for d in diff(side(str(a), tmp_path), side(str(b), tmp_path))}
    assert (found["algorithm.dual_clip"].a, found["algorithm.dual_clip"].b) == (3.0, None)
    assert found["algorithm.dual_clip"].where_a == f"{a}:4"
    assert found["algorithm.dual_clip"].where_b == "default"
    assert found["name"].where_b == f"{b}:2"
    assert "lab/rl.yaml:" in found["name"].where_a
    assert found["algorithm.clip_high"].where_b == "preset dapo"
    assert "algorithm.gamma" not in found  # said, and the same as the default


def test_lists_of_sections_are_compared_one_by_one(tmp_path: Path) -> None:
    a = write(tmp_path, "extends: lab/rl\nprompts: [{use: lab-prompts, options: {n: 4}}]\n", "a.yaml")
    more = "[{use: lab-prompts, options: {n: 5}}, {use: jsonl, options: {path: x}}]"
    b = write(tmp_path, f"extends: lab/rl\nprompts: {more}\noptimizer: {{betas: [0.9, 0.99]}}\n", "b.yaml")
    found = {d.key: d for d in diff(side(str(a), tmp_path), side(str(b), tmp_path))}
    assert (found["prompts.0.options.n"].a, found["prompts.0.options.n"].b) == (4, 5)
    assert found["prompts.1"].where_a == ""
    assert found["prompts.1"].b["use"] == "jsonl"
    assert found["optimizer.betas"].b == [0.9, 0.99]


def test_a_run_is_compared_by_what_it_was_locked_to(tmp_path: Path) -> None:
    folder = a_run(tmp_path / "one", "algorithm.steps=7")
    (found,) = diff(side("run:one", tmp_path), side("lab/rl", tmp_path))
    assert (found.key, found.a) == ("algorithm.steps", 7)
    assert found.where_a.startswith(str(folder / "recipe.yaml"))
    assert "steps: 7" in (folder / "recipe.yaml").read_text().splitlines()[int(found.where_a.rpartition(":")[2]) - 1]


def test_a_run_whose_recipe_was_edited_or_is_older_than_the_schema_is_read_from_its_lock(tmp_path: Path) -> None:
    folder = a_run(tmp_path / "one")
    (folder / "recipe.yaml").write_text("name: edited\n")
    lock = json.loads((folder / "lock.json").read_text())
    lock["recipe"]["algorithm"]["a_word_of_the_past"] = 1
    (folder / "lock.json").write_text(json.dumps(lock))
    (found,) = diff(side("run:one", tmp_path), side("lab/rl", tmp_path))
    assert (found.key, found.where_a, found.where_b) == (
        "algorithm.a_word_of_the_past",
        str(folder / "lock.json"),
        "",
    )


@pytest.mark.parametrize("ref", ["run:none", "nowhere.yaml"])
def test_what_is_not_there_is_one_error(tmp_path: Path, ref: str) -> None:
    with pytest.raises(NotFoundError):
        side(ref, tmp_path)


def test_the_command_ends_with_1_where_recipes_differ_and_0_where_not(tmp_path: Path) -> None:
    write(tmp_path, "extends: lab/rl\nseed: 5\n", "mine.yaml")
    differ = lrmctl("recipe", "diff", "lab/rl", "mine.yaml", cwd=tmp_path)
    assert differ.returncode == 1
    assert "mine.yaml:2" in differ.stdout
    told = json.loads(lrmctl("recipe", "diff", "lab/rl", "mine.yaml", "--json", cwd=tmp_path).stdout)
    assert told["kind"] == "recipe-diff"
    assert [(d["key"], d["a"], d["b"], d["where_b"]) for d in told["data"]] == [("seed", 0, 5, "mine.yaml:2")]
    same = lrmctl("recipe", "diff", "lab/rl", "lab/rl", "--json", cwd=tmp_path)
    assert (same.returncode, json.loads(same.stdout)["data"]) == (0, [])
    assert lrmctl("recipe", "diff", "lab/rl", "run:none", cwd=tmp_path).returncode == 2
