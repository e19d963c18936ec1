"""What the pages for contributors say is true of the tree: paths, names, rooms, commands and versions."""

from __future__ import annotations

import pkgutil
import re
import subprocess
import tomllib
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

import lrmctl

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("CONTRIBUTING.md", "ARCHITECTURE.md", "SECURITY.md", "docs/releasing.md")
LINKING = (*PAGES, "README.md", *sorted(p.relative_to(ROOT).as_posix() for p in (ROOT / "docs").glob("*.md")))
SUFFIXES = (".py", ".md", ".toml", ".yaml", ".yml", ".txt", ".cff", ".sh", "Makefile")
MADE_BY_TOOLS = re.compile(r"\.venv\b|dist/|rows\.jsonl")
ROOM = re.compile(r"^\| (\d+) \| `lrmctl/(\w+)(?:\.py|/)` \|", re.MULTILINE)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def lines(page: str) -> list[list[str]]:
    """What each line has in backticks, fenced blocks left out."""
    prose = re.sub(r"^ *```.*?^ *```", "", text(page), flags=re.MULTILINE | re.DOTALL)
    return [re.findall(r"`([^`]+)`", line) for line in prose.splitlines()]


def quoted(page: str) -> set[str]:
    return {one for line in lines(page) for one in line}


def is_path(word: str) -> bool:
    plain = re.fullmatch(r"[\w./-]+", word) and not MADE_BY_TOOLS.match(word)
    return bool(plain) and ("/" in word or word.endswith(SUFFIXES))


def missing(words: list[str]) -> list[str]:
    """Paths of a line that do not exist: from the top, or beside or below the first one of the line that does."""
    named = [word for word in words if is_path(word)]
    first = next((ROOT / word for word in named if (ROOT / word).exists()), ROOT)
    near = first if first.is_dir() else first.parent
    return [word for word in named if not (ROOT / word).exists() and not (near / word).exists()]


def make_lines(target: str) -> list[str]:
    """The commands of a target of the Makefile, `$(VENV)` as it is by default."""
    (body,) = re.findall(rf"^{target}:[^\n]*\n((?:\t[^\n]*\n)+)", text("Makefile"), flags=re.MULTILINE)
    return [line.strip().replace("$(VENV)", ".venv") for line in body.splitlines()]


@pytest.mark.parametrize("page", PAGES)
def test_paths_in_backticks_exist(page: str) -> None:
    assert [path for line in lines(page) for path in missing(line)] == []


def test_paths_are_looked_for_and_a_wrong_one_is_found() -> None:
    assert sum(map(is_path, quoted("CONTRIBUTING.md"))) > 40
    assert sum(map(is_path, quoted("ARCHITECTURE.md"))) > 60
    assert missing(["lrmctl/rewards/", "builtin/", "nowhere/", "lrmctl/nothing.py", "two words/"]) == [
        "nowhere/",
        "lrmctl/nothing.py",
    ]


@pytest.mark.parametrize("page", LINKING)
def test_relative_links_lead_somewhere(page: str) -> None:
    links = [link for link in re.findall(r"\]\(([^)#\s]+)", text(page)) if "://" not in link]
    assert [link for link in links if not ((ROOT / page).parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_page_for_contributors_is_linked(page: str) -> None:
    name = page.rpartition("/")[2]
    assert any(re.search(rf"\]\([^)\s]*\b{re.escape(name)}\)", text(other)) for other in LINKING if other != page)
    assert f"]({page})" in text("README.md")


def test_rooms_are_those_of_the_layers_contract_in_its_order() -> None:
    (layers,) = (c["layers"] for c in PROJECT["tool"]["importlinter"]["contracts"] if c["id"] == "layers")
    found = ROOM.findall(text("ARCHITECTURE.md"))
    shown = [[room for _, room in rows] for _, rows in groupby(found, key=lambda row: int(row[0]))]
    wanted = [sorted(layer.split(" | ")) for layer in layers]
    assert [sorted(rooms) for rooms in shown] == wanted, "bring the table in ARCHITECTURE.md up to date"
    assert [number for number, _ in groupby(int(number) for number, _ in found)] == list(range(1, len(layers) + 1))


@pytest.mark.parametrize("page", PAGES)
def test_names_in_backticks_exist(page: str) -> None:
    from lrmctl.hooks.manager import GROUPS

    names = quoted(page)
    for name in (n for n in names if re.fullmatch(r"lrmctl(\.\w+)+", n)):
        pkgutil.resolve_name(name)
    assert {n for n in names if n.startswith("lrmctl_")} <= set(GROUPS.values())


def test_names_of_the_algorithms_tables_exist() -> None:
    from lrmctl.recipe.schema import algorithm

    for name in ("AlgorithmName", "GROUP_ALGORITHMS", "STEP_ALGORITHMS", "PRESETS"):
        assert f"`{name}`" in text("CONTRIBUTING.md")
        assert hasattr(algorithm, name)


def test_markers_that_are_described_are_declared() -> None:
    declared = {line.partition(":")[0] for line in PROJECT["tool"]["pytest"]["ini_options"]["markers"]}
    assert declared <= quoted("CONTRIBUTING.md")


@pytest.mark.parametrize("page", PAGES)
def test_targets_of_make_exist(page: str) -> None:
    declared = re.search(r"^\.PHONY: (.*)$", text("Makefile"), flags=re.MULTILINE)
    assert declared
    assert set(re.findall(r"(?:`|^ *)make ([a-z-]+)", text(page), flags=re.MULTILINE)) <= set(declared[1].split())


def test_commit_hooks_are_the_commands_of_make_lint() -> None:
    (repository,) = yaml.safe_load(text(".pre-commit-config.yaml"))["repos"]
    assert repository["repo"] == "local"
    assert [hook["entry"] for hook in repository["hooks"]] == make_lines("lint")
    assert all(hook["language"] == "system" and not hook["pass_filenames"] for hook in repository["hooks"])


def test_ci_runs_lint_and_all_tests_on_the_oldest_python() -> None:
    jobs: dict[str, Any] = yaml.safe_load(text(".github/workflows/ci.yml"))["jobs"]
    steps = [step for job in jobs.values() for step in job["steps"]]
    commands = [step["run"] for step in steps if "run" in step]
    assert any(command.startswith("make lint") for command in commands)
    assert any(command.startswith("make test-all") for command in commands)
    versions = {step["with"]["python-version"] for step in steps if "setup-python" in step.get("uses", "")}
    assert {f">={version}" for version in versions} == {PROJECT["project"]["requires-python"]}


@pytest.mark.parametrize("file", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")), ids=lambda f: f.name)
def test_issue_templates_are_read_as_such(file: Path) -> None:
    form = yaml.safe_load(file.read_text(encoding="utf-8"))
    if file.name == "config.yml":
        return
    assert {"name", "description", "body"} <= set(form)
    ids = [field["id"] for field in form["body"]]
    assert len(set(ids)) == len(ids)


def pins() -> dict[str, str]:
    lines = [line for line in text("constraints.txt").splitlines() if not line.startswith("#")]
    odd = [line for line in lines if not re.fullmatch(r"[a-z0-9-]+==[a-z0-9.]+", line)]
    assert odd == [], "a name, == and a public version; no path, index or local build"
    return dict(line.split("==") for line in lines)


def test_constraints_name_a_version_that_fits_for_every_requirement() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    wanted = [Requirement(one) for ones in (PROJECT["project"]["dependencies"], *extras.values()) for one in ones]
    pinned = pins()
    for requirement in wanted:
        name = requirement.name.lower().replace("_", "-").replace(".", "-")
        assert name == "lrmctl" or pinned[name] in requirement.specifier, str(requirement)


def test_constraints_and_overrides_agree_on_torch() -> None:
    assert f"torch=={pins()['torch']}\n" in text("lrmctl/scaffold/cpu-overrides.txt")


def test_set_up_uses_the_constraints_and_refuses_a_file_that_is_not_there(tmp_path: Path) -> None:
    script = text("tools/setup.sh")
    assert "${CONSTRAINTS-constraints.txt}" in script
    assert "constraints.txt" in re.findall(r"^\$\(STAMP\): (.*)$", text("Makefile"), flags=re.MULTILINE)[0].split()
    env = {"PATH": "/usr/bin:/bin", "VENV": str(tmp_path / "venv"), "CONSTRAINTS": "nowhere.txt"}
    done = subprocess.run(["bash", "tools/setup.sh"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "nowhere.txt" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_the_citation_names_this_version_and_licence() -> None:
    citation = yaml.safe_load(text("CITATION.cff"))
    assert (citation["version"], citation["license"]) == (lrmctl.__version__, PROJECT["project"]["license"])
