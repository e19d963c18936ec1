"""`lrmctl compare`: two evaluated runs, metric by metric."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lrmctl.cli.common import RUNS, AsJson, RunsDir

if TYPE_CHECKING:
    from lrmctl.compare import Delta

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
    rows = [
        (d.set, f"{d.temperature:g}", d.metric, f"{d.a:.3f}", f"{d.b:.3f}", _interval(d), _p(d.p), d.prompts)
        for d in deltas
    ]
    console.table("", ("set", "T", "metric", "A", "B", "B - A [95 %]", "p", "prompts"), rows)


def _interval(delta: Delta) -> str:
    return f"{delta.delta:+.3f} [{delta.low:+.3f}, {delta.high:+.3f}]"


def _p(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else "<0.001"
