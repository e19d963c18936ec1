"""A package of every kind as an author gets it: written, installed into a fresh environment, tested, style-checked."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from lrmctl.errors import RecipeError, RunExistsError
from lrmctl.scaffold import PluginKind, new_plugin

ROOT = Path(__file__).parents[2]
KINDS: tuple[PluginKind, ...] = get_args(PluginKind)
TRAINING = "it_trains_a_tiny_model"


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A package of each kind, by kind."""
    folder = tmp_path_factory.mktemp("packages")
    return {kind: new_plugin(f"lrmctl-{kind}-tried", kind, folder / kind).folder for kind in KINDS}


@pytest.fixture(scope="module")
def python(packages: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of a new environment that has all packages installed, and lrmctl and its needs from this one."""
    folder = tmp_path_factory.mktemp("fresh") / "venv"
    venv.create(folder, with_pip=False)
    site = next(folder.glob("lib/python*/site-packages"))
    (site / "lrmctl-from-the-tests.pth").write_text(
        f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
    )
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    assert uv is not None, "this test installs with uv: pip install uv"
    sources = [word for package in packages.values() for word in ("-e", str(package))]
    python = folder / "bin" / "python"
    command = [uv, "pip", "install", "-q", "--offline", "--no-deps", "--no-build-isolation", "--python", str(python)]
    done = subprocess.run([*command, *sources], capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    return python


def module(python: Path, *words: str, timeout: int = 300) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", "HF_HUB_OFFLINE": "1"}
    command = [str(python), "-m", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=env, cwd=python.parent)


def pytest_words(packages: dict[str, Path], *kinds: str) -> list[str]:
    """pytest on the tests of these packages together, as each author would run it on one."""
    own = [str(packages[kind] / "tests") for kind in kinds]
    given = (
        "-p",
        "lrmctl.testing.pytest_plugin",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(packages[kinds[0]].parent),
    )
    return ["pytest", "-q", "--import-mode=importlib", *given, *own]


def test_all_packages_pass_their_own_tests(python: Path, packages: dict[str, Path]) -> None:
    done = module(python, *pytest_words(packages, *KINDS), "-k", f"not {TRAINING}")
    assert done.returncode == 0, done.stdout
    assert re.search(r"\d\d passed, 1 deselected", done.stdout), done.stdout


@pytest.mark.slow
@pytest.mark.e2e
def test_the_backend_of_the_package_trains(python: Path, packages: dict[str, Path]) -> None:
    done = module(python, *pytest_words(packages, "backend"), "-k", TRAINING)
    assert done.returncode == 0, done.stdout


def test_all_packages_keep_their_contracts(python: Path) -> None:
    done = module(python, "lrmctl", "plugin", "test", "tried", "--json")
    assert done.returncode == 0, done.stderr
    found = {c["group"]: c for c in json.loads(done.stdout)["data"]}
    assert {kind: c["verdict"] for kind, c in found.items()} == dict.fromkeys(KINDS, "ok")
    assert {c["distribution"] for c in found.values()} == {f"lrmctl-{kind}-tried" for kind in KINDS}
    assert found["reward"]["latency_ms"]["single_p50"] > 0


def test_all_packages_are_in_the_style_that_they_ask_for(packages: dict[str, Path]) -> None:
    folder = packages["reward"].parent
    for words in (("check", "--no-cache"), ("format", "--check", "--no-cache")):
        done = subprocess.run([sys.executable, "-m", "ruff", *words, str(folder)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_a_package_says_what_it_is_and_checks_itself(packages: dict[str, Path], kind: str) -> None:
    folder = packages[kind]
    settings = tomllib.loads((folder / "pyproject.toml").read_text())
    assert settings["project"]["entry-points"]["lrmctl"] == {"tried": f"lrmctl_{kind}_tried"}
    source = (folder / "src" / f"lrmctl_{kind}_tried" / "__init__.py").read_text()
    assert "lrmctl_api = 1" in source
    workflow: dict[Any, Any] = yaml.safe_load((folder / ".github" / "workflows" / "test.yml").read_text())
    steps = [step["run"] for step in workflow["jobs"]["test"]["steps"] if "run" in step]
    assert any(f"lrmctl plugin test lrmctl-{kind}-tried" in step for step in steps)
    assert "{{" not in "".join(path.read_text() for path in folder.rglob("*") if path.suffix in (".py", ".md", ".toml"))


def test_the_command_writes_the_package_and_says_what_to_type_next(lrmctl, tmp_path: Path) -> None:
    done = lrmctl("plugin", "new", "acme-novelty", "--kind", "judge", "--out", "here/mine")
    assert done.code == 0
    assert [line.strip() for line in done.out.splitlines()] == [
        "cd here/mine",
        "pip install -e '.[dev]'",
        "pytest",
        "lrmctl plugin test acme-novelty",
        "lrmctl judge show acme-novelty",
    ]
    assert (tmp_path / "here" / "mine" / "src" / "acme_novelty" / "py.typed").exists()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("my reward", "not a name for a distribution"),
        ("-mine", "not a name for a distribution"),
        ("x" * 61, "not a name for a distribution"),
        ("../mine", "not a name for a distribution"),
        ("3d", "starts with a digit"),
        ("json", "which Python or lrmctl has"),
        ("lambda", "which Python or lrmctl has"),
        ("Torch", "installed already"),
        ("lrmctl-reward-format", "of lrmctl itself"),
    ],
)
def test_a_name_that_cannot_be_is_refused(tmp_path: Path, name: str, told: str) -> None:
    with pytest.raises(RecipeError, match=told) as refused:
        new_plugin(name, "reward", tmp_path / "new")
    assert refused.value.fix
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_never_written_into(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(RunExistsError, match="already there"):
        new_plugin("mine", "lexicon", tmp_path / "mine")
    assert list((tmp_path / "mine").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "class_name"),
    [("lrmctl-judge-panel2", "Panel2"), ("acme-3d", "Acme3d"), ("lrmctl-judge-judge", "JudgeJudge")],
)
def test_classes_are_called_like_the_plugin_and_never_like_a_base_class(
    tmp_path: Path, name: str, class_name: str
) -> None:
    made = new_plugin(name, "judge", tmp_path / "new")
    (source,) = made.folder.glob("src/*/__init__.py")
    assert f"class {class_name}(Judge):" in source.read_text()
