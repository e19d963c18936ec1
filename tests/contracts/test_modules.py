"""What every module keeps, read from the source: heavy imports wait for their use, files are short and say what for."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from importlib import import_module
from pathlib import Path

import grimp
import pytest

import lrmctl

PACKAGE = Path(lrmctl.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
HEAVY = {
    "torch",
    "transformers",
    "datasets",
    "lm_eval",
    "scipy",
    "statsmodels",
    "ray",
    "matplotlib",
    "fastapi",
    "uvicorn",
}
IN_THE_TRAINER = "backends/openrlhf/cpu/"
"""These files run inside OpenRLHF's processes, never in lrmctl's."""


def name(file: Path) -> str:
    return file.relative_to(PACKAGE).as_posix()


def imports(tree: ast.AST, top_level: bool) -> Iterator[str]:
    """Modules imported, absolute, `if TYPE_CHECKING` left out; at `top_level` only what importing the file imports."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        elif not (top_level and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))):
            yield from imports(node, top_level)


def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", [f for f in FILES if not name(f).startswith(IN_THE_TRAINER)], ids=name)
def test_heavy_packages_are_imported_inside_functions(file: Path) -> None:
    assert {module.partition(".")[0] for module in imports(parsed(file), top_level=True)} & HEAVY == set()


@pytest.mark.parametrize("file", FILES, ids=name)
def test_every_module_says_what_it_is_for_and_is_short(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert not text or ast.get_docstring(ast.parse(text))
    assert text.count("\n") <= 400


@pytest.mark.parametrize(
    ("contract", "allowed"),
    [
        ("lm-eval", {"reasoning"}),
        ("trainers", {"backends"}),
        ("vllm", {"backends", "engines"}),
        ("plots", {"reporting"}),
    ],
)
def test_a_forbidden_import_is_forbidden_to_every_other_room(contract: str, allowed: set[str]) -> None:
    """A new room is missed by no list; of the rooms that may, every other part is named one by one."""
    settings = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = {c["id"]: c for c in settings["tool"]["importlinter"]["contracts"]}
    rooms = {room.strip() for line in contracts["layers"]["layers"] for room in line.split("|")}
    forbidden = {module.removeprefix("lrmctl.") for module in contracts[contract]["source_modules"]}
    assert {room for room in forbidden if "." not in room} == rooms - allowed
    for room, bridge in (("reasoning", "lm_eval"), ("engines", "vllm")):
        parts = {p.stem for p in (PACKAGE / room).iterdir() if p.name != "__init__.py" and not p.name.startswith("__")}
        if named := {module.partition(".")[2] for module in forbidden if module.startswith(f"{room}.")}:
            assert named == parts - {bridge}


def test_no_file_imports_itself_by_way_of_others() -> None:
    """Imports inside functions and for type checking count too; the package's own face is left out."""
    graph = grimp.build_graph("lrmctl", cache_dir=None)
    imports = {m: set(graph.find_modules_directly_imported_by(m)) for m in graph.modules if m != "lrmctl"}
    sorter = TopologicalSorter(imports)
    sorter.prepare()  # raises CycleError with the files of a cycle


PRIVATE = {
    "_util",
    "cli",
    "cli.commands",
    "cli.commands.data",
    "cli.commands.judge",
    "cli.commands.reward",
    "cli.views",
    "monitors.alarms",
    "backends.openrlhf.flags",
}
"""Packages of which nothing is for others, or whose files are named one by one (commands, alarms, small tools)."""
REGISTERED = {"data.builtin", "rewards.builtin"}
"""Their files are reached by the registry."""


@pytest.mark.parametrize("file", [f for f in FILES if f.name == "__init__.py" and "standins" not in f.parts], ids=str)
def test_a_package_names_what_is_public(file: Path) -> None:
    name = ".".join(("lrmctl", *file.parent.relative_to(PACKAGE).parts))
    if name.removeprefix("lrmctl.") in PRIVATE | REGISTERED:
        return
    package = import_module(name)
    assert package.__all__, name
    assert [each for each in package.__all__ if not hasattr(package, each)] == []
