"""`lrmctl compare`: two evaluated runs, metric by metric."""

from __future__ import annotations

from typing import Annotated

import typer

from lrmctl.cli.common import RUNS, AsJson, RunsDir

Run = Annotated[str, typer.Argument(help="An evaluated run: run:NAME, its name, or its folder.")]


def compare(a: Run, b: Run, runs_dir: RunsDir = RUNS, as_json: AsJson = False) -> None:
    """Paired differences B - A with 95 % intervals."""
    from lrmctl import console
    from lrmctl.cli.targets import run_folder
    from lrmctl.compare import compare

    deltas = compare(run_folder(a, runs_dir), run_folder(b, runs_dir))
    if as_json:
        console.emit_json("compare", deltas)
        return
    raise NotImplementedError
