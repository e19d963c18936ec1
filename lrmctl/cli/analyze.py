"""`lrmctl analyze`: how the reasoning of an evaluated run looks."""

from __future__ import annotations

from typing import Annotated

import typer

from lrmctl.cli.common import RUNS, AsJson, RunsDir, Sets, load


def analyze(
    target: Annotated[str, typer.Argument(help="An evaluated run: run:NAME, its name, or its folder.")],
    recipe: Annotated[str, typer.Option(help="A study recipe whose analysis section to use.")] = "demo",
    base: Annotated[str | None, typer.Option(help="Analysed run of the base; gives the entropy threshold.")] = None,
    sets: Sets = None,
    runs_dir: RunsDir = RUNS,
    as_json: AsJson = False,
) -> None:
    """Analyse reflection and entropy of thinking."""
    section = load(recipe, sets, "study").recipe.analysis  # type: ignore[union-attr]  # `load` let only a study through

    from lrmctl import console
    from lrmctl.analysis import analyze
    from lrmctl.cli.targets import evaluated_model, run_folder

    folder = run_folder(target, runs_dir)
    model = evaluated_model(folder)
    if model is None:
        console.say("the evaluated model is not there any more: no entropy")
    with console.progress(f"analyze {target}") as on_progress:
        base_folder = run_folder(base, runs_dir) if base else None
        found = analyze(model, folder, section, base_dir=base_folder, on_progress=on_progress)
    if as_json:
        console.emit_json("analysis", found)
    else:
        console.out.print(folder / "analysis", markup=False)
