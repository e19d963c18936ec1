"""Which plugins load, what is said of those that cannot, and how long one may take."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrmctl.errors import NotFoundError, RecipeError
from lrmctl.hooks import API_VERSION, isolation, third_party
from lrmctl.hooks.registry import Registry

Install = Callable[..., None]
Source = Callable[[str], str]
HANGS = """
    import threading
    threading.Event().wait()
"""


@pytest.fixture
def two(install: Install, reward_source: Source) -> None:
    install("acme-long", "acme_long", reward_source("longer"))
    install("acme-short", "acme_short", reward_source("shorter"))


@pytest.mark.parametrize(
    ("setting", "loaded"),
    [
        ("", {"acme-long", "acme-short"}),
        ("none", set()),
        ("Acme_Short", {"acme-short"}),
        ("acme-long, acme-short", {"acme-long", "acme-short"}),
        ("-acme-short", {"acme-long"}),
        ("acme-long,-acme-long", set()),
        ("-acme-absent", {"acme-long", "acme-short"}),
    ],
)
@pytest.mark.usefixtures("two")
def test_a_variable_chooses_the_distributions(monkeypatch: pytest.MonkeyPatch, setting: str, loaded: set[str]) -> None:
    monkeypatch.setenv("LRMCTL_PLUGINS", setting)
    registry = Registry()
    assert {e.distribution for e in registry.names("reward") if not e.builtin} == loaded
    assert registry.problems() == []


@pytest.mark.usefixtures("two")
def test_one_that_is_left_out_is_not_imported_and_its_absence_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRMCTL_PLUGINS", "-acme-short")
    with pytest.raises(NotFoundError, match="LRMCTL_PLUGINS leaves out acme-short"):
        Registry().find("reward", "shorter")
    assert "acme_short" not in sys.modules


@pytest.mark.usefixtures("two")
def test_a_distribution_to_load_that_is_not_there_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRMCTL_PLUGINS", "acme-shrot")
    (problem,) = Registry().problems()
    assert str(problem) == "LRMCTL_PLUGINS: 'acme-shrot' is not installed, or is no plugin; did you mean 'acme-short'?"


@pytest.mark.usefixtures("two")
def test_each_call_is_traced_with_its_distribution_and_seconds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Registry().make("reward", "shorter")
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("LRMCTL_TRACE", "1")
    Registry().make("reward", "shorter")
    said = [line.rsplit(" ", 2)[0] for line in capsys.readouterr().err.splitlines() if "acme-short" in line]
    assert said == [
        "lrmctl trace: import (acme-short)",
        "lrmctl trace: lrmctl_rewards (acme-short)",
        "lrmctl trace: make reward shorter (acme-short)",
    ]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("def lrmctl_rewards(register): ...", "lrmctl_rewards is not decorated with lrmctl.hookimpl"),
        ("def lrmctl_rewrads(register): ...", "did you mean 'lrmctl_rewards'"),
        (
            "@hookimpl\ndef lrmctl_judge(register): ...",
            "lrmctl_judge is no hook of lrmctl; did you mean 'lrmctl_judges'",
        ),
        ("@hookimpl\ndef lrmctl_judges(register): ...\ndef lrmctl_sources(register): ...", "lrmctl_sources is not dec"),
    ],
)
def test_a_hook_that_would_never_be_called_is_reported(install: Install, body: str, told: str) -> None:
    install("acme-typo", "acme_typo", f"from lrmctl import hookimpl\n{body}\n")
    (problem,) = Registry().problems()
    assert told in problem.error


def test_a_hook_that_is_imported_from_another_plugin_is_not_its_own(install: Install, reward_source: Source) -> None:
    install("acme-lib", "acme_lib", "def lrmctl_helper(): ...\n", entry_points="[other]\nx = acme_lib\n")
    install("acme-user", "acme_user", reward_source("shorter") + "\n    from acme_lib import lrmctl_helper\n")
    assert Registry().problems() == []


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        (str(API_VERSION), ""),
        (str(API_VERSION + 1), f"is written for version {API_VERSION + 1} of the plugin API, and this lrmctl has"),
        ("'1'", "lrmctl_api is '1'; write a whole number"),
        ("True", "lrmctl_api is True"),
        ("0", "lrmctl_api is 0"),
    ],
)
def test_a_plugin_states_the_api_that_it_is_written_for(
    install: Install, reward_source: Source, stated: str, told: str
) -> None:
    install("acme-api", "acme_api", reward_source("shorter") + f"\n    lrmctl_api = {stated}\n")
    registry = Registry()
    problems = [p.error for p in registry.problems()]
    assert ("shorter" in {e.name for e in registry.names("reward")}) is (told == "")
    assert [told in error for error in problems] == ([True] if told else [])


@pytest.mark.usefixtures("two")
def test_a_plugin_that_hangs_is_a_problem_with_the_line_and_others_load(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("acme-hang", "acme_hang", HANGS)
    monkeypatch.setenv("LRMCTL_PLUGIN_TIMEOUT", "0.2")
    registry = Registry()
    assert registry.find("reward", "shorter")
    (problem,) = registry.problems()
    assert problem.distribution == "acme-hang"
    assert "still importing after 0.2 s, at " in problem.error
    assert "LRMCTL_PLUGIN_TIMEOUT" in problem.error


LATE = """
    from pathlib import Path
    import time
    while not Path(__file__).with_name("go").exists():
        time.sleep(0.01)
"""


def test_a_recipe_waits_for_a_slow_plugin_that_a_list_does_not_wait_for(
    install: Install, reward_source: Source, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install("acme-late", "acme_late", LATE + reward_source("shorter"))
    monkeypatch.setattr(third_party, "LISTED_TIMEOUT", 0.1)
    registry = Registry()
    assert "shorter" not in {entry.name for entry in registry.names("reward")}
    (problem,) = registry.problems()
    assert problem.loading
    assert problem.sentence.startswith("not loaded yet: acme-late: still importing after 0.1 s, at ")
    threading.Timer(0.3, (tmp_path / "acme-late" / "go").touch).start()
    assert registry.find("reward", "shorter").distribution == "acme-late"
    assert registry.problems() == []


def test_one_that_came_late_is_listed_from_then_on(
    install: Install, reward_source: Source, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install("acme-late", "acme_late", LATE + reward_source("shorter"))
    monkeypatch.setattr(third_party, "LISTED_TIMEOUT", 0.1)
    registry = Registry()
    assert [problem.loading for problem in registry.problems()] == [True]
    (tmp_path / "acme-late" / "go").touch()
    registry.wait()
    assert registry.problems() == []
    assert "shorter" in {entry.name for entry in registry.names("reward")}


@pytest.mark.usefixtures("two")
def test_a_qualified_name_waits_for_no_other_plugin(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    """With no time limit at all: what loads the other one would never return."""
    install("acme-hang", "acme_hang", HANGS)
    monkeypatch.setenv("LRMCTL_PLUGIN_TIMEOUT", "0")
    assert Registry().find("reward", "acme-short:shorter").distribution == "acme-short"
    assert "acme_hang" not in sys.modules


@pytest.mark.usefixtures("two")
def test_several_that_hang_hold_up_neither_each_other_nor_the_rest(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(3):
        install(f"acme-hang{i}", f"acme_hang{i}", HANGS)
    monkeypatch.setenv("LRMCTL_PLUGIN_TIMEOUT", "0.5")
    registry = Registry()
    assert {e.name for e in registry.names("reward") if not e.builtin} == {"longer", "shorter"}
    assert {p.distribution for p in registry.problems() if p.loading} == {f"acme-hang{i}" for i in range(3)}


def test_whoever_waits_is_told_for_which_plugin(
    install: Install, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install("acme-hang", "acme_hang", HANGS)
    monkeypatch.setattr(isolation, "PATIENCE", 0.0)
    monkeypatch.setenv("LRMCTL_PLUGIN_TIMEOUT", "0.2")
    Registry().names()
    waited = "waiting for acme-hang to load, 0.2 s at most (LRMCTL_PLUGIN_TIMEOUT)\n"
    assert capsys.readouterr().err == waited


def test_a_late_import_goes_on_and_is_whole_for_others(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "import time\ntime.sleep(0.5)\nready = True\n"
    install("acme-late", "acme_late", source)
    monkeypatch.setenv("LRMCTL_PLUGIN_TIMEOUT", "0.1")
    assert "still importing after 0.1 s" in Registry().problems()[0].error
    import acme_late  # type: ignore[import-not-found]

    assert acme_late.ready


def test_a_plugin_that_exits_late_does_not_end_the_command(
    install: Install, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install("acme-exit", "acme_exit", "import os, time\ntime.sleep(0.3)\nos._exit(9)\n")
    code = (
        "import time; from lrmctl.hooks import registry; print(registry.problems()[0]); time.sleep(0.6); print('alive')"
    )
    monkeypatch.setenv("LRMCTL_PLUGIN_TIMEOUT", "0.1")
    done = _python(tmp_path / "acme-exit", "-c", code)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "alive")


def test_no_time_limit_loads_in_the_callers_thread(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "import threading\nraise RuntimeError(threading.current_thread() is threading.main_thread())\n"
    install("acme-where", "acme_where", source)
    monkeypatch.setenv("LRMCTL_PLUGIN_TIMEOUT", "0")
    assert Registry().problems()[0].error == "RuntimeError: True"


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize("text", ["soon", "-1", "nan"])
def test_a_time_limit_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("LRMCTL_PLUGIN_TIMEOUT", text)
    with pytest.raises(RecipeError, match="is no number of seconds"):
        Registry().names()


def test_commands_that_need_no_plugin_do_not_wait_for_one_that_hangs(install: Install, tmp_path: Path) -> None:
    """With no time limit at all: what loads a plugin would never return."""
    install("acme-hang", "acme_hang", HANGS)
    code = (
        "from lrmctl.cli.app import app\n"
        "from lrmctl.hooks import registry\n"
        "from lrmctl.preflight.validate import find_problems\n"
        "from lrmctl.recipe.load import load_recipe\n"
        "for words in (['--help'], ['recipe', 'list'], ['recipe', 'validate', 'lab/rl'], ['reward', '--help']):\n"
        "    app(words, standalone_mode=False)\n"
        "registry.make('reward', 'format')\n"
        "assert registry._default._third_party is None\n"
    )
    done = _python(tmp_path / "acme-hang", "-c", code, LRMCTL_PLUGIN_TIMEOUT="0")
    assert done.returncode == 0, done.stderr


def test_plugin_list_and_doctor_report_one_that_hangs(
    install: Install, monkeypatch: pytest.MonkeyPatch, lrmctl: Callable[..., Any], tmp_path: Path
) -> None:
    from lrmctl.doctor import Machine, material
    from lrmctl.hooks import registry

    install("acme-hang", "acme_hang", HANGS)
    monkeypatch.setenv("LRMCTL_PLUGIN_TIMEOUT", "0.2")
    monkeypatch.setattr(registry._default, "_third_party", None)
    listed = lrmctl("plugin", "list", "--json")
    (problem,) = json.loads(listed.out)["data"]["problems"]
    assert problem["distribution"] == "acme-hang"
    (check,) = material.plugins(Machine(tmp_path))
    assert check.verdict == "warn"
    assert "acme-hang: still importing after 0.2 s" in check.reason


def _python(site: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH", ""))))
    command = [sys.executable, *words]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": path, **env}
    )
