"""`lrmctl eval`: safety and reasoning of a model or of a run's model."""

from __future__ import annotations

from typing import Annotated

import typer

from lrmctl.cli.common import RUNS, AsJson, Name, RunsDir, Sets, command_line, goes_on_with, load


def evaluate(
    target: Annotated[
        str, typer.Argument(help="A model (lab:tiny, a folder, a hub id) or a run (run:NAME, its folder).")
    ],
    recipe: Annotated[str, typer.Option(help="An eval or study recipe: a file or a shipped name.")] = "lab/eval",
    sets: Sets = None,
    name: Name = None,
    runs_dir: RunsDir = RUNS,
    as_json: AsJson = False,
) -> None:
    """Evaluate safety and reasoning.

    Safety is judged in thinking and in answer. Results of a run go into its own folder.
    """
    loaded = load(recipe, sets, "eval", "study")

    from lrmctl import console
    from lrmctl.cli.targets import show_summary, target_folder, target_model
    from lrmctl.evaluation import evaluate

    folder, label = target_folder(target, runs_dir, name), name or target
    model = target_model(target, runs_dir)
    again = command_line(
        "eval", target, "--recipe", recipe, *(["--name", name] if name else []), sets=sets, runs_dir=runs_dir
    )
    with goes_on_with(again), console.progress(f"eval {label}") as on_progress:
        asked = loaded.recipe
        assert asked.kind in ("eval", "study")  # `load` let nothing else through
        summary = evaluate(model, asked.evaluation, folder, seed=asked.seed, label=label, on_progress=on_progress)
    console.say(f"results are in {folder / 'eval'}")
    show_summary(summary, as_json)
