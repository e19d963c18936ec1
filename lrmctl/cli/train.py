"""`lrmctl train`: one SFT or RL run."""

from __future__ import annotations

from typing import Annotated

import typer

from lrmctl.cli.common import RUNS, Name, RecipeRef, RunsDir, Sets, command_line, goes_on_with, load


def train(
    recipe: RecipeRef,
    sets: Sets = None,
    model: Annotated[str | None, typer.Option(help="Start from this model instead of the recipe's.")] = None,
    name: Name = None,
    runs_dir: RunsDir = RUNS,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run of this name.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Plan and say what would run; start nothing.")] = False,
) -> None:
    """Train a model from an SFT or RL recipe."""
    loaded = load(recipe, sets, "sft", "rl")

    from lrmctl import console
    from lrmctl.train import train

    called = name or loaded.recipe.name
    if dry_run:
        planned = train(loaded, runs_dir=runs_dir, name=name, model=model, dry_run=True)
        console.say("planned; nothing was started")
        console.out.print(planned.plan, markup=False)
        return
    words = ["train", recipe, *(["--model", model] if model else []), "--name", called, "--resume"]
    again = command_line(*words, sets=sets, runs_dir=runs_dir)
    with goes_on_with(again, (runs_dir / called).exists), console.progress(f"train {called}") as on_progress:
        run = train(loaded, runs_dir=runs_dir, name=name, model=model, resume=resume, on_progress=on_progress)
    console.say(f"the model is in {run.model}")
    console.out.print(run.path, markup=False)
