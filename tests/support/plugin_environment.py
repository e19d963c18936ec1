"""A fresh virtual environment with plugins installed as users install them, and lrmctl and its needs from this one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PLUGINS = {file.parent.name: file.parent for file in sorted((ROOT / "plugins").glob("*/pyproject.toml"))}
"""Folders of the plugins in the repository by distribution."""


def missing_requirements(plugin: Path) -> list[str]:
    """What a plugin depends on and this environment lacks."""
    project = tomllib.loads((plugin / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [str(one) for one in map(Requirement, project["dependencies"]) if not _is_here(one)]


def _is_here(requirement: Requirement) -> bool:
    try:
        return requirement.specifier.contains(version(requirement.name), prereleases=True)
    except PackageNotFoundError:
        return False


def environment(folder: Path, sources: Sequence[Path]) -> Path:
    """Python of a new environment in `folder` with these projects built and installed.

    They are built from copies, so that no build output lands in the repository, and by this environment's hatchling.
    """
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    site = next(folder.glob("venv/lib/python*/site-packages"))
    ours = sysconfig.get_path("purelib")
    (site / "lrmctl-from-the-tests.pth").write_text(f"import site; site.addsitedir({ours!r})\n")
    ignored = shutil.ignore_patterns("dist", "__pycache__")
    copies = [shutil.copytree(source, folder / "sources" / source.name, ignore=ignored) for source in sources]
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv is None:
        pytest.fail("these tests install with uv, which is not on the path: pip install uv")
    command = [uv, "pip", "install", "--quiet", "--offline", "--no-deps", "--no-build-isolation", "--python", python]
    done = subprocess.run([*command, *copies], capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    return python


def run_python(python: Path, *words: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    """The environment's Python, which imports this checkout's lrmctl and loads every plugin."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("LRMCTL_PLUGIN")}
    ours = {"PYTHONPATH": str(ROOT), "COLUMNS": "200", "HF_HUB_OFFLINE": "1"}
    command = [str(python), *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, env={**inherited, **ours, **env}, cwd=python.parent
    )
