"""`lrmctl analyze`: how the reasoning of an evaluated run looks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lrmctl.cli.common import RUNS, AsJson, RunsDir, Sets, load


def analyze(
    target: Annotated[str, typer.Argument(help="An evaluated run: run:NAME, its name, or its folder.")],
    recipe: Annotated[
        str | None, typer.Option(help="A study recipe whose analysis section to use; that of `demo` by default.")
    ] = None,
    base: Annotated[str | None, typer.Option(help="Analysed run of the base; gives the entropy threshold.")] = None,
    sets: Sets = None,
    runs_dir: RunsDir = RUNS,
    as_json: AsJson = False,
) -> None:
    """Analyse reflection and entropy of thinking."""
    loaded = load(recipe or "demo", sets, "study")
    section = loaded.recipe.analysis  # type: ignore[union-attr]  # `load` let only a study through

    from lrmctl import console
    from lrmctl.analysis import analyze
    from lrmctl.cli.targets import evaluated_model, run_folder

    folder = run_folder(target, runs_dir)
    model = evaluated_model(folder)
    if model is None:
        console.say("the evaluated model is not there any more: no entropy")
    if recipe is None and not any(text.startswith("analysis.lexicons") for text in sets or ()):
        section = section.model_copy(update={"lexicons": _lexicons(section.lexicons, model)})
    with console.progress(f"analyze {target}") as on_progress:
        base_folder = run_folder(base, runs_dir) if base else None
        found = analyze(model, folder, section, base_dir=base_folder, on_progress=on_progress)
    if as_json:
        console.emit_json("analysis", found)
    else:
        console.out.print(folder / "analysis", markup=False)


def _lexicons(named: tuple[str, ...], model: Path | None) -> tuple[str, ...]:
    """Without the lab's own words where another model thinks."""
    from lrmctl.lab import is_lab_model

    lab = model is not None and is_lab_model(model)
    return tuple(name for name in named if lab or name != "lab")
