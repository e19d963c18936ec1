"""`lrmctl doctor`: whether this machine has everything that a run needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lrmctl.cli.common import RUNS, AsJson

if TYPE_CHECKING:
    from lrmctl.doctor import Check


def doctor(
    runs_dir: Annotated[  # a wrong folder is a finding here, not an error
        Path, typer.Option("--runs-dir", envvar="LRMCTL_RUNS", help="Folder that holds all runs.")
    ] = RUNS,
    as_json: AsJson = False,
    cpu_overrides: Annotated[
        bool, typer.Option("--cpu-overrides", help="Print what `uv pip install --overrides` needs for OpenRLHF on CPU.")
    ] = False,
) -> None:
    """Check this machine and installation. Versions, GPUs, memory, ports, hub, data and plugins are looked at.

    Exit code 1 if something must be fixed.

    Examples:
        lrmctl doctor
        lrmctl doctor --cpu-overrides
    """
    from lrmctl import console

    if cpu_overrides:
        from lrmctl.scaffold import cpu_overrides as overrides

        console.out.print(overrides(), markup=False, end="")
        return
    from lrmctl.doctor import examine

    checks = []
    for check in examine(runs_dir):
        checks.append(check)
        if not as_json:
            console.out.print(_line(check), markup=False, highlight=False, soft_wrap=True)
    if as_json:
        console.emit_json("doctor", checks)
    if any(check.verdict == "fail" for check in checks):
        raise typer.Exit(console.FINDINGS)


def _line(check: Check) -> str:
    """One check as text: the verdict, what was found, and below it what to do."""
    found = f"{check.verdict:<5} {check.id:<16} {check.reason}"
    return f"{found}\n{'':<22} fix: {check.fix}" if check.fix else found
