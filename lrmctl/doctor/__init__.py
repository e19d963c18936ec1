"""Checks of the machine and the installation, as data: what was checked, the verdict, the reason and the fix.

Runs no training and installs nothing. The CLI displays the checks as they come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from lrmctl.doctor import hardware, material, packages
from lrmctl.doctor.check import Check, Checker, Machine, run_checks
from lrmctl.doctor.packages import OPENRLHF
from lrmctl.hooks import registry

__all__ = ["CHECKERS", "OPENRLHF", "Check", "Checker", "Machine", "examine"]

CHECKERS: tuple[tuple[str, Checker], ...] = (
    ("python", packages.python),
    ("libraries", packages.libraries),
    ("openrlhf-pins", packages.pins),
    ("versions", packages.combination),
    ("torch", hardware.torch),
    ("gpus", hardware.gpu_memory),
    ("kernels", packages.gpu_kernels),
    ("shared-memory", hardware.shared_memory),
    ("ports", hardware.ports),
    ("runs", hardware.folder),
    ("hub", material.hub),
    ("data-sets", material.data_sets),
)
"""Checks that run side by side, in the order in which they are told."""
_LAST: tuple[tuple[str, Checker], ...] = (("plugins", material.plugins),)
"""Loading plugins redirects their output for the whole process, so that nothing may be told meanwhile."""


def examine(runs_dir: Path) -> Iterator[Check]:
    """All checks, those of plugins last, each as soon as it and those before it are known."""
    machine = Machine(runs_dir)
    yield from run_checks(CHECKERS, machine)
    yield from run_checks(_LAST, machine)
    yield from run_checks([(entry.name, _of_plugin(entry.name)) for entry in _of_plugins()], machine)


def factory_of(name: str) -> Callable[[], Checker]:
    """The factory of one of lrmctl's own checks."""
    checker = dict((*CHECKERS, *_LAST))[name]
    return lambda: checker


def _of_plugins() -> list[registry.PluginEntry]:
    return [entry for entry in registry.names("doctor-check") if not entry.builtin]


def _of_plugin(name: str) -> Checker:
    def check(machine: Machine) -> Iterable[Check]:
        checker: Checker = registry.make("doctor-check", name)
        return checker(machine)

    return check
