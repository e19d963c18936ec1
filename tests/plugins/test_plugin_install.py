"""The plugins of `plugins/` as users get them: built, installed into a fresh environment, found by the real command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from plugin_environment import PLUGINS, ROOT, environment, missing_requirements, run_python

pytestmark = pytest.mark.e2e
MISSING = {name: missing_requirements(folder) for name, folder in PLUGINS.items()}
HERE = {name: folder for name, folder in PLUGINS.items() if not MISSING[name]}
RECIPE = """\
kind: rl
name: short
model: lab:tiny
prompts: [{use: lab-prompts}]
reward:
  components:
    - {use: judged-safe, options: {judge: lab}}
    - {use: whole-sentence, weight: 0.1}
    - {use: brevity, part: thinking, weight: 0.1, options: {words: 20}}
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of a new environment with every plugin whose dependencies are here."""
    return environment(tmp_path_factory.mktemp("fresh"), list(HERE.values()))


@pytest.fixture(scope="module")
def own_tests(python: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[ElementTree.Element]]:
    """Results of each plugin's own tests, all run in the new environment."""
    report = tmp_path_factory.mktemp("own") / "report.xml"
    options = ["-p", "no:cacheprovider", "-c", ROOT / "pyproject.toml", f"--junitxml={report}"]
    done = run_python(python, "-m", "pytest", *options, *(folder / "tests" for folder in HERE.values()))
    assert report.exists(), done.stdout + done.stderr
    results: dict[str, list[ElementTree.Element]] = {name: [] for name in HERE}
    for case in ElementTree.parse(report).iter("testcase"):
        place = f"{case.get('classname')}.{case.get('name')}"  # a file that cannot be imported has only the latter
        results[next(name for name in HERE if f"plugins.{name}.tests" in place)].append(case)
    return results


def lrmctl(python: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return run_python(python, "-m", "lrmctl", *words)


def listed(python: Path) -> dict[str, Any]:
    done = lrmctl(python, "plugin", "list", "--json")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout)["data"])


def test_each_installed_plugin_is_listed_with_its_names_and_version(python: Path) -> None:
    found = listed(python)
    assert found["problems"] == []
    theirs = {(e["distribution"], e["version"], e["group"], e["name"]) for e in found["plugins"] if not e["builtin"]}
    assert {entry[0] for entry in theirs} == set(HERE)
    assert {
        ("lrmctl-reward-brevity", "0.1.0", "reward", "brevity"),
        ("lrmctl-reward-minimal", "0.1.0", "reward", "whole-sentence"),
        ("lrmctl-judge-example", "0.1.0", "judge", "moderation"),
        ("lrmctl-benchmark-example", "0.1.0", "benchmark", "look-alikes"),
    } <= theirs


@pytest.mark.parametrize("name", PLUGINS)
def test_its_own_tests_pass_where_it_is_installed(own_tests: dict[str, list[ElementTree.Element]], name: str) -> None:
    if MISSING[name]:
        pytest.skip(f"{name} needs {', '.join(MISSING[name])}; `make test-plugins` installs it")
    said = [f"{case.get('name')}: {part.tag}: {part.text}" for case in own_tests[name] for part in case]
    assert not [one for one in said if ": failure: " in one or ": error: " in one], "\n".join(said)
    assert len(own_tests[name]) > sum(": skipped: " in one for one in said), f"no test of {name} ran: {said}"


@pytest.mark.parametrize("name", PLUGINS)
def test_each_plugin_states_contract_licence_and_python(name: str) -> None:
    text = (PLUGINS[name] / "pyproject.toml").read_text(encoding="utf-8")
    (module,) = (PLUGINS[name] / "src").glob("*/__init__.py")
    assert "\nlrmctl_api = 1\n" in module.read_text(encoding="utf-8")
    for line in (f'name = "{name}"', 'license = "Apache-2.0"', 'requires-python = ">=3.11"', '"lrmctl>=0.1,<1"'):
        assert line in text
    assert f"[`{name}`]({name}/README.md)" in (ROOT / "plugins" / "README.md").read_text(encoding="utf-8")


def test_the_table_for_people_names_them_too(python: Path) -> None:
    (line,) = [line for line in lrmctl(python, "plugin", "list", "reward").stdout.splitlines() if "brevity" in line]
    assert "lrmctl-reward-brevity 0.1.0" in line


def test_none_is_listed_where_it_is_not_installed() -> None:
    assert "brevity" not in lrmctl(Path(sys.executable), "plugin", "list", "reward").stdout


def test_a_recipe_that_names_them_is_valid_and_their_options_are_checked(python: Path, tmp_path: Path) -> None:
    file = tmp_path / "short.yaml"
    file.write_text(RECIPE)
    done = lrmctl(python, "recipe", "validate", str(file))
    assert done.returncode == 0, done.stderr
    file.write_text(RECIPE.replace("words: 20", "wrods: 20"))
    done = lrmctl(python, "recipe", "validate", str(file))
    assert done.returncode == 2
    assert "wrods" in done.stdout + done.stderr


def test_one_scores_as_part_of_a_composed_reward(python: Path) -> None:
    program = """
from lrmctl import Prompt, Trace
from lrmctl.recipe.schema.recipes import RewardSection
from lrmctl.rewards.compose import ComposedReward
part = {"use": "brevity", "part": "thinking", "weight": 2.0, "options": {"words": 4}}
reward = ComposedReward(RewardSection.model_validate({"components": [part]}))
asked = Prompt.user("p", "?", "benign")
print([r.total for r in reward.score([Trace(asked, t, "", "closed") for t in ("a", "a b c", "a b c d e", "")])])
"""
    done = run_python(python, "-c", program)
    assert done.stdout.strip() == "[1.5, 0.5, 0.0, 0.0]", done.stderr
