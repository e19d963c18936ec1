"""What people install: the wheel holds everything that the commands need, and nothing else."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import lrmctl
from lrmctl.recipe.find import shipped, shipped_files

ROOT = Path(lrmctl.__file__).parent.parent
NEEDED = ("lrmctl/py.typed", "lrmctl/cli/app.py", "lrmctl/backends/openrlhf/backend.py")

pytestmark = pytest.mark.skipif(not (ROOT / "pyproject.toml").is_file(), reason="not run from a source checkout")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel of this checkout, built by the build backend that pyproject.toml names."""
    out = tmp_path_factory.mktemp("dist")
    build = f"from hatchling.build import build_wheel; build_wheel({str(out)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=ROOT, check=True, capture_output=True)
    (file,) = out.glob("*.whl")
    return zipfile.ZipFile(file)


def test_the_wheel_holds_every_file_of_the_package(wheel: zipfile.ZipFile) -> None:
    listed = subprocess.run(["git", "ls-files", "lrmctl"], cwd=ROOT, check=True, capture_output=True, text=True)
    files = {name for name in listed.stdout.splitlines() if (ROOT / name).exists()}
    assert set(NEEDED) <= files
    assert files <= set(wheel.namelist())


def test_the_wheel_holds_every_shipped_recipe(wheel: zipfile.ZipFile) -> None:
    assert {f"lrmctl/_recipes/{name}.yaml" for name in shipped_files()} <= set(wheel.namelist())


def test_the_wheel_holds_the_labs_base_model_within_its_size(wheel: zipfile.ZipFile) -> None:
    base = [info for info in wheel.infolist() if info.filename.startswith("lrmctl/lab/base/")]
    assert any(info.filename.endswith(".safetensors") for info in base)
    assert sum(info.file_size for info in base) < 2_000_000


def test_the_wheel_holds_no_tests_and_nothing_compiled(wheel: zipfile.ZipFile) -> None:
    assert [name for name in wheel.namelist() if name.startswith("tests/") or name.endswith(".pyc")] == []


def test_the_wheel_names_version_licence_and_command(wheel: zipfile.ZipFile) -> None:
    (metadata,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    said = Parser().parsestr(wheel.read(metadata).decode())
    assert (said["Version"], said["License-Expression"]) == (lrmctl.__version__, "Apache-2.0")
    info = metadata.rpartition("/")[0]
    assert b"lrmctl = lrmctl.__main__:main" in wheel.read(f"{info}/entry_points.txt")
    assert b"Apache License" in wheel.read(f"{info}/licenses/LICENSE")


def test_recipes_in_a_wheel_are_found_without_a_checkout(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path)
    code = "import lrmctl.recipe.find as l; print(l.__file__); print(*l.shipped())"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True)
    where, names = done.stdout.splitlines()
    assert where.startswith(str(tmp_path))
    assert names.split() == list(shipped())


def test_cpu_set_up_pins_one_torch_and_leaves_out_what_needs_cuda() -> None:
    text = (ROOT / "lrmctl" / "scaffold" / "cpu-overrides.txt").read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert [line for line in lines if line.startswith("torch==")] == ["torch==2.13.0"]
    assert {"triton", "flash-attn", "bitsandbytes"} <= {line.split()[0] for line in lines if "never" in line}


def test_one_version_of_openrlhf_is_named_everywhere() -> None:
    from lrmctl.doctor import OPENRLHF

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert extras["openrlhf"] == [f"openrlhf=={OPENRLHF}"]


def test_the_readme_on_pypi_has_no_link_that_leads_nowhere_there(wheel: zipfile.ZipFile) -> None:
    (metadata,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    said = Parser().parsestr(wheel.read(metadata).decode())
    text = str(said.get_payload())
    assert said["Description-Content-Type"] == "text/markdown"
    assert text.startswith("# lrmctl\n")
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    assert links
    assert [link for link in links if not link.startswith("https://")] == []
    assert "ten minutes (`docs/start.md`)" in text


def test_with_a_repository_the_readmes_links_and_picture_are_absolute() -> None:
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec
    assert spec.loader
    built = module_from_spec(spec)
    spec.loader.exec_module(built)
    shown = "See [the page](docs/a.md#b), [c](https://c.org).\n\n![p](docs/p.png)\n"
    where = "https://example.org/lrmctl/blob/v1"
    wanted = f"See [the page]({where}/docs/a.md#b), [c](https://c.org).\n\n![p]({where}/docs/p.png)\n"
    assert built.for_pypi(shown, where) == wanted
    assert built.for_pypi(shown, "") == "See the page (`docs/a.md#b`), [c](https://c.org).\n\n"


def test_licences_are_listed_and_those_that_nobody_declares_come_first() -> None:
    tool = ROOT / "tools" / "licences.py"
    listed = {
        "components": [
            {"name": "b", "version": "1", "licenses": [{"license": {"id": "MIT"}}, {"expression": "BSD-3-Clause"}]},
            {"name": "a", "version": "2", "licenses": [{"license": {"name": "Apache Software License"}}]},
            {"name": "c", "version": "3"},
        ]
    }
    spec = importlib.util.spec_from_file_location("licences", tool)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.table(listed).splitlines()[2:] == [
        "| c | 3 | not declared in its metadata |",
        "| a | 2 | Apache Software License |",
        "| b | 1 | MIT, BSD-3-Clause |",
    ]


@pytest.fixture(scope="module")
def installed(wheel: zipfile.ZipFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command of a fresh environment that has the wheel, and what it needs from this one."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    site = next(folder.glob("venv/lib/python*/site-packages"))
    (site / "needs.pth").write_text(f"{sysconfig.get_path('purelib')}\n")  # no addsitedir: not this checkout's lrmctl
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    assert uv, "pip install uv"
    words = [uv, "pip", "install", "--quiet", "--offline", "--no-deps", "--python", python, str(wheel.filename)]
    subprocess.run(words, check=True, capture_output=True)
    return folder / "venv" / "bin" / "lrmctl"


def run(command: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {key: value for key, value in os.environ.items() if not key.startswith(("LRMCTL_", "PYTHONPATH"))}
    return subprocess.run([command, *words], cwd=folder, env=env, capture_output=True, text=True, timeout=900)


def test_the_installed_wheel_works_without_a_checkout(installed: Path, tmp_path: Path) -> None:
    told = json.loads(run(installed, tmp_path, "doctor", "--json").stdout)
    assert {check["id"]: check["verdict"] for check in told["data"]}["python"] == "ok"
    where = [installed.parent / "python", "-c", "import lrmctl; print(lrmctl.__file__)"]
    found = subprocess.run(where, cwd=tmp_path, capture_output=True, text=True, check=True, env={}).stdout
    assert found.startswith(str(installed.parent.parent))
    assert run(installed, tmp_path, "recipe", "validate", "demo", "qwen3-8b/rl-guard").returncode == 0


@pytest.mark.slow
def test_the_demo_runs_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    shorter = [f"arms.{i}.set.algorithm.steps=2" for i in (2, 4)]
    small = [*shorter, "evaluation.limit=16", "analysis.max_traces=16"]
    done = run(installed, tmp_path, "demo", *(word for one in small for word in ("--set", one)))
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "runs" / "demo" / "report.html").stat().st_size > 50_000
