"""`lrmctl train RECIPE --smoke`: try a recipe's whole pipeline on CPU, and report what was scaled down."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from lrmctl.smoke.chain import SmokeResult


def smoke(
    recipe: str, on: str | None, sets: Sequence[str] | None, model: str | None, runs_dir: Path, as_json: bool
) -> None:
    """Run the pipeline and show it. Exit code 0 only if every stage ran, else 3."""
    from lrmctl.recipe.load import load_recipe
    from lrmctl.smoke.chain import smoke
    from lrmctl.smoke.offline import forbid_network_and_gpu

    forbid_network_and_gpu()
    loaded = load_recipe(recipe, sets or (), on=on)
    if model is not None:
        loaded = loaded.override({"model": model}, "--model")

    from lrmctl import console

    with redirect_stdout(sys.stderr):  # the trainer's libraries log to stdout, which is for the result
        chains = smoke(loaded, runs_dir=runs_dir, on_stage=console.say)
    if as_json:
        console.emit_json("smoke", chains)
    else:
        for chain in chains:
            _show(chain)
    if not all(chain.ok for chain in chains):
        raise typer.Exit(console.BACKEND_FAILED)


def _show(chain: SmokeResult) -> None:
    from lrmctl import console

    rows = [(s.name, f"{s.seconds:.1f} s", "failed" if s.error else "ok", s.result) for s in chain.stages]
    console.table(f"smoke run of {chain.recipe}", ("stage", "time", "", "what"), rows)
    made_small = [(key, before, now) for key, (before, now) in chain.changes.items()]
    console.table("made small", ("key", "recipe", "here"), made_small)
    console.table("replaced", ("what stands in for what",), [(sentence,) for sentence in chain.replaced])
    for stage in chain.stages:
        if stage.error:
            console.say(f"{stage.name} failed: {stage.error}")
    console.out.print(chain.folder, markup=False)
