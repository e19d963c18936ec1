"""`lrmctl doctor`: whether this machine has everything that a run needs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lrmctl.cli.common import RUNS, AsJson


def doctor(
    runs_dir: Annotated[  # a wrong folder is a finding here, not an error
        Path, typer.Option("--runs-dir", envvar="LRMCTL_RUNS", help="Folder that holds all runs.")
    ] = RUNS,
    as_json: AsJson = False,
    cpu_overrides: Annotated[
        bool, typer.Option("--cpu-overrides", help="Print what `uv pip install --overrides` needs for OpenRLHF on CPU.")
    ] = False,
) -> None:
    """Check this machine and installation.

    Exit code 1 if something must be fixed.
    """
    from lrmctl import console

    if cpu_overrides:
        from lrmctl.scaffold import cpu_overrides as overrides

        console.out.print(overrides(), markup=False, end="")
        return
    from lrmctl.doctor import examine

    checks = examine(runs_dir)
    if as_json:
        console.emit_json("doctor", checks)
    else:
        rows = [(c.verdict, c.id, c.reason, c.fix) for c in checks]
        console.table("", ("verdict", "check", "found", "fix"), rows)
    if any(check.verdict == "fail" for check in checks):
        raise typer.Exit(console.FINDINGS)
