"""OpenRLHF's own argument parser in a given version, obtained without importing OpenRLHF.

Its parsers are built under `if __name__ == "__main__":`. That block, run only up to `parse_args()`, needs nothing but
argparse, so every flag of a plan is checked by the real parser within milliseconds. If OpenRLHF is not installed, a
snapshot of a known version's parser is used (made by `tools/openrlhf_snapshots.py`). Flags must match exactly: argparse
would otherwise accept `--train.num_ep` for `--train.num_episodes`. This room knows no recipe.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, NoReturn

from lrmctl.errors import LrmctlError, NotFoundError, RecipeError

Program = Literal["train_sft", "train_dpo", "train_ppo_ray"]
Flags = Mapping[str, Any]
PROGRAMS: tuple[Program, ...] = ("train_ppo_ray", "train_sft", "train_dpo")
SNAPSHOTS = Path(__file__).parent / "snapshots"

_INSTALL = "pip install 'lrmctl[openrlhf]' on a CUDA machine; on a CPU machine `make setup` in a clone of lrmctl"
REFUSED = "OpenRLHF does not accept the plan: "
"""The beginning of every `FlagsRefused` message."""
_TYPES = {"int": int, "float": float, "str": str}


class FlagsRefused(RecipeError):
    """A command line that OpenRLHF does not accept.

    Attributes:
        flag: the offending flag, without dashes; empty if argparse does not name it.
    """

    def __init__(self, what: str, where: str = "backend.flags", fix: str = "", flag: str = "") -> None:
        super().__init__(what, where, fix)
        self.flag = flag


class _Parser(argparse.ArgumentParser):
    """Raises instead of exiting the process, and accepts no abbreviations."""

    def __init__(self) -> None:
        super().__init__(prog="openrlhf", allow_abbrev=False, add_help=False, exit_on_error=False)

    def error(self, message: str) -> NoReturn:
        raise FlagsRefused(REFUSED + message)


class _FrozenClock(datetime):
    """Default run names contain the time; all readings of one parser must be the same."""

    @classmethod
    def now(cls, tz: Any = None) -> _FrozenClock:
        return cls(2000, 1, 1, tzinfo=tz)


def folder() -> Path | None:
    """Where OpenRLHF is installed; None if it is not."""
    spec = importlib.util.find_spec("openrlhf")
    return Path(next(iter(spec.submodule_search_locations))) if spec and spec.submodule_search_locations else None


def installed() -> str | None:
    """Version of the installed OpenRLHF; None if there is none."""
    try:
        return metadata.version("openrlhf") if folder() else None
    except metadata.PackageNotFoundError:
        return "unknown"  # a source tree on the path


def require() -> None:
    """Require an installed OpenRLHF, for code that runs it and does not only plan.

    Raises:
        NotFoundError: it is not installed.
    """
    if folder() is None:
        raise NotFoundError("OpenRLHF is not installed", fix=_INSTALL)


def known_versions() -> list[str]:
    """Versions with a snapshot, oldest first."""
    return sorted((f.stem for f in SNAPSHOTS.glob("*.json")), key=lambda v: [int(n) for n in v.split(".")])


def version_note() -> str | None:
    """A note on the parser in use; empty if it is that of an installed, known version."""
    here, versions = installed(), known_versions()
    if here is None:
        return f"OpenRLHF is not installed here: flags are checked against the parser of {versions[-1]}"
    if here not in versions:
        return (
            f"OpenRLHF {here} is installed; lrmctl knows {versions[0]} to {versions[-1]} and uses {here}'s own parser"
        )
    return None


def recover(path: Path) -> argparse.ArgumentParser:
    """The parser that a program's source builds, created without importing OpenRLHF.

    Raises:
        LrmctlError: the source does not build its parser like the known versions do.
    """
    fake = argparse.Namespace(ArgumentParser=_Parser)
    names: dict[str, Any] = {"argparse": fake, "datetime": _FrozenClock, "os": os}
    exec(compile(ast.Module(body=_setup_statements(path), type_ignores=[]), str(path), "exec"), names)
    built = names.get("parser")
    if not isinstance(built, argparse.ArgumentParser):
        raise LrmctlError("this OpenRLHF's command line cannot be read", str(path), "pip install 'openrlhf==0.11.2'")
    return built


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
def parser(program: Program, version: str | None = None) -> argparse.ArgumentParser:
    """The parser of one OpenRLHF program.

    Args:
        version: of the snapshot to use; by default the source of the installed OpenRLHF, else the newest snapshot.

    Raises:
        NotFoundError: there is no snapshot of this version.
    """
    here = folder()
    if version is not None or here is None:
        return rebuild(snapshot(version or known_versions()[-1])[program])
    path = here / "cli" / f"{program}.py"
    if not path.exists():
        raise LrmctlError(f"this OpenRLHF has no {program}", str(path), _INSTALL)
    return recover(path)


def snapshot(version: str) -> Mapping[str, list[dict[str, Any]]]:
    """The options of each program, as `options_of` returns them.

    Raises:
        NotFoundError: no snapshot of this version.
    """
    file = SNAPSHOTS / f"{version}.json"
    if not file.is_file():
        raise NotFoundError(f"there is no snapshot of OpenRLHF {version}", fix=f"known: {', '.join(known_versions())}")
    programs: dict[str, list[dict[str, Any]]] = json.loads(file.read_text(encoding="utf-8"))
    return programs


def options_of(built: argparse.ArgumentParser) -> list[dict[str, Any]]:
    """A parser as JSON-able data: everything that decides what it accepts and returns, without help texts.

    Raises:
        LrmctlError: an option of a kind that `rebuild` does not support.
    """
    return [_option(action) for action in built._actions]


def _option(action: argparse.Action) -> dict[str, Any]:
    kind = {"_StoreAction": "store", "_StoreTrueAction": "store_true", "_StoreFalseAction": "store_false"}.get(
        type(action).__name__
    )
    cast = getattr(action.type, "__name__", None)
    if kind is None or cast not in (None, *_TYPES):
        raise LrmctlError(f"{action.option_strings}: an option of an unknown kind, {type(action).__name__}, {cast}")
    plain = action.option_strings == [f"--{action.dest}"]
    fields: dict[str, Any] = {"flags": action.option_strings, "dest": None if plain else action.dest}
    if kind == "store":
        fields |= {"type": cast, "nargs": action.nargs, "choices": list(action.choices) if action.choices else None}
    else:
        fields["action"] = kind
    default = action.default
    fields["default"] = list(default) if isinstance(default, tuple) else str(default) if default == _INF else default
    fields["required"] = action.required or None
    return {key: value for key, value in fields.items() if value is not None}


_INF = float("inf")  # not JSON; argparse converts a default given as text to the option's type


def rebuild(options: Sequence[Mapping[str, Any]]) -> argparse.ArgumentParser:
    """The parser that `options_of` described: accepts and rejects the same command lines."""
    built = _Parser()
    for option in options:
        arguments = {"dest": option["flags"][0].removeprefix("--"), **option}
        arguments = {key: value for key, value in arguments.items() if key not in ("flags", "type")}
        if "type" in option:
            arguments["type"] = _TYPES[option["type"]]
        built.add_argument(*option["flags"], **arguments)
    return built


def known(program: Program, version: str | None = None) -> list[str]:
    """All flags of a program without the leading dashes."""
    return sorted(o.removeprefix("--") for a in parser(program, version)._actions for o in a.option_strings)


def to_argv(flags: Flags) -> tuple[str, ...]:
    """A mapping as command-line arguments: True is the bare flag, None and False are left out, a list is several."""
    argv: list[str] = []
    for name, value in flags.items():
        if value is None or value is False:
            continue
        argv.append(f"--{name}")
        if value is not True:
            argv += [str(v) for v in (value if isinstance(value, (list, tuple)) else [value])]
    return tuple(argv)


def parse(program: Program, argv: Sequence[str], version: str | None = None) -> dict[str, Any]:
    """What OpenRLHF will read from a command line: flag name -> value.

    Raises:
        Refused: its parser does not accept the command line.
    """
    try:
        return vars(parser(program, version).parse_args(list(argv)))
    except argparse.ArgumentError as error:
        flag = (error.argument_name or "").removeprefix("--")
        raise FlagsRefused(f"{REFUSED}{error}", flag=flag) from None
