"""The container file agrees with the project: versions, extras, files, and what is said where none can be built."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tomllib
from fnmatch import fnmatch
from importlib.metadata import metadata
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tools" / "container"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
INSTRUCTIONS = {"ARG", "FROM", "COPY", "RUN", "ENV", "USER", "WORKDIR", "VOLUME", "ENTRYPOINT", "CMD"}


def instructions() -> list[tuple[str, str]]:
    """Instruction and its arguments, continued lines joined."""
    text = re.sub(r"^#.*\n", "", (FOLDER / "Containerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(line.split(None, 1)[0], line.split(None, 1)[1].strip()) for line in text.splitlines() if line.strip()]


def arguments(instruction: str) -> list[str]:
    return [rest for name, rest in instructions() if name == instruction]


def copied() -> list[str]:
    return [source for rest in arguments("COPY") for source in rest.split()[:-1]]


def test_it_is_of_known_instructions_and_copies_files_that_exist() -> None:
    assert {name for name, _ in instructions()} <= INSTRUCTIONS
    assert [name for name in copied() if not (ROOT / name).is_file()] == []


def test_the_ignore_file_lets_through_what_is_copied_and_the_wheel_alone() -> None:
    lines = [line for line in (FOLDER / "Containerfile.dockerignore").read_text().splitlines() if line[0] != "#"]
    assert lines[0] == "*"
    assert set(lines[1:]) == {f"!{name}" for name in (*copied(), "dist/lrmctl-*.whl")}
    assert fnmatch("dist/lrmctl-0.1.0-py3-none-any.whl", lines[-1][1:])


def test_it_runs_lrmctl_and_not_as_root_with_a_cache_of_its_own() -> None:
    assert arguments("ENTRYPOINT") == ['["lrmctl"]']
    assert [user.split(":")[0] for user in arguments("USER")] == ["1000"]
    (volume,) = arguments("VOLUME")
    assert f"HF_HOME={volume}/huggingface" in " ".join(arguments("ENV"))


def test_its_python_is_one_that_the_project_takes() -> None:
    takes = SpecifierSet(PROJECT["requires-python"])
    given = next(rest for rest in arguments("ARG") if rest.startswith("BASE="))
    named = re.findall(r"python:(\d+\.\d+)", given + (ROOT / "docs" / "containers.md").read_text())
    assert named
    assert all(takes.contains(version) for version in named)
    (least,) = re.findall(r"sys\.version_info < \((\d+), (\d+)\)", (FOLDER / "install.sh").read_text())
    assert PROJECT["requires-python"] == f">={'.'.join(least)}"


def test_the_extras_that_it_installs_exist() -> None:
    script = (FOLDER / "install.sh").read_text()
    ours = {*re.findall(r"--extra (\w+)", script), *re.findall(r"lrmctl\[(\w+)\]", script)}
    assert ours == {"openrlhf"}
    assert ours <= set(PROJECT["optional-dependencies"])
    assert set(re.findall(r"openrlhf\[(\w+)\]", script)) <= set(metadata("openrlhf").get_all("Provides-Extra") or ())


@pytest.mark.parametrize(("shell", "script"), [("sh", "install.sh"), ("bash", "build.sh")])
def test_the_scripts_parse(shell: str, script: str) -> None:
    subprocess.run([shell, "-n", FOLDER / script], check=True)


def test_make_container_builds_the_file_that_ci_runs() -> None:
    assert re.search(
        r"^container:\n\t@.*bash tools/container/build\.sh$", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    assert "-f tools/container/Containerfile" in (FOLDER / "build.sh").read_text()
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
    steps = [shlex.split(step["run"]) for step in jobs["container"]["steps"] if "run" in step]
    assert steps[0][:2] == ["make", "container"]
    assert {step[-1] for step in steps[1:]} == {"--version", "doctor", "--smoke"}


@pytest.mark.parametrize(
    ("env", "told"),
    [
        ({}, "neither podman nor buildah is installed, and no docker daemon answers"),
        ({"BUILDER": "buildah"}, "BUILDER is buildah, which is not installed"),
        ({"VARIANT": "rocm"}, "VARIANT is rocm; cpu and cuda are known"),
    ],
)
def test_where_it_cannot_be_built_one_line_says_what_is_missing(tmp_path: Path, env: dict[str, str], told: str) -> None:
    for tool in ("bash", "dirname"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or tool)
    path = {"PATH": str(tmp_path), **env}
    words = [str(tmp_path / "bash"), str(FOLDER / "build.sh")]
    done = subprocess.run(words, env=path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(f"container: {told}")
    assert len(done.stderr.splitlines()) == 1
