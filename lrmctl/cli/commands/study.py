"""`lrmctl study`: a base, several recipes, one evaluation, one report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lrmctl.cli.common import RUNS, Name, RecipeRef, RunsDir, Sets, command_line, load, print_resume_command

if TYPE_CHECKING:
    from lrmctl.recipe.load import LoadedRecipe

RebuildBase = Annotated[bool, typer.Option("--rebuild-base", help="Pretrain the lab's base again, from scratch.")]


def study(
    recipe: RecipeRef,
    sets: Sets = None,
    name: Name = None,
    runs_dir: RunsDir = RUNS,
    rebuild_base: RebuildBase = False,
) -> None:
    """Run or continue a study.

    Finished stages are not repeated. Prints the report's path.
    """
    loaded = load(recipe, sets, "study")
    arguments = ["study", recipe, *(["--name", name] if name else []), *(["--rebuild-base"] if rebuild_base else [])]
    run(loaded, command_line(*arguments, sets=sets, runs_dir=runs_dir), runs_dir, name, rebuild_base)


def run(loaded: LoadedRecipe, again: str, runs_dir: Path, name: str | None, rebuild_base: bool) -> None:
    """Run a loaded study and show its progress."""
    from lrmctl import api, console
    from lrmctl.cli.views.events import show_events

    with print_resume_command(again), show_events() as on_event:
        page = api.study(loaded, runs_dir=runs_dir, name=name, rebuild_base=rebuild_base, on_event=on_event)
    console.out.print(page, markup=False)
