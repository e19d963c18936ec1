"""A package whose plugins fail while they load, each in another way, really installed: no command breaks or waits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from plugin_environment import ROOT, environment, run_python

pytestmark = pytest.mark.e2e
LIMIT = {"LRMCTL_PLUGIN_TIMEOUT": "2"}
REASONS = {
    "raises": "RuntimeError: no licence file",
    "sleeps": "still importing after 2 s",
    "exits": "it calls os._exit(3)",
    "needs": "No module named 'a_library_that_nobody_has'",
    "future": "is written for version 99 of the plugin API",
    "misspelt": "lrmctl_rewrads is no hook of lrmctl; did you mean 'lrmctl_rewards'?",
}
RECIPE = """\
kind: rl
name: short
model: lab:tiny
prompts: [{use: lab-prompts}]
reward: {components: [{use: of-the-future}]}
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of a new environment with the broken plugins."""
    return environment(tmp_path_factory.mktemp("fresh"), [ROOT / "tests" / "support" / "broken_plugins"])


def test_the_list_names_each_with_its_reason_and_what_one_prints_is_not_in_it(python: Path) -> None:
    done = run_python(python, "-m", "lrmctl", "plugin", "list", "--json", **LIMIT)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["data"]  # stdout is nothing but the list
    assert "a banner of the plugin" in done.stderr
    assert "waiting for lrmctl-broken (sleeps) to load, 2 s at most" in done.stderr
    assert [e["name"] for e in found["plugins"] if not e["builtin"]] == ["printed"]
    assert {problem["distribution"] for problem in found["problems"]} == {"lrmctl-broken"}
    said = {problem["error"].partition(": ")[0]: problem["error"] for problem in found["problems"]}
    assert set(said) == {f"entry point {name!r}" for name in REASONS}
    for name, reason in REASONS.items():
        assert reason in said[f"entry point {name!r}"]
    assert [p["error"].partition(": ")[0] for p in found["problems"] if p["loading"]] == ["entry point 'sleeps'"]


def test_doctor_reports_each_with_its_reason(python: Path) -> None:
    done = run_python(python, "-m", "lrmctl", "doctor", "--json", **LIMIT)
    assert done.returncode in (0, 1), done.stderr
    (check,) = [c for c in json.loads(done.stdout)["data"] if c["id"] == "plugins"]
    assert check["verdict"] == "warn"
    for name, reason in REASONS.items():
        assert f"entry point {name!r}: " in check["reason"]
        assert reason in check["reason"]


def test_help_loads_no_plugin(python: Path) -> None:
    """With no limit: a command that loads one of them would never end."""
    done = run_python(python, "-m", "lrmctl", "--help", LRMCTL_PLUGIN_TIMEOUT="0")
    assert done.returncode == 0
    assert "plugin" in done.stdout


def test_a_recipe_that_names_one_is_told_why_it_is_not_there(python: Path, tmp_path: Path) -> None:
    file = tmp_path / "short.yaml"
    file.write_text(RECIPE)
    done = run_python(python, "-m", "lrmctl", "recipe", "validate", str(file), **LIMIT)
    said = done.stdout + done.stderr
    assert done.returncode == 2
    assert "no reward called 'of-the-future'" in said
    assert "is written for version 99 of the plugin API" in said
    assert "Traceback" not in said
