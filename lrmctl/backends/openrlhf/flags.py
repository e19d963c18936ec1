"""OpenRLHF's own command line, as the installed version defines it, without importing OpenRLHF.

Its parsers are built under `if __name__ == "__main__":`. That block, run only up to `parse_args()`, needs argparse and
nothing else, so that every flag of a plan is checked by the real parser within milliseconds. Flags must match exactly:
argparse would otherwise accept `--train.num_ep` for `--train.num_episodes`. This room knows no recipe.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal, NoReturn

from lrmctl.errors import LrmctlError, NotFoundError, RecipeError
from lrmctl.suggest import did_you_mean

Program = Literal["train_sft", "train_ppo_ray"]
Flags = Mapping[str, Any]

_INSTALL = "pip install 'lrmctl[openrlhf]' on a CUDA machine; on a CPU machine `make setup` in a clone of lrmctl"


class _Parser(argparse.ArgumentParser):
    """Raises instead of leaving the process, and takes no abbreviations."""

    def __init__(self) -> None:
        super().__init__(prog="openrlhf", allow_abbrev=False, add_help=False)

    def error(self, message: str) -> NoReturn:
        raise RecipeError(f"OpenRLHF does not accept the plan: {message}", "backend.flags")


def _source(program: Program) -> Path:
    spec = importlib.util.find_spec("openrlhf")
    if spec is None or not spec.submodule_search_locations:
        raise NotFoundError("OpenRLHF is not installed", fix=_INSTALL)
    path = Path(next(iter(spec.submodule_search_locations))) / "cli" / f"{program}.py"
    if not path.exists():
        raise LrmctlError(f"this OpenRLHF has no {program}", str(path), _INSTALL)
    return path


def _setup_statements(path: Path) -> list[ast.stmt]:
    """The statements of the main block before `parse_args()`."""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    main = next((n for n in tree.body if isinstance(n, ast.If)), None)
    body: list[ast.stmt] = []
    for node in main.body if main else []:
        if "parse_args" in ast.dump(node):
            return body
        body.append(node)
    raise LrmctlError("this OpenRLHF's command line cannot be read", str(path), "pip install 'openrlhf==0.11.2'")


@cache
def parser(program: Program) -> argparse.ArgumentParser:
    """The real parser of one OpenRLHF program.

    Raises:
        NotFoundError: if OpenRLHF is not installed.
    """
    path = _source(program)
    fake = argparse.Namespace(ArgumentParser=_Parser)
    names: dict[str, Any] = {"argparse": fake, "datetime": datetime, "os": os}
    exec(compile(ast.Module(body=_setup_statements(path), type_ignores=[]), str(path), "exec"), names)
    built = names["parser"]
    assert isinstance(built, argparse.ArgumentParser)
    return built


def known(program: Program) -> list[str]:
    """All flags of a program without the leading dashes."""
    return sorted(o.removeprefix("--") for a in parser(program)._actions for o in a.option_strings)


def check_names(program: Program, flags: Flags) -> None:
    """Refuse flags that OpenRLHF does not have.

    Raises:
        RecipeError: naming the flag and the nearest real ones.
    """
    names = known(program)
    for flag in flags:
        if flag not in names:
            raise RecipeError(f"OpenRLHF has no flag {flag!r}", f"backend.flags.{flag}", did_you_mean(flag, names))


def to_argv(flags: Flags) -> tuple[str, ...]:
    """Command line of a mapping: True is the bare flag, None and False leave it out, a list becomes several words."""
    words: list[str] = []
    for name, value in flags.items():
        if value is None or value is False:
            continue
        words.append(f"--{name}")
        if value is not True:
            words += [str(v) for v in (value if isinstance(value, (list, tuple)) else [value])]
    return tuple(words)


def parse(program: Program, argv: Sequence[str]) -> dict[str, Any]:
    """What OpenRLHF will read from a command line: flag name -> value.

    Raises:
        RecipeError: if its parser does not accept the line.
    """
    return vars(parser(program).parse_args(list(argv)))
