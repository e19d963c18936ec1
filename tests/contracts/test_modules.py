"""What every module keeps, read from the source: heavy imports wait for their use, files are short and say what for."""

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
