"""Checks of the raw OpenRLHF flags in `backend.flags`: names, values, and flags that may not be set there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lrmctl.backends.openrlhf.flags import parser as cli
from lrmctl.backends.openrlhf.flags.renames import instead_of
from lrmctl.recipe.problems import Problem


def flag_problems(program: cli.Program, given: Mapping[str, Any], reserved: Mapping[str, str]) -> list[Problem]:
    """Problems of the given flags, in their order.

    Args:
        reserved: flags that may not be set, and why (see `reserved.RESERVED`).
    """
    names = set(cli.known(program))
    return [problem for flag, value in given.items() for problem in _of_one(program, flag, value, names, reserved)]


def _of_one(
    program: cli.Program, flag: str, value: Any, names: set[str], reserved: Mapping[str, str]
) -> Iterator[Problem]:
    key = f"backend.flags.{flag}"
    if flag not in names:
        yield Problem(key, *instead_of(program, flag, reserved))
    elif flag in reserved:
        yield Problem(key, f"the flag {flag!r} is not free", reserved[flag])
    elif not _is_plain(value):
        yield Problem(key, "a flag's value is a number, a word, true or false, or a list of those")
    else:
        try:
            cli.parse(program, cli.to_argv({flag: value}))
        except cli.FlagsRefused as error:
            reason = error.what.rpartition(f"argument --{flag}: ")[2].removeprefix(
                "OpenRLHF does not accept the plan: "
            )
            yield Problem(key, f"OpenRLHF does not take this value: {reason}", _takes(program, flag))


def _is_plain(value: Any) -> bool:
    """Whether a value is one command-line argument or a list of them, none of which reads as another flag."""
    values = value if isinstance(value, list) else [value]
    scalars = all(isinstance(item, (str, int, float)) for item in values) or value is None
    return scalars and not any(isinstance(item, str) and (item.startswith("--") or "\0" in item) for item in values)


def _takes(program: cli.Program, flag: str) -> str:
    """What kind of value a flag takes, for messages."""
    action = next(a for a in cli.parser(program)._actions if f"--{flag}" in a.option_strings)
    if action.nargs == 0:
        return "it takes no value: say true or false"
    if action.choices:
        return f"it takes one of {', '.join(map(str, action.choices))}"
    kind = "whole number" if action.type is int else "number" if action.type is float else "word"
    if action.nargs is None:
        return f"it takes one {kind}"
    return f"it takes a list of {f'{action.nargs} ' if isinstance(action.nargs, int) else ''}{kind}s"
