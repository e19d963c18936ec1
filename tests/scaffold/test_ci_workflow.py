"""The workflow for users' repositories: valid YAML, and its commands do what they say, run as CI runs them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from lrmctl.doctor import OPENRLHF
from lrmctl.scaffold import ci_workflow, cpu_overrides

RECIPE = """
kind: rl
name: short
model: lab:tiny
prompts: [{use: lab-prompts, options: {n: 32}}]
reward:
  components:
    - {use: short-thoughts, part: thinking}
    - {use: format}
rollout: {max_new_tokens: 64}
max_len: 192
"""
PLUGIN = """
from lrmctl import Score, hookimpl

class Short:
    def score(self, traces, part):
        return [Score(1.0 if len(t.thinking) < 200 else 0.0) for t in traces]

@hookimpl
def lrmctl_rewards(register):
    register("short-thoughts", Short, summary="1 for a short thought")
"""


def steps() -> dict[str, str]:
    workflow: dict[Any, Any] = yaml.safe_load(ci_workflow())
    return {s["name"]: s["run"] for s in workflow["jobs"]["recipes"]["steps"] if "run" in s}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A user's repository with a recipe and a reward plugin, which is installed as pip would leave it."""
    root = tmp_path / "repo"
    (root / "recipes").mkdir(parents=True)
    (root / "recipes" / "short.yaml").write_text(RECIPE)
    (root / "short_thoughts.py").write_text(PLUGIN)
    info = root / "short_thoughts-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: short-thoughts\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[lrmctl]\nshort = short_thoughts\n")
    return root


def run(step: str, repository: Path) -> subprocess.CompletedProcess[str]:
    """One step as the runner starts it: bash with its options, the workflow's variables, a folder for scratch."""
    workflow = yaml.safe_load(ci_workflow())
    scratch = repository.parent / "scratch"
    scratch.mkdir(exist_ok=True)
    folder = Path(sys.executable).parent
    env = {
        **{key: value for key, value in os.environ.items() if key != "LRMCTL_DATA_DIR"},
        **workflow["env"],
        "PATH": f"{folder}:{os.environ['PATH']}",
        "PYTHONPATH": str(repository),
        "RUNNER_TEMP": str(scratch),
    }
    options = workflow["jobs"]["recipes"]["defaults"]["run"]["shell"].split()
    words = [steps()[step] if word == "{0}" else word for word in options]
    words = [*words[:-1], "-c", words[-1]]
    return subprocess.run(words, cwd=repository, env=env, capture_output=True, text=True, timeout=900)


def test_the_workflow_is_valid_and_pins_the_backend_that_this_version_runs():
    workflow = yaml.safe_load(ci_workflow())
    assert workflow[True] == ["push", "pull_request"]  # YAML 1.1 reads `on` as true; GitHub does not mind
    assert f"openrlhf=={OPENRLHF}" in steps()["install"]
    assert "{" not in "".join(steps().values()).replace("${", "")


def test_the_overrides_are_requirements_that_drop_what_cpu_does_not_have():
    lines = [line for line in cpu_overrides().splitlines() if line and not line.startswith("#")]
    assert any(line.startswith("flash-attn") and "never" in line for line in lines)
    assert all("==" in line for line in lines)


def lrmctl(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "lrmctl", *words]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=120)


def test_the_workflow_is_written_once_and_never_over_another(tmp_path):
    assert lrmctl(tmp_path, "recipe", "ci").returncode == 0
    file = tmp_path / ".github" / "workflows" / "lrmctl.yml"
    assert file.read_text() == ci_workflow()
    again = lrmctl(tmp_path, "recipe", "ci")
    assert again.returncode == 2
    assert "already there" in again.stderr


def test_doctor_prints_the_overrides_and_nothing_else(tmp_path):
    done = lrmctl(tmp_path, "doctor", "--cpu-overrides")
    assert (done.returncode, done.stdout) == (0, cpu_overrides())


def test_the_quick_steps_pass_on_a_good_repository(repository):
    for step in ("recipes are valid", "plugins keep their contracts"):
        done = run(step, repository)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "short-thoughts" in done.stdout


def test_a_misspelt_key_fails_the_validation_step(repository):
    file = repository / "recipes" / "short.yaml"
    file.write_text(file.read_text().replace("max_len", "max_length"))
    done = run("recipes are valid", repository)
    assert done.returncode != 0
    assert "max_length" in done.stderr


def test_a_reward_that_breaks_its_contract_fails_the_contract_step(repository):
    file = repository / "short_thoughts.py"
    file.write_text(file.read_text().replace("for t in traces]", "for t in traces[1:]]"))
    done = run("plugins keep their contracts", repository)
    assert done.returncode != 0
    assert "results for" in done.stdout


def test_a_users_own_tests_run_in_the_contract_step(repository):
    (repository / "tests").mkdir()
    (repository / "tests" / "test_mine.py").write_text("def test_mine():\n    assert False, 'my own test'\n")
    done = run("plugins keep their contracts", repository)
    assert done.returncode != 0
    assert "my own test" in done.stdout


@pytest.mark.slow
@pytest.mark.e2e
def test_the_workflow_passes_a_good_repository_and_fails_a_broken_recipe(repository):
    for step in [name for name in steps() if not name.startswith("install")]:
        done = run(step, repository)
        assert done.returncode == 0, f"{step}: {done.stdout}{done.stderr}"
    file = repository / "short_thoughts.py"
    file.write_text(
        file.read_text().replace(
            "return [Score(1.0", "raise ValueError('broken on purpose')\n        return [Score(1.0"
        )
    )
    done = run("every recipe runs from end to end", repository)
    assert done.returncode == 3
    assert "broken on purpose" in done.stderr
    assert shutil.which("lrmctl", path=str(Path(sys.executable).parent))
