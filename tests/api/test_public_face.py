"""`import lrmctl` offers the commands as functions, lightly; each takes what its command takes."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
import typing
from typing import Any

import pytest
import typer

import lrmctl

COMMANDS = {"train": "train", "evaluate": "eval", "analyze": "analyze", "compare": "compare", "study": "study"}
COMMANDS |= {"report": "report"}
ELSEWHERE = {
    "as_json": "a function returns its result",
    "as_md": "a function returns its result",
    "as_csv": "a function returns its result",
    "everything": "figures() has every metric",
    "every": "metrics= names them",
    "flips": "Comparison.flips",
    "show_text": "Evaluation.rows()",
    "sets": "overrides=",
    "trust_remote_code": 'overrides={"trust_remote_code": True}',
    "dry_run": "prints a plan",
    "price": "of a dry run",
    "as_smoke": "tries a recipe",
    "checkpoints": "evaluate_checkpoints",
}
"""Options of a command that its function has not, and why or where."""
OF_DRY_RUN = {"train": {"against", "out", "force"}}
RENAMED = {"runs": ("baseline", "others"), "metric": ("metrics",), "output": ("out",), "target": ("target", "run")}


def test_importing_loads_nothing_heavy_and_all_is_offered() -> None:
    code = (
        "import sys, lrmctl\n"
        "heavy = {'torch', 'transformers', 'pydantic', 'yaml', 'numpy', 'rich', 'lrmctl.api'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert set(lrmctl.__all__) <= set(dir(lrmctl))\n"
        "import lrmctl.comparison, lrmctl.studies, lrmctl.reporting\n"
        "assert all(callable(getattr(lrmctl, name)) for name in "
        "('train evaluate analyze compare study report load_run make_judge make_reward').split())\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'fly'"):
        lrmctl.fly  # noqa: B018


@pytest.mark.parametrize("name", [name for name in lrmctl.__all__ if inspect.isfunction(getattr(lrmctl, name))])
def test_functions_are_typed_and_documented(name: str) -> None:
    function = getattr(lrmctl, name)
    parameters = inspect.signature(function).parameters
    annotations = function.__annotations__
    assert set(parameters) <= set(annotations)
    assert "return" in annotations
    assert "Raises:" in function.__doc__


@pytest.mark.parametrize("name", COMMANDS)
def test_a_function_takes_what_its_command_takes(name: str) -> None:
    from lrmctl.cli.app import app

    group: Any = typer.main.get_command(app)
    options = {option.name for option in group.get_command(None, COMMANDS[name]).params} - {"help"}
    taken = set(inspect.signature(getattr(lrmctl, name)).parameters)
    known = set(ELSEWHERE) | OF_DRY_RUN.get(name, set())
    missing = {o for o in options - known if o not in taken and not taken & set(RENAMED.get(o, ()))}
    assert not missing
    assert "sets" not in options or "overrides" in taken


def test_a_type_checker_sees_every_name() -> None:
    tree = ast.parse(inspect.getsource(lrmctl))
    named = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert set(lrmctl.__all__) <= named
    assert typing.get_type_hints(lrmctl.load_run)["return"] is lrmctl.Run
