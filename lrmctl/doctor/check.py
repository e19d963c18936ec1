"""What a check says, and how checks run: together, told in order as soon as each is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Verdict = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Check:
    """The result of one check.

    Attributes:
        id: short name of what was checked.
        verdict: `fail` means that some command will not work, `warn` that one may not work as expected.
        reason: what was found.
        fix: what to do, a command where there is one; empty for `ok`.
    """

    id: str
    verdict: Verdict
    reason: str
    fix: str = ""


@dataclass(frozen=True)
class Machine:
    """What checks are told.

    Attributes:
        runs_dir: folder that holds all runs.
    """

    runs_dir: Path


Checker = Callable[[Machine], Iterable[Check]]
"""A function that examines something and gives one check or several."""


def run_checks(checkers: Sequence[tuple[str, Checker]], machine: Machine) -> Iterator[Check]:
    """The results of named checkers in their order. They run side by side, because importing torch takes seconds and
    a hub may not answer; one that raises is a check that failed."""
    with ThreadPoolExecutor(max_workers=4, thread_name_prefix="doctor") as pool:
        running = [(name, pool.submit(_all, checker, machine)) for name, checker in checkers]
        for name, future in running:
            try:
                yield from future.result()
            except Exception as error:  # a checker of a plugin may raise anything
                what = f"the check itself failed: {type(error).__name__}: {error}"
                yield Check(name, "warn", what, "report it to whoever wrote the check")


def _all(checker: Checker, machine: Machine) -> list[Check]:
    return list(checker(machine))
