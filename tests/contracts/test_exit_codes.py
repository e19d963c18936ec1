"""docs/exit-codes.md has every exit code that the source can end with, and every command that reports findings."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from every_command import commands

from lrmctl import console, errors

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "exit-codes.md").read_text(encoding="utf-8")
NAMES = ("OK", "FINDINGS", "USER_ERROR", "BACKEND_FAILED", "UNEXPECTED", "INTERRUPTED")
DOCUMENTED = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)}


def _exits() -> Iterator[tuple[str, str]]:
    """What every `typer.Exit`, `sys.exit` and `SystemExit` of the command line is given, with its place."""
    for file in (ROOT / "lrmctl" / "cli").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("typer.Exit", "sys.exit", "SystemExit"):
                yield f"{file.name}:{node.lineno}", ", ".join(map(ast.unparse, [*node.args, *node.keywords]))


def _reports_findings(command: Callable[..., None]) -> bool:
    """Whether a command ends with findings, itself or in a function of its module that it calls."""
    module = inspect.getmodule(command)
    called = [vars(module).get(name) for name in inspect.unwrap(command).__code__.co_names]
    own = [function for function in called if inspect.isfunction(function) and inspect.getmodule(function) is module]
    return any("console.FINDINGS" in inspect.getsource(function) for function in (command, *own))


def test_every_code_of_the_source_is_in_the_page() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    codes = {getattr(console, name) for name in NAMES} | {kind.exit_code for kind in kinds}
    assert codes == DOCUMENTED


def test_commands_end_with_codes_that_have_a_name() -> None:
    given = dict(_exits())
    assert given
    assert {place: code for place, code in given.items() if code not in ("", *(f"console.{n}" for n in NAMES))} == {}


def test_every_command_that_reports_findings_says_what_they_are() -> None:
    finding = {name for name, command in commands().items() if _reports_findings(command.callback)}
    table = PAGE.partition("## What counts as a finding")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("|")]
    assert finding == {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def test_the_readme_links_to_the_page() -> None:
    assert "](docs/exit-codes.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
