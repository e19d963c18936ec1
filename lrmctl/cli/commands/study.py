"""`lrmctl study`: a base, several recipes, one evaluation, one report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lrmctl.cli.common import (
    RUNS,
    Name,
    PriceTexts,
    RunsDir,
    Sets,
    command_line,
    load,
    prices_of,
    print_resume_command,
    recipe_argument,
)

if TYPE_CHECKING:
    from lrmctl.planning.prices import Prices
    from lrmctl.recipe.load import LoadedRecipe

RebuildBase = Annotated[bool, typer.Option("--rebuild-base", help="Pretrain the lab's base again, from scratch.")]


def study(
    recipe: Annotated[str, recipe_argument("study")],
    sets: Sets = None,
    name: Name = None,
    runs_dir: RunsDir = RUNS,
    rebuild_base: RebuildBase = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print cells, GPUs, judge calls, disk, hours and cost; start nothing.")
    ] = False,
    price: PriceTexts = None,
    as_json: Annotated[bool, typer.Option("--json", help="With --dry-run: print JSON on stdout.")] = False,
) -> None:
    """Run or continue a study.

    Trains and evaluates every arm on every base with every training seed. Finished stages are not repeated.
    Prints the report's path.

    Examples:
        lrmctl study lab/studies/families --dry-run
        lrmctl study mine.yaml --dry-run --price gpu_hour=2.5,currency=EUR
        lrmctl study mine.yaml --set jobs=2
    """
    loaded, prices = load(recipe, sets, "study"), prices_of(price, dry_run)
    if dry_run:
        show_plan(loaded, runs_dir, as_json, name, prices)
        return
    if as_json:
        from lrmctl.errors import LrmctlError

        raise LrmctlError("--json is for --dry-run", fix="the results are in table.json beside the report")
    arguments = ["study", recipe, *(["--name", name] if name else []), *(["--rebuild-base"] if rebuild_base else [])]
    run(loaded, command_line(*arguments, sets=sets, runs_dir=runs_dir), runs_dir, name, rebuild_base)


def show_plan(loaded: LoadedRecipe, runs_dir: Path, as_json: bool, name: str | None, prices: Prices) -> None:
    """Print what a study will take and cost."""
    from lrmctl import console
    from lrmctl.preflight.validate import validate
    from lrmctl.studies.dry_run import plan_study

    notes = validate(loaded, runs_dir)
    plan = plan_study(loaded, runs_dir, name, prices)
    if as_json:
        console.emit_json("study-plan", {**plan.to_json(), "notes": [str(note) for note in notes]})
        return
    from lrmctl.cli.views.study_plan import show

    show(plan, [str(note) for note in notes])


def run(loaded: LoadedRecipe, again: str, runs_dir: Path, name: str | None, rebuild_base: bool) -> None:
    """Run a loaded study and show its progress."""
    from lrmctl import api, console
    from lrmctl.cli.views.events import show_events

    with print_resume_command(again), show_events() as on_event:
        page = api.study(loaded, runs_dir=runs_dir, name=name, rebuild_base=rebuild_base, on_event=on_event)
    console.out.print(page, markup=False)
