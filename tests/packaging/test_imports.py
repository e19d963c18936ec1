"""Which module may import what, read from the source: imports point downwards, heavy ones wait for their use."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

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

LAYERS = (
    ("cli", "__main__"),
    ("study", "smoke"),
    (
        "train",
        "doctor",
        "workers",
        "dry_run",
        "preflight",
        "templates",
        "training_data",
        "evaluation",
        "reward_models",
        "resume",
        "resume_longer",
    ),
    (
        "backends",
        "engines",
        "judges",
        "rewards",
        "benchmarks",
        "reasoning",
        "analysis",
        "monitors",
        "report",
        "compare",
        "comparing",
        "interop",
        "lab",
    ),
    ("planning",),
    ("recipe", "data", "hooks", "runs", "models", "stats", "metrics", "rows"),
    ("_util", "types", "thinking", "trace", "errors", "console", "suggest", "text", "words"),
)
RANK = {room: rank for rank, rooms in enumerate(reversed(LAYERS)) for room in rooms}


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


def test_every_room_has_a_layer() -> None:
    rooms = {name(file).partition("/")[0].removesuffix(".py") for file in FILES} - {"__init__"}
    assert rooms <= set(RANK)


@pytest.mark.parametrize("file", [f for f in FILES if not name(f).startswith(IN_THE_TRAINER)], ids=name)
def test_heavy_packages_are_imported_inside_functions(file: Path) -> None:
    assert {module.partition(".")[0] for module in imports(parsed(file), top_level=True)} & HEAVY == set()


@pytest.mark.parametrize("file", FILES, ids=name)
def test_imports_at_the_top_of_a_module_point_downwards(file: Path) -> None:
    room = name(file).partition("/")[0].removesuffix(".py")
    if room == "__init__":
        return
    upwards = [
        module
        for module in imports(parsed(file), top_level=True)
        if module.startswith("lrmctl.") and RANK.get(module.split(".")[1], 0) > RANK[room]
    ]
    assert upwards == []


def test_lm_eval_is_imported_by_its_bridge_vllm_by_one_file_and_openrlhf_by_the_trainer_only() -> None:
    found = {
        (module.partition(".")[0], name(file))
        for file in FILES
        for module in imports(parsed(file), top_level=False)
        if module.partition(".")[0] in ("lm_eval", "openrlhf", "vllm")
    }
    bridge = {file for package, file in found if package == "lm_eval"}
    assert bridge
    assert all(file.startswith("reasoning/lmeval") for file in bridge)
    elsewhere = {(package, file) for package, file in found if not file.startswith(IN_THE_TRAINER)}
    assert {file for package, file in elsewhere if package == "vllm"} == {
        "engines/chat_vllm.py",
        "engines/vllm_model.py",
    }
    assert not [file for package, file in elsewhere if package == "openrlhf"]


@pytest.mark.parametrize("file", FILES, ids=name)
def test_every_module_says_what_it_is_for_and_is_short(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert not text or ast.get_docstring(ast.parse(text))
    assert text.count("\n") <= 400
