"""The sample plugin as users get it: built, installed into a fresh environment, found by the real command."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "plugins" / "lrmctl-reward-brevity"
RECIPE = """\
kind: rl
name: short
model: lab:tiny
prompts: [{use: lab-prompts}]
reward:
  components:
    - {use: judged-safe, options: {judge: lab}}
    - {use: brevity, part: thinking, weight: 0.1, options: {words: 20}}
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of a new environment that has the plugin installed, and lrmctl and its needs from this one."""
    folder = tmp_path_factory.mktemp("fresh") / "venv"
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    site = next(folder.glob("lib/python*/site-packages"))
    ours = sysconfig.get_path("purelib")
    (site / "lrmctl-from-the-tests.pth").write_text(f"import site; site.addsitedir({ours!r})\n")
    _install(python, tmp_path_factory.mktemp("source"))
    return python


def _install(python: Path, scratch: Path) -> None:
    """Build and install a copy of the plugin, so that no build output lands in the repository."""
    source = shutil.copytree(PLUGIN, scratch / "plugin", ignore=shutil.ignore_patterns("dist", "__pycache__"))
    beside = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if beside is None:
        pytest.fail("this test installs with uv, which is not on the path: pip install uv")
    links = ["--find-links", os.environ["PIP_FIND_LINKS"]] if os.environ.get("PIP_FIND_LINKS") else []
    command = [beside, "pip", "install", "--quiet", "--python", str(python), "--no-deps", *links, str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr


def lrmctl(python: Path, *words: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The command in the new environment; `path` is one more place where distributions are installed."""
    env = {**os.environ, "PYTHONPATH": str(path or ""), "COLUMNS": "200"}
    command = [str(python), "-m", "lrmctl", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=env, cwd=python.parent)


def plugins(python: Path, path: Path | None = None) -> dict[str, Any]:
    done = lrmctl(python, "plugin", "list", "--json", path=path)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["data"]


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A place with another distribution whose plugin cannot be imported."""
    site = tmp_path / "broken-site"
    info = site / "lrmctl_broken-2.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lrmctl-broken\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text("[lrmctl]\nbroken = lrmctl_broken\n")
    (site / "lrmctl_broken.py").write_text("import a_library_that_nobody_has\n")
    return site


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    file = tmp_path / "short.yaml"
    file.write_text(RECIPE)
    return file


def test_the_installed_plugin_is_listed_with_its_distribution_and_version(python):
    listed = plugins(python)
    assert listed["problems"] == []
    (entry,) = [e for e in listed["plugins"] if e["name"] == "brevity"]
    assert (entry["group"], entry["distribution"], entry["version"]) == ("reward", "lrmctl-reward-brevity", "0.1.0")
    assert entry["builtin"] is False


def test_the_table_for_people_names_it_too(python):
    (line,) = [line for line in lrmctl(python, "plugin", "list", "reward").stdout.splitlines() if "brevity" in line]
    assert "lrmctl-reward-brevity 0.1.0" in line


def test_it_is_not_listed_where_it_is_not_installed():
    assert "brevity" not in lrmctl(Path(sys.executable), "plugin", "list", "reward").stdout


def test_a_recipe_that_names_it_is_valid_and_its_options_are_checked(python, recipe):
    assert lrmctl(python, "recipe", "validate", str(recipe)).returncode == 0
    recipe.write_text(RECIPE.replace("words: 20", "wrods: 20"))
    done = lrmctl(python, "recipe", "validate", str(recipe))
    assert done.returncode != 0
    assert "wrods" in done.stdout + done.stderr


def test_it_scores_as_part_of_a_composed_reward(python):
    program = """
from lrmctl import Prompt, Trace
from lrmctl.recipe.schema.recipes import RewardSection
from lrmctl.rewards.compose import ComposedReward
part = {"use": "brevity", "part": "thinking", "weight": 2.0, "options": {"words": 4}}
reward = ComposedReward(RewardSection.model_validate({"components": [part]}))
asked = Prompt.user("p", "?", "benign")
print([r.total for r in reward.score([Trace(asked, t, "", "closed") for t in ("a", "a b c", "a b c d e", "")])])
"""
    done = subprocess.run([str(python), "-c", program], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "[1.5, 0.5, 0.0, 0.0]", done.stderr


def test_a_broken_plugin_is_reported_and_breaks_no_command(python, recipe, broken):
    (problem,) = plugins(python, broken)["problems"]
    assert problem["distribution"] == "lrmctl-broken"
    assert "a_library_that_nobody_has" in problem["error"]
    assert "brevity" in {e["name"] for e in plugins(python, broken)["plugins"]}
    for words in (["--help"], ["recipe", "list"], ["recipe", "validate", str(recipe)], ["plugin", "list"]):
        assert lrmctl(python, *words, path=broken).returncode == 0, words


def test_a_recipe_that_needs_the_broken_plugin_is_told_why(python, recipe, broken):
    recipe.write_text(RECIPE.replace("brevity", "broken-reward"))
    done = lrmctl(python, "recipe", "validate", str(recipe), path=broken)
    assert done.returncode in (1, 2)
    assert "a_library_that_nobody_has" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
